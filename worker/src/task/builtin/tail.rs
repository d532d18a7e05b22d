//! The last bytes of a long output.

use std::collections::VecDeque;

/// Keeps the last bytes of what passes through, in bounded memory.
#[derive(Debug)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    limit: usize,
    passed: usize,
}

impl Tail {
    /// Keeps at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: VecDeque::with_capacity(limit),
            limit,
            passed: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.passed += bytes.len();
        let bytes = &bytes[bytes.len().saturating_sub(self.limit)..];
        let surplus = (self.bytes.len() + bytes.len()).saturating_sub(self.limit);
        self.bytes.drain(..surplus);
        self.bytes.extend(bytes);
    }

    /// What was kept, as text; says so where that is not all.
    pub(super) fn into_text(self) -> String {
        let bytes: Vec<u8> = self.bytes.into();
        if self.passed <= self.limit {
            return String::from_utf8_lossy(&bytes).trim_end().to_owned();
        }
        // The cut may have gone through a character: its rest is no text.
        let start = bytes
            .iter()
            .position(|byte| byte & 0b1100_0000 != 0b1000_0000)
            .unwrap_or(0);
        let text = String::from_utf8_lossy(&bytes[start..]);
        format!("... ({} bytes in all) {}", self.passed, text.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(parts: &[&str]) -> String {
        let mut tail = Tail::new(8);
        parts.iter().for_each(|part| tail.push(part.as_bytes()));
        tail.into_text()
    }

    #[test]
    fn short_output_is_kept_whole() {
        assert_eq!(tail(&["abc", "", "defgh"]), "abcdefgh");
        assert_eq!(tail(&["abc\n"]), "abc");
        assert_eq!(tail(&[]), "");
    }

    #[test]
    fn of_long_output_the_end_is_kept() {
        assert_eq!(tail(&["abcdefgh", "12"]), "... (10 bytes in all) cdefgh12");
        assert_eq!(
            tail(&["0123456789abcdef"]),
            "... (16 bytes in all) 89abcdef"
        );
    }

    #[test]
    fn a_character_that_was_cut_is_left_out() {
        assert_eq!(tail(&["xxä1234567"]), "... (11 bytes in all) 1234567");
    }
}
