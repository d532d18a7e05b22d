//! Many jobs at once.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::refusal::Refusal;
use crate::jobs::{Put, Restored};

/// Jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    /// The jobs, as in the configuration file: 10,000 at most.
    #[cfg_attr(feature = "http", schema(value_type = Vec<Object>, max_items = 10_000))]
    pub jobs: Vec<Value>,
}

/// What became of many jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Counts {
    /// How many were added.
    pub added: usize,
    /// How many took the place of others.
    pub replaced: usize,
    /// How many were there just so.
    pub unchanged: usize,
    /// How many were left out: a job that does their work holds their unique key, or others were to be
    /// kept.
    pub kept: usize,
    /// How many have no fire time to come, and were left out.
    pub over: usize,
}

/// A job that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct ItemRefused {
    /// Its place among the jobs, or the line that it stands in, from 0.
    pub index: usize,
    /// Its id.
    pub id: String,
    /// Why.
    #[serde(flatten)]
    pub refusal: Refusal,
}

/// What became of one of many jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct BecameView {
    /// Its id.
    pub id: String,
    /// `added`, `replaced`, `superseded` (added in place of the job that held its unique key), `unchanged`,
    /// `kept`, `ignored` (another job holds its unique key), or `refused`.
    pub became: String,
    /// The job that holds, or held, its unique key.
    pub by: Option<String>,
}

impl BecameView {
    /// The view of what became of a job.
    #[must_use]
    pub fn new(id: &str, outcome: &Put) -> Self {
        let (became, by) = match outcome {
            Put::Added => ("added", None),
            Put::Replaced => ("replaced", None),
            Put::Superseded(by) => ("superseded", Some(by)),
            Put::Unchanged => ("unchanged", None),
            Put::Kept => ("kept", None),
            Put::Ignored(by) => ("ignored", Some(by)),
            Put::KeyTaken(by) => ("refused", Some(by)),
            Put::Exists | Put::ChangedMeanwhile | Put::Unreadable(_) | Put::Over(_) => {
                ("refused", None)
            }
        };
        Self {
            id: id.to_owned(),
            became: became.to_owned(),
            by: by.map(ToString::to_string),
        }
    }

    /// What became of it; none where it was refused.
    #[must_use]
    pub fn outcome(&self) -> Option<Put> {
        let by = || self.by.as_ref()?.parse().ok();
        match self.became.as_str() {
            "added" => Some(Put::Added),
            "replaced" => Some(Put::Replaced),
            "superseded" => by().map(Put::Superseded),
            "unchanged" => Some(Put::Unchanged),
            "kept" => Some(Put::Kept),
            "ignored" => by().map(Put::Ignored),
            _ => None,
        }
    }
}

/// What became of putting many jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct BulkDone {
    /// In numbers.
    #[serde(flatten)]
    pub counts: Counts,
    /// Those that were refused; none where all or none are put.
    pub refused: Vec<ItemRefused>,
    /// What became of each, in order.
    pub jobs: Vec<BecameView>,
}

/// What became of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct ImportDone {
    /// In numbers.
    #[serde(flatten)]
    pub counts: Counts,
    /// Those that were refused; the others were brought back all the same.
    pub refused: Vec<ItemRefused>,
    /// Whether this is only what would be done.
    pub dry_run: bool,
}

impl Counts {
    /// Counts what became of a job that was put; tells why it was refused, if it was.
    pub fn count_put(&mut self, id: &str, outcome: &Put) -> Option<Refusal> {
        match outcome {
            Put::Added | Put::Superseded(_) => self.added += 1,
            Put::Replaced => self.replaced += 1,
            Put::Unchanged => self.unchanged += 1,
            Put::Kept | Put::Ignored(_) => self.kept += 1,
            Put::Exists
            | Put::ChangedMeanwhile
            | Put::Unreadable(_)
            | Put::Over(_)
            | Put::KeyTaken(_) => {}
        }
        Refusal::of_put(id, outcome)
    }

    /// Counts what became of a job that was brought back; tells why it was refused, if it was.
    pub fn count_restored(&mut self, id: &str, outcome: &Restored) -> Option<Refusal> {
        match outcome {
            Restored::Added => self.added += 1,
            Restored::Replaced => self.replaced += 1,
            Restored::Unchanged => self.unchanged += 1,
            Restored::Kept => self.kept += 1,
            Restored::Over => self.over += 1,
            Restored::Exists | Restored::Unreadable(_) | Restored::KeyTaken(_) => {}
        }
        Refusal::of_restored(id, outcome)
    }
}
