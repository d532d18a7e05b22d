//! Policies: what a job wants to happen when time, load or a node fails it.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::duration;

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

/// A job's policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Which of several due fire times become runs. Defaults to the latest.
    pub coalesce: Coalesce,
    /// How late a fire time may still become a run. Defaults to however late.
    pub misfire_grace_time: Grace,
    /// How many runs of the job may be in flight at once, in the whole cluster. Defaults to 1; at
    /// most [`MAX_INSTANCES`].
    pub max_instances: NonZeroU32,
    /// What becomes of a run whose node died. Defaults to another attempt.
    pub on_lost: OnLost,
    /// How many of a run's attempts may be lost with their nodes before the run is given up: a run
    /// that kills each node it meets must not go round for ever. Defaults to 3.
    pub max_lost: NonZeroU32,
}

impl Default for Policy {
    fn default() -> Self {
        const THREE: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);
        Self {
            coalesce: Coalesce::default(),
            misfire_grace_time: Grace::default(),
            max_instances: NonZeroU32::MIN,
            on_lost: OnLost::default(),
            max_lost: THREE,
        }
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
