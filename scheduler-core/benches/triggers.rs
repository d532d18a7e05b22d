//! The next fire time of a schedule, beside the `cron` and `croner` crates.
//!
//! All are asked in the same run, in a named zone, from the same instants, which lie along the year
//! so that no single date is favoured.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta};
use chrono_tz::Tz;
use criterion::{Criterion, criterion_group, criterion_main};
use croner::parser::{CronParser, Seconds};
use scheduler_core::Timestamp;
use scheduler_core::trigger::TriggerSpec;

const ZONE: Tz = Tz::America__New_York;

/// A name, and the schedule in six fields: the one dialect that all three read. Weekdays are named,
/// since their numbers differ.
const SCHEDULES: [(&str, &str); 8] = [
    ("every_minute", "0 * * * * *"),
    ("every_5_minutes", "0 */5 * * * *"),
    ("daily", "0 30 5 * * *"),
    ("weekdays", "0 30 5 * * MON-FRI"),
    ("monthly", "0 0 0 1 * *"),
    ("working_hours", "0 */15 9-17 * * MON-FRI"),
    ("29_february_on_a_monday", "0 0 0 29 2 MON"),
    ("30_february", "0 0 0 30 2 *"),
];

/// 256 instants, 34 hours and some minutes apart.
fn instants() -> Vec<DateTime<Tz>> {
    let start = DateTime::from_timestamp(1_767_225_607, 0)
        .unwrap()
        .with_timezone(&ZONE);
    (0..256)
        .map(|step| start + TimeDelta::minutes(2047) * step)
        .collect()
}

/// Asks for one instant after the other, for ever.
fn in_turn<'a, T>(asked: &'a [T]) -> impl FnMut() -> &'a T {
    let mut turns = asked.iter().cycle();
    move || turns.next().unwrap()
}

fn croner(expression: &str) -> croner::Cron {
    // Day and weekday must both match, as with the other two.
    let parser = CronParser::builder()
        .seconds(Seconds::Required)
        .dom_and_dow(true)
        .build();
    parser.parse(expression).unwrap()
}

fn next_fire_time(c: &mut Criterion) {
    let instants = instants();
    let stamps: Vec<_> = instants.iter().map(|at| Timestamp::from(*at)).collect();
    for (name, expression) in SCHEDULES {
        let mut group = c.benchmark_group(name);
        group.sample_size(20);
        let carillon = TriggerSpec::from_text(expression)
            .unwrap()
            .resolve(ZONE)
            .unwrap();
        let cron = cron::Schedule::from_str(expression).unwrap();
        let croner = croner(expression);
        for at in &instants {
            // What is timed is the same answer.
            let found = carillon.next_after(Timestamp::from(*at));
            assert_eq!(
                found,
                cron.after(at).next().map(Timestamp::from),
                "{name} after {at}"
            );
            if name != "30_february" {
                let next = croner.find_next_occurrence(at, false).unwrap();
                assert_eq!(found, Some(Timestamp::from(next)), "{name} after {at}");
            }
        }
        let mut at = in_turn(&stamps);
        group.bench_function("carillon", |b| {
            b.iter(|| carillon.next_after(*black_box(at())));
        });
        let mut at = in_turn(&instants);
        group.bench_function("cron", |b| b.iter(|| cron.after(black_box(at())).next()));
        let mut at = in_turn(&instants);
        group.bench_function("croner", |b| {
            b.iter(|| croner.find_next_occurrence(black_box(at()), false).ok());
        });
        group.finish();
    }
}

fn reading(c: &mut Criterion) {
    let expression = "0 30 5 * * MON-FRI";
    let mut group = c.benchmark_group("reading");
    group.bench_function("carillon", |b| {
        b.iter(|| {
            TriggerSpec::from_text(black_box(expression))
                .unwrap()
                .resolve(ZONE)
        });
    });
    group.bench_function("cron", |b| {
        b.iter(|| cron::Schedule::from_str(black_box(expression)));
    });
    group.bench_function("croner", |b| b.iter(|| croner(black_box(expression))));
    group.finish();
}

criterion_group!(benches, next_fire_time, reading);
criterion_main!(benches);
