//! Shards: a namespace in several parts, each on a Redis hash slot of its own, with a leader of its own.
//!
//! One shard is led by one node, and one server's one core does its work. A namespace that needs more than
//! that is split: each job is in one shard, with all that belongs to it. Nothing is shared between shards,
//! so their capacity adds up; and nothing spans them, which is what this module has the rules for:
//!
//! - **Placement** ([`ShardCount::of_job`]): a job's shard is found from its id alone, as Redis Cluster finds a
//!   key's slot: CRC16 of the id, or of what stands between its first `{` and the next `}`, if anything
//!   does; of that the lowest 14 bits, modulo the number of shards. So `CLUSTER KEYSLOT <id>` modulo that
//!   number is the shard, and jobs whose ids have the same `{tag}` are together.
//! - **What must be together** ([`ShardCount::check`]): a job and the one that it follows; a job and its
//!   [unique key](crate::unique), whose shard is found as that of an id.
//! - **Limits of queues** ([`divided`]): each shard keeps to its part, and the parts add up to the limit.
//! - **Leaders** ([`seats`]): evenly over the nodes.
//! - [`Shards`]: all of them as one [`Store`](crate::Store), for clients.
//!
//! The number of shards is fixed when a namespace is first used: with another one, jobs would be looked for
//! where they are not.

mod limits;
mod merge;
pub mod seats;
mod union;

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use limits::{Indivisible, divided};
pub use union::Shards;

use crate::id::{JobId, UniqueKey};
use crate::job::Job;

/// The most shards that a namespace may have.
pub const MAX_SHARDS: u16 = 64;

/// Which shard of a namespace, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardNumber(pub u16);

impl ShardNumber {
    /// The place in a list of all shards.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ShardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many shards a namespace has: 1 to [`MAX_SHARDS`]. Defaults to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardCount(NonZeroU16);

/// A number of shards that no namespace has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no number of shards: 1 to {MAX_SHARDS} are allowed")]
pub struct ShardCountError(String);

impl ShardCount {
    /// A namespace that is not split.
    pub const ONE: Self = Self(NonZeroU16::MIN);

    /// So many.
    ///
    /// # Errors
    ///
    /// 0, or more than [`MAX_SHARDS`].
    pub fn new(shards: u16) -> Result<Self, ShardCountError> {
        let count = NonZeroU16::new(shards).filter(|count| count.get() <= MAX_SHARDS);
        count
            .map(Self)
            .ok_or_else(|| ShardCountError(shards.to_string()))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// Whether the namespace is not split.
    #[must_use]
    pub fn is_one(self) -> bool {
        self == Self::ONE
    }

    /// All shards, in order.
    pub fn numbers(self) -> impl Iterator<Item = ShardNumber> {
        (0..self.get()).map(ShardNumber)
    }

    /// The shard of a job.
    #[must_use]
    pub fn of_job(self, id: &JobId) -> ShardNumber {
        self.of(id.as_str())
    }

    /// The shard of a unique key.
    #[must_use]
    pub fn of_key(self, key: &UniqueKey) -> ShardNumber {
        self.of(key.as_str())
    }

    fn of(self, text: &str) -> ShardNumber {
        if self.is_one() {
            return ShardNumber(0);
        }
        ShardNumber(slot(text) % self.get())
    }

    /// Whether all that must be together with a job would be.
    ///
    /// # Errors
    ///
    /// What would not be.
    pub fn check(self, job: &Job) -> Result<(), Apart> {
        let shard = self.of_job(job.id());
        let apart = |what: &'static str, name: &str, other: ShardNumber| Apart {
            job: job.id().clone(),
            shard,
            what,
            name: name.to_owned(),
            other,
        };
        if let Some(after) = job.after() {
            let other = self.of_job(&after.job);
            if other != shard {
                return Err(apart("the job that it follows", after.job.as_str(), other));
            }
        }
        if let Some(unique) = job.unique() {
            let other = self.of_key(&unique.key);
            if other != shard {
                return Err(apart("its unique key", unique.key.as_str(), other));
            }
        }
        Ok(())
    }
}

impl Default for ShardCount {
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Display for ShardCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ShardCount {
    type Err = ShardCountError;

    fn from_str(text: &str) -> Result<Self, ShardCountError> {
        let error = || ShardCountError(text.chars().take(20).collect());
        let shards = text.parse().map_err(|_| error())?;
        Self::new(shards).map_err(|_| error())
    }
}

impl Serialize for ShardCount {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u16(self.get())
    }
}

impl<'de> Deserialize<'de> for ShardCount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let shards = i64::deserialize(from)?;
        let count = u16::try_from(shards).ok().and_then(|n| Self::new(n).ok());
        count.ok_or_else(|| de::Error::custom(ShardCountError(shards.to_string())))
    }
}

/// A job whose parts would be in different shards.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "job {job:?} is in shard {shard}, and {what}, {name:?}, is in shard {other}: both must be in one. Give \
     both names the same tag in braces, such as \"{{orders}}\": what has the same tag is together"
)]
pub struct Apart {
    job: JobId,
    shard: ShardNumber,
    what: &'static str,
    name: String,
    other: ShardNumber,
}

/// The hash slot of a text, as Redis Cluster finds it.
fn slot(text: &str) -> u16 {
    crc16(tag(text).as_bytes()) & 0x3fff
}

/// What a text is placed by: what stands between its first `{` and the next `}`, if anything does, or else
/// all of it.
fn tag(text: &str) -> &str {
    let tagged = text
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    match tagged {
        Some((tag, _)) if !tag.is_empty() => tag,
        _ => text,
    }
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum: u16, byte| {
        (0..8).fold(sum ^ (u16::from(*byte) << 8), |sum, _| {
            let carry = if sum & 0x8000 == 0 { 0 } else { 0x1021 };
            (sum << 1) ^ carry
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobDefaults;
    use crate::unique::Unique;
    use crate::{After, JobSpec};

    fn id(text: &str) -> JobId {
        JobId::new(text).unwrap()
    }

    /// The vectors of the Redis Cluster specification, and of `CLUSTER KEYSLOT` of Redis 7.0.
    #[test]
    fn a_text_is_placed_as_redis_cluster_places_a_key() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (text, expected) in [("foo", 12182), ("bar", 5061), ("hello", 866), ("a", 15495)] {
            assert_eq!(slot(text), expected, "{text}");
        }
        for (text, placed_by) in [
            ("{user1000}.following", "user1000"),
            ("foo{}{bar}", "foo{}{bar}"),
            ("foo{{bar}}zap", "{bar"),
            ("foo{bar}{zap}", "bar"),
            ("foo}bar{", "foo}bar{"),
            ("report {mail}", "mail"),
        ] {
            assert_eq!(tag(text), placed_by, "{text}");
        }
    }

    /// Stored: who reads these differently looks for jobs where they are not.
    #[test]
    fn placement_never_changes() {
        let of = |shards, text| ShardCount::new(shards).unwrap().of_job(&id(text)).0;
        assert_eq!([2, 3, 4, 6, 64].map(|n| of(n, "foo")), [0, 2, 2, 2, 22]);
        assert_eq!([2, 3, 4, 6, 64].map(|n| of(n, "bar")), [1, 0, 1, 3, 5]);
        assert_eq!(of(1, "bar"), 0);
        assert_eq!(of(6, "x {bar}"), of(6, "bar"));
    }

    #[test]
    fn ids_that_count_up_are_spread_evenly() {
        for shards in [2, 3, 4, 6, 7, 16] {
            let count = ShardCount::new(shards).unwrap();
            let mut jobs = vec![0; usize::from(shards)];
            for number in 0..10_000 {
                jobs[count.of_job(&id(&format!("job-{number:05}"))).index()] += 1;
            }
            let fair = 10_000 / i32::from(shards);
            let off = jobs.iter().map(|jobs: &i32| (jobs - fair).abs()).max();
            assert!(off.unwrap() * 8 < fair, "{shards} shards: {jobs:?}");
        }
    }

    #[test]
    fn a_number_of_shards_is_bounded() {
        assert_eq!("4".parse(), Ok(ShardCount::new(4).unwrap()));
        for text in ["0", "65", "-1", "x", ""] {
            let error = text.parse::<ShardCount>().unwrap_err().to_string();
            assert!(error.contains("1 to 64 are allowed"), "{error}");
        }
        assert!(serde_json::from_str::<ShardCount>("0").is_err());
        let three: ShardCount = serde_json::from_str("3").unwrap();
        assert_eq!(three, ShardCount::new(3).unwrap());
    }

    #[test]
    fn what_belongs_together_must_be_placed_together() {
        let job = |id: &str| {
            let trigger = serde_json::from_str(r#"{"type": "interval", "seconds": 1}"#).unwrap();
            let spec = JobSpec::new(id, "t", trigger);
            spec.resolve(&JobDefaults::default())
                .unwrap()
                .into_builder()
        };
        let four = ShardCount::new(4).unwrap();
        let keyed = |id: &str, key: &str| {
            let unique = Unique::new(UniqueKey::new(key).unwrap());
            job(id).unique(Some(unique)).build()
        };
        assert_eq!(four.check(&job("foo").build()), Ok(()));
        let apart = four.check(&keyed("foo", "bar")).unwrap_err();
        assert_eq!(
            apart.to_string(),
            "job \"foo\" is in shard 2, and its unique key, \"bar\", is in shard 1: both must be in one. \
             Give both names the same tag in braces, such as \"{orders}\": what has the same tag is \
             together"
        );
        assert_eq!(four.check(&keyed("foo {7}", "bar {7}")), Ok(()));
        assert_eq!(ShardCount::ONE.check(&keyed("foo", "bar")), Ok(()));
        let after = |of: &str, other: &str| {
            let after: After = serde_json::from_value(serde_json::json!({ "job": other })).unwrap();
            job(of).after(Some(after)).build()
        };
        assert!(four.check(&after("foo", "bar")).is_err());
        assert_eq!(four.check(&after("foo {7}", "{7}")), Ok(()));
    }
}
