//! Notes: what a handler tells of an attempt while it runs. How far it is, lines for people, and a
//! result.
//!
//! Notes are kept with the run for a while, attempt by attempt, and are no part of any promise: a node
//! writes them down now and then, beside its other work, and what a node that dies had not written
//! down yet is lost. So nothing waits for them, and no completion depends on them. What a run was and
//! how it ended is told by its [records](crate::history).
//!
//! All of it is bounded. Of lines and of the progress's text what is too much is dropped, and counted;
//! a result that is too large is refused, to the handler's face.

use std::collections::VecDeque;
use std::ops::Deref;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::history::clip_to;
use crate::id::{Fence, RunId, SessionId};
use crate::time::Timestamp;

/// How many lines are kept of one attempt: the last ones.
pub const MAX_LINES: usize = 200;

/// How many bytes all these lines may have.
pub const MAX_LOG: usize = 16 * 1024;

/// How many bytes one line may have.
pub const MAX_LINE: usize = 2_000;

/// How many bytes the text of a progress may have.
pub const MAX_PROGRESS: usize = 200;

/// How many bytes a result may have, as JSON.
pub const MAX_RESULT: usize = 16 * 1024;

/// Of how many attempts of a run notes are kept: the last ones.
pub const MAX_ATTEMPTS: u32 = 10;

/// How many attempts one request may tell of.
pub const MAX_NOTES: usize = 100;

/// What a handler tells of one attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Notes {
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Its last lines.
    #[serde(default, skip_serializing_if = "LogLines::is_empty")]
    pub log: LogLines,
    /// How many lines before these were dropped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The last lines of an attempt, the oldest first: [`MAX_LINES`] and [`MAX_LOG`] bytes at most of what is
/// written here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "VecDeque<LogLine>", into = "VecDeque<LogLine>")]
pub struct LogLines {
    lines: VecDeque<LogLine>,
    /// Of all their texts.
    bytes: usize,
}

impl LogLines {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Adds a line; the oldest go where there are too many. Says how many went.
    fn push(&mut self, line: LogLine) -> u64 {
        self.bytes += line.text.len();
        self.lines.push_back(line);
        let mut dropped = 0;
        while self.lines.len() > MAX_LINES || self.bytes > MAX_LOG {
            let Some(first) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= first.text.len();
            dropped += 1;
        }
        dropped
    }
}

impl Deref for LogLines {
    type Target = VecDeque<LogLine>;

    fn deref(&self) -> &VecDeque<LogLine> {
        &self.lines
    }
}

impl From<VecDeque<LogLine>> for LogLines {
    fn from(lines: VecDeque<LogLine>) -> Self {
        let bytes = lines.iter().map(|line| line.text.len()).sum();
        Self { lines, bytes }
    }
}

impl From<LogLines> for VecDeque<LogLine> {
    fn from(log: LogLines) -> Self {
        log.lines
    }
}

/// How far an attempt is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// From 0 to 1.
    pub fraction: f64,
    /// In words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// When it was told, by the store's clock as the node knows it.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
}

/// One line of an attempt's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written, by the store's clock as the node knows it.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// The line.
    pub text: String,
}

/// Why something is not noted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The result is larger than what is kept with a run.
    #[error(
        "a result of {bytes} bytes is too large to be kept with its run: {MAX_RESULT} at most; keep it \
         elsewhere, and say where"
    )]
    TooLarge {
        /// How many bytes it has, as JSON.
        bytes: usize,
    },
    /// The result cannot be written as JSON.
    #[error("the result is no JSON: {0}")]
    NotJson(String),
    /// The fraction is no number from 0 to 1.
    #[error("progress: {0} is no fraction: from 0 to 1")]
    NoFraction(String),
}

impl Notes {
    /// Whether nothing was told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Notes how far the attempt is.
    ///
    /// # Errors
    ///
    /// A fraction that is not from 0 to 1.
    pub fn progress(&mut self, fraction: f64, text: &str, at: Timestamp) -> Result<(), NoteError> {
        if !(0.0..=1.0).contains(&fraction) {
            return Err(NoteError::NoFraction(fraction.to_string()));
        }
        self.progress = Some(Progress {
            fraction,
            text: clip_to(text.to_owned(), MAX_PROGRESS),
            at,
        });
        Ok(())
    }

    /// Notes what the attempt made, in place of what was noted before.
    ///
    /// # Errors
    ///
    /// One that is too large.
    pub fn result(&mut self, result: Value) -> Result<(), NoteError> {
        let bytes = result.to_string().len();
        if bytes > MAX_RESULT {
            return Err(NoteError::TooLarge { bytes });
        }
        self.result = Some(result);
        Ok(())
    }

    /// Notes lines: a text of several is several. The oldest go where there are too many.
    pub fn log(&mut self, text: &str, at: Timestamp) {
        for line in text.lines() {
            let text = clip_to(line.to_owned(), MAX_LINE);
            self.dropped += self.log.push(LogLine { at, text });
        }
    }

    /// The notes as one line of JSON.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a line back.
    ///
    /// # Errors
    ///
    /// What are no notes, as the JSON reader says it.
    pub fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

/// What is told of one attempt so far: all of it each time, so that it may be told again.
#[derive(Clone, Debug, PartialEq)]
pub struct RunNotes {
    /// The run.
    pub run: RunId,
    /// The number of the attempt.
    pub attempt: u32,
    /// The claim that it runs under: what an earlier one of the same attempt told is replaced, what
    /// a later one told stays.
    pub fence: Fence,
    /// How often notes of this claim were told before, rising: what is overtaken by a later one is
    /// of no account.
    pub number: u64,
    /// The notes.
    pub notes: Notes,
}

/// Keeps notes with their runs.
#[derive(Clone, Debug)]
pub struct Note {
    /// Whose handlers told them.
    pub session: SessionId,
    /// At most [`MAX_NOTES`].
    pub notes: Vec<RunNotes>,
    /// How long to keep those of a run, from the last time that any are told.
    pub keep: Duration,
}

/// What became of noting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteAnswer {
    /// They are kept, but for what was overtaken.
    Noted,
    /// The session is over. Nothing was kept.
    Gone,
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_ms(5);

    #[test]
    fn of_many_lines_the_last_are_kept_and_the_others_counted() {
        let mut notes = Notes::default();
        for number in 0..MAX_LINES + 3 {
            notes.log(&number.to_string(), AT);
        }
        assert_eq!((notes.log.len(), notes.dropped), (MAX_LINES, 3));
        assert_eq!(notes.log[0].text, "3");
        notes.log("two\nlines", AT);
        assert_eq!((notes.log.len(), notes.dropped), (MAX_LINES, 5));
        assert_eq!(notes.log[MAX_LINES - 1].text, "lines");
        // Read back, they are counted on from there.
        let mut read = Notes::from_line(&notes.to_line()).unwrap();
        assert_eq!(read, notes);
        for notes in [&mut read, &mut notes] {
            notes.log(&"x".repeat(MAX_LINE), AT);
        }
        assert_eq!(read, notes);
    }

    #[test]
    fn long_lines_are_clipped_and_do_not_add_up_past_the_limit() {
        let mut notes = Notes::default();
        for _ in 0..20 {
            notes.log(&"ä".repeat(MAX_LINE), AT);
        }
        let bytes: usize = notes.log.iter().map(|line| line.text.len()).sum();
        assert!(bytes <= MAX_LOG, "{bytes}");
        assert!(notes.log[0].text.ends_with("... (4000 bytes in all)"));
        assert_eq!(notes.dropped + notes.log.len() as u64, 20);
        assert!(notes.dropped > 0);
    }

    #[test]
    fn what_is_too_large_or_no_fraction_is_refused_and_changes_nothing() {
        let mut notes = Notes::default();
        notes
            .result(Value::String("x".repeat(MAX_RESULT - 2)))
            .unwrap();
        let before = notes.clone();
        let error = notes
            .result(Value::String("x".repeat(MAX_RESULT)))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "a result of 16386 bytes is too large to be kept with its run: 16384 at most; keep it \
             elsewhere, and say where"
        );
        for fraction in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            notes.progress(fraction, "", AT).unwrap_err();
        }
        assert_eq!(notes, before);
    }

    #[test]
    fn notes_are_a_readable_line_that_reads_back() {
        let mut notes = Notes::default();
        assert!(notes.is_empty());
        notes.progress(0.5, "half of it", AT).unwrap();
        notes.result(serde_json::json!({ "rows": 7 })).unwrap();
        notes.log("begun", AT);
        let line = notes.to_line();
        assert_eq!(
            line,
            r#"{"progress":{"fraction":0.5,"text":"half of it","at_ms":5},"result":{"rows":7},"log":[{"at_ms":5,"text":"begun"}]}"#
        );
        assert_eq!(Notes::from_line(&line).unwrap(), notes);
    }
}
