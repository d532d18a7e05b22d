//! Jobs of one moment that are spread over a time.

use std::time::Duration;

use proptest::prelude::*;
use scheduler_core::ledger::neighbours;
use scheduler_core::plan::plan;
use scheduler_core::spread::offset;
use scheduler_core::{Job, JobDefaults, JobId, JobSpec, Timestamp, change};
use serde_json::json;

fn id(text: &str) -> JobId {
    text.parse().expect("an id")
}

fn job(id: &str, trigger: &serde_json::Value, spread: Option<&str>) -> Job {
    let mut spec = json!({ "id": id, "task": "log", "trigger": trigger });
    if let Some(spread) = spread {
        spec["spread"] = json!(spread);
    }
    let spec: JobSpec = serde_json::from_value(spec).expect("a spec");
    spec.resolve(&JobDefaults::default()).expect("a job")
}

const NOON: Timestamp = Timestamp::from_ms(1_767_268_800_000);
const SPREAD: Duration = Duration::from_secs(30);

#[test]
fn an_id_has_the_same_offset_for_ever() {
    // Stored due times rest on it: these numbers must never change.
    let expected = [
        ("report", 18836),
        ("a", 15308),
        ("b", 12937),
        ("täglich um acht", 1356),
    ];
    for (name, ms) in expected {
        assert_eq!(
            offset(&id(name), SPREAD),
            Duration::from_millis(ms),
            "{name}"
        );
    }
    assert_eq!(offset(&id("a"), Duration::ZERO), Duration::ZERO);
    assert_eq!(offset(&id("a"), Duration::from_millis(1)), Duration::ZERO);
}

#[test]
fn ids_that_are_much_alike_are_spread_evenly() {
    let mut parts = [0_u32; 30];
    for number in 0..30_000 {
        let offset = offset(&id(&format!("tenant-{number}")), SPREAD);
        assert!(offset < SPREAD);
        parts[usize::try_from(offset.as_secs()).expect("few")] += 1;
    }
    // A thousand are expected in each second; five standard deviations are 158.
    assert!(
        parts.iter().all(|jobs| jobs.abs_diff(1000) < 158),
        "{parts:?}"
    );
}

#[test]
fn midnight_jobs_do_not_share_a_millisecond() {
    let midnight = json!({ "type": "cron", "hour": 0 });
    let first = |number: usize| {
        let job = job(&format!("job-{number}"), &midnight, Some("30s"));
        change::put_new(job, None, NOON)
            .expect("a schedule")
            .next_fire
    };
    let mut fires: Vec<_> = (0..1000).map(first).collect();
    fires.sort();
    fires.dedup();
    assert!(fires.len() > 950, "{}", fires.len());
}

#[test]
fn intervals_that_begin_together_are_spread_too() {
    let every = json!({ "type": "interval", "seconds": 60 });
    let spread = job("a", &every, Some("30s"));
    let first = spread.first(NOON).expect("a fire time");
    assert_eq!(first, NOON.after(Duration::from_secs(60) + spread.offset()));
    assert_eq!(
        spread.following(first),
        Some(first.after(Duration::from_secs(60)))
    );
}

#[test]
fn a_date_is_late_by_the_offset_and_over_then() {
    let date = json!({ "type": "date", "run_date": "2026-01-01T18:00:00Z" });
    let (plain, spread) = (job("a", &date, None), job("a", &date, Some("30s")));
    let at = plain.first(NOON).expect("a date");
    let late = spread.first(NOON).expect("a date");
    assert_eq!(late, at.after(spread.offset()));
    assert_eq!(spread.following(late), None);
}

#[test]
fn what_is_shown_as_next_is_when_it_runs() {
    let hourly = json!({ "type": "cron", "minute": 0 });
    let job = job("report", &hourly, Some("10m"));
    let due = change::put_new(job.clone(), None, NOON)
        .expect("a schedule")
        .next_fire;
    let due = due.expect("a due time");
    assert!(
        plan(&job, due, Timestamp::from_ms(due.as_ms() - 1), 0)
            .runs
            .is_empty()
    );
    let plan = plan(&job, due, due, 0);
    assert_eq!(plan.runs, [due]);
    assert_eq!(plan.next, Some(due.after(Duration::from_secs(3600))));
}

#[test]
fn the_neighbours_of_an_instant_are_spread_fire_times() {
    let hourly = json!({ "type": "cron", "minute": 0 });
    let job = job("report", &hourly, Some("10m"));
    let fire = job.first(NOON).expect("a fire time");
    let hour = Duration::from_secs(3600);
    let expected = (Some(fire.before(hour)), Some(fire.after(hour)));
    assert_eq!(neighbours(&job, None, fire), expected);
}

proptest! {
    #[test]
    fn a_spread_schedule_is_the_plain_one_later(
        name in "[a-z]{1,8}",
        spread in 1_u64..7200,
        from in 0_i64..100_000_000,
        length in 0_i64..1_000_000,
    ) {
        let cron = json!({ "type": "cron", "minute": "*/7", "second": "3,30" });
        let plain = job(&name, &cron, None);
        let late = job(&name, &cron, Some(&format!("{spread}s")));
        let offset = late.offset();
        let from = Timestamp::from_ms(from);
        let first = late.first(from).expect("a fire time");
        prop_assert!(first >= from);
        prop_assert_eq!(first.before(offset), plain.first(from.before(offset)).expect("one"));
        let until = Timestamp::from_ms(first.as_ms() + length);
        let (a, b) = (
            late.stretch(first, until, 50),
            plain.stretch(first.before(offset), until.before(offset), 50),
        );
        prop_assert_eq!((a.count, a.last), (b.count, b.last.after(offset)));
        prop_assert_eq!(late.following(a.last), a.next);
    }
}
