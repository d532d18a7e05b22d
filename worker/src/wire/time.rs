//! Instants and durations for people.

use std::fmt::Display;
use std::time::Duration;

use chrono::{DateTime, TimeZone};
use chrono_tz::Tz;
use scheduler_core::Timestamp;

/// The wall clock of this zone, with its offset: `2026-12-24 18:00:00 +01:00`. Milliseconds are
/// shown where there are any.
#[must_use]
pub fn local(at: Timestamp, zone: Tz) -> String {
    wall(&at.to_datetime().with_timezone(&zone))
}

/// The same of an instant whose wall clock is known.
#[must_use]
pub fn wall<Z: TimeZone<Offset: Display>>(local: &DateTime<Z>) -> String {
    let form = if local.timestamp_subsec_millis() == 0 {
        "%Y-%m-%d %H:%M:%S %:z"
    } else {
        "%Y-%m-%d %H:%M:%S%.3f %:z"
    };
    local.format(form).to_string()
}

/// A duration at a glance: `7ms`, `1.25s`, `3m 20s`, `5h 1m`, `2d 3h`.
#[must_use]
pub fn brief(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (major, minor) = match seconds {
        0 => return format!("{}ms", duration.as_millis()),
        1..60 => {
            // Cut, not rounded: never 60.00s.
            return format!("{seconds}.{:02}s", duration.subsec_millis() / 10);
        }
        60..3600 => ((60, 'm'), (1, 's')),
        3600..86_400 => ((3600, 'h'), (60, 'm')),
        _ => ((86_400, 'd'), (3600, 'h')),
    };
    let rest = seconds % major.0 / minor.0;
    format!("{}{} {rest}{}", seconds / major.0, major.1, minor.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_shown_in_its_zone() {
        let at = Timestamp::from_ms(1_766_595_600_000);
        assert_eq!(local(at, Tz::Europe__Berlin), "2025-12-24 18:00:00 +01:00");
        let at = Timestamp::from_ms(1_766_595_600_123);
        assert_eq!(local(at, Tz::UTC), "2025-12-24 17:00:00.123 +00:00");
    }

    #[test]
    fn a_duration_is_short() {
        let brief = |ms| brief(Duration::from_millis(ms));
        assert_eq!(brief(0), "0ms");
        assert_eq!(brief(999), "999ms");
        assert_eq!(brief(1_259), "1.25s");
        assert_eq!(brief(59_999), "59.99s");
        assert_eq!(brief(200_000), "3m 20s");
        assert_eq!(brief(18_061_000), "5h 1m");
        assert_eq!(brief(187_200_000), "2d 4h");
    }
}
