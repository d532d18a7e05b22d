//! Importing what APScheduler exported. The exports are real: see `worker/tests/data/apscheduler`.

use std::path::Path;

use serde_json::{Value, json};

use crate::redis::Redis;

fn export(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/apscheduler");
    folder.join(name).display().to_string()
}

/// The jobs of a store, by id.
fn job(jobs: &Value, id: &str) -> Value {
    let found = jobs.as_array().unwrap().iter().find(|job| job["id"] == id);
    found.unwrap_or_else(|| panic!("no job {id}")).clone()
}

#[test]
fn every_kind_of_job_that_apscheduler_exported_is_imported() {
    let redis = Redis::start();
    let file = export("every_kind.json");
    let dry = redis.said(&["import", "--dry-run", &file], 0).out;
    assert_eq!(
        dry,
        "15 would be added, 0 would be replaced, 0 as they were, 0 would be kept, 0 over\n"
    );
    assert_eq!(redis.said(&["job", "list"], 0).out, "");
    let flags = ["--task", "tasks:tick=tick", "--executor", "mail=slow"];
    let import = [&["import", &file][..], &flags].concat();
    let added = "15 added, 0 replaced, 0 as they were, 0 kept, 0 over\n";
    assert_eq!(redis.said(&import, 0).out, added);

    let jobs = redis.json(&["job", "list", "--json"]);
    let zone = "Europe/Berlin";
    for (id, trigger, next) in [
        (
            "date",
            json!({ "type": "date", "run_date": "2030-12-24T17:00:00Z", "timezone": "UTC" }),
            json!("2030-12-24T17:00:00Z"),
        ),
        (
            "interval",
            json!({
                "type": "interval", "seconds": 5401, "start_date": "2030-01-01T07:00:00Z",
                "timezone": zone, "jitter": 5,
            }),
            Value::Null,
        ),
        (
            "interval-bounded",
            json!({
                "type": "interval", "seconds": 3600, "start_date": "2030-01-01T07:00:00Z",
                "end_date": "2030-01-10T07:00:00Z", "timezone": zone,
            }),
            json!("2030-01-01T07:00:00Z"),
        ),
        (
            "cron",
            json!({
                "type": "cron", "day_of_week": "mon-fri", "hour": "8-18/2,20", "minute": "30",
                "timezone": "Etc/UTC",
            }),
            Value::Null,
        ),
        (
            "cron-text",
            json!({
                "type": "cron", "month": "*", "day": "1,15", "day_of_week": "wed", "hour": "0",
                "minute": "*/5", "timezone": "Asia/Shanghai",
            }),
            Value::Null,
        ),
        (
            "cron-rare",
            json!({
                "type": "cron", "year": "2030-2040", "month": "jan,jul-sep", "day": "last",
                "second": "*/20", "end_date": "2040-01-01T00:00:00Z", "timezone": "Etc/UTC",
            }),
            json!("2030-01-31T00:00:00Z"),
        ),
        (
            "cron-positions",
            json!({
                "type": "cron", "day": "2nd fri,last sun,last", "hour": "3", "timezone": "Etc/UTC",
                "jitter": 60,
            }),
            Value::Null,
        ),
        (
            "cron-week",
            json!({
                "type": "cron", "week": "1-53/2", "day_of_week": "0,6", "hour": "0",
                "timezone": "Etc/UTC",
            }),
            Value::Null,
        ),
        (
            "calendar",
            json!({
                "type": "calendar_interval", "months": 1, "days": 3, "hour": 15, "minute": 36,
                "second": 0, "start_date": "2030-05-05", "timezone": zone,
            }),
            json!("2030-05-05T13:36:00Z"),
        ),
        (
            "and",
            json!({
                "type": "and", "timezone": "UTC",
                "triggers": [
                    { "type": "cron", "day": "1-7", "hour": "9", "timezone": "Etc/UTC" },
                    { "type": "cron", "day_of_week": "mon", "hour": "9", "timezone": "Etc/UTC" },
                ],
            }),
            Value::Null,
        ),
        (
            "or",
            json!({
                "type": "or", "timezone": "UTC",
                "triggers": [
                    { "type": "cron", "hour": "9", "timezone": "Etc/UTC" },
                    {
                        "type": "interval", "seconds": 18000, "timezone": zone,
                        "start_date": "2030-01-01T07:00:00Z",
                    },
                ],
                "jitter": 7,
            }),
            Value::Null,
        ),
    ] {
        let job = job(&jobs, id);
        assert_eq!(job["trigger"], trigger, "{id}");
        if !next.is_null() {
            assert_eq!(job["next_run_time"], next, "{id}");
        }
        assert_eq!(
            (&job["task"], &job["state"]),
            (&json!("tick"), &json!("active"))
        );
    }
    let called = job(&jobs, "called");
    for (field, value) in [
        (
            "args",
            json!({ "args": [1, "two", null, [3]], "kwargs": { "to": "ops@example.org" } }),
        ),
        ("name", json!("The called one")),
        ("queue", json!("slow")),
        ("misfire_grace_time", json!(900)),
        ("coalesce", json!("all")),
        ("max_instances", json!(3)),
    ] {
        assert_eq!(called[field], value, "{field}");
    }
    assert_eq!(
        job(&jobs, "keyworded")["args"],
        json!({ "deep": { "a": 1.5 } })
    );
    assert_eq!(job(&jobs, "patient")["misfire_grace_time"], "none");
    let paused = job(&jobs, "paused");
    assert_eq!(paused["state"], "paused");
    assert_eq!(paused["pause"]["reason"], "paused in APScheduler");

    let again = "0 added, 0 replaced, 15 as they were, 0 kept, 0 over\n";
    assert_eq!(redis.said(&import, 0).out, again);
    redis.said(&["job", "resume", "paused"], 0);
    let resumed = redis.json(&["job", "show", "paused", "--json"]);
    assert_eq!(resumed["next_run_time"], "2030-01-01T07:00:00Z");
}

#[test]
fn the_zones_that_apscheduler_exported_are_known() {
    let redis = Redis::start();
    redis.said(&["import", &export("zones.json")], 0);
    let jobs = redis.json(&["job", "list", "--json"]);
    for (id, zone) in [
        ("pytz", "America/New_York"),
        ("pytz-utc", "UTC"),
        ("utc", "UTC"),
    ] {
        assert_eq!(job(&jobs, id)["timezone"], zone, "{id}");
        // A function stays the name of its task.
        assert_eq!(job(&jobs, id)["task"], "tasks:tick");
    }
    assert_eq!(
        job(&jobs, "pytz-date")["next_run_time"],
        "2030-07-01T04:00:00Z"
    );
}

#[test]
fn what_cannot_be_mapped_is_told_and_nothing_is_imported() {
    let redis = Redis::start();
    let file = export("strange.json");
    let refused = redis.said(&["import", &file], 1);
    assert_eq!(refused.out, "");
    for said in [
        "job \"dated\": args[0]: a datetime.datetime is no JSON",
        "job \"object\": kwargs.decimal: a decimal.Decimal is no JSON",
        "job \"offset\": trigger.timezone: the fixed offset of 9000 s has no name",
        "job \" blank \": id: job id \" blank \" begins or ends with a blank",
        "hint: nothing was imported: with --partial, the others would be",
    ] {
        assert!(refused.err.contains(said), "{said}: {}", refused.err);
    }
    assert_eq!(redis.said(&["job", "list"], 0).out, "");

    let dry = redis.said(&["import", "--dry-run", &file], 1);
    assert_eq!(
        dry.out,
        "2 would be added, 0 would be replaced, 0 as they were, 0 would be kept, 0 over, 4 cannot be \
         mapped\n"
    );
    let partial = redis.said(&["import", "--partial", &file], 1);
    assert_eq!(
        partial.out,
        "2 added, 0 replaced, 0 as they were, 0 kept, 0 over, 4 cannot be mapped\n"
    );
    let jobs = redis.json(&["job", "list", "--json"]);
    assert_eq!(job(&jobs, "method")["task"], "tasks:Mailer.send");
    assert_eq!(job(&jobs, "fine")["next_run_time"], "2029-12-31T23:00:00Z");

    // One that is there and is otherwise keeps the others from being imported, too.
    redis.said(&["job", "remove", "method"], 0);
    redis.said(&["job", "modify", "fine", "--queue", "other"], 0);
    let fine = export("every_kind.json");
    redis.said(
        &["job", "add", "--id", "cron", "--task", "t", "--every", "1h"],
        0,
    );
    let exists = redis.said(&["import", &fine], 1).err;
    assert!(
        exists.contains("there is a job \"cron\" already"),
        "{exists}"
    );
    assert_eq!(redis.said(&["job", "list"], 0).out.lines().count(), 3);
    for (args, said) in [
        (
            vec!["import", &fine, "--task", "tasks:tick"],
            "must be of the form NAME=OTHER",
        ),
        (
            vec!["import", &fine, "--task", "tasks:tick=a b"],
            "task \"a b\" holds ' '",
        ),
    ] {
        let wrong = redis.said(&args, 2).err;
        assert!(wrong.contains(said), "{wrong}");
    }
}
