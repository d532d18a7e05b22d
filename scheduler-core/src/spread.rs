//! Spreading: ten thousand midnight jobs that do not share a millisecond.
//!
//! A job with [`spread`](crate::Policy::spread) is late by a part of it that is always the same: its
//! *offset*, drawn from its id. The offset is part of its fire times themselves. So whatever shows a
//! fire time shows the truth: the next one, the run's id, history; and a run is late, or misfired,
//! only against its own fire time.
//!
//! The offset is a pure function of the id: every node and every version of this code must find the
//! same. FNV-1a (64 bits) of the id's bytes, mixed by MurmurHash3's finalizer, is taken for a fraction
//! of the spread, in whole milliseconds.

use std::time::Duration;

use crate::id::JobId;
use crate::job::Job;
use crate::time::Timestamp;
use crate::trigger::{Stretch, TriggerSpec};

/// How late a job of this id is within a spread: 0 to less than `spread`, in whole milliseconds.
#[must_use]
pub fn offset(id: &JobId, spread: Duration) -> Duration {
    let fraction = u128::from(mix(fnv1a(id.as_str().as_bytes())));
    let ms = (fraction * spread.as_millis()) >> 64;
    Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Names that differ in their last letter have hashes that differ in few of their high bits: this
/// lets each bit count for all.
fn mix(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

impl Job {
    /// How much later each fire time of this job is than its trigger says.
    #[must_use]
    pub fn offset(&self) -> Duration {
        let spread = self.policy().spread;
        spread.map_or(Duration::ZERO, |spread| offset(self.id(), spread))
    }

    /// The job's first fire time, of a schedule that begins at `now`:
    /// [`Trigger::first`](crate::Trigger::first), with its offset.
    #[must_use]
    pub fn first(&self, now: Timestamp) -> Option<Timestamp> {
        let offset = self.offset();
        let begins = match self.trigger().spec() {
            // It counts from the moment at which it begins: many may begin at one moment.
            TriggerSpec::Interval(interval) if interval.start_date.is_none() => now,
            _ => now.before(offset),
        };
        Some(self.trigger().first(begins)?.after(offset))
    }

    /// The job's first fire time after `at`, whatever schedule that is of:
    /// [`Trigger::following`](crate::Trigger::following), with its offset.
    #[must_use]
    pub fn following(&self, at: Timestamp) -> Option<Timestamp> {
        let offset = self.offset();
        Some(self.trigger().following(at.before(offset))?.after(offset))
    }

    /// The fire time that follows the fire time `previous`:
    /// [`Trigger::next_after`](crate::Trigger::next_after), with its offset.
    #[must_use]
    pub fn next_after(&self, previous: Timestamp) -> Option<Timestamp> {
        let offset = self.offset();
        let previous = previous.before(offset);
        Some(self.trigger().next_after(previous)?.after(offset))
    }

    /// Counts the job's fire times: [`Trigger::stretch`](crate::Trigger::stretch), with its offset.
    #[must_use]
    pub fn stretch(&self, first: Timestamp, until: Timestamp, limit: u64) -> Stretch {
        let offset = self.offset();
        let (first, until) = (first.before(offset), until.before(offset));
        let stretch = self.trigger().stretch(first, until, limit);
        Stretch {
            last: stretch.last.after(offset),
            next: stretch.next.map(|next| next.after(offset)),
            ..stretch
        }
    }
}
