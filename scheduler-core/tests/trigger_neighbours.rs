//! Expressions read as their home reads them: beside the `cron` crate (six and seven fields) and
//! `croner` (five fields, and Quartz's signs).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::str::FromStr;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use scheduler_core::Timestamp;
use scheduler_core::trigger::TriggerSpec;

/// The first fire times after `from`, as Carillon finds them.
fn ours(expression: &str, from: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
    let trigger = TriggerSpec::from_text(expression)
        .unwrap()
        .resolve(chrono_tz::Tz::UTC)
        .unwrap();
    let next = |at: &Timestamp| trigger.next_after(*at);
    let fires = std::iter::successors(trigger.next_after(Timestamp::from(from)), next);
    fires.take(count).map(Timestamp::to_datetime).collect()
}

/// A list of values, ranges and steps between `least` and `most`.
fn list(least: u32, most: u32) -> impl Strategy<Value = String> {
    let part = (0..5, least..=most, least..=most, 1..=most.max(2) / 2).prop_map(
        move |(form, a, b, step)| match form {
            0 => a.to_string(),
            1 => format!("{}-{}", a.min(b), a.max(b)),
            2 => format!("{}-{}/{step}", a.min(b), a.max(b)),
            3 => format!("{a}/{step}"),
            _ => format!("*/{step}"),
        },
    );
    proptest::collection::vec(part, 1..3).prop_map(|parts| parts.join(","))
}

fn star_or(chance: f64, field: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    proptest::option::weighted(chance, field).prop_map(|field| field.unwrap_or("*".to_owned()))
}

/// A day of the month as Quartz writes it, or in numbers.
fn day_sign() -> impl Strategy<Value = String> {
    prop_oneof![
        (1..=28_u32).prop_map(|day| day.to_string()),
        (1..=28_u32).prop_map(|day| format!("{day}W")),
        Just("L".to_owned()),
    ]
}

fn weekday_sign() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..=7_u32).prop_map(|day| day.to_string()),
        (0..=6_u32, 1..=5_u32).prop_map(|(day, nth)| format!("{day}#{nth}")),
        (0..=6_u32).prop_map(|day| format!("{day}L")),
        Just("mon-fri".to_owned()),
    ]
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn six_and_seven_fields_are_read_as_the_cron_crate_reads_them(
        second in list(0, 59),
        minute in star_or(0.7, list(0, 59)),
        hour in star_or(0.7, list(0, 23)),
        day in star_or(0.4, list(1, 31)),
        month in star_or(0.4, list(1, 12)),
        weekday in star_or(0.4, list(1, 7)),
        year in proptest::option::weighted(0.2, list(2020, 2060)),
        from in 1_600_000_000..2_000_000_000_i64,
    ) {
        let mut text = format!("{second} {minute} {hour} {day} {month} {weekday}");
        if let Some(year) = year.filter(|year| !year.contains('/')) {
            text = format!("{text} {year}");
        }
        let from = DateTime::from_timestamp(from, 0).unwrap();
        let theirs: Vec<_> = cron::Schedule::from_str(&text).unwrap().after(&from).take(20).collect();
        let ours = ours(&text, from, theirs.len());
        // The crate ends with the year 2100.
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn five_fields_and_quartz_signs_are_read_as_croner_reads_them(
        minute in list(0, 59),
        hour in star_or(0.7, list(0, 23)),
        day in star_or(0.5, day_sign()),
        month in star_or(0.3, list(1, 12)),
        weekday in star_or(0.5, weekday_sign()),
        from in 1_600_000_000..2_000_000_000_i64,
    ) {
        let text = format!("{minute} {hour} {day} {month} {weekday}");
        let from = DateTime::from_timestamp(from, 0).unwrap();
        // It refuses `5/10`, which the others take for "from 5 on".
        let Ok(croner) = croner::Cron::from_str(&text) else { return Ok(()) };
        let theirs: Vec<_> = croner.iter_after(from).take(20).collect();
        let ours = ours(&text, from, theirs.len());
        prop_assert_eq!(ours, theirs, "{}", text);
    }
}
