//! Changing jobs that are stored.

use std::fs;

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
        ["--history", "{\"keep\": 9, \"keep_for\": \"90d\"}"],
    ];
    let expected = json!({
        "name": "The report", "args": { "a": 1 }, "tags": ["daily", "finance"], "queue": "slow",
        "coalesce": "all", "misfire_grace_time": 900, "max_catch_up": 7, "max_instances": 2,
        "overlap": "queue", "timeout": 90, "delivery": "at_most_once", "on_lost": "fail",
        "max_lost": 4, "priority": "high", "spread": 30, "keep": true, "owner": null,
        "history": { "keep": 9, "keep_for": 7_776_000 },
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

#[test]
fn jobs_that_run_once_need_no_id_and_no_clock() {
    let redis = Redis::start();
    let add = |flags: &[&str]| {
        let args = [
            &[
                "job",
                "add",
                "--task",
                "log",
                "--args",
                "{\"message\":\"hi\"}",
            ],
            flags,
        ];
        let said = redis.said(&args.concat(), 0).out;
        said.trim().strip_prefix("added ").unwrap().to_owned()
    };
    let later = add(&["--after", "10m"]);
    let by_name = add(&["--in", "1h", "--id", "by name"]);
    assert!(later.starts_with("log-"), "{later}");
    assert_eq!(by_name, "by name");
    let shown = redis.json(&["job", "show", &later, "--json"]);
    assert_eq!(shown["trigger"]["type"], "date");
    assert_eq!(shown["trigger"]["run_date"], shown["next_run_time"]);
    let again = add(&["--at", "2100-01-01"]);
    assert_ne!(again, later);
    let recurring = ["job", "add", "--task", "log", "--every", "1h"];
    redis.said(&recurring, 2);

    let (directory, path) = config("");
    let log = directory.path().join("log");
    let worker = start(&mut redis.carillon(&["run", "--config", &path]), &log);
    let gone = add(&["--now"]);
    let kept = add(&["--now", "--keep"]);
    for id in [&gone, &kept] {
        until("its run", || {
            let runs = redis.json(&["runs", "--job", id, "--json"]);
            (runs[0]["outcome"] == "succeeded").then_some(())
        });
    }
    let left = || redis.json(&["job", "list", "--state", "finished", "--json"]);
    until("the end of the job that is not kept", || {
        let is_gone = redis.json(&["job", "list", "--search", &gone, "--json"]) == json!([]);
        (is_gone && left()[0]["id"] == kept.as_str()).then_some(())
    });
    assert_eq!(left()[0]["keep"], true);
    assert_eq!(worker.stop(), 0);
}

#[test]
fn many_jobs_come_one_a_line_and_again_where_they_were_interrupted() {
    let redis = Redis::start();
    let (directory, _) = config("");
    let path = directory.path().join("jobs.jsonl");
    let line = |n: u32, seconds: u32| {
        format!(
            "{{\"id\":\"job-{n}\",\"task\":\"t\",\"trigger\":{{\"type\":\"interval\",\"seconds\":{seconds}}}}}\n"
        )
    };
    let file = path.display().to_string();
    // A line is wrong: it is named, and nothing is put.
    let text: String = (1..=2500)
        .map(|n| line(n, if n == 2101 { 0 } else { 60 }))
        .collect();
    let wrong = text.replace("\"seconds\":0", "\"secs\":0");
    fs::write(&path, wrong).unwrap();
    let said = redis.said(&["job", "add", "--file", &file], 2);
    assert!(said.err.contains("jobs.jsonl:2101: "), "{}", said.err);
    assert!(
        said.err.ends_with("hint: nothing was added\n"),
        "{}",
        said.err
    );
    assert_eq!(redis.said(&["job", "list"], 0).out, "");
    assert!(
        said.err.contains("trigger.secs: is no field of a trigger"),
        "{}",
        said.err
    );
    fs::write(&path, text.replace("\"seconds\":0", "\"seconds\":60")).unwrap();
    add(&redis, "job-17", &[]);
    let one_is_there = redis.said(&["job", "add", "--file", &file], 1);
    assert_eq!(
        one_is_there.err,
        format!(
            "error: {file}:17: there is a job \"job-17\" already: replace it with --replace\n\
             hint: nothing was added: with --partial, the others would be\n"
        )
    );
    assert_eq!(redis.said(&["job", "list"], 0).out.lines().count(), 2);
    let partial = ["job", "add", "--file", &file, "--partial", "--progress"];
    let said = redis.said(&partial, 1);
    assert_eq!(
        said.out,
        "2499 added, 0 replaced, 0 as they were, 0 ignored, 1 refused\n"
    );
    assert!(said.err.starts_with("2500 of 2500 jobs\n"), "{}", said.err);
    // What interrupted an earlier try is completed by another.
    let said = redis.said(&["job", "add", "--file", &file, "--replace"], 0);
    assert_eq!(
        said.out,
        "0 added, 1 replaced, 2499 as they were, 0 ignored, 0 refused\n"
    );
    let said = redis.said(&["job", "add", "--file", &file], 1).err;
    assert!(said.contains("error: and 2480 more\n"), "{said}");
}

#[test]
fn jobs_of_a_file_are_added_all_or_none() {
    let redis = Redis::start();
    add(&redis, "b", &[]);
    let jobs = |ids: &[&str]| {
        let job =
            |id| json!({ "id": id, "task": "t", "trigger": { "type": "interval", "hours": 1 } });
        ids.iter().map(|id| job(*id)).collect::<Vec<_>>()
    };
    let (directory, _) = config("");
    let path = directory.path().join("jobs.json");
    let file = path.display().to_string();
    fs::write(&path, json!(jobs(&["a", "b", "c"])).to_string()).unwrap();
    let refused = redis.said(&["job", "add", "--file", &file], 1);
    assert_eq!(refused.out, "");
    assert!(
        refused
            .err
            .ends_with("hint: nothing was added: with --partial, the others would be\n"),
        "{}",
        refused.err
    );
    let partial = redis.said(&["job", "add", "--file", &file, "--partial"], 1);
    assert_eq!(partial.out, "added a\nadded c\n");

    // One a line is seen on standard input; the same id twice is told with both lines.
    let line = |id: &str| json!(jobs(&[id])[0]).to_string();
    let lines = format!("{}\n\n{}\n", line("d"), line("e"));
    assert_eq!(
        redis.fed(&["job", "add", "--file", "-"], &lines, 0).out,
        "2 added, 0 replaced, 0 as they were, 0 ignored, 0 refused\n"
    );
    let twice = format!("{}\n{}\n", line("f"), line("f"));
    let said = redis.fed(&["job", "add", "--file", "-"], &twice, 2).err;
    assert!(
        said.contains("standard input:2: id: \"f\" is the id of line 1, too"),
        "{said}"
    );
}

#[test]
fn a_store_becomes_equal_to_a_file() {
    let redis = Redis::start();
    let (_directory, path) = config("");
    let apply = |text: &str, flags: &[&str], code: i32| {
        fs::write(&path, text).unwrap();
        let args = [&["apply", "--file", &path], flags].concat();
        redis.said(&args, code)
    };
    let job = |id: &str, rest: &str| {
        format!(
            "[[jobs]]\nid = \"{id}\"\ntask = \"t\"\ntrigger = {{ type = \"interval\", seconds = 60 }}\n{rest}\n"
        )
    };
    let one = job("a", "") + &job("b", "");
    let planned = apply(&one, &["--dry-run"], 4);
    let lines = "+ a  t interval[seconds=60]\n+ b  t interval[seconds=60]\n";
    let summary = "2 to add, 0 to change, 0 to remove, 0 as they were\n";
    assert_eq!(planned.out, format!("{lines}{summary}"));
    assert_eq!(redis.json(&["job", "list", "--json"]), json!([]));
    let done = "2 added, 0 changed, 0 removed, 0 as they were\n";
    assert_eq!(apply(&one, &[], 0).out, format!("{lines}{done}"));
    let same = "0 to add, 0 to change, 0 to remove, 2 as they were\n";
    assert_eq!(apply(&one, &["--dry-run"], 0).out, same);
    assert_eq!(
        redis.json(&["job", "show", "a", "--json"])["owner"],
        "carillon.toml"
    );

    let two = job("b", "queue = \"slow\"\ntimeout = \"30s\"") + &job("c", "");
    let expected = "? a  is not in the file any more\n\
                    ~ b\n    queue: default -> slow\n    timeout: - -> 30\n\
                    + c  t interval[seconds=60]\n\
                    1 to add, 1 to change, 0 to remove, 1 as they were\n";
    assert_eq!(apply(&two, &["--dry-run"], 4).out, expected);
    let pruned = apply(&two, &["--prune"], 0).out;
    assert!(pruned.starts_with("- a\n~ b\n"), "{pruned}");
    assert!(
        pruned.ends_with("1 added, 1 changed, 1 removed, 0 as they were\n"),
        "{pruned}"
    );

    // Whose jobs they are counts, and nothing is done where one of them is somebody else's.
    add(&redis, "hand", &[]);
    let three = format!("owner = \"other\"\n{}{}", job("hand", ""), job("c", "")) + &job("d", "");
    let refused = apply(&three, &["--prune"], 1);
    let lines =
        "! c  is owned by carillon.toml\n+ d  t interval[seconds=60]\n! hand  was put by hand\n";
    assert_eq!(refused.out, lines);
    assert!(
        refused
            .err
            .contains("2 job(s) are not other's, and nothing was done"),
        "{}",
        refused.err
    );
    redis.said(&["job", "show", "d"], 1);
    let adopted = apply(&three, &["--prune", "--adopt"], 0).out;
    assert!(
        adopted.contains("    owner: carillon.toml -> other\n"),
        "{adopted}"
    );
    assert_eq!(
        redis.json(&["job", "show", "b", "--json"])["owner"],
        "carillon.toml"
    );
    let add = redis.said(&["job", "add", "--file", &path], 2);
    assert!(
        add.err.contains(":1: owner: only `carillon apply`"),
        "{}",
        add.err
    );
}

#[test]
fn jobs_move_from_store_to_store_as_they_stand() {
    let (old, new) = (Redis::start(), Redis::start());
    add(
        &old,
        "active",
        &["--tag", "x", "--retry", "3", "--timezone", "Asia/Tokyo"],
    );
    add(&old, "paused", &[]);
    old.said(
        &[
            "job",
            "pause",
            "paused",
            "--reason",
            "why",
            "--until",
            "2100-01-01",
        ],
        0,
    );
    let (directory, path) =
        config("[[jobs]]\nid = \"owned\"\ntask = \"t\"\ntrigger = { type = \"cron\", hour = 8 }\n");
    old.said(&["apply", "--file", &path], 0);
    let file = directory.path().join("saved.jsonl").display().to_string();
    old.said(&["export", "--output", &file], 0);
    let exported = old.said(&["export"], 0).out;
    assert_eq!(fs::read_to_string(&file).unwrap(), exported);
    assert_eq!(exported.lines().count(), 3);

    let said = new.said(&["import", &file], 0).out;
    assert_eq!(
        said,
        "3 added, 0 replaced, 0 as they were, 0 kept, 0 over\n"
    );
    let jobs = |redis: &Redis| {
        let mut jobs = redis.json(&["job", "list", "--json"]);
        for job in jobs.as_array_mut().unwrap() {
            job["version"] = json!(null);
        }
        jobs
    };
    assert_eq!(jobs(&new), jobs(&old));
    assert_eq!(new.said(&["export"], 0).out, exported);
    let again = new.said(&["import", &file], 0).out;
    assert_eq!(
        again,
        "0 added, 0 replaced, 3 as they were, 0 kept, 0 over\n"
    );

    new.said(&["job", "modify", "active", "--queue", "q"], 0);
    new.said(&["job", "resume", "paused"], 0);
    let refused = new.said(&["import", &file], 1);
    assert!(
        refused
            .err
            .contains("saved.jsonl:1: there is a job \"active\" already"),
        "{}",
        refused.err
    );
    let kept = new.said(&["import", "--keep", &file], 0).out;
    assert_eq!(
        kept,
        "0 added, 0 replaced, 1 as they were, 2 kept, 0 over\n"
    );
    let replaced = new.said(&["import", "--replace", &file], 0).out;
    assert_eq!(
        replaced,
        "0 added, 2 replaced, 1 as they were, 0 kept, 0 over\n"
    );
    assert_eq!(jobs(&new), jobs(&old));
    for (line, complaint) in [
        ("{}", "missing field"),
        (
            "{\"format\":2,\"job\":{\"id\":\"a\",\"task\":\"t\",\"trigger\":{\"type\":\"date\"}},\"state\":\"active\"}",
            "format: 2 is unknown",
        ),
        (
            "{\"format\":1,\"job\":{\"id\":\"a\",\"task\":\"t\",\"trigger\":{\"type\":\"date\"}},\"state\":\"asleep\"}",
            "state: \"asleep\" is unknown",
        ),
    ] {
        fs::write(&file, line).unwrap();
        let said = new.said(&["import", &file], 2);
        assert!(said.err.contains(complaint), "{}", said.err);
    }
}
