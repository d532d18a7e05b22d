//! How much of a single job's history is kept, besides what is kept of all jobs together.
//!
//! History is one for all jobs, with an overall bound of count and age: a job that runs each second
//! would push out what a daily job did last week. A job's own policy says otherwise for its records:
//!
//! - *Beyond the overall bound*, a job's newest records are kept on, as many and as long as it says.
//!   Whoever reads the history of that job finds them.
//! - *Below it*, whoever reads the history of that job is shown no more than it says. The records go
//!   with the others, when the overall bound comes to them: they share one store with these.
//!
//! A policy counts from when the job is put with it: what was forgotten before does not come back.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration;
use crate::time::Timestamp;

/// The most records that are kept of one job beyond the overall bound.
pub const MAX_KEPT: NonZeroU32 = NonZeroU32::MIN.saturating_add(9_999);

/// The shortest time for which records of one job are kept.
pub const MIN_KEPT_FOR: Duration = Duration::from_secs(60);

/// How much of a job's history is kept. The default: as the overall bound says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a table with `keep` and `keep_for`"
)]
pub struct HistoryPolicy {
    /// How many of its records: the newest. Defaults to [`MAX_KEPT`], which is the most, where
    /// `keep_for` is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<NonZeroU32>,
    /// How long each of them. Defaults to however long, where `keep` is said.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub keep_for: Option<Duration>,
}

impl HistoryPolicy {
    /// Whether it says nothing: the overall bound alone counts.
    #[must_use]
    pub const fn is_overall(&self) -> bool {
        self.keep.is_none() && self.keep_for.is_none()
    }

    /// How many records are kept at most.
    #[must_use]
    pub fn most(&self) -> usize {
        usize::try_from(self.keep.unwrap_or(MAX_KEPT).get()).unwrap_or(usize::MAX)
    }

    /// Records that were written before this instant are past keeping, whatever their number.
    #[must_use]
    pub fn horizon(&self, now: Timestamp) -> Option<Timestamp> {
        self.keep_for.map(|keep| now.before(keep))
    }

    /// Whether a record is kept that was written `at`, and than which `newer` others of the job are
    /// newer.
    #[must_use]
    pub fn keeps(&self, newer: usize, at: Timestamp, now: Timestamp) -> bool {
        self.is_overall()
            || (newer < self.most() && self.horizon(now).is_none_or(|horizon| at >= horizon))
    }

    /// The same within the bounds that [`check`](Self::check) holds it to.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self {
            keep: self.keep.map(|keep| keep.min(MAX_KEPT)),
            keep_for: self.keep_for.map(|keep| keep.max(MIN_KEPT_FOR)),
        }
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// The field that breaks a rule, and its value with the rule.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if let Some(keep) = self.keep
            && keep > MAX_KEPT
        {
            let message = format!("{keep} is out of range: allowed are 1 to {MAX_KEPT}");
            return Err(("keep", message));
        }
        if let Some(keep) = self.keep_for
            && keep < MIN_KEPT_FOR
        {
            return Err((
                "keep_for",
                format!("{keep:?} is less than {MIN_KEPT_FOR:?}"),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(json: &str) -> HistoryPolicy {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_record_is_kept_by_count_and_by_age() {
        let (now, at) = (Timestamp::from_ms(1_000_000), Timestamp::from_ms);
        // (policy, how many are newer, when written, whether it is kept)
        let cases = [
            ("{}", 1_000_000, 0, true),
            (r#"{"keep": 2}"#, 1, 0, true),
            (r#"{"keep": 2}"#, 2, 1_000_000, false),
            (r#"{"keep_for": 100}"#, 9_999, 900_000, true),
            (r#"{"keep_for": 100}"#, 10_000, 900_000, false),
            (r#"{"keep_for": "100s"}"#, 0, 899_999, false),
            (r#"{"keep": 2, "keep_for": 100}"#, 1, 900_000, true),
            (r#"{"keep": 2, "keep_for": 100}"#, 2, 900_000, false),
            (r#"{"keep": 2, "keep_for": 100}"#, 1, 899_999, false),
            // A clock that was set back.
            (r#"{"keep": 2, "keep_for": 100}"#, 0, 2_000_000, true),
        ];
        for (text, newer, written, kept) in cases {
            assert_eq!(
                policy(text).keeps(newer, at(written), now),
                kept,
                "{text} {newer} {written}"
            );
        }
    }

    #[test]
    fn a_policy_out_of_bounds_is_told_by_field_and_brought_within() {
        let wrong = policy(r#"{"keep": 10001}"#);
        let (field, message) = wrong.check().unwrap_err();
        assert_eq!(
            (field, message.as_str()),
            ("keep", "10001 is out of range: allowed are 1 to 10000")
        );
        let short = policy(r#"{"keep_for": "59s"}"#);
        let (field, message) = short.check().unwrap_err();
        assert_eq!(
            (field, message.as_str()),
            ("keep_for", "59s is less than 60s")
        );
        for policy in [wrong, short] {
            assert_eq!(policy.bounded().check(), Ok(()));
        }
    }
}
