//! Durations as people write them: seconds as a number, or text such as `"15m"`.
//!
//! For `#[serde(with = "scheduler_core::duration")]` and its `option` twin. Written back as seconds
//! (whole where they are whole), which every format and reader understands.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserializer, Serializer};

/// Reads `"90"`, `"1.5"`, `"15m"`, `"1h 30m"`, `"250ms"`.
///
/// # Errors
///
/// Says what was read and what would have been right.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return from_seconds(seconds);
    }
    humantime::parse_duration(text).map_err(|_| {
        format!("{text:?} is no duration: give seconds (90, 1.5) or text such as \"15m\", \"1h 30m\", \"250ms\"")
    })
}

/// The duration of so many seconds, to the nanosecond.
///
/// # Errors
///
/// Negative, infinite and absurdly large numbers are refused.
pub fn from_seconds(seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| format!("{seconds} seconds is no duration: it must be 0 or more, and finite"))
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration: seconds as a number, or text such as \"15m\"")
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Duration, E> {
        Ok(Duration::from_secs(seconds))
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Duration, E> {
        u64::try_from(seconds)
            .map(Duration::from_secs)
            .map_err(|_| {
                E::custom(format!(
                    "{seconds} seconds is no duration: it must be 0 or more"
                ))
            })
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Duration, E> {
        from_seconds(seconds).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).map_err(E::custom)
    }
}

/// Writes seconds.
///
/// # Errors
///
/// Those of the format.
pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    if duration.subsec_nanos() == 0 {
        to.serialize_u64(duration.as_secs())
    } else {
        to.serialize_f64(duration.as_secs_f64())
    }
}

/// Reads seconds or text.
///
/// # Errors
///
/// What is neither, by name.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    from.deserialize_any(DurationVisitor)
}

/// The same for a field that may be absent or null.
pub mod option {
    use super::{DurationVisitor, Visitor};
    use serde::de;
    use serde::{Deserializer, Serializer};
    use std::fmt;
    use std::time::Duration;

    /// Writes seconds, or null.
    ///
    /// # Errors
    ///
    /// Those of the format.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, to),
            None => to.serialize_none(),
        }
    }

    struct OptionVisitor;

    impl<'de> Visitor<'de> for OptionVisitor {
        type Value = Option<Duration>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            DurationVisitor.expecting(f)
        }

        fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
            super::deserialize(from).map(Some)
        }
    }

    /// Reads seconds, text, or null.
    ///
    /// # Errors
    ///
    /// What is none of them, by name.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        from.deserialize_option(OptionVisitor)
    }
}
