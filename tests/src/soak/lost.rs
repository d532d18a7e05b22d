//! What a lost tail held, as it stands in the append-only file's text: only of that may anything be repeated.

use std::collections::BTreeSet;

use scheduler_core::history::{Record, SkipRecord};

/// What Redis wrote, and came back without.
#[derive(Clone, Debug, Default)]
pub(super) struct Lost {
    /// Runs that any of it was about.
    pub(super) runs: BTreeSet<String>,
    /// Records of skips.
    pub(super) skips: Vec<SkipRecord>,
}

impl Lost {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let runs = text.match_indices('@').filter_map(|(at, _)| {
            let of_id = |c: char| c.is_ascii_alphanumeric() || c == '-';
            let id = text[..at].rsplit(|c| !of_id(c)).next()?;
            let ms = text[at + 1..].split(|c: char| !c.is_ascii_digit()).next()?;
            (!id.is_empty() && ms.len() == 13).then(|| format!("{id}@{ms}"))
        });
        let skips = text.lines().filter_map(|line| {
            let record = line.get(line.find('{')?..=line.rfind('}')?)?;
            match Record::from_line(record) {
                Ok(Record::Skip(skip)) => Some(skip),
                _ => None,
            }
        });
        Self {
            runs: runs.collect(),
            skips: skips.collect(),
        }
    }

    /// Whether it held the record that this fire time was skipped.
    pub(super) fn skipped(&self, job: &str, fire: i64) -> bool {
        let is_it = |skip: &SkipRecord| {
            skip.job.as_str() == job && (skip.first.as_ms()..=skip.last.as_ms()).contains(&fire)
        };
        self.skips.iter().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_read_from_the_text_of_the_file() {
        let text = "*4\r\n$4\r\nHSET\r\n$20\r\nclaims:a~1\r\n$15\r\nodd-7@1763870400123\r\n$9\r\n5 3 1 0 -\r\n\
                    *3\r\n$5\r\nRPUSH\r\n$5\r\nready\r\n$30\r\n1 - 0 second-3@1763870400500\r\n\
                    *3\r\n$4\r\nHSET\r\n$4\r\nbusy\r\n$14\r\n@1763870400500\r\n$80\r\n\
                    {\"v\":1,\"job\":\"long-1\",\"skipped\":\"coalesced\",\"first_ms\":10,\"last_ms\":30,\"count\":3}\r\n";
        let lost = Lost::read(text.as_bytes());
        let runs: Vec<_> = lost.runs.iter().map(String::as_str).collect();
        assert_eq!(runs, ["odd-7@1763870400123", "second-3@1763870400500"]);
        assert!(lost.skipped("long-1", 20));
        assert!(!lost.skipped("long-1", 31) && !lost.skipped("long-2", 20));
    }
}
