//! What is kept of single jobs' history: how it is written down, and where a reader stands in it.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use scheduler_core::retention::MAX_KEPT;
use scheduler_core::store::{StoreError, StoreErrorKind, StoreResult};
use scheduler_core::{HistoryPolicy, JobId, Timestamp};

use super::{RedisStore, ms};

/// A policy as scripts take it: `<records> <ms or ->`; empty where it says nothing.
pub(super) fn policy_text(policy: &HistoryPolicy) -> String {
    if policy.is_overall() {
        return String::new();
    }
    let keep = policy.keep.unwrap_or(MAX_KEPT);
    match policy.keep_for {
        Some(keep_for) => format!("{keep} {}", ms(keep_for)),
        None => format!("{keep} -"),
    }
}

/// Reads it back; what nobody has written so says nothing.
fn policy_of(text: &str) -> HistoryPolicy {
    let mut words = text.split(' ');
    let keep = words
        .next()
        .and_then(|keep| keep.parse::<NonZeroU32>().ok());
    let keep_for = words.next().and_then(|ms| ms.parse().ok());
    HistoryPolicy {
        keep,
        keep_for: keep_for.map(Duration::from_millis),
    }
}

/// How much of one job's history is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    policy: HistoryPolicy,
    now: Timestamp,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            policy: HistoryPolicy::default(),
            now: Timestamp::EPOCH,
        }
    }
}

impl Bounds {
    /// Whether a record of the job is kept that was written then, with so many newer ones.
    pub(super) fn keep(&self, newer: usize, at: Timestamp) -> bool {
        self.policy.keeps(newer, at, self.now)
    }

    /// Whether more may be kept of the job than of all.
    pub(super) const fn go_beyond(&self) -> bool {
        !self.policy.is_overall()
    }
}

impl RedisStore {
    pub(super) async fn history_bounds(&self, job: &JobId) -> StoreResult<Bounds> {
        let mut call = self.call(&self.scripts().history_bounds, None, &[]);
        call.arg(job.as_str());
        let (policy, now): (String, i64) = call.send().await?;
        Ok(Bounds {
            policy: policy_of(&policy),
            now: Timestamp::from_ms(now),
        })
    }
}

/// How far a reader has come who goes back from the newest record: `<entry>/<records of it that are
/// left>/<newer records of the job>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The entry at hand; none at the beginning.
    entry: Option<String>,
    /// How many records of it are left, the oldest.
    pub(super) left: usize,
    /// How many records of the job that is read were seen.
    pub(super) newer: usize,
}

impl Place {
    /// Goes to an entry, unless the reader is in it already.
    pub(super) fn enter(&mut self, id: &str) {
        if self.entry.as_deref() != Some(id) {
            self.entry = Some(id.to_owned());
            self.left = usize::MAX;
        }
    }

    /// What is left of the stream ends so.
    pub(super) fn end_of_stream(&self) -> String {
        match &self.entry {
            None => "+".to_owned(),
            Some(id) if self.left == 0 => format!("({id}"),
            Some(id) => id.clone(),
        }
    }

    /// What is left of the job's kept records ends so.
    pub(super) fn end_of_kept(&self, job: &JobId) -> String {
        let split = self.entry.as_deref().and_then(|id| id.split_once('-'));
        match split {
            None => format!("({job}\n"),
            Some((ms, seq)) => format!(
                "({job}\t{ms:0>15}-{seq:0>6}-{:04}",
                self.left.min(9_998) + 1
            ),
        }
    }

    /// The entry of a kept record, its place in it, and what else is kept of it. Members are written by
    /// `_keeping.lua`.
    pub(super) fn of_kept(member: &str) -> Option<(String, usize, &str)> {
        let (_, rest) = member.split_once('\t')?;
        let (place, rest) = rest.split_once('\t')?;
        let mut numbers = place.split('-').map(str::parse::<u64>);
        let (ms, seq) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        let nth = usize::try_from(numbers.next()?.ok()?).ok()?;
        (nth > 0).then(|| (format!("{ms}-{seq}"), nth, rest))
    }
}

impl Default for Place {
    fn default() -> Self {
        Self {
            entry: None,
            left: usize::MAX,
            newer: 0,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = self.entry.as_deref().unwrap_or("+");
        write!(f, "{entry}/{}/{}", self.left, self.newer)
    }
}

impl FromStr for Place {
    type Err = StoreError;

    /// Or the position of a record: `<entry>/<its number, from 1>`.
    fn from_str(text: &str) -> StoreResult<Self> {
        let mut words = text.split('/');
        let entry = words.next().filter(|id| !id.is_empty());
        let mut number = || words.next().and_then(|word| word.parse().ok());
        match (entry, number(), number()) {
            (Some(entry), Some(nth @ 1..), None) => Ok(Self {
                entry: Some(entry.to_owned()),
                left: nth - 1,
                newer: 0,
            }),
            (Some(entry), Some(left), Some(newer)) => Ok(Self {
                entry: Some(entry.to_owned()).filter(|id| id != "+"),
                left,
                newer,
            }),
            _ => {
                let message = format!("{text:?} is no position of this history");
                Err(StoreError::new(StoreErrorKind::Refused, "history", message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_and_places_read_back() {
        for (text, keep, keep_for) in [
            ("100 -", NonZeroU32::new(100), None),
            ("10000 90000", Some(MAX_KEPT), Some(Duration::from_secs(90))),
        ] {
            let policy = HistoryPolicy { keep, keep_for };
            assert_eq!(policy_text(&policy), text);
            assert_eq!(policy_of(text), policy);
            assert_eq!(
                policy_of(&format!("{text} 1763863200000")),
                policy,
                "buried"
            );
        }
        assert_eq!(policy_text(&HistoryPolicy::default()), "");
        assert_eq!(policy_of(""), HistoryPolicy::default());

        let place: Place = "1763863200000-2/3/4".parse().unwrap();
        assert_eq!(place.to_string(), "1763863200000-2/3/4");
        assert_eq!(place.end_of_stream(), "1763863200000-2");
        let job = JobId::new("a b").unwrap();
        assert_eq!(place.end_of_kept(&job), "(a b\t001763863200000-000002-0004");
        let member = "a b\t001763863200000-000002-0003\t1763863200001\t{}";
        let (id, nth, rest) = Place::of_kept(member).unwrap();
        assert_eq!((id.as_str(), nth), ("1763863200000-2", 3));
        assert_eq!(rest, "1763863200001\t{}");
        let behind: Place = "1763863200000-2/3".parse().unwrap();
        assert_eq!(behind.to_string(), "1763863200000-2/2/0");
        assert!("1763863200000-2/0".parse::<Place>().is_err());
        assert!("1763863200000-2".parse::<Place>().is_err());
    }
}
