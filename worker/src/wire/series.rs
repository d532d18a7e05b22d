//! What became of fire times, counted over time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What became of fire times, in stretches of the same length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct SeriesView {
    /// Where the first stretch begins.
    pub since: String,
    /// Where the last stretch ends.
    pub until: String,
    /// How long each stretch is, in seconds.
    pub bucket: u64,
    /// From when on everything was counted: one request looks at so many records, the newest first.
    pub counted_from: String,
    /// Whether everything was counted.
    pub complete: bool,
    /// Each stretch, the earliest first.
    pub buckets: Vec<Bucket>,
}

/// What was recorded in a stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Bucket {
    /// Where it begins.
    pub at: String,
    /// How many attempts of runs ended.
    pub runs: u64,
    /// How many fire times were skipped.
    pub skipped: u64,
    /// How many attempts by what became of them, and how many skipped fire times by reason.
    pub outcomes: BTreeMap<String, u64>,
    /// How late runs were begun; null where none was.
    pub lateness: Option<Lateness>,
    /// How long handlers took; null where none ended.
    pub duration: Option<Lateness>,
}

/// How many milliseconds something took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Lateness {
    /// Half took no longer.
    pub p50_ms: u64,
    /// Nineteen of twenty took no longer.
    pub p95_ms: u64,
    /// Ninety-nine of a hundred took no longer.
    pub p99_ms: u64,
    /// None took longer.
    pub max_ms: u64,
}

impl Lateness {
    /// Of these, if there are any; they are sorted.
    #[must_use]
    pub fn of(values: &mut [u64]) -> Option<Self> {
        values.sort_unstable();
        let last = values.len().checked_sub(1)?;
        let at = |percent: usize| values[(values.len() * percent).div_ceil(100).saturating_sub(1)];
        Some(Self {
            p50_ms: at(50),
            p95_ms: at(95),
            p99_ms: at(99),
            max_ms: values[last],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_the_ranks_are_themselves() {
        let mut values: Vec<u64> = (1..=100).rev().collect();
        let of = Lateness::of(&mut values).unwrap();
        assert_eq!(
            (of.p50_ms, of.p95_ms, of.p99_ms, of.max_ms),
            (50, 95, 99, 100)
        );
        let one = Lateness::of(&mut [7]).unwrap();
        assert_eq!((one.p50_ms, one.max_ms), (7, 7));
        assert_eq!(Lateness::of(&mut []), None);
    }
}
