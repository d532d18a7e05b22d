//! Commands do and say the same at the store and over HTTP.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::binary::{Running, Said, carillon, start, until};
use crate::redis::Redis;

/// A Redis, a worker on it, and a way to ask.
struct World {
    redis: Redis,
    api: Option<(String, PathBuf)>,
    directory: TempDir,
    _worker: Running,
}

/// The token of the workers' only key, and what the configuration holds of it.
fn token() -> (String, String) {
    let made = Said::of(&mut carillon(&["token", "new", "ops", "--role", "admin"]));
    let (token, table) = made.out.split_once('\n').unwrap();
    (token.to_owned(), table.to_owned())
}

impl World {
    /// Asks the store, or over HTTP.
    fn new(over_http: bool) -> Self {
        let redis = Redis::start();
        let directory = tempfile::tempdir().unwrap();
        let (token, table) = token();
        let config = directory.path().join("carillon.toml");
        fs::write(&config, format!("[http]\nrate_limit = 0\n{table}")).unwrap();
        let log = directory.path().join("log");
        let mut command = redis.carillon(&["run", "--node", "one", "--http", "127.0.0.1:0"]);
        let worker = start(command.arg("--config").arg(&config), &log);
        let said = worker.logs(&log, "HTTP is served at ");
        let url = said.split("HTTP is served at ").nth(1).unwrap();
        let url = url.split_whitespace().next().unwrap().to_owned();
        let file = directory.path().join("token");
        fs::write(&file, token).unwrap();
        Self {
            redis,
            api: over_http.then_some((url, file)),
            directory,
            _worker: worker,
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = match &self.api {
            None => self.redis.carillon(args),
            Some((url, file)) => {
                let mut command = carillon(args);
                command.env("CARILLON_API", url);
                command.env("CARILLON_TOKEN_FILE", file);
                command
            }
        };
        command
            .env("USER", "anna")
            .current_dir(self.directory.path());
        command
    }

    fn said(&self, args: &[&str]) -> Said {
        Said::of(&mut self.command(args))
    }

    fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.said(args).out).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// The run that a job had last.
    fn run_of(&self, job: &str) -> String {
        let runs = self.json(&["runs", "--job", job, "--limit", "1", "--json"]);
        runs[0]["run"].as_str().unwrap_or_default().to_owned()
    }
}

/// What was said, without what differs from one time to the next: whatever holds a digit.
fn plain(said: &Said) -> String {
    let line = |line: &str| {
        let words = line.split_whitespace().map(|word| {
            let has_digit = word.contains(|c: char| c.is_ascii_digit());
            if has_digit { "#" } else { word }
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let lines = |text: &str| text.lines().map(line).collect::<Vec<_>>().join("\n");
    format!("{}\n{}\n{}", said.code, lines(&said.out), lines(&said.err))
}

const YEARLY: &str = "0 0 1 1 *";

/// Asks for the same in both worlds, and demands the same answer.
fn both(store: &World, http: &World, args: &[&str]) -> Said {
    let (here, there) = (store.said(args), http.said(args));
    let (told_here, told_there) = (plain(&here), plain(&there));
    assert_eq!(
        told_here,
        told_there,
        "{args:?}\nat the store:\n{}\nover HTTP:\n{}",
        here.all(),
        there.all()
    );
    here
}

#[test]
fn commands_do_and_say_the_same_at_the_store_and_over_http() {
    let (store, http) = (World::new(false), World::new(true));
    let same = |args: &[&str]| both(&store, &http, args);
    let done = |args: &[&str]| {
        let said = same(args);
        assert_eq!(said.code, 0, "{args:?}: {}", said.all());
        said
    };
    let refused = |args: &[&str], code| {
        let said = same(args);
        assert_eq!(said.code, code, "{args:?}: {}", said.all());
        said
    };

    // Jobs.
    let message = "{\"message\": \"hello\"}";
    let a = [
        "job", "add", "--id", "a b", "--cron", YEARLY, "--task", "log", "--args", message,
    ];
    done(&[&a[..], &["--tag", "x"]].concat());
    refused(&a, 1);
    done(
        &[
            &a[..],
            &["--replace", "--timezone", "Europe/Berlin", "--tag", "x"],
        ]
        .concat(),
    );
    done(
        &[
            &a[..],
            &["--replace", "--timezone", "Europe/Berlin", "--tag", "x"],
        ]
        .concat(),
    );
    let now = [
        "job",
        "add",
        "--at",
        "2099-01-01T00:00:00Z",
        "--task",
        "log",
        "--args",
        message,
    ];
    let unique = ["--id", "u", "--unique", "the one", "--on-conflict", "error"];
    done(&[&now[..], &unique].concat());
    let other = ["--id", "v", "--unique", "the one", "--on-conflict", "error"];
    refused(&[&now[..], &other].concat(), 1);
    let ignored = [
        "--id",
        "v",
        "--unique",
        "the one",
        "--on-conflict",
        "ignore",
    ];
    done(&[&now[..], &ignored].concat());
    for world in [&store, &http] {
        let line = |id: &str| {
            format!(
                r#"{{"id": "{id}", "task": "log", "args": {message}, "trigger": {{"type": "cron", "month": 1}}}}"#
            )
        };
        let lines = [line("l1"), line("l2"), line("a b")].join("\n");
        world.write("jobs.jsonl", &lines);
        world.write("one.json", &line("file"));
        world.write(
            "apply.toml",
            "[[jobs]]\nid = \"declared\"\ntask = \"log\"\nargs = { message = \"m\" }\n\
             trigger = { type = \"cron\", day = 1 }\n",
        );
    }
    refused(&["job", "add", "--file", "jobs.jsonl"], 1);
    refused(&["job", "add", "--file", "jobs.jsonl", "--partial"], 1);
    done(&["job", "add", "--file", "one.json"]);
    done(&["job", "list"]);
    done(&["job", "list", "--json"]);
    done(&[
        "job", "list", "--tag", "x", "--sort", "next", "--limit", "1",
    ]);
    done(&["job", "list", "--search", "nothing has this"]);
    done(&["job", "show", "a b"]);
    done(&["job", "show", "a b", "--json"]);
    refused(&["job", "show", "none"], 1);
    done(&["job", "modify", "a b", "--queue", "slow", "--timeout", "5m"]);
    done(&["job", "modify", "a b", "--queue", "slow"]);
    refused(&["job", "modify", "none", "--queue", "slow"], 1);
    refused(&["job", "modify", "a b", "--set", "colour=red"], 2);
    done(&["job", "reschedule", "a b", "--every", "300d"]);
    done(&[
        "job",
        "pause",
        "a b",
        "--reason",
        "moving house",
        "--for",
        "90d",
    ]);
    done(&["job", "show", "a b"]);
    done(&["job", "pause", "--tag", "x", "--by", "ben"]);
    done(&["job", "list", "--state", "paused"]);
    done(&["job", "resume", "a b"]);
    done(&["job", "resume", "a b"]);
    refused(&["job", "pause", "none"], 1);
    let stale = same(&["job", "pause", "a b", "--expect-version", "1"]);
    assert_eq!(stale.code, 1, "{}", stale.all());

    // Queues, and the whole.
    done(&[
        "queue",
        "set",
        "mail",
        "--rate",
        "5/s",
        "--concurrency",
        "7",
    ]);
    done(&["queue", "set", "mail", "--rate", "5/s"]);
    done(&["queue", "pause", "mail", "--reason", "down"]);
    done(&["queue", "pause", "mail"]);
    done(&["queue", "list"]);
    done(&["queue", "show", "mail"]);
    done(&["queue", "show", "mail", "--json"]);
    done(&["queue", "resume", "mail"]);
    done(&["queue", "reset", "mail"]);
    refused(&["queue", "show", "none"], 1);
    done(&["pause", "--reason", "all of it", "--by", "anna"]);
    done(&["nodes"]);
    done(&["queue", "list", "--json"]);
    done(&["resume"]);
    done(&["resume"]);
    done(&["nodes", "--json"]);

    // Runs.
    done(&["job", "modify", "a b", "--queue", "default"]);
    done(&["job", "run", "a b"]);
    refused(&["job", "run", "none"], 1);
    let call = "{\"url\": \"http://127.0.0.1:1/\"}";
    done(&[
        "job", "add", "--id", "f", "--cron", YEARLY, "--task", "http", "--args", call,
    ]);
    done(&["job", "run", "f", "--args", call]);
    for world in [&store, &http] {
        until("the runs have ended", || {
            (!world.run_of("a b").is_empty() && !world.run_of("f").is_empty()).then_some(())
        });
    }
    done(&["runs", "--job", "a b"]);
    done(&["runs", "--job", "a b", "--json"]);
    done(&["runs", "--outcome", "failed", "--node", "one"]);
    let shown = |world: &World, more: &[&str]| {
        let run = world.run_of("f");
        plain(&world.said(&[&["runs", "show", &run], more].concat()))
    };
    for more in [&[][..], &["--json"], &["--watch"]] {
        assert_eq!(shown(&store, more), shown(&http, more), "{more:?}");
    }
    refused(&["runs", "show", "none@5"], 1);
    refused(&["runs", "cancel", "none@5"], 1);
    done(&["runs", "failed"]);
    done(&["runs", "failed", "--json"]);
    done(&["runs", "rerun", "--job", "f"]);
    refused(&["runs", "rerun", "none@5"], 1);
    for world in [&store, &http] {
        until("it has failed again", || {
            let failed = world.json(&["runs", "failed", "--json"]);
            (failed.as_array().unwrap().len() == 1).then_some(())
        });
    }
    refused(&["runs", "purge", "none@5"], 1);
    done(&["runs", "purge", "--all"]);
    done(&["explain", "a b"]);
    done(&["explain", "a b", "--at", "2026-02-01T00:00:00Z", "--json"]);
    refused(&["explain", "a b", "--at", "nonsense"], 2);

    // Fire times of the past.
    let daily = [
        "job",
        "add",
        "--id",
        "daily",
        "--cron",
        "0 5 * * *",
        "--task",
        "log",
    ];
    done(&[&daily[..], &["--args", message]].concat());
    let days = [
        "--from",
        "2026-01-01T00:00:00Z",
        "--to",
        "2026-01-04T00:00:00Z",
    ];
    let backfill = [&["job", "backfill", "daily"][..], &days].concat();
    done(&[&backfill[..], &["--dry-run", "--max", "2"]].concat());
    done(&backfill);
    for world in [&store, &http] {
        until("they have ended", || {
            let runs = world.json(&["runs", "--job", "daily", "--json"]);
            (runs.as_array().unwrap().len() >= 3).then_some(())
        });
    }
    done(&backfill);
    refused(&[&["job", "backfill", "none"][..], &days].concat(), 1);

    // Jobs as code, written out, brought back.
    refused(&["apply", "--file", "apply.toml", "--dry-run"], 4);
    done(&["apply", "--file", "apply.toml"]);
    done(&["apply", "--file", "apply.toml"]);
    done(&["job", "pause", "l1"]);
    let exported = done(&["export"]);
    assert!(exported.out.contains("\"declared\""), "{}", exported.out);
    done(&["export", "--output", "all.jsonl"]);
    done(&["import", "all.jsonl"]);
    done(&["job", "remove", "l1", "l2", "u"]);
    done(&["import", "all.jsonl", "--dry-run"]);
    done(&["import", "all.jsonl"]);
    done(&["job", "show", "l1"]);
    done(&["job", "modify", "l2", "--queue", "other"]);
    refused(&["import", "all.jsonl"], 1);
    done(&["import", "all.jsonl", "--replace"]);
    refused(&["job", "remove", "none"], 1);
    done(&["job", "remove", "a b", "f"]);
    // Who did it stands there, each way.
    let by = |world: &World| world.json(&["audit", "--limit", "1", "--json"])[0].clone();
    let (here, there) = (by(&store), by(&http));
    assert_eq!(
        (&here["via"], &there["via"]),
        (&"cli".into(), &"http".into())
    );
    assert_eq!(
        (&here["did"], &there["by"]),
        (&"job_removed".into(), &"ops".into())
    );
}

#[test]
fn what_a_worker_cannot_be_asked_is_told() {
    let http = World::new(true);
    let (url, file) = http.api.clone().unwrap();
    for command in ["run", "doctor", "bench recurring", "token new x"] {
        let args: Vec<&str> = command.split(' ').collect();
        let said = http.said(&args).ends_with(2);
        assert!(said.err.contains("not over HTTP"), "{}", said.err);
    }
    let asked = |url: &str, token: &Path| {
        let token = token.display().to_string();
        Said::of(&mut carillon(&[
            "--api",
            url,
            "--token-file",
            &token,
            "nodes",
        ]))
    };
    assert_eq!(asked(&url, &file).code, 0);
    let wrong = http.directory.path().join("wrong");
    fs::write(&wrong, "ops.t0ps3cret").unwrap();
    let said = asked(&url, &wrong).ends_with(1);
    assert!(
        said.err.contains("--token-file") && !said.err.contains("t0ps3cret"),
        "{}",
        said.err
    );
    let said = asked("http://127.0.0.1:1", &file).ends_with(3);
    assert!(said.err.contains("http://127.0.0.1:1: "), "{}", said.err);
    let said = asked("http://ops:t0ps3cret@127.0.0.1:1", &file).ends_with(3);
    assert!(!said.err.contains("t0ps3cret"), "{}", said.err);
    asked("nowhere", &file).ends_with(2);
    asked(&url, Path::new("/nowhere/token")).ends_with(2);
    // What was typed comes before what the environment says.
    let token = fs::read_to_string(&file).unwrap();
    let mut command = carillon(&["nodes", "--json"]);
    command
        .env("CARILLON_API", &url)
        .env("CARILLON_TOKEN", token.trim());
    command.env("CARILLON_STORE", "redis://127.0.0.1:1");
    assert_eq!(Said::of(&mut command).code, 0);
}
