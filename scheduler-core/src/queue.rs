//! Queues: what the whole cluster keeps to when it claims runs of one.
//!
//! A queue may have a limit of runs that are executed at once, a limit of runs that are begun in a
//! time, and a pause. All of them are decided where runs are claimed: a fire time becomes a run all
//! the same, and the run waits. A pause of the whole namespace stops fire times, too: they are
//! recorded as skipped.
//!
//! # What could break the counts, and what keeps them
//!
//! - *A node dies with claims.* They count until a sweeper has settled them: the handlers may still
//!   be running. The count falls with each claim that is taken away, by whomever.
//! - *An answer is lost, and the request sent again.* The answer is remembered; nothing is counted
//!   twice. A settlement that finds no claim frees no place.
//! - *A limit is lowered below what is being executed.* Nothing is taken away from anybody; nothing
//!   more is claimed until enough has ended. One that is raised or lifted wakes nodes.
//! - *A run goes back* (not begun, another attempt, no such task): it has freed its place, and needs
//!   one again. What it took of the rate is spent.
//! - *A waiting run ends when it is claimed* (its job was removed): it takes no place, and nothing of
//!   the rate.
//! - *The clock steps.* Back: nothing is refilled for a while that is counted twice. Forth: at most
//!   one full bucket.
//! - *Runs wait that nobody may claim.* Then nobody is woken for them; an ended run, a limit that
//!   changes, the end of a pause and the leader's beat wake nodes again.
//! - *Somebody changes keys by hand.* The leader counts anew what is claimed, each minute.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::duration;
use crate::id::QueueName;
use crate::time::Timestamp;

/// The most runs of a rate.
pub const MAX_RATE: u32 = 1_000_000;

/// The longest time of a rate.
pub const MAX_PER: Duration = Duration::from_secs(24 * 3600);

/// So many runs in such a time: `"100/s"`, `"5/m"`, `"1/h"`, `"10/30s"`.
///
/// On average, and so many at once after a quiet time: a bucket that holds the runs of one such time
/// and is refilled evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    runs: NonZeroU32,
    per: Duration,
}

impl Rate {
    /// So many runs in such a time.
    ///
    /// # Errors
    ///
    /// More than [`MAX_RATE`] runs, or a time that is not between a millisecond and [`MAX_PER`].
    pub fn new(runs: NonZeroU32, per: Duration) -> Result<Self, String> {
        // To the millisecond, as the store counts.
        let per = Duration::from_millis(u64::try_from(per.as_millis()).unwrap_or(u64::MAX));
        if runs.get() > MAX_RATE {
            return Err(format!(
                "{runs} is out of range: allowed are 1 to {MAX_RATE} runs"
            ));
        }
        if per.is_zero() || per > MAX_PER {
            return Err(format!("{per:?} is out of range: allowed are 1ms to 1d"));
        }
        Ok(Self { runs, per })
    }

    /// So many runs in the same time; none where that is too many.
    #[must_use]
    pub fn with_runs(self, runs: NonZeroU32) -> Option<Self> {
        Self::new(runs, self.per).ok()
    }

    /// How many runs.
    #[must_use]
    pub const fn runs(self) -> u64 {
        self.runs.get() as u64
    }

    /// In how many milliseconds.
    #[must_use]
    pub fn per_ms(self) -> u64 {
        u64::try_from(self.per.as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.per_ms() {
            1_000 => format!("{}/s", self.runs),
            60_000 => format!("{}/m", self.runs),
            3_600_000 => format!("{}/h", self.runs),
            86_400_000 => format!("{}/d", self.runs),
            ms if ms % 1_000 == 0 => format!("{}/{}s", self.runs, ms / 1_000),
            ms => format!("{}/{ms}ms", self.runs),
        };
        f.pad(&text)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rule = || {
            format!(
                "{text:?} is no rate: give runs per time, such as \"100/s\", \"5/m\", \"10/30s\""
            )
        };
        let (runs, per) = text.split_once('/').ok_or_else(rule)?;
        let runs = runs.trim().parse().map_err(|_| rule())?;
        let per = match per.trim() {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            "d" => Duration::from_secs(24 * 3600),
            other => duration::parse(other).map_err(|_| rule())?,
        };
        Self::new(runs, per)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// What is left of a rate at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// How full it is, in runs times milliseconds of the rate: whole numbers throughout.
    level: u64,
    at: Timestamp,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn full(rate: Rate, at: Timestamp) -> Self {
        let level = rate.runs() * rate.per_ms();
        Self { level, at }
    }

    /// The same, at another moment. Where the clock has stepped back, nothing is refilled.
    #[must_use]
    pub fn at(self, rate: Rate, now: Timestamp) -> Self {
        let passed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let refilled = passed.saturating_mul(rate.runs());
        let level = self.level.saturating_add(refilled);
        Self {
            level: level.min(rate.runs() * rate.per_ms()),
            at: now,
        }
    }

    /// Whether the clock has stepped back since.
    #[must_use]
    pub fn is_after(self, now: Timestamp) -> bool {
        self.at > now
    }

    /// How many runs may be begun now.
    #[must_use]
    pub fn runs(self, rate: Rate) -> u64 {
        self.level / rate.per_ms()
    }

    /// The same, after so many runs were begun.
    #[must_use]
    pub fn after(self, rate: Rate, runs: u64) -> Self {
        let taken = runs.saturating_mul(rate.per_ms());
        Self {
            level: self.level.saturating_sub(taken),
            at: self.at,
        }
    }
}

/// What a queue is limited to in the whole cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueLimits {
    /// How many of its runs are executed at once. Defaults to any number.
    pub concurrency: Option<NonZeroU32>,
    /// How many of its runs are begun in a time. Defaults to any number.
    pub rate: Option<Rate>,
}

/// Who set a queue's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetBy {
    /// A worker, from its configuration: gives way to what an operator says.
    Config,
    /// Somebody, at run time: stays until somebody says otherwise.
    Operator,
}

/// A pause of a queue or of the namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Since when.
    pub since: Timestamp,
    /// Whose it is, and why.
    pub note: HoldNote,
}

impl Hold {
    /// What history says of fire times that a pause of the namespace skipped.
    #[must_use]
    pub fn detail(&self) -> String {
        let by = self.note.by.iter().map(|by| format!(" by {by}"));
        let reason = self.note.reason.iter().map(|reason| format!(": {reason}"));
        let more: String = by.chain(reason).collect();
        format!("the namespace was paused{more}")
    }
}

/// Who pauses, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldNote {
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A queue, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueState {
    /// The queue.
    pub queue: QueueName,
    /// What it is limited to.
    pub limits: QueueLimits,
    /// Who said so, if anybody did.
    pub set_by: Option<SetBy>,
    /// Its pause.
    pub hold: Option<Hold>,
    /// How many runs wait in it, by [priority](crate::Priority::ALL).
    pub waiting: [u64; 3],
    /// How many of its runs are claimed.
    pub in_use: u64,
    /// How many runs of its jobs are lined up behind others of their job: they come to the queue when
    /// it is their turn.
    pub lined_up: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn rates_are_read_and_written_as_people_do() {
        for text in ["100/s", "5/m", "1/h", "2/d", "10/30s", "3/250ms"] {
            assert_eq!(rate(text).to_string(), text);
        }
        assert_eq!(rate("90/1m"), rate("90 / m"));
        for text in ["", "5", "0/s", "-1/s", "5/", "5/x", "5/0s", "1.5/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text:?}");
        }
        assert_eq!(
            "2000000/s".parse::<Rate>().unwrap_err(),
            "2000000 is out of range: allowed are 1 to 1000000 runs"
        );
        assert!("1/2d".parse::<Rate>().unwrap_err().contains("1ms to 1d"));
        let limits: QueueLimits = serde_json::from_str(r#"{"rate":"5/m"}"#).unwrap();
        assert_eq!(limits.rate, Some(rate("5/m")));
    }

    #[test]
    fn a_bucket_is_refilled_evenly_up_to_its_brim() {
        let rate = rate("2/s");
        let at = Timestamp::from_ms;
        let empty = Bucket::full(rate, at(0)).after(rate, 2);
        let left = |ms| empty.at(rate, at(ms)).runs(rate);
        assert_eq!([0, 499, 500, 999, 1000, 9999].map(left), [0, 0, 1, 1, 2, 2]);
        // What is refilled in parts is not lost.
        let twice = empty.at(rate, at(499)).at(rate, at(500));
        assert_eq!(twice.runs(rate), 1);
        // A clock that steps back refills nothing, and goes on from there.
        let back = empty.at(rate, at(-5000));
        assert_eq!(back.runs(rate), 0);
        assert_eq!(back.at(rate, at(-4500)).runs(rate), 1);
    }

    #[test]
    fn the_largest_rate_is_counted_exactly() {
        let rate = Rate::new(NonZeroU32::new(MAX_RATE).unwrap(), MAX_PER).unwrap();
        let full = Bucket::full(rate, Timestamp::EPOCH);
        // Lua's numbers are exact up to there.
        assert!(full.level < 1 << 53);
        assert_eq!(full.runs(rate), u64::from(MAX_RATE));
        assert_eq!(full.after(rate, 1).runs(rate), u64::from(MAX_RATE) - 1);
    }
}
