//! Flags of a job's unique key.

use carillon::jobs::Put;
use clap::Args;
use serde_json::{Map, Value};

/// A key that no other live job may have.
#[derive(Args, Debug)]
pub(super) struct UniqueFlags {
    /// For jobs that run once: a key that no other live job may have
    #[arg(long, value_name = "KEY", help_heading = "Unique key")]
    unique: Option<String>,
    /// How long it holds the key: 1h [default: until its run has ended]
    #[arg(
        long,
        value_name = "TIME",
        requires = "unique",
        help_heading = "Unique key"
    )]
    unique_for: Option<String>,
    /// What becomes of it if another job holds the key: ignore (put nothing, exit code 0), replace
    /// (remove that one), error (put nothing, exit code 1) [default: ignore]
    #[arg(
        long,
        value_name = "WHAT",
        requires = "unique",
        help_heading = "Unique key"
    )]
    on_conflict: Option<String>,
}

impl UniqueFlags {
    /// Puts what was given into a job as typed.
    pub(super) fn fill(&self, job: &mut Map<String, Value>) {
        let Some(key) = &self.unique else { return };
        let mut unique = Map::new();
        unique.insert("key".to_owned(), key.clone().into());
        for (field, value) in [
            ("ttl", &self.unique_for),
            ("on_conflict", &self.on_conflict),
        ] {
            if let Some(value) = value {
                unique.insert(field.to_owned(), value.clone().into());
            }
        }
        job.insert("unique".to_owned(), unique.into());
    }
}

/// Why a job was not put, as people are told.
pub(super) fn refusal(id: &str, outcome: &Put) -> Option<String> {
    Some(match outcome {
        Put::Exists | Put::ChangedMeanwhile => {
            format!("there is a job {id:?} already: replace it with --replace")
        }
        Put::Unreadable(why) => {
            format!("job {id:?} is there, cannot be read and is left as it is: {why}")
        }
        Put::Over(why) => format!("job {id:?}: {why}"),
        Put::KeyTaken(by) => {
            format!(
                "job {id:?}: its unique key is held by job {:?}",
                by.as_str()
            )
        }
        Put::Added
        | Put::Replaced
        | Put::Unchanged
        | Put::Kept
        | Put::Ignored(_)
        | Put::Superseded(_) => return None,
    })
}
