//! Why something is refused, for programs.

use serde::{Deserialize, Serialize};

use crate::jobs::{Put, Restored};

/// Why something that was asked for rightly cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefusalKind {
    /// There is a job of this id.
    Exists,
    /// It was changed by somebody else meanwhile.
    ChangedMeanwhile,
    /// The job is there, and cannot be read by this version.
    Unreadable,
    /// It would never run: its schedule is over.
    Over,
    /// Another job holds its unique key.
    KeyTaken,
    /// As many runs of the job are in flight as it allows.
    Full,
    /// The same request is being done.
    GoingOn,
}

/// Why a job is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Refusal {
    /// For programs.
    pub kind: RefusalKind,
    /// For people.
    pub why: String,
    /// The job that holds its unique key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why the job that is there cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl Refusal {
    fn new(kind: RefusalKind, why: String) -> Self {
        Self {
            kind,
            why,
            by: None,
            cause: None,
        }
    }

    fn exists(why: String) -> Self {
        Self::new(RefusalKind::Exists, why)
    }

    fn unreadable(id: &str, cause: &str) -> Self {
        let why = format!("job {id:?} is there, and cannot be read: {cause}");
        Self {
            cause: Some(cause.to_owned()),
            ..Self::new(RefusalKind::Unreadable, why)
        }
    }

    fn key_taken(by: &str) -> Self {
        let why = format!("its unique key is held by job {by:?}");
        Self {
            by: Some(by.to_owned()),
            ..Self::new(RefusalKind::KeyTaken, why)
        }
    }

    /// Why a job was not put; none where it was.
    #[must_use]
    pub fn of_put(id: &str, outcome: &Put) -> Option<Self> {
        match outcome {
            Put::Added
            | Put::Superseded(_)
            | Put::Replaced
            | Put::Unchanged
            | Put::Kept
            | Put::Ignored(_) => None,
            Put::Exists => Some(Self::exists(format!("there is a job {id:?} already"))),
            Put::ChangedMeanwhile => Some(Self::new(
                RefusalKind::ChangedMeanwhile,
                format!("job {id:?} was changed meanwhile"),
            )),
            Put::Unreadable(cause) => Some(Self::unreadable(id, cause)),
            Put::Over(why) => Some(Self::new(RefusalKind::Over, why.to_string())),
            Put::KeyTaken(by) => Some(Self::key_taken(by.as_str())),
        }
    }

    /// Why a job was not brought back; none where it was, or was left out.
    #[must_use]
    pub fn of_restored(id: &str, outcome: &Restored) -> Option<Self> {
        match outcome {
            Restored::Added
            | Restored::Replaced
            | Restored::Unchanged
            | Restored::Kept
            | Restored::Over => None,
            Restored::Exists => Some(Self::exists(format!(
                "there is a job {id:?} already, and it is otherwise"
            ))),
            Restored::Unreadable(cause) => Some(Self::unreadable(id, cause)),
            Restored::KeyTaken(by) => Some(Self::key_taken(by.as_str())),
        }
    }

    /// What became of a job that was to be put; none where that is a matter of its schedule, or of a
    /// kind that this version does not know.
    #[must_use]
    pub fn put(&self) -> Option<Put> {
        match self.kind {
            RefusalKind::Exists => Some(Put::Exists),
            RefusalKind::ChangedMeanwhile => Some(Put::ChangedMeanwhile),
            RefusalKind::Unreadable => self.cause.clone().map(Put::Unreadable),
            RefusalKind::KeyTaken => self.by.as_ref()?.parse().ok().map(Put::KeyTaken),
            RefusalKind::Over | RefusalKind::Full | RefusalKind::GoingOn => None,
        }
    }

    /// What became of a job that was to be brought back, likewise.
    #[must_use]
    pub fn restored(&self) -> Option<Restored> {
        match self.kind {
            RefusalKind::Exists => Some(Restored::Exists),
            RefusalKind::Unreadable => self.cause.clone().map(Restored::Unreadable),
            RefusalKind::KeyTaken => self.by.as_ref()?.parse().ok().map(Restored::KeyTaken),
            RefusalKind::ChangedMeanwhile
            | RefusalKind::Over
            | RefusalKind::Full
            | RefusalKind::GoingOn => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_so_that_programs_understand_them() {
        let holder = || "a \"holder\"".parse().unwrap();
        let refused = [
            Put::Exists,
            Put::ChangedMeanwhile,
            Put::Unreadable("is there, and cannot be read: no".to_owned()),
            Put::KeyTaken(holder()),
        ];
        for outcome in refused {
            let told = Refusal::of_put("j", &outcome).unwrap();
            let sent = serde_json::to_string(&told).unwrap();
            let heard: Refusal = serde_json::from_str(&sent).unwrap();
            assert_eq!(heard.put(), Some(outcome), "{sent}");
        }
        let refused = [
            Restored::Exists,
            Restored::Unreadable("no".to_owned()),
            Restored::KeyTaken(holder()),
        ];
        for outcome in refused {
            let told = Refusal::of_restored("j", &outcome).unwrap();
            assert_eq!(told.restored(), Some(outcome));
        }
        assert_eq!(Refusal::of_put("j", &Put::Added), None);
    }
}
