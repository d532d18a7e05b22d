//! Partial changes: which fields stay, which change, and what that does to the schedule.

use std::time::Duration;

use scheduler_core::patch::{JobPatch, PatchError};
use scheduler_core::{
    Grace, Job, JobDefaults, JobSpec, JobState, Pause, Policy, StoredJob, Timestamp, Version,
};
use serde_json::{Value, json};

const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(seconds * 1000)
}

fn job() -> Job {
    let spec = json!({
        "id": "j",
        "name": "The job",
        "task": "task",
        "args": { "a": 1 },
        "trigger": { "type": "cron", "hour": 8, "timezone": "Europe/Berlin" },
        "queue": "mail",
        "misfire_grace_time": "15m",
        "timeout": "30s",
        "retry": { "max_attempts": 5 },
        "tags": ["x", "y"],
    });
    let spec: JobSpec = serde_json::from_value(spec).expect("a job");
    let job = spec.resolve(&JobDefaults::default()).expect("a job");
    job.into_builder().owner(Some("file".to_owned())).build()
}

fn patch(fields: Value) -> JobPatch {
    serde_json::from_value(fields).expect("a patch")
}

/// Defaults that no job of these tests was made with.
fn defaults() -> JobDefaults {
    JobDefaults {
        timezone: chrono_tz::Asia::Tokyo,
        policy: Policy {
            misfire_grace_time: Grace::Within(Duration::from_secs(7)),
            timeout: Some(Duration::from_secs(7)),
            spread: Some(Duration::from_secs(7)),
            ..Policy::default()
        },
    }
}

fn as_json(job: &Job) -> Value {
    serde_json::to_value(job).expect("JSON")
}

/// The job with the values at these paths changed.
fn with(changes: &[(&str, Value)]) -> Value {
    let mut expected = as_json(&job());
    for (path, value) in changes {
        let (outer, field) = path.rsplit_once('/').expect("a path");
        let outer = expected.pointer_mut(outer).expect("an object");
        let outer = outer.as_object_mut().expect("an object");
        match value {
            Value::Null => drop(outer.remove(field)),
            value => drop(outer.insert((*field).to_owned(), value.clone())),
        }
    }
    expected
}

#[test]
fn only_what_a_patch_names_changes() {
    let table = [
        (json!({}), with(&[])),
        (json!({ "args": [2] }), with(&[("/args", json!([2]))])),
        (
            json!({ "queue": "slow" }),
            with(&[("/queue", json!("slow"))]),
        ),
        (json!({ "tags": ["z"] }), with(&[("/tags", json!(["z"]))])),
        (
            json!({ "timeout": "1m", "max_instances": 3, "coalesce": false }),
            with(&[
                ("/policy/timeout", json!(60)),
                ("/policy/max_instances", json!(3)),
                ("/policy/coalesce", json!("all")),
            ]),
        ),
        // A schedule in the job's zone, not in that of whoever happens to change it.
        (
            json!({ "trigger": { "type": "cron", "hour": 9 } }),
            with(&[(
                "/trigger",
                json!({ "type": "cron", "hour": "9", "timezone": "Europe/Berlin" }),
            )]),
        ),
    ];
    for (fields, expected) in table {
        let changed = patch(fields.clone()).apply(&job(), &defaults());
        assert_eq!(as_json(&changed.expect("a job")), expected, "{fields}");
    }
}

#[test]
fn null_puts_a_field_back_to_its_default() {
    let table = [
        (json!({ "name": null }), with(&[("/name", Value::Null)])),
        (json!({ "args": null }), with(&[("/args", Value::Null)])),
        (
            json!({ "queue": null }),
            with(&[("/queue", json!("default"))]),
        ),
        (json!({ "tags": null }), with(&[("/tags", Value::Null)])),
        (
            json!({ "retry": null }),
            with(&[("/policy/retry", Value::Null)]),
        ),
        (
            json!({ "timeout": null, "misfire_grace_time": null, "spread": null }),
            with(&[
                ("/policy/timeout", json!(7)),
                ("/policy/misfire_grace_time", json!(7)),
                ("/policy/spread", json!(7)),
            ]),
        ),
    ];
    for (fields, expected) in table {
        let changed = patch(fields.clone()).apply(&job(), &defaults());
        assert_eq!(as_json(&changed.expect("a job")), expected, "{fields}");
    }
}

#[test]
fn a_patch_reads_back_as_it_was_written() {
    let fields = json!({
        "name": null,
        "trigger": { "type": "interval", "seconds": 5 },
        "timeout": 60,
        "spread": null,
        "keep": true,
        "next_run_time": "2026-01-01T00:00:00Z",
    });
    assert_eq!(
        serde_json::to_value(patch(fields.clone())).expect("JSON"),
        fields
    );
    assert!(patch(json!({})).is_empty());
    assert!(!patch(json!({ "name": null })).is_empty());
}

#[test]
fn a_patch_that_breaks_a_rule_says_which_field_does() {
    let table = [
        (
            json!({ "task": null }),
            "task: null: a job cannot be without it",
        ),
        (
            json!({ "trigger": null }),
            "trigger: null: a job cannot be without it",
        ),
        (json!({ "name": " " }), "name: \" \" must have"),
        (json!({ "queue": "a b" }), "queue: queue \"a b\" holds ' '"),
        (
            json!({ "max_instances": 1001 }),
            "max_instances: 1001 is out of range",
        ),
        (
            json!({ "retry": { "jitter": 2 } }),
            "retry.jitter: 2 is out of range",
        ),
        (
            json!({ "next_run_time": "soon" }),
            "next_run_time: \"soon\"",
        ),
        (
            json!({ "trigger": { "type": "date", "run_date": "1960-01-01" } }),
            "trigger: yields no fire time",
        ),
    ];
    for (fields, expected) in table {
        let said = patch(fields.clone()).change(&stored(), &defaults(), at(15));
        let said = said.expect_err("a refusal").to_string();
        assert!(said.starts_with(expected), "{fields}: {said}");
    }
    for unknown in [json!({ "id": "k" }), json!({ "colour": "red" })] {
        assert!(serde_json::from_value::<JobPatch>(unknown).is_err());
    }
}

fn stored() -> StoredJob {
    StoredJob {
        job: job(),
        version: Version(3),
        state: JobState::Active,
        next_fire: Some(at(20)),
        parked: None,
        fired: Some(at(10)),
        in_flight: 0,
    }
}

#[test]
fn a_patch_touches_the_schedule_only_where_it_names_it() {
    let (active, paused) = (JobState::Active, |from| JobState::Paused {
        from: Some(at(from)),
        pause: Pause {
            since: Some(at(15)),
            ..Pause::default()
        },
    });
    // (patch, state and next fire time)
    let table = [
        (
            json!({ "name": "Other" }),
            Some((active.clone(), Some(at(20)))),
        ),
        (json!({ "name": "The job" }), None),
        (json!({}), None),
        (json!({ "next_run_time": null }), Some((paused(20), None))),
        (
            json!({ "next_run_time": "1970-01-01T00:00:17Z" }),
            Some((active.clone(), Some(at(17)))),
        ),
        // In the job's zone: one hour ahead of UTC.
        (
            json!({ "next_run_time": "1970-01-01 01:00:18" }),
            Some((active.clone(), Some(at(18)))),
        ),
        (
            json!({ "trigger": { "type": "interval", "seconds": 3 } }),
            Some((active, Some(at(18)))),
        ),
        (
            json!({ "trigger": { "type": "interval", "seconds": 3 }, "next_run_time": null }),
            Some((paused(18), None)),
        ),
    ];
    for (fields, expected) in table {
        let change = patch(fields.clone()).change(&stored(), &defaults(), at(15));
        let change = change.expect("a change");
        let found = change.map(|change| (change.state, change.next_fire));
        assert_eq!(found, expected, "{fields}");
    }
    let late = patch(json!({ "next_run_time": "1970-01-01T01:00:00Z" }));
    let refused = late.change(&stored(), &defaults(), at(20));
    assert!(matches!(refused, Err(PatchError::Change(_))), "{refused:?}");
}
