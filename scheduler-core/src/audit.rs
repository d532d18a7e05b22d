//! Who changed what: a record of what people and their programs did to jobs, runs and queues.
//!
//! It is written beside the change, by whoever made it, once it was made: a change is never held up
//! or undone because its deed could not be written down. What a cluster does by itself is no deed,
//! but history.

use serde::{Deserialize, Serialize};

use crate::history::clip_to;
use crate::store::RequestId;
use crate::time::Timestamp;

/// How many deeds are kept: the last ones.
pub const KEPT: usize = 10_000;

/// How many deeds one request may hold.
pub const MAX_DEEDS: usize = 100;

/// How many objects a deed names; of more it says how many.
pub const MAX_OBJECTS: usize = 20;

/// How many bytes of a detail are kept.
pub const MAX_DETAIL: usize = 500;

/// Who did something, and from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The name of a token or user, `user@host`, or what a program calls itself.
    pub by: String,
    /// Which way it was asked for.
    pub via: Via,
    /// What the name is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The address that the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl Author {
    /// Somebody of this name, who asked this way.
    #[must_use]
    pub fn new(by: impl Into<String>, via: Via) -> Self {
        Self {
            by: by.into(),
            via,
            role: None,
            address: None,
        }
    }
}

/// Which way something was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Over HTTP.
    Http,
    /// On a command line, at the store.
    Cli,
    /// By a program that embeds the library.
    Library,
    /// By a node, as its configuration or its code declares.
    Config,
}

impl Via {
    /// As one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Cli => "cli",
            Self::Library => "library",
            Self::Config => "config",
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not, and will not be.
    Refused,
    /// Nobody knows: the store did not answer.
    Unknown,
}

impl Outcome {
    /// As one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// What somebody did, or tried to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// Who.
    #[serde(flatten)]
    pub author: Author,
    /// What, as one word: that of the [event](crate::Event), `run_cancelled`, `runs_purged`,
    /// `queue_limited` or `queue_unlimited`; or method and path of a request that was refused.
    pub did: String,
    /// To which job, run or queue: at most [`MAX_OBJECTS`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// To how many in all.
    pub count: u64,
    /// What came of it.
    pub outcome: Outcome,
    /// More of it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Deed {
    /// Something that was done to one object, or to the namespace.
    pub fn new(author: Author, did: impl Into<String>, object: Option<String>) -> Self {
        Self {
            author,
            did: did.into(),
            objects: Vec::from_iter(object),
            count: 1,
            outcome: Outcome::Done,
            detail: None,
        }
    }

    /// The same, with more of it.
    #[must_use]
    pub fn with_detail(self, detail: Option<&str>) -> Self {
        let detail = detail.map(|text| clip_to(text.to_owned(), MAX_DETAIL));
        Self { detail, ..self }
    }

    /// The same, to one more object.
    pub fn also(&mut self, object: String) {
        self.count += 1;
        if self.objects.len() < MAX_OBJECTS {
            self.objects.push(object);
        }
    }

    /// The deed as one line.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a line back.
    ///
    /// # Errors
    ///
    /// What is no deed that this version knows, as the JSON reader says it.
    pub fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

/// Writes deeds down.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The request.
    pub request: RequestId,
    /// At most [`MAX_DEEDS`], the earliest first.
    pub deeds: Vec<Deed>,
}

/// Which deeds to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only those of this name.
    pub by: Option<String>,
    /// Only those that name this job, run or queue.
    pub object: Option<String>,
    /// How many at most.
    pub limit: usize,
    /// Where an earlier page ended, as it said in [`AuditPage::older`].
    pub before: Option<String>,
}

impl AuditQuery {
    /// Whether a deed is asked for.
    #[must_use]
    pub fn wants(&self, deed: &Deed) -> bool {
        self.by.as_ref().is_none_or(|by| deed.author.by == *by)
            && self
                .object
                .as_ref()
                .is_none_or(|object| deed.objects.contains(object))
    }
}

/// A deed that was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, by the store's clock.
    pub at: Timestamp,
    /// What.
    pub deed: Deed,
}

/// Deeds, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// The deeds.
    pub entries: Vec<AuditEntry>,
    /// Where to go on; none at the end. A page may hold fewer than were asked for, and not be the last.
    pub older: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deed_is_a_readable_line_that_reads_back() {
        let author = Author {
            role: Some("operator".to_owned()),
            address: Some("10.0.0.7".to_owned()),
            ..Author::new("ops", Via::Http)
        };
        let deed = Deed::new(author, "job_paused", Some("report".to_owned()));
        let deed = deed.with_detail(Some("moving house"));
        let line = deed.to_line();
        assert_eq!(
            line,
            r#"{"by":"ops","via":"http","role":"operator","address":"10.0.0.7","did":"job_paused","objects":["report"],"count":1,"outcome":"done","detail":"moving house"}"#
        );
        assert_eq!(Deed::from_line(&line).unwrap(), deed);
    }

    #[test]
    fn of_many_objects_some_are_named_and_all_counted() {
        let mut deed = Deed::new(Author::new("ops", Via::Cli), "job_added", None);
        deed.count = 0;
        for number in 0..200 {
            deed.also(number.to_string());
        }
        assert_eq!((deed.objects.len(), deed.count), (MAX_OBJECTS, 200));
        let long = deed.with_detail(Some(&"x".repeat(MAX_DETAIL * 2)));
        assert!(long.to_line().len() < 1_000, "{}", long.to_line());
    }
}
