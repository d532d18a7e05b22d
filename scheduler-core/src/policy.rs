//! Policies: what a job wants to happen when time, load or a node fails it.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::duration;
use crate::retention::HistoryPolicy;

/// Which of several fire times that are due at once become runs.
///
/// Booleans are read as APScheduler's users write them: `true` is latest, `false` all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Coalesce {
    /// The latest; the earlier ones are recorded as coalesced. The default.
    #[default]
    Latest,
    /// The earliest that is still within its grace time; the later ones are recorded as coalesced.
    Earliest,
    /// Each of them.
    All,
}

impl<'de> Deserialize<'de> for Coalesce {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct CoalesceVisitor;

        impl Visitor<'_> for CoalesceVisitor {
            type Value = Coalesce;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"latest\", \"earliest\", \"all\", true (latest) or false (all)")
            }

            fn visit_bool<E: de::Error>(self, latest: bool) -> Result<Coalesce, E> {
                Ok(if latest {
                    Coalesce::Latest
                } else {
                    Coalesce::All
                })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Coalesce, E> {
                match text {
                    "latest" => Ok(Coalesce::Latest),
                    "earliest" => Ok(Coalesce::Earliest),
                    "all" => Ok(Coalesce::All),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }

        from.deserialize_any(CoalesceVisitor)
    }
}

/// How late a fire time may still become a run.
///
/// Written as a duration, or `"none"` for no limit (also `null`, where the format has it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grace {
    /// However late. The default.
    #[default]
    Unlimited,
    /// At most so late; later fire times are recorded as misfired.
    Within(Duration),
}

impl Serialize for Grace {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unlimited => to.serialize_str("none"),
            Self::Within(limit) => duration::serialize(limit, to),
        }
    }
}

impl<'de> Deserialize<'de> for Grace {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct GraceVisitor;

        impl Visitor<'_> for GraceVisitor {
            type Value = Grace;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a duration (seconds, or text such as \"15m\"), or \"none\" for no limit",
                )
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Grace, E> {
                Ok(Grace::Within(Duration::from_secs(seconds)))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Grace, E> {
                u64::try_from(seconds)
                    .map(|seconds| Grace::Within(Duration::from_secs(seconds)))
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(seconds), &self))
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Grace, E> {
                duration::from_seconds(seconds)
                    .map(Grace::Within)
                    .map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Grace, E> {
                if text.eq_ignore_ascii_case("none") {
                    return Ok(Grace::Unlimited);
                }
                duration::parse(text)
                    .map(Grace::Within)
                    .map_err(|message| E::custom(format!("{message}, or \"none\" for no limit")))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Grace, E> {
                Ok(Grace::Unlimited)
            }

            fn visit_none<E: de::Error>(self) -> Result<Grace, E> {
                Ok(Grace::Unlimited)
            }
        }

        from.deserialize_any(GraceVisitor)
    }
}

/// What becomes of a run whose node died, or could no longer prove that it lived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLost {
    /// Another node executes it again, as its next attempt. The default.
    #[default]
    Retry,
    /// It is recorded as lost.
    Fail,
}

/// The most runs of one job that may be in flight at once: the store goes through all of them with
/// each run of the job that begins or ends.
pub const MAX_INSTANCES: NonZeroU32 = NonZeroU32::MIN.saturating_add(999);

/// The most runs of one job that are lined up behind others of it: see [`Overlap::Queue`].
pub const MAX_LINED_UP: usize = 100;

/// What becomes of a fire time that finds as many runs in flight as its job allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is recorded as skipped. The default.
    #[default]
    Skip,
    /// Its run is lined up: it waits until another run of the job has ended, in the order in which
    /// the runs were made. At most [`MAX_LINED_UP`] do; further fire times are recorded as skipped.
    Queue,
}

/// How often a run may be begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Until it has ended: a run whose node died is begun again. The default.
    #[default]
    AtLeastOnce,
    /// Once: that it begins is written down before, and a run that was begun never begins again,
    /// whether its handler failed, put it off, or died with its node. (`on_lost` and `max_lost` then
    /// say nothing: what was begun is lost, and what was not goes back.)
    AtMostOnce,
}

/// Which of a queue's waiting runs go first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before the others, mostly.
    High,
    /// The default.
    #[default]
    Normal,
    /// After the others, mostly: a share of the slots is theirs however busy the queue is.
    Low,
}

impl Priority {
    /// All of them, the first first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// How many of ten slots belong to runs of this priority, where runs of each wait.
    #[must_use]
    pub const fn share(self) -> u32 {
        match self {
            Self::High => 6,
            Self::Normal => 3,
            Self::Low => 1,
        }
    }

    /// Its place among [`ALL`](Self::ALL).
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }

    /// The priority as one letter: `h`, `n` or `l`.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::High => "h",
            Self::Normal => "n",
            Self::Low => "l",
        }
    }

    /// The priority of a letter, if it is one.
    #[must_use]
    pub fn from_letter(letter: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.letter() == letter)
    }

    /// The priority as one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How the pause between two attempts grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// It does not: always the base.
    Fixed,
    /// By the base with each attempt.
    Linear,
    /// Twofold with each attempt. The default.
    #[default]
    Exponential,
}

/// How often, and after which pauses, a run is tried again whose handler failed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// How many attempts a run has in all. Defaults to 1: none but the first.
    pub max_attempts: NonZeroU32,
    /// How the pauses grow. Defaults to exponentially.
    pub backoff: Backoff,
    /// The first pause. Defaults to one second.
    #[serde(with = "duration")]
    pub base: Duration,
    /// The longest pause. Defaults to one hour.
    #[serde(with = "duration")]
    pub max: Duration,
    /// By which part of itself a pause may be longer or shorter, at random: 0 to 1. Defaults to
    /// 0.1, so that what failed together is not tried again together.
    pub jitter: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: NonZeroU32::MIN,
            backoff: Backoff::default(),
            base: Duration::from_secs(1),
            max: Duration::from_secs(3600),
            jitter: 0.1,
        }
    }
}

impl Retry {
    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// The field that breaks a rule, and its value with the rule.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if !(0.0..=1.0).contains(&self.jitter) {
            let message = format!("{} is out of range: allowed are 0 to 1", self.jitter);
            return Err(("jitter", message));
        }
        if self.max < self.base {
            let message = format!("{:?} is less than the base, {:?}", self.max, self.base);
            return Err(("max", message));
        }
        Ok(())
    }
}

/// A job's policies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Which of several due fire times become runs. Defaults to the latest.
    pub coalesce: Coalesce,
    /// How late a fire time may still become a run. Defaults to however late.
    pub misfire_grace_time: Grace,
    /// How many fire times that are due at once may become runs, where each of them does
    /// ([`Coalesce::All`]): the latest; the earlier ones are recorded as `catch_up`. Defaults to
    /// 100; at most [`MAX_CATCH_UP`].
    #[serde(skip_serializing_if = "is_default_catch_up")]
    pub max_catch_up: NonZeroU32,
    /// How many runs of the job may be in flight at once, in the whole cluster. Defaults to 1; at
    /// most [`MAX_INSTANCES`].
    pub max_instances: NonZeroU32,
    /// What becomes of a fire time beyond that. Defaults to being skipped.
    #[serde(skip_serializing_if = "is_default")]
    pub overlap: Overlap,
    /// What becomes of a run whose handler failed. Defaults to no other attempt.
    #[serde(skip_serializing_if = "is_default")]
    pub retry: Retry,
    /// How long one attempt may take. Defaults to however long.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// How often a run may be begun. Defaults to at least once.
    #[serde(skip_serializing_if = "is_default")]
    pub delivery: Delivery,
    /// What becomes of a run whose node died. Defaults to another attempt.
    pub on_lost: OnLost,
    /// How many of a run's attempts may be lost with their nodes before the run is given up: a run
    /// that kills each node it meets must not go round for ever. Defaults to 3.
    pub max_lost: NonZeroU32,
    /// Which of its queue's runs go first. Defaults to normal.
    #[serde(skip_serializing_if = "is_default")]
    pub priority: Priority,
    /// Over how long the fire times of many jobs are spread: each job is late by a part of it that
    /// is always the same, drawn from its id. Defaults to not at all.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub spread: Option<Duration>,
    /// Whether the job stays stored when its schedule is over. Defaults to no.
    #[serde(skip_serializing_if = "is_default")]
    pub keep: bool,
    /// How much of its history is kept, besides what is kept of all jobs. Defaults to no more.
    #[serde(skip_serializing_if = "is_default")]
    pub history: HistoryPolicy,
}

const fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(n - 1)
}

/// The most fire times that a job may catch up with: a plan looks at ten times as many, so that each
/// gets on.
pub const MAX_CATCH_UP: NonZeroU32 = number(1_000);

const CATCH_UP: NonZeroU32 = number(100);

fn is_default_catch_up(limit: &NonZeroU32) -> bool {
    *limit == CATCH_UP
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            coalesce: Coalesce::default(),
            misfire_grace_time: Grace::default(),
            max_catch_up: CATCH_UP,
            max_instances: NonZeroU32::MIN,
            overlap: Overlap::default(),
            retry: Retry::default(),
            timeout: None,
            delivery: Delivery::default(),
            on_lost: OnLost::default(),
            max_lost: number(3),
            priority: Priority::default(),
            spread: None,
            keep: false,
            history: HistoryPolicy::default(),
        }
    }
}

impl Policy {
    /// How many runs of the job may be lined up behind those that `max_instances` allows.
    #[must_use]
    pub const fn max_lined_up(&self) -> usize {
        match self.overlap {
            Overlap::Skip => 0,
            Overlap::Queue => MAX_LINED_UP,
        }
    }

    /// How many runs of the job may be in flight, those included that are lined up.
    #[must_use]
    pub fn max_in_flight(&self) -> usize {
        let at_once = usize::try_from(self.max_instances.get()).unwrap_or(usize::MAX);
        at_once.saturating_add(self.max_lined_up())
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    ///
    /// The field that breaks a rule, from the policy inwards, and its value with the rule.
    pub fn check(&self) -> Result<(), (String, String)> {
        let refuse = |field: &str, message: String| Err((field.to_owned(), message));
        if self.max_instances > MAX_INSTANCES {
            let limit = self.max_instances;
            let message = format!("{limit} is out of range: allowed are 1 to {MAX_INSTANCES}");
            return refuse("max_instances", message);
        }
        if self.max_catch_up > MAX_CATCH_UP {
            let limit = self.max_catch_up;
            let message = format!("{limit} is out of range: allowed are 1 to {MAX_CATCH_UP}");
            return refuse("max_catch_up", message);
        }
        if let Err((field, message)) = self.retry.check() {
            return refuse(&format!("retry.{field}"), message);
        }
        if let Err((field, message)) = self.history.check() {
            return refuse(&format!("history.{field}"), message);
        }
        if self.delivery == Delivery::AtMostOnce && self.retry.max_attempts.get() > 1 {
            let attempts = self.retry.max_attempts;
            let message = format!(
                "{attempts} contradicts delivery = \"at_most_once\": a run that was begun never \
                 begins again, so there is 1 attempt"
            );
            return refuse("retry.max_attempts", message);
        }
        if self.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return refuse(
                "timeout",
                "0 is out of range: nothing could be done".to_owned(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grace_is_read_as_people_write_it() {
        let read = |text: &str| serde_json::from_str::<Grace>(text).map_err(|e| e.to_string());
        assert_eq!(read("900"), Ok(Grace::Within(Duration::from_secs(900))));
        assert_eq!(read("\"15m\""), Ok(Grace::Within(Duration::from_secs(900))));
        assert_eq!(read("null"), Ok(Grace::Unlimited));
        assert_eq!(read("\"none\""), Ok(Grace::Unlimited));
        assert!(read("-1").unwrap_err().contains("a duration"));
        assert!(
            read("\"soon\"")
                .unwrap_err()
                .contains("\"soon\" is no duration")
        );
    }

    #[test]
    fn policies_read_back() {
        let policy = Policy {
            misfire_grace_time: Grace::Within(Duration::from_millis(1500)),
            coalesce: Coalesce::All,
            ..Policy::default()
        };
        let text = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
        let bytes = rmp_serde::to_vec_named(&policy).unwrap();
        assert_eq!(rmp_serde::from_slice::<Policy>(&bytes).unwrap(), policy);
    }
}
