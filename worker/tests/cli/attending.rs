//! Looking after runs: `carillon runs cancel`, `failed`, `rerun` and `purge`.

use std::path::Path;

use serde_json::Value;

use crate::binary::{Running, config, start, until};
use crate::redis::Redis;

const WORKER: &str = "[worker]\nsession_ttl = \"2s\"\n[tasks.shell]\nenabled = true\n";

fn worker(redis: &Redis, directory: &Path) -> Running {
    let path = directory.join("carillon.toml").display().to_string();
    let mut command = redis.carillon(&["run", "--config", &path, "--node", "n1"]);
    start(&mut command, &directory.join("log"))
}

/// Adds a job that runs this command when it is asked to, and asks for a run.
#[track_caller]
fn run_of(redis: &Redis, id: &str, command: &str, more: &[&str]) -> String {
    let args = serde_json::json!({ "command": ["sh", "-c", command] }).to_string();
    let add = ["job", "add", "--id", id, "--every", "1h", "--task", "shell"];
    redis.said(&[&add[..], &["--args", &args], more].concat(), 0);
    asked(redis, id)
}

#[track_caller]
fn asked(redis: &Redis, id: &str) -> String {
    redis.said(&["job", "run", id], 0).out.trim_end().to_owned()
}

/// The last record of a run, once that has this outcome.
#[track_caller]
fn ended(redis: &Redis, run: &str, outcome: &str) -> Value {
    until(outcome, || {
        let records = redis.json(&["runs", "--json"]);
        let last = records.as_array().unwrap().iter();
        let last = last.clone().find(|record| record["run"] == run)?;
        (last["outcome"] == outcome).then(|| last.clone())
    })
}

#[test]
fn a_run_is_cancelled_wherever_it_is() {
    let redis = Redis::start();
    let (directory, _) = config(WORKER);
    let waiting = run_of(&redis, "waits", "true", &[]);
    let why = ["--why", "wrong file", "--by", "anna"];
    let cancel = |run: &str| [&["runs", "cancel", run], &why[..]].concat().join("\n");
    let cancelled = |run: &str, code| {
        let args = cancel(run);
        redis.said(&args.lines().collect::<Vec<_>>(), code)
    };
    let hears = format!("{waiting} ends as soon as it hears of it\n");
    assert_eq!(cancelled(&waiting, 0).out, hears);
    assert_eq!(cancelled(&waiting, 0).out, hears, "again");
    let never = cancelled("waits@5", 1);
    assert_eq!(
        never.err,
        "error: run \"waits@5\" is not in flight: it is over, or never was\n"
    );
    redis.said(&["runs", "cancel"], 2);
    redis.said(&["runs", "cancel", "no run"], 2);

    let worker = worker(&redis, directory.path());
    let record = ended(&redis, &waiting, "cancelled");
    assert_eq!(record["detail"], "cancelled by anna: wrong file");
    cancelled(&waiting, 1);

    // One that is executed: its command is ended with it.
    let running = run_of(&redis, "runs", "sleep 600", &[]);
    until("it is executed", || {
        let nodes = redis.json(&["nodes", "--json"]);
        (nodes[0]["running"] == 1).then_some(())
    });
    assert_eq!(
        cancelled(&running, 0).out,
        format!("{running} ends as soon as it hears of it\n")
    );
    let record = ended(&redis, &running, "cancelled");
    let detail = record["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("cancelled by anna: wrong file"),
        "{detail}"
    );
    assert_eq!(record["node"], "n1");

    // One that waits for its next attempt.
    let policy = r#"{"max_attempts":2,"base":"1h"}"#;
    let retrying = run_of(&redis, "again", "exit 3", &["--retry", policy]);
    ended(&redis, &retrying, "retrying");
    assert_eq!(
        cancelled(&retrying, 0).out,
        format!("cancelled {retrying}\n"),
        "at once"
    );
    let record = ended(&redis, &retrying, "cancelled");
    assert_eq!(record["attempt"], 2);
    assert_eq!(worker.stop(), 0);
    assert_eq!(
        redis.json(&["runs", "failed", "--json"]),
        serde_json::json!([])
    );
}

#[test]
fn failed_runs_are_shown_run_again_and_forgotten() {
    let redis = Redis::start();
    let (directory, _) = config(WORKER);
    assert_eq!(
        redis.said(&["runs", "failed"], 0).err,
        "no run has failed for good\n"
    );
    let first_worker = worker(&redis, directory.path());
    let first = run_of(&redis, "fails", "echo oops; exit 3", &[]);
    ended(&redis, &first, "failed");
    let second = asked(&redis, "fails");
    ended(&redis, &second, "failed");
    let other = run_of(&redis, "other", "exit 4", &[]);
    ended(&redis, &other, "failed");

    let failed = redis.json(&["runs", "failed", "--json"]);
    let runs: Vec<_> = failed
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["run"])
        .collect();
    assert_eq!(
        runs,
        [&other, &second, &first]
            .map(|run| Value::from(run.as_str()))
            .iter()
            .collect::<Vec<_>>(),
        "the newest first"
    );
    let last = &failed[2];
    assert_eq!(
        [&last["job"], &last["task"], &last["outcome"], &last["node"]],
        ["fails", "shell", "failed", "n1"]
    );
    assert_eq!(last["args"]["command"][2], "echo oops; exit 3");
    assert_eq!(last["detail"], "sh: exit status: 3\noops");
    let of_job = redis.json(&["runs", "failed", "--job", "fails", "--limit", "1", "--json"]);
    assert_eq!(of_job.as_array().unwrap().len(), 1);
    let table = redis.said(&["runs", "failed", "--job", "other"], 0).out;
    assert!(
        table.starts_with("FAILED ") && table.contains(&other),
        "{table}"
    );
    assert!(!table.contains(&first), "{table}");

    // Run again it is another run, of what it was, whatever has become of the job.
    redis.said(&["job", "remove", "fails"], 0);
    let said = redis.said(&["runs", "rerun", &first], 0).out;
    let again = said
        .strip_prefix(&format!("{first} runs again as "))
        .unwrap();
    let again = again.trim_end();
    assert!(again.starts_with("fails!"), "{again}");
    ended(&redis, again, "failed");
    assert_eq!(ended(&redis, &first, "rerun")["outcome"], "rerun");
    let gone = redis.said(&["runs", "rerun", &first], 1);
    assert_eq!(
        gone.err,
        format!("error: there is no failed run \"{first}\"\n")
    );
    redis.said(&["runs", "rerun"], 2);
    redis.said(&["runs", "rerun", "--all", "--job", "fails"], 2);
    assert_eq!(first_worker.stop(), 0);

    // They go one after the other, as the job says: what is refused is still kept.
    let said = redis.said(&["runs", "rerun", "--job", "fails"], 1);
    assert_eq!(said.out.lines().count(), 1, "{}", said.all());
    assert!(
        said.err
            .contains("1 run(s) in flight, as many as it allows"),
        "{}",
        said.all()
    );
    let left = redis.json(&["runs", "failed", "--json"]);
    assert_eq!(left.as_array().unwrap().len(), 2);

    assert_eq!(redis.said(&["runs", "purge", &other], 0).out, "purged 1\n");
    let none = redis.said(&["runs", "purge", &other], 1);
    assert_eq!(
        (none.out.as_str(), none.err.lines().count()),
        ("purged 0\n", 1)
    );
    assert_eq!(redis.said(&["runs", "purge", "--all"], 0).out, "purged 1\n");
    assert_eq!(
        redis.json(&["runs", "failed", "--json"]),
        serde_json::json!([])
    );
    assert_eq!(redis.keys("*:failures") + redis.keys("*:failed"), 0);
    redis.said(&["runs", "purge"], 2);
}

#[test]
fn runs_that_are_lined_up_are_told_wherever_one_looks() {
    let redis = Redis::start();
    let (directory, _) = config(WORKER);
    let add = [
        "job",
        "add",
        "--id",
        "j",
        "--cron",
        "* * * * * *",
        "--overlap",
        "queue",
    ];
    let args = [
        "--task",
        "shell",
        "--args",
        r#"{"command":["sleep","600"]}"#,
    ];
    redis.said(&[&add[..], &args[..]].concat(), 0);
    let worker = worker(&redis, directory.path());
    until("a line", || {
        let shown = redis.json(&["job", "show", "j", "--json"]);
        let runs = shown["runs"].as_array().unwrap().len();
        (runs >= 3 && shown["runs"][0]["state"] == "running").then_some(())
    });
    redis.said(&["job", "pause", "j"], 0);
    let shown = redis.json(&["job", "show", "j", "--json"])["runs"].clone();
    assert_eq!(
        (&shown[0]["node"], &shown[0]["attempt"]),
        (&"n1".into(), &1.into())
    );
    for (place, run) in shown.as_array().unwrap()[1..].iter().enumerate() {
        assert_eq!(run["state"], "lined_up");
        assert_eq!(run["before"], place);
    }
    let lined_up = shown.as_array().unwrap().len() - 1;
    let text = redis.said(&["job", "show", "j"], 0).out;
    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("run "))
        .collect();
    assert!(
        lines[0].ends_with(" is executed by n1, attempt 1"),
        "{text}"
    );
    assert!(lines[1].ends_with(" is lined up, and goes next"), "{text}");
    assert!(lines[2].ends_with(" is lined up, 1 before it"), "{text}");

    let queue = redis.json(&["queue", "show", "default", "--json"]);
    assert_eq!(
        (&queue["lined_up"], &queue["running"]),
        (&lined_up.into(), &1.into())
    );
    let table = redis.said(&["queue", "list"], 0).out;
    assert!(
        table.lines().next().unwrap().contains("LINED UP"),
        "{table}"
    );

    let run = shown[2]["run"].as_str().unwrap();
    let fire: i64 = run.rsplit_once('@').unwrap().1.parse().unwrap();
    let fire = chrono::DateTime::from_timestamp_millis(fire).unwrap();
    let told = redis.json(&["explain", "j", "--at", &fire.to_rfc3339(), "--json"]);
    assert_eq!(told["fate"], "lined_up");
    let text = told["text"][1].as_str().unwrap();
    assert!(
        text.contains(
            "is lined up: the job has as many runs at work as it allows (max_instances = 1)"
        ) && text.ends_with("; one goes before it"),
        "{text}"
    );
    drop(worker);
}

#[test]
fn a_job_runs_after_another_and_circles_are_refused() {
    let redis = Redis::start();
    let (directory, _) = config(WORKER);
    let shell = |id: &str, command: &str, more: &[&str]| {
        let args = serde_json::json!({ "command": ["sh", "-c", command] }).to_string();
        let add = ["job", "add", "--id", id, "--task", "shell", "--args", &args];
        redis.said(&[&add[..], more].concat(), 0);
    };
    shell("import", "exit 3", &["--every", "1h"]);
    shell("report", "true", &["--after-job", "import"]);
    shell(
        "alarm",
        "true",
        &["--after-job", "import", "--after-on", "failure"],
    );
    let circle = ["job", "modify", "import", "--after-job", "report"];
    assert_eq!(
        redis.said(&circle, 1).err,
        "error: job import: after: jobs would follow one another in a circle: import after report \
         after import\n"
    );
    redis.said(&["job", "add", "--id", "x", "--task", "shell"], 2);
    let wrong = [
        "job",
        "modify",
        "report",
        "--after-job",
        "import",
        "--after-on",
        "never",
    ];
    redis.said(&wrong, 2);
    let shown = redis.json(&["job", "show", "alarm", "--json"]);
    assert_eq!(
        shown["after"],
        serde_json::json!({ "job": "import", "on": "failure" })
    );
    assert_eq!(shown["state"], "active");
    let text = redis.said(&["job", "show", "alarm"], 0).out;
    assert!(
        text.contains("import (failure)") && text.contains("never by itself"),
        "{text}"
    );

    let worker = worker(&redis, directory.path());
    let run = asked(&redis, "import");
    ended(&redis, &run, "failed");
    let alarm = until("the alarm", || {
        let runs = redis.json(&["runs", "--job", "alarm", "--json"]);
        runs[0]["outcome"].is_string().then(|| runs[0].clone())
    });
    assert_eq!(alarm["outcome"], "succeeded");
    let report = redis.json(&["runs", "--job", "report", "--json"]);
    assert_eq!(report, serde_json::json!([]));
    redis.said(
        &[
            "job",
            "modify",
            "alarm",
            "--set",
            "after=null",
            "--every",
            "1h",
        ],
        0,
    );
    assert_eq!(
        redis.json(&["job", "show", "alarm", "--json"])["after"],
        Value::Null
    );
    assert_eq!(worker.stop(), 0);
}

#[test]
fn everything_about_one_run_is_shown_while_it_runs_and_after() {
    let redis = Redis::start();
    let (directory, _) = config(WORKER);
    let gate = directory.path().join("go on");
    let command = format!(
        "echo begun; while [ ! -e '{}' ]; do sleep 0.05; done; echo over >&2; exit 3",
        gate.display()
    );
    let run = run_of(&redis, "j", &command, &[]);
    let waiting = redis.json(&["runs", "show", &run, "--json"]);
    assert_eq!(
        (&waiting["state"], &waiting["attempts"]),
        (&"waiting".into(), &serde_json::json!([]))
    );
    redis.said(&["runs", "show", "j@5"], 1);
    redis.said(&["runs", "show", "j"], 2);

    let worker = worker(&redis, directory.path());
    let live = until("a line of it", || {
        let shown = redis.json(&["runs", "show", &run, "--json"]);
        (shown["attempts"][0]["log"][0]["text"] == "begun").then_some(shown)
    });
    assert_eq!(
        (&live["state"], &live["node"], &live["attempt"]),
        (&"running".into(), &"n1".into(), &1.into())
    );
    let text = redis.said(&["runs", "show", &run], 0).out;
    assert!(text.contains("running on n1, attempt 1, fence "), "{text}");
    assert!(
        text.contains("attempt 1: 20") && text.contains(" begun\n"),
        "{text}"
    );

    let seen = directory.path().join("seen");
    let mut watch = redis.carillon(&["runs", "show", &run, "--watch"]);
    let out = std::fs::File::create(&seen).unwrap();
    let mut watcher = Running(watch.stdout(out).spawn().unwrap());
    until("it is watched", || {
        let seen = std::fs::read_to_string(&seen).unwrap();
        seen.contains(" begun\n").then_some(())
    });
    std::fs::write(&gate, "").unwrap();
    assert!(watcher.0.wait().unwrap().success(), "it ends with the run");
    let seen = std::fs::read_to_string(&seen).unwrap();
    assert!(seen.ends_with(&format!("{run} failed\n")), "{seen}");
    assert_eq!(
        seen.matches(" begun\n").count(),
        1,
        "nothing is told twice: {seen}"
    );
    assert_eq!(worker.stop(), 0);
    let over = redis.json(&["runs", "show", &run, "--json"]);
    let attempt = &over["attempts"][0];
    assert_eq!(
        (&over["state"], &attempt["outcome"]),
        (&"failed".into(), &"failed".into())
    );
    let lines = attempt["log"].as_array().unwrap().iter();
    let lines: Vec<_> = lines.map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(lines, ["begun", "over"]);
}
