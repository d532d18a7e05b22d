//! Jobs, history and workers in a store that all share.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::binary::{Running, Said, config, start, until};
use crate::redis::Redis;

#[test]
fn a_job_lives_from_add_to_remove() {
    let redis = Redis::start();
    let add = [
        "job",
        "add",
        "--id",
        "a b",
        "--task",
        "log",
        "--every",
        "1h",
        "--args",
        "{\"message\":\"hi\"}",
    ];
    assert_eq!(redis.said(&add, 0).out, "added a b\n");
    let again = redis.said(&add, 1);
    assert_eq!(
        again.err,
        "error: there is a job \"a b\" already: replace it with --replace\n"
    );
    let replace = [&add[..], &["--replace"]].concat();
    assert_eq!(redis.said(&replace, 0).out, "a b is as it was\n");
    let replace = [&replace[..], &["--name", "A and B"]].concat();
    assert_eq!(redis.said(&replace, 0).out, "replaced a b\n");

    let list = redis.said(&["job", "list"], 0).out;
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines[0].starts_with("ID   TASK  TRIGGER"), "{list}");
    assert!(
        lines[1].starts_with("a b  log   interval[seconds=3600]  active  20"),
        "{list}"
    );
    let job = redis.json(&["job", "show", "a b", "--json"]);
    assert_eq!(job["name"], "A and B");
    assert_eq!(job["args"]["message"], "hi");
    assert_eq!(job["state"], "active");
    let mut listed = redis.json(&["job", "list", "--json"])[0].clone();
    listed["runs"] = serde_json::json!([]);
    assert_eq!(listed, job);

    assert_eq!(redis.said(&["job", "pause", "a b"], 0).out, "paused a b\n");
    assert_eq!(
        redis.json(&["job", "show", "a b", "--json"])["state"],
        "paused"
    );
    // A wish is a wish, also while the schedule rests.
    let run = redis.said(&["job", "run", "a b"], 0).out;
    assert!(run.starts_with("a b!"), "{run}");
    assert_eq!(
        redis.said(&["job", "resume", "a b"], 0).out,
        "resumed a b\n"
    );
    let full = redis.said(&["job", "run", "a b"], 1);
    assert!(
        full.err
            .contains("1 run(s) in flight, as many as it allows"),
        "{}",
        full.err
    );
    let mixed = redis.said(&["job", "remove", "none", "a b"], 1);
    assert_eq!(mixed.out, "removed a b\n");
    assert_eq!(mixed.err, "error: there is no job \"none\"\n");
    for command in ["show", "pause", "resume", "run", "remove"] {
        redis.said(&["job", command, "a b"], 1);
    }
    assert_eq!(
        redis.json(&["job", "list", "--json"]),
        serde_json::json!([])
    );
    assert_eq!(redis.said(&["job", "list"], 0).err, "no jobs\n");
}

#[test]
fn jobs_come_from_a_file_or_from_standard_input() {
    let redis = Redis::start();
    let toml =
        "[[jobs]]\nid = \"a\"\ntask = \"t\"\ntrigger = { type = \"interval\", seconds = 9 }\n";
    let (_directory, path) = config(toml);
    assert_eq!(
        redis.said(&["job", "add", "--file", &path], 0).out,
        "added a\n"
    );
    let json = "[{\"id\": \"a\", \"task\": \"t\", \"trigger\": {\"type\": \"interval\", \"seconds\": 9}},
                 {\"id\": \"b\", \"task\": \"t\", \"trigger\": {\"type\": \"interval\", \"minutes\": 9}}]";
    let from_input = |args: &[&str], text: &str| {
        let mut command = redis.carillon(args);
        let piped = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        Said::from(child.wait_with_output().unwrap())
    };
    // One is there: neither is added, unless the others are asked for.
    let none = from_input(&["job", "add", "--file", "-"], json).ends_with(1);
    assert_eq!(none.out, "");
    let added = from_input(&["job", "add", "--file", "-", "--partial"], json).ends_with(1);
    assert_eq!(added.out, "added b\n");
    assert!(
        added.err.contains("there is a job \"a\" already"),
        "{}",
        added.err
    );
    let kept = from_input(&["job", "add", "--file", "-", "--replace"], json).ends_with(0);
    assert_eq!(kept.out, "a is as it was\nb is as it was\n");
    let wrong = from_input(
        &["job", "add", "--file", "-"],
        &toml.replace("task", "tusk"),
    )
    .ends_with(2);
    let complaint =
        "error: standard input:3: jobs[0].tusk: unknown key `tusk`: did you mean `task`?";
    assert!(wrong.err.starts_with(complaint), "{}", wrong.err);
}

#[test]
fn history_and_nodes_show_what_a_worker_does() {
    let redis = Redis::start();
    redis.said(&["nodes", "--self"], 1);
    let (directory, path) = config(
        "timezone = \"Asia/Tokyo\"\n[tasks.shell]\nenabled = true\n\
         [[jobs]]\nid = \"fails\"\ntask = \"shell\"\nargs = { command = [\"sh\", \"-c\", \"echo oops ${CARILLON_STORE-no} ${CARILLON_REDIS_PASSWORD-no}; exit 3\"] }\n\
         trigger = { type = \"interval\", seconds = 1 }\n",
    );
    let log = directory.path().join("log");
    let mut command = redis.carillon(&[
        "run",
        "--config",
        &path,
        "--node",
        "n1",
        "--concurrency",
        "3",
    ]);
    let worker = start(&mut command, &log);
    let run = until("a run", || {
        let runs = redis.json(&["runs", "--job", "fails", "--limit", "1", "--json"]);
        runs.get(0).cloned()
    });
    assert_eq!(run["kind"], "run");
    assert_eq!(run["outcome"], "failed");
    assert_eq!(run["detail"], "sh: exit status: 3\noops no no");
    assert_eq!(run["node"], "n1");
    assert_eq!(run["attempt"], 1);
    let table = redis.said(&["runs", "--config", &path], 0).out;
    assert!(table.starts_with("TIME "), "{table}");
    assert!(table.contains(" +09:00  fails@"), "{table}");
    assert!(table.contains("sh: exit status: 3 oops no no"), "{table}");

    let node = &redis.json(&["nodes", "--json"])[0];
    assert_eq!(
        (&node["node"], &node["state"]),
        (&"n1".into(), &"alive".into())
    );
    assert_eq!(node["concurrency"], 3);
    redis.said(&["nodes", "--self"], 0);
    let other = Said::of(
        redis
            .carillon(&["nodes", "--self"])
            .env("CARILLON_NODE", "n2"),
    );
    assert_eq!(other.code, 1, "{}", other.all());

    let followed = directory.path().join("followed");
    let mut follow = redis.carillon(&["runs", "--follow", "--json", "--limit", "1"]);
    let out = fs::File::create(&followed).unwrap();
    let follower = Running(follow.stdout(out).stderr(Stdio::null()).spawn().unwrap());
    let lines = until("three followed runs", || {
        let text = fs::read_to_string(&followed).unwrap();
        (text.lines().count() >= 3).then_some(text)
    });
    drop(follower);
    let runs: Vec<serde_json::Value> = lines
        .lines()
        .take(3)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut ids: Vec<&str> = runs
        .iter()
        .map(|run| run["run"].as_str().unwrap())
        .collect();
    let in_order = ids.clone();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids, in_order, "each once, the oldest first");

    assert_eq!(worker.stop(), 0);
    let said = fs::read_to_string(&log).unwrap();
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_job_that_cannot_be_read_keeps_no_worker_from_starting() {
    let redis = Redis::start();
    let text: String = ["a", "b", "c"]
        .map(|id| {
            format!(
                "[[jobs]]\nid = \"{id}\"\ntask = \"log\"\nargs = {{ message = \"hi\" }}\n\
                 trigger = {{ type = \"interval\", hours = 1 }}\n"
            )
        })
        .concat();
    let keep = "replace_existing = false\n[[jobs]]\nid = \"b\"";
    let text = text.replace("[[jobs]]\nid = \"b\"", keep);
    let (directory, path) = config(&text);
    redis.said(&["job", "add", "--file", &path], 0);
    redis.spoil("a");
    redis.spoil("b");
    for command in ["show", "pause", "run"] {
        let said = redis.said(&["job", command, "a"], 1);
        let complaint = "error: job a: cannot be read: ";
        assert!(said.err.starts_with(complaint), "{}", said.err);
    }
    let log = directory.path().join("log");
    let worker = start(&mut redis.carillon(&["run", "--config", &path]), &log);
    // The file says of the first that it is to be kept as it is, and is the source of the second.
    worker.logs(&log, "0 added, 1 replaced, 2 left as they are");
    worker.logs(&log, "left as it is, and it cannot be read: ");
    assert_eq!(redis.json(&["job", "list", "--json"])[0]["id"], "b");
    redis.said(&["job", "remove", "a"], 0);
    assert_eq!(worker.stop(), 0);
}

#[test]
fn the_jobs_of_a_file_are_put_once_and_keep_their_state() {
    let redis = Redis::start();
    let text: String = (0..5)
        .map(|n| {
            format!(
                "[[jobs]]\nid = \"job-{n}\"\ntask = \"log\"\nargs = {{ message = \"hi\" }}\n\
                 trigger = {{ type = \"interval\", hours = 1 }}\n"
            )
        })
        .collect();
    let (directory, path) = config(&text);
    let run = |name: &str| {
        let log = directory.path().join(name);
        let mut command = redis.carillon(&["run", "--config", &path, "--node", name]);
        (start(&mut command, &log), log)
    };
    // All at once; what one of them has added, the others leave as it is.
    let workers = ["n1", "n2", "n3"].map(run);
    let mut added = 0;
    for (worker, log) in &workers {
        let said = worker.logs(log, "jobs of the configuration: ");
        let (_, count) = said.split_once("jobs of the configuration: ").unwrap();
        let (count, _) = count.split_once(" added, 0 replaced").unwrap();
        added += count.parse::<usize>().unwrap();
    }
    assert_eq!(added, 5);
    for (worker, _) in workers {
        assert_eq!(worker.stop(), 0);
    }

    redis.said(&["job", "pause", "job-0", "job-1"], 0);
    let before = redis.json(&["job", "list", "--json"]);
    let (worker, log) = run("n4");
    worker.logs(&log, "0 added, 0 replaced, 5 left as they are");
    assert_eq!(redis.json(&["job", "list", "--json"]), before);
    assert_eq!(worker.stop(), 0);

    // A changed definition takes the stored one's place, unless it is told not to.
    let changed = text.replacen("\"hi\"", "\"ho\"", 1);
    let kept = "replace_existing = false\n[[jobs]]\nid = \"job-3\"";
    let changed = changed
        .replace("[[jobs]]\nid = \"job-3\"", kept)
        .replace("hours = 1", "hours = 2");
    fs::write(&path, changed).unwrap();
    let (worker, log) = run("n5");
    worker.logs(&log, "0 added, 4 replaced, 1 left as they are");
    let job = |id: &str| redis.json(&["job", "show", id, "--json"]);
    assert_eq!(job("job-0")["args"]["message"], "ho");
    assert_eq!(job("job-0")["state"], "paused", "that is the operator's");
    assert_eq!(job("job-2")["trigger"]["hours"], 1);
    assert_eq!(job("job-4")["trigger"]["hours"], 2);
    assert_eq!(worker.stop(), 0);
}

#[test]
fn history_is_searched_and_explained() {
    let redis = Redis::start();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let worker = start(&mut redis.carillon(&["run", "--node", "one"]), &log);
    let add = |id: &str, more: &[&str]| {
        let base = [
            "job",
            "add",
            "--id",
            id,
            "--task",
            "log",
            "--args",
            "{\"message\":\"hi\"}",
        ];
        redis.said(&[&base[..], more].concat(), 0);
    };
    add("tick", &["--at", "2020-01-01T00:00:00Z"]);
    add(
        "late",
        &["--at", "2020-01-01T00:00:00Z", "--misfire-grace-time", "1m"],
    );
    add("rare", &["--cron", "0 3 1 1 *"]);
    until("both are settled", || {
        let runs = redis.json(&["runs", "--json"]);
        let runs = runs.as_array().unwrap();
        (runs.len() == 2).then_some(())
    });

    let jobs = |args: &[&str]| -> Vec<String> {
        let found = redis.json(&[&["runs", "--json"], args].concat());
        let found = found.as_array().unwrap().clone();
        found
            .iter()
            .map(|run| run["job"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(jobs(&["--outcome", "succeeded"]), ["tick"]);
    assert_eq!(jobs(&["--outcome", "skipped"]), ["late"]);
    assert_eq!(jobs(&["--outcome", "misfired", "--since", "1h"]), ["late"]);
    assert_eq!(jobs(&["--node", "one"]), ["tick"]);
    assert_eq!(jobs(&["--node", "two"]), [] as [&str; 0]);
    assert_eq!(jobs(&["--until", "1h"]), [] as [&str; 0]);
    let wrong = redis.said(&["runs", "--outcome", "bad"], 2).err;
    assert!(wrong.contains("is neither how a run ends"), "{wrong}");
    let wrong = redis.said(&["runs", "--since", "yesterday"], 2).err;
    assert!(
        wrong.contains("--since: \"yesterday\" is neither"),
        "{wrong}"
    );

    let ran = redis.said(&["explain", "tick"], 0).out;
    assert!(
        ran.starts_with("tick at 2020-01-01 00:00:00 +00:00\n  ran on node one, attempt 1, begun "),
        "{ran}"
    );
    assert!(ran.contains(" late: succeeded after "), "{ran}");
    let late = redis
        .said(&["explain", "late", "--at", "2020-01-01 00:00"], 0)
        .out;
    assert!(late.contains("misfired: reached "), "{late}");
    let rare = redis.json(&["explain", "rare", "--at", "2026-01-02T03:00:00Z", "--json"]);
    assert_eq!(rare["fate"], "no_fire_time", "{rare}");
    let text = rare["text"][1].as_str().unwrap();
    let near =
        "the one before is 2026-01-01 03:00:00 +00:00; the one after is 2027-01-01 03:00:00 +00:00";
    assert!(text.ends_with(near), "{text}");
    assert_eq!(
        redis.json(&["explain", "rare", "--json"])["fate"],
        "not_due_yet"
    );
    assert_eq!(
        redis.json(&["explain", "nobody", "--json"])["fate"],
        "no_job"
    );
    worker.stop();
}

#[test]
fn runs_are_made_with_other_args_and_for_the_past() {
    let redis = Redis::start();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let worker = start(&mut redis.carillon(&["run", "--node", "one"]), &log);
    let message = "{\"message\":\"as stored\"}";
    redis.said(
        &[
            "job",
            "add",
            "--id",
            "daily",
            "--task",
            "log",
            "--args",
            message,
            "--cron",
            "0 3 * * *",
        ],
        0,
    );
    let with = [
        "job",
        "run",
        "daily",
        "--args",
        "{\"message\":\"this once\"}",
    ];
    let run = redis.said(&with, 0).out;
    assert!(run.starts_with("daily!"), "{run}");
    worker.logs(&log, "this once");
    let wrong = redis.said(&["job", "run", "daily", "--args", "{"], 2).err;
    assert!(wrong.contains("--args: no JSON"), "{wrong}");

    let week = [
        "job",
        "backfill",
        "daily",
        "--from",
        "2026-01-01T00:00:00Z",
        "--to",
        "2026-01-07T00:00:00Z",
    ];
    let fill = |more: &[&str]| -> Vec<String> {
        let said = redis.said(&[&week[..], more].concat(), 0).out;
        said.lines().map(str::to_owned).collect()
    };
    assert_eq!(fill(&["--dry-run"])[0], "1/6 2026-01-01 03:00:00 +00:00");
    let first = fill(&["--max", "2"]);
    assert_eq!(first.len(), 3, "{first:?}");
    assert!(
        first[1].starts_with("2/2 2026-01-02 03:00:00 +00:00 daily!"),
        "{first:?}"
    );
    assert_eq!(
        first[2],
        "more are left: go on with --from 2026-01-03T03:00:00Z"
    );
    let rest = fill(&[]);
    assert_eq!(rest.len(), 4, "those that ran are left out: {rest:?}");
    assert!(
        rest[3].starts_with("4/4 2026-01-06 03:00:00 +00:00 daily!"),
        "{rest:?}"
    );
    until("all have ended", || {
        let ended = redis.json(&["runs", "--outcome", "succeeded", "--json"]);
        (ended.as_array().unwrap().len() == 7).then_some(())
    });
    assert_eq!(fill(&[]), [] as [&str; 0]);
    let told = redis
        .said(&["explain", "daily", "--at", "2026-01-04 03:00"], 0)
        .out;
    assert!(
        told.contains("made up for by daily!") && told.contains("ran on node one"),
        "{told}"
    );
    let ahead = [
        "job",
        "backfill",
        "daily",
        "--from",
        "2026-01-01T00:00:00Z",
        "--to",
        "2999-01-01T00:00:00Z",
    ];
    assert!(redis.said(&ahead, 1).err.contains("lies in the future"));
    let backwards = [
        "job",
        "backfill",
        "daily",
        "--from",
        "2026-01-02T00:00:00Z",
        "--to",
        "2026-01-01T00:00:00Z",
    ];
    assert!(redis.said(&backwards, 2).err.contains("lies before --from"));
    worker.stop();
}
