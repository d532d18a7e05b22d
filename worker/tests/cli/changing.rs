//! Changing jobs that are stored.

use serde_json::json;

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
