//! Changing jobs that are stored.

use serde_json::json;

use crate::binary::{config, start, until};
use crate::redis::Redis;

/// Adds a job that is due each hour.
fn add(redis: &Redis, id: &str, flags: &[&str]) {
    let add = ["job", "add", "--id", id, "--task", "t", "--every", "1h"];
    redis.said(&[&add[..], flags].concat(), 0);
}

#[test]
fn each_field_of_a_job_has_a_flag_and_is_shown() {
    let redis = Redis::start();
    let flags = [
        ["--name", "The report"],
        ["--args", "{\"a\": 1}"],
        ["--tag", "finance"],
        ["--tag", "daily"],
        ["--queue", "slow"],
        ["--coalesce", "all"],
        ["--misfire-grace-time", "15m"],
        ["--max-catch-up", "7"],
        ["--max-instances", "2"],
        ["--overlap", "queue"],
        ["--retry", "{\"base\": \"5s\"}"],
        ["--timeout", "90s"],
        ["--delivery", "at_most_once"],
        ["--on-lost", "fail"],
        ["--max-lost", "4"],
        ["--priority", "high"],
        ["--spread", "30s"],
        ["--keep", "true"],
    ];
    let expected = json!({
        "name": "The report", "args": { "a": 1 }, "tags": ["daily", "finance"], "queue": "slow",
        "coalesce": "all", "misfire_grace_time": 900, "max_catch_up": 7, "max_instances": 2,
        "overlap": "queue", "timeout": 90, "delivery": "at_most_once", "on_lost": "fail",
        "max_lost": 4, "priority": "high", "spread": 30, "keep": true, "owner": null,
        "retry": {
            "max_attempts": 1, "backoff": "exponential", "base": 5, "max": 3600, "jitter": 0.1,
        },
    });
    let is_shown = |id: &str| {
        let shown = redis.json(&["job", "show", id, "--json"]);
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(shown[field], *value, "{field} of {id}");
        }
        let lines = redis.said(&["job", "show", id], 0).out;
        for (field, _) in expected.as_object().unwrap() {
            let is_field = |line: &str| line.split(' ').next() == Some(field);
            assert!(lines.lines().any(is_field), "{field}: {lines}");
        }
    };
    add(&redis, "added", &flags.concat());
    is_shown("added");
    add(&redis, "modified", &[]);
    let modify = [&["job", "modify", "modified"][..], &flags.concat()].concat();
    let said = redis.said(&modify, 0).out;
    assert!(
        said.starts_with("modified modified: it has version "),
        "{said}"
    );
    is_shown("modified");
    assert_eq!(redis.said(&modify, 0).out, "modified is as it was\n");
}

#[test]
fn retries_are_a_number_and_contradict_at_most_once() {
    let redis = Redis::start();
    add(&redis, "j", &["--retry", "5"]);
    let shown = redis.json(&["job", "show", "j", "--json"]);
    assert_eq!(shown["retry"]["max_attempts"], 5);
    let once = ["job", "modify", "j", "--delivery", "at_most_once"];
    let said = redis.said(&once, 2).err;
    assert!(said.contains("retry.max_attempts: 5 contradicts"), "{said}");
}

#[test]
fn a_modification_is_done_as_a_whole_or_not_at_all() {
    let redis = Redis::start();
    add(&redis, "j", &["--queue", "slow", "--timeout", "5s"]);
    let before = redis.json(&["job", "show", "j", "--json"]);
    let refused = [
        (
            &["--queue", "q", "--set", "retry={\"jitter\":2}"][..],
            2,
            "retry.jitter: 2 is out of",
        ),
        (
            &["--queue", "q", "--set", "task=null"],
            2,
            "task: null: a job cannot be without it",
        ),
        (
            &["--queue", "q", "--set", "colour=red"],
            2,
            "unknown key `colour`",
        ),
        (
            &["--queue", "q", "--set", "max_instances=0"],
            2,
            "max_instances",
        ),
        (
            &["--queue", "q", "--at", "soon"],
            2,
            "trigger.run_date: \"soon\"",
        ),
        (
            &["--queue", "q", "--patch", "[]"],
            2,
            "--patch: must be a JSON object",
        ),
        (&["--set", "queue"], 2, "is not of the form FIELD=VALUE"),
        (&[], 2, "nothing to change"),
    ];
    for (flags, code, complaint) in refused {
        let said = redis.said(&[&["job", "modify", "j"], flags].concat(), code);
        assert!(said.err.contains(complaint), "{flags:?}: {}", said.err);
    }
    assert_eq!(redis.json(&["job", "show", "j", "--json"]), before);

    let patch = "{\"queue\": null, \"args\": {\"b\": 2}}";
    let modify = [
        "job",
        "modify",
        "j",
        "--patch",
        patch,
        "--set",
        "timeout=null",
    ];
    redis.said(&modify, 0);
    let after = redis.json(&["job", "show", "j", "--json"]);
    assert_eq!(after["queue"], "default");
    assert_eq!(after["args"]["b"], 2);
    assert_eq!(after["timeout"], json!(null));
    assert_eq!(
        after["next_run_time"], before["next_run_time"],
        "it goes on"
    );
    let none = redis.said(&["job", "modify", "none", "--queue", "q"], 1);
    assert_eq!(none.err, "error: there is no job \"none\"\n");
}

#[test]
fn who_changes_what_somebody_else_changed_is_told_so() {
    let redis = Redis::start();
    add(&redis, "j", &[]);
    let version = redis.json(&["job", "show", "j", "--json"])["version"].to_string();
    redis.said(&["job", "pause", "j", "--expect-version", &version], 0);
    for command in [
        &["modify", "j", "--queue", "q"][..],
        &["reschedule", "j", "--every", "5m"],
        &["resume", "j"],
        &["remove", "j"],
        &["run", "j"],
    ] {
        let args = [&["job"], command, &["--expect-version", &version]].concat();
        let said = redis.said(&args, 1);
        let complaint = format!("and {version} was expected\n");
        assert!(
            said.err
                .starts_with("error: job j: changed meanwhile: it has version ")
        );
        assert!(said.err.ends_with(&complaint), "{}", said.err);
    }
}

#[test]
fn a_schedule_is_changed_by_its_flags_or_by_the_next_run_time() {
    let redis = Redis::start();
    add(&redis, "j", &["--timezone", "Asia/Tokyo"]);
    let job = || redis.json(&["job", "show", "j", "--json"]);
    redis.said(&["job", "reschedule", "j"], 2);
    redis.said(&["job", "reschedule", "j", "--cron", "0 9 * * *"], 0);
    assert_eq!(job()["timezone"], "Asia/Tokyo", "the job's own zone stays");
    let next = job()["next_run_time"].to_string();
    assert!(next.ends_with("T00:00:00Z\""), "{next}");

    let at = "2100-12-24 18:00:00";
    redis.said(&["job", "modify", "j", "--next-run-time", at], 0);
    assert_eq!(job()["next_run_time"], "2100-12-24T09:00:00Z");
    redis.said(&["job", "modify", "j", "--next-run-time", "none"], 0);
    assert_eq!(job()["state"], "paused");
    // As in APScheduler: a job that is paused is one without a next run time.
    redis.said(&["job", "modify", "j", "--next-run-time", at], 0);
    assert_eq!(job()["state"], "active");
    assert_eq!(job()["next_run_time"], "2100-12-24T09:00:00Z");
    redis.said(&["job", "pause", "j"], 0);
    redis.said(&["job", "reschedule", "j", "--every", "10m"], 0);
    assert_eq!(job()["state"], "paused", "that is the operator's");
}

#[test]
fn a_pause_says_who_why_and_until_when_and_ends_by_itself() {
    let redis = Redis::start();
    add(&redis, "j", &["--timezone", "Asia/Tokyo"]);
    let job = || redis.json(&["job", "show", "j", "--json"]);
    assert_eq!(job()["pause"], json!(null));
    let pause = ["job", "pause", "j", "--reason", "the move"];
    let with = |flags: &[&'static str]| [&pause[..], flags].concat();
    redis.said(&with(&["--by", "kim", "--until", "2100-12-24 18:00:00"]), 0);
    let found = job()["pause"].clone();
    assert_eq!(found["by"], "kim");
    assert_eq!(found["reason"], "the move");
    assert_eq!(
        found["until"], "2100-12-24T18:00:00Z",
        "in the zone of --config"
    );
    let shown = redis.said(&["job", "show", "j"], 0).out;
    for line in [
        "state                paused",
        "paused_until         2100-12-25 03:00:00 +09:00",
        "paused_by            kim",
        "pause_reason         the move",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    let list = redis.said(&["job", "list"], 0).out;
    assert!(
        list.contains("paused until 2100-12-25 03:00:00 +09:00"),
        "{list}"
    );
    redis.said(&["job", "pause", "j"], 0);
    let by = job()["pause"]["by"].as_str().unwrap().to_owned();
    assert!(!by.is_empty() && by != "kim", "{by}: whoever this is");
    for (flags, code, complaint) in [
        (&["--for", "soon"][..], 2, "--for: \"soon\" is no duration"),
        (&["--until", "soon"], 2, "--until: \"soon\""),
        (
            &["--until", "2020-01-01"],
            1,
            "the pause would be over already",
        ),
        (
            &["--until", "2100-01-01", "--for", "1h"],
            2,
            "cannot be used with",
        ),
    ] {
        let said = redis.said(&with(flags), code);
        assert!(said.err.contains(complaint), "{flags:?}: {}", said.err);
    }

    let (directory, path) = config("");
    let log = directory.path().join("log");
    let worker = start(&mut redis.carillon(&["run", "--config", &path]), &log);
    redis.said(&with(&["--for", "200ms"]), 0);
    let active = || (job()["state"] == "active").then_some(());
    until("the end of the pause", active);
    assert_eq!(job()["pause"], json!(null));
    assert_eq!(worker.stop(), 0);
}

#[test]
fn jobs_are_found_by_what_is_known_of_them() {
    let redis = Redis::start();
    add(&redis, "report", &["--tag", "finance", "--tag", "daily"]);
    add(
        &redis,
        "mail",
        &["--tag", "daily", "--queue", "slow", "--name", "The Letter"],
    );
    let other = [
        "job", "add", "--id", "other", "--task", "u", "--every", "5m",
    ];
    redis.said(&other, 0);
    redis.said(&["job", "pause", "--tag", "finance"], 0);
    let found = |flags: &[&str]| {
        let args = [&["job", "list", "--json"], flags].concat();
        let jobs = redis.json(&args);
        let ids = jobs.as_array().unwrap().iter().map(|job| job["id"].clone());
        ids.map(|id| id.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&[]), ["mail", "other", "report"]);
    assert_eq!(found(&["--tag", "daily"]), ["mail", "report"]);
    assert_eq!(found(&["--tag", "daily", "--tag", "finance"]), ["report"]);
    assert_eq!(found(&["--task", "u"]), ["other"]);
    assert_eq!(found(&["--queue", "slow"]), ["mail"]);
    assert_eq!(found(&["--state", "paused"]), ["report"]);
    assert_eq!(found(&["--state", "active", "--tag", "daily"]), ["mail"]);
    assert_eq!(found(&["--search", "lett"]), ["mail"]);
    assert_eq!(found(&["--search", "DAIL"]), ["mail", "report"]);
    assert_eq!(found(&["--sort", "next"]), ["other", "mail", "report"]);
    assert_eq!(found(&["--sort", "next", "--limit", "1"]), ["other"]);
    assert_eq!(found(&["--limit", "2"]), ["mail", "other"]);
    assert_eq!(found(&["--search", "nothing"]), Vec::<String>::new());
    redis.said(&["job", "list", "--state", "asleep"], 2);

    let none = redis.said(&["job", "remove", "--tag", "none"], 1);
    assert_eq!(none.err, "error: there is no job with the tag none\n");
    redis.said(&["job", "remove"], 2);
    let removed = redis
        .said(&["job", "remove", "--tag", "daily", "report"], 0)
        .out;
    assert_eq!(removed, "removed report\nremoved mail\n");
    assert_eq!(found(&[]), ["other"]);
}
