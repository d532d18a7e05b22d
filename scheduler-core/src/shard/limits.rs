//! A queue's limits in several shards: each keeps to its part, and no more than all of it is ever used.

use std::num::NonZeroU32;

use super::ShardCount;
use crate::queue::{QueueLimits, Rate};

/// A limit that is too small to be divided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a {what} of {limit} cannot be divided among {shards} shards, each of which needs 1 at least: give \
     {shards} or more, or none"
)]
pub struct Indivisible {
    what: &'static str,
    limit: u32,
    shards: u16,
}

/// The parts of a queue's limits, one for each shard: as equal as can be, the greater ones first. They add
/// up to the whole.
///
/// # Errors
///
/// A limit of which some shards would get nothing: runs there would wait for ever.
pub fn divided(limits: QueueLimits, shards: ShardCount) -> Result<Vec<QueueLimits>, Indivisible> {
    let mut parts = vec![QueueLimits::default(); usize::from(shards.get())];
    if let Some(limit) = limits.concurrency {
        let shares = parts_of("concurrency", limit.get(), shards)?;
        for (part, share) in parts.iter_mut().zip(shares) {
            part.concurrency = Some(share);
        }
    }
    if let Some(rate) = limits.rate {
        let runs = u32::try_from(rate.runs()).unwrap_or(u32::MAX);
        let shares = parts_of("rate", runs, shards)?;
        for (part, share) in parts.iter_mut().zip(shares) {
            part.rate = rate.with_runs(share);
        }
    }
    Ok(parts)
}

/// The whole of which these are the parts. None where any part is missing: it was set otherwise.
pub(super) fn whole(parts: &[QueueLimits]) -> QueueLimits {
    let concurrency = parts
        .iter()
        .map(|part| part.concurrency.map(NonZeroU32::get));
    let rates = parts.iter().map(|part| part.rate);
    let rates: Option<Vec<Rate>> = rates.collect();
    QueueLimits {
        concurrency: concurrency.sum::<Option<u32>>().and_then(NonZeroU32::new),
        rate: rates.and_then(|rates| {
            let runs = rates.iter().map(|rate| rate.runs()).sum::<u64>();
            let runs = u32::try_from(runs).ok().and_then(NonZeroU32::new)?;
            rates.first()?.with_runs(runs)
        }),
    }
}

fn parts_of(
    what: &'static str,
    limit: u32,
    shards: ShardCount,
) -> Result<Vec<NonZeroU32>, Indivisible> {
    let count = u32::from(shards.get());
    let part = |at| NonZeroU32::new(limit / count + u32::from(at < limit % count));
    let parts: Option<Vec<_>> = (0..count).map(part).collect();
    parts.ok_or(Indivisible {
        what,
        limit,
        shards: shards.get(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(concurrency: u32, rate: &str) -> QueueLimits {
        QueueLimits {
            concurrency: NonZeroU32::new(concurrency),
            rate: rate.parse().ok(),
        }
    }

    #[test]
    fn the_parts_add_up_to_the_whole() {
        for shards in 1..=7 {
            let count = ShardCount::new(shards).unwrap();
            for (concurrency, rate) in [(7, "7/s"), (100, "1000/m"), (10, ""), (0, "9/10s")] {
                let all = limits(concurrency, rate);
                let parts = divided(all, count).unwrap();
                assert_eq!(whole(&parts), all, "{shards} shards");
                let least = parts.iter().map(|part| part.concurrency).min();
                let most = parts.iter().map(|part| part.concurrency).max();
                let number =
                    |part: Option<Option<NonZeroU32>>| part.flatten().map_or(0, NonZeroU32::get);
                assert!(number(most) - number(least) <= 1);
            }
        }
        let parts = divided(limits(5, "11/s"), ShardCount::new(3).unwrap()).unwrap();
        assert_eq!(
            parts,
            [limits(2, "4/s"), limits(2, "4/s"), limits(1, "3/s")]
        );
    }

    #[test]
    fn a_limit_that_leaves_a_shard_with_nothing_is_refused() {
        let four = ShardCount::new(4).unwrap();
        let error = divided(limits(3, ""), four).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a concurrency of 3 cannot be divided among 4 shards, each of which needs 1 at least: give 4 \
             or more, or none"
        );
        let error = divided(limits(4, "1/m"), four).unwrap_err().to_string();
        assert!(error.starts_with("a rate of 1 cannot"), "{error}");
        assert_eq!(divided(QueueLimits::default(), four).unwrap().len(), 4);
    }

    #[test]
    fn parts_that_were_set_otherwise_are_no_limit_of_the_whole() {
        let parts = [limits(3, "1/s"), QueueLimits::default()];
        assert_eq!(whole(&parts), QueueLimits::default());
    }
}
