//! Time zones: what the wall clock shows at an instant, and at which instants it shows a given time.
//!
//! `chrono-tz` answers for one instant at a time. The search for fire times wants to know how long
//! an answer holds, so each zone's offset changes are collected once per process, on first use:
//!
//! ```text
//!   instants   ──────────┤ span ├──────────   one offset per span
//!   wall clock ────────┤gap: skipped├──────   offset grows  (spring)
//!   wall clock ────────┤fold: twice ├──────   offset shrinks (autumn)
//! ```

use std::sync::OnceLock;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::error::{TriggerError, near, quoted};
use crate::time::Timestamp;

const DAY: i64 = 86_400;
/// 1900-01-01. Before it, a zone keeps the offset that it had then.
const FIRST_PROBE: i64 = -2_208_988_800;
/// Shorter than any offset has lasted: the shortest times are a week (Gaza, around Ramadan).
const PROBE_STEP: i64 = 3 * DAY;
/// 2100-01-01: the tables of `chrono-tz` end with the century.
const LAST_PROBE: i64 = 4_102_444_800;
/// A zone that changes its clocks until the tables end is taken to go on by the same rule for so
/// long; later, the last offset holds.
const LAST_YEAR: i32 = 2499;

/// A stretch of time during which a zone keeps one offset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// First second of the stretch (seconds since the epoch).
    pub(crate) start: i64,
    /// Seconds to add to UTC to get the wall clock.
    pub(crate) offset: i64,
}

/// A zone, with its offset changes at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zone {
    tz: Tz,
    spans: &'static [Span],
}

/// The instants at which the wall clock shows a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WallTime {
    /// Exactly one.
    Once(i64),
    /// None: the clock jumps over it.
    Skipped {
        /// The first instant after the jump.
        after: i64,
        /// Where the time lies if the clock had not jumped yet: later by the gap.
        shifted: i64,
    },
    /// Two: the clock is set back over it.
    Twice {
        /// The earlier instant.
        first: i64,
    },
}

impl Zone {
    pub(crate) fn new(tz: Tz) -> Self {
        Self {
            tz,
            spans: spans_of(tz),
        }
    }

    /// The zone of that name in the tz database.
    pub(crate) fn parse_name(name: &str) -> Result<Tz, TriggerError> {
        name.parse::<Tz>().map_err(|_| {
            let near = near(name, TZ_VARIANTS.iter().map(|tz| tz.name()), 3);
            let hint = if near.is_empty() {
                "give a name of the tz database, such as \"Europe/Berlin\" or \"UTC\"".to_owned()
            } else {
                format!("did you mean {}?", alternatives(&near))
            };
            TriggerError::new(
                "timezone",
                format!("{} is no known time zone: {hint}", quoted(name)),
            )
        })
    }

    pub(crate) fn spans(&self) -> &'static [Span] {
        self.spans
    }

    /// The number of the span that `second` lies in.
    pub(crate) fn span_at(&self, second: i64) -> usize {
        self.spans
            .partition_point(|span| span.start <= second)
            .saturating_sub(1)
    }

    /// The end of a span: the start of the next one.
    pub(crate) fn end_of(&self, span: usize) -> i64 {
        self.spans.get(span + 1).map_or(i64::MAX, |next| next.start)
    }

    /// What the wall clock shows at `second`, as seconds since the wall's own 1970-01-01T00:00.
    pub(crate) fn wall_at(&self, second: i64) -> i64 {
        second + self.spans[self.span_at(second)].offset
    }

    /// The same instant, as the zone shows it.
    pub(crate) fn local(&self, at: Timestamp) -> DateTime<FixedOffset> {
        let second = at.as_ms().div_euclid(1000);
        let offset = i32::try_from(self.wall_at(second) - second).ok();
        let offset = offset.and_then(FixedOffset::east_opt).unwrap_or(Utc.fix());
        at.to_datetime().with_timezone(&offset)
    }

    /// When the wall clock shows `wall`.
    pub(crate) fn instants_of(&self, wall: i64) -> WallTime {
        // No offset exceeds a day, so the spans that may show `wall` are near.
        let (near, far) = (self.span_at(wall - DAY), self.span_at(wall + DAY));
        let shows = |span: usize| {
            let at = wall - self.spans[span].offset;
            (self.spans[span].start <= at && at < self.end_of(span)).then_some(at)
        };
        let mut found = (near..=far).filter_map(shows);
        match (found.next(), found.next()) {
            (Some(at), None) => WallTime::Once(at),
            (Some(first), Some(_)) => WallTime::Twice { first },
            (None, _) => {
                let gap = (near + 1..=far)
                    .find(|&span| wall < self.spans[span].start + self.spans[span].offset)
                    .unwrap_or(far);
                WallTime::Skipped {
                    after: self.spans[gap].start,
                    shifted: wall - self.spans[gap.saturating_sub(1)].offset,
                }
            }
        }
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.tz == other.tz
    }
}

fn alternatives(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(" or ")
}

fn spans_of(tz: Tz) -> &'static [Span] {
    static TABLES: OnceLock<Vec<OnceLock<Box<[Span]>>>> = OnceLock::new();
    let tables = TABLES.get_or_init(|| TZ_VARIANTS.iter().map(|_| OnceLock::new()).collect());
    tables[tz as usize].get_or_init(|| probe(tz))
}

/// Finds every change of offset: looks every few days, and bisects where two looks differ.
fn probe(tz: Tz) -> Box<[Span]> {
    probe_every(tz, PROBE_STEP)
}

fn probe_every(tz: Tz, step: i64) -> Box<[Span]> {
    let mut spans = vec![Span {
        start: i64::MIN,
        offset: offset_at(tz, FIRST_PROBE),
    }];
    let mut day = FIRST_PROBE;
    let mut offset = spans[0].offset;
    while day < LAST_PROBE {
        let next = offset_at(tz, day + step);
        if next != offset {
            let (mut before, mut after) = (day, day + step);
            while after - before > 1 {
                let middle = before + (after - before) / 2;
                if offset_at(tz, middle) == offset {
                    before = middle;
                } else {
                    after = middle;
                }
            }
            spans.push(Span {
                start: after,
                offset: next,
            });
            offset = next;
        }
        day += step;
    }
    go_on(&mut spans);
    spans.into_boxed_slice()
}

/// Continues yearly changes past the end of the tables, as the rules in the tz database do.
///
/// Such rules speak of weekdays of a month, so two years with the same length and the same weekday
/// on 1 January change their clocks on the same dates; 28 years hold every kind.
fn go_on(spans: &mut Vec<Span>) {
    let start_of = |year| {
        NaiveDate::from_ymd_opt(year, 1, 1).map_or(0, |date| i64::from(date.to_epoch_days()) * DAY)
    };
    let kind_of = |year| {
        (
            start_of(year + 1) - start_of(year),
            start_of(year).rem_euclid(7 * DAY),
        )
    };
    if spans.iter().all(|span| span.start < start_of(2099)) {
        return;
    }
    let known = spans.clone();
    for year in 2100..=LAST_YEAR {
        let Some(like) = (2072..2100)
            .rev()
            .find(|like| kind_of(*like) == kind_of(year))
        else {
            return;
        };
        let (from, to) = (start_of(like), start_of(like + 1));
        let changes = known.iter().filter(|span| (from..to).contains(&span.start));
        let later = start_of(year) - from;
        spans.extend(changes.map(|span| Span {
            start: span.start + later,
            ..*span
        }));
    }
}

fn offset_at(tz: Tz, second: i64) -> i64 {
    tz.offset_from_utc_datetime(&wall_datetime(second))
        .fix()
        .local_minus_utc()
        .into()
}

/// Seconds since 1970-01-01T00:00 of no zone in particular, as a date and time of day.
pub(crate) fn wall_datetime(wall: i64) -> NaiveDateTime {
    DateTime::from_timestamp(wall, 0)
        .unwrap_or_default()
        .naive_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(text: &str) -> i64 {
        text.parse::<NaiveDateTime>().unwrap().and_utc().timestamp()
    }

    fn instant(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp()
    }

    #[test]
    fn the_collected_changes_agree_with_the_database_at_every_probed_instant() {
        for tz in [
            Tz::America__New_York,
            Tz::Australia__Lord_Howe,
            Tz::Africa__Casablanca,
        ] {
            let zone = Zone::new(tz);
            for hour in 0..(130 * 365 * 4) {
                let second = hour * 6 * 3600 + 1799;
                assert_eq!(
                    zone.wall_at(second) - second,
                    offset_at(tz, second),
                    "{tz} {second}"
                );
            }
        }
    }

    #[test]
    fn looking_every_few_days_misses_no_change() {
        let sample = TZ_VARIANTS.into_iter().step_by(40);
        for tz in sample.chain([Tz::Asia__Gaza, Tz::Africa__Tunis, Tz::Africa__Casablanca]) {
            let changes = |step| {
                probe_every(tz, step)
                    .iter()
                    .map(|s| s.start)
                    .collect::<Vec<_>>()
            };
            assert_eq!(changes(PROBE_STEP), changes(DAY / 2), "{tz}");
        }
    }

    #[test]
    fn a_wall_time_happens_once_twice_or_never() {
        let zone = Zone::new(Tz::America__New_York);
        assert_eq!(
            zone.instants_of(wall("2026-03-08T02:30:00")),
            WallTime::Skipped {
                after: instant("2026-03-08T07:00:00Z"),
                shifted: instant("2026-03-08T07:30:00Z")
            }
        );
        assert_eq!(
            zone.instants_of(wall("2026-11-01T01:30:00")),
            WallTime::Twice {
                first: instant("2026-11-01T05:30:00Z")
            }
        );
        assert_eq!(
            zone.instants_of(wall("2026-11-01T02:00:00")),
            WallTime::Once(instant("2026-11-01T07:00:00Z"))
        );
    }

    #[test]
    fn a_whole_day_can_be_skipped() {
        let zone = Zone::new(Tz::Pacific__Apia);
        assert_eq!(
            zone.instants_of(wall("2011-12-30T10:00:00")),
            WallTime::Skipped {
                after: instant("2011-12-30T10:00:00Z"),
                shifted: instant("2011-12-30T20:00:00Z")
            }
        );
    }

    #[test]
    fn clocks_go_on_changing_after_the_tables_end() {
        let zone = Zone::new(Tz::Europe__Berlin);
        let offset = |text| zone.wall_at(instant(text)) - instant(text);
        assert_eq!(offset("2128-06-28T00:00:00Z"), 7200);
        assert_eq!(offset("2128-12-28T00:00:00Z"), 3600);
        // The last Sunday of March 2128 is the 28th.
        assert_eq!(offset("2128-03-28T00:59:59Z"), 3600);
        assert_eq!(offset("2128-03-28T01:00:00Z"), 7200);
        let tokyo = Zone::new(Tz::Asia__Tokyo);
        assert!(tokyo.spans().iter().all(|span| span.start < 0));
    }

    #[test]
    fn an_unknown_zone_names_near_ones() {
        let error = Zone::parse_name("Asia/Shanghia").unwrap_err();
        assert!(error.message.contains("\"Asia/Shanghai\""), "{error}");
        assert!(
            Zone::parse_name("utc")
                .unwrap_err()
                .message
                .contains("\"UTC\"")
        );
        assert!(Zone::parse_name("+08:00").is_err());
    }
}
