//! Unique keys: at most one live job for one piece of work, whoever asks for it, and how often.
//!
//! A job that is put with a key takes it, if nobody holds it. It holds the key
//!
//! - with a `ttl`: for that long from then on, whether its run waits, is executed or has ended, so that
//!   nobody puts another in that time;
//! - without: until its schedule is over and its last run has ended, well or not.
//!
//! Removing the job frees its key at once. What becomes of another job with a key that is held, that
//! job says itself: see [`OnDuplicate`]. The key is taken when a job is put, not when it is changed: a
//! modified or paused job keeps what it holds, for as long as it would have.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration;
use crate::id::{JobId, UniqueKey};
use crate::time::Timestamp;

/// The longest time that a key may be held for.
pub const MAX_TTL: Duration = Duration::from_secs(366 * 24 * 3600);

/// A key that no other live job may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unique {
    /// The key: one in each namespace.
    pub key: UniqueKey,
    /// How long the job holds it. Defaults to until its run has ended.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub ttl: Option<Duration>,
    /// What becomes of the job where another one holds the key. Defaults to being ignored.
    #[serde(default)]
    pub on_conflict: OnDuplicate,
}

/// What becomes of a job whose unique key is held by another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDuplicate {
    /// Nothing is put, and that is fine: the work is on its way. The default.
    #[default]
    Ignore,
    /// It takes the other's place: that one is removed as by hand, in the same step. Of its runs,
    /// those that were begun go on, and those that were not end as removed.
    Replace,
    /// Nothing is put, and whoever asked is told so as an error.
    Error,
}

impl OnDuplicate {
    /// The policy as one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Replace => "replace",
            Self::Error => "error",
        }
    }
}

impl Unique {
    /// This key, until the run has ended, ignoring duplicates.
    #[must_use]
    pub const fn new(key: UniqueKey) -> Self {
        Self {
            key,
            ttl: None,
            on_conflict: OnDuplicate::Ignore,
        }
    }

    /// The same, held for so long.
    #[must_use]
    pub const fn held_for(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The same, with another answer to duplicates.
    #[must_use]
    pub const fn on_conflict(mut self, on_conflict: OnDuplicate) -> Self {
        self.on_conflict = on_conflict;
        self
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// The field that breaks a rule, and its value with the rule.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        match self.ttl {
            Some(ttl) if ttl < Duration::from_millis(1) => {
                let message = "0 is out of range: it would hold nothing. Leave it out to hold the key \
                               until the run has ended";
                Err(("ttl", message.to_owned()))
            }
            Some(ttl) if ttl > MAX_TTL => {
                let days = ttl.as_secs() / (24 * 3600);
                let message = format!("{days} days are out of range: allowed are 1ms to 366 days");
                Err(("ttl", message))
            }
            _ => Ok(()),
        }
    }
}

/// Who holds a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The job.
    pub job: JobId,
    /// Until when it holds the key; none for until its run has ended.
    pub until: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_key_is_read_as_people_write_it() {
        let read = |text: &str| serde_json::from_str::<Unique>(text).map_err(|e| e.to_string());
        let key = UniqueKey::new("invoice 7").unwrap();
        assert_eq!(
            read(r#"{"key": "invoice 7"}"#),
            Ok(Unique::new(key.clone()))
        );
        let all = read(r#"{"key": "invoice 7", "ttl": "1h", "on_conflict": "replace"}"#);
        let hour = Unique::new(key)
            .held_for(Duration::from_secs(3600))
            .on_conflict(OnDuplicate::Replace);
        assert_eq!(all, Ok(hour.clone()));
        assert_eq!(read(&serde_json::to_string(&hour).unwrap()), Ok(hour));
        for (text, said) in [
            (r#"{"ttl": 1}"#, "missing field `key`"),
            (r#"{"key": " x"}"#, "begins or ends with a blank"),
            (
                r#"{"key": "x", "on_conflict": "fail"}"#,
                "unknown variant `fail`",
            ),
            (r#"{"key": "x", "for": 1}"#, "unknown field `for`"),
        ] {
            assert!(read(text).unwrap_err().contains(said), "{text}");
        }
    }

    #[test]
    fn a_ttl_is_bounded() {
        let key = UniqueKey::new("k").unwrap();
        let check = |ttl| Unique::new(key.clone()).held_for(ttl).check();
        assert_eq!(check(Duration::ZERO).unwrap_err().0, "ttl");
        assert_eq!(check(Duration::from_millis(1)), Ok(()));
        assert_eq!(check(MAX_TTL), Ok(()));
        let too_long = check(MAX_TTL + Duration::from_secs(24 * 3600)).unwrap_err();
        assert_eq!(
            too_long.1,
            "367 days are out of range: allowed are 1ms to 366 days"
        );
    }
}
