//! Commands do and say the same at the store and over HTTP.

use std::cell::RefCell;
use std::collections::BTreeSet;
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
    worker: Option<Running>,
    /// The commands that were done, as they were typed.
    done: RefCell<BTreeSet<String>>,
}

/// The commands that the documentation's table tells this of, for `--api`.
fn documented(beginning: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http.md");
    let text = fs::read_to_string(path).unwrap();
    let table = text.split("| command | with `--api` |\n|---|---|\n").nth(1);
    let rows = table
        .unwrap()
        .lines()
        .take_while(|row| row.starts_with('|'))
        .map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let rows = rows.filter(|cells| cells[2].starts_with(beginning));
    let names = rows.flat_map(|cells| cells[1].split('`').skip(1).step_by(2));
    let names: Vec<_> = names.map(str::to_owned).collect();
    assert!(!names.is_empty(), "none: {beginning}");
    names
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
            worker: Some(worker),
            done: RefCell::default(),
        }
    }

    /// Starts another worker of this configuration, at this address.
    fn worker(&self, name: &str, http: &str) -> Running {
        let log = self.directory.path().join(format!("{name}.log"));
        let config = self.directory.path().join("carillon.toml");
        let mut command = self
            .redis
            .carillon(&["run", "--node", name, "--http", http]);
        let worker = start(command.arg("--config").arg(&config), &log);
        worker.logs(&log, "registered");
        worker
    }

    /// Listens, and waits until it does; answers with what it says.
    fn listen(&self, args: &[&str]) -> (Running, PathBuf) {
        let path = |name: &str| self.directory.path().join(name);
        let (out, err) = (path("heard"), path("listening"));
        let mut command = self.command(args);
        command.stdout(fs::File::create(&out).unwrap());
        command.stderr(fs::File::create(&err).unwrap());
        let listener = Running(command.spawn().unwrap());
        listener.logs(&err, "listening to ");
        (listener, out)
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
        let said = Said::of(&mut self.command(args));
        if said.code == 0 {
            self.done.borrow_mut().insert(args.join(" "));
        }
        said
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
    // A run that waits, called off.
    done(&["queue", "pause", "default"]);
    done(&["job", "run", "l2"]);
    for world in [&store, &http] {
        let run = world.json(&["job", "show", "l2", "--json"])["runs"][0]["run"].clone();
        let run = run.as_str().unwrap().to_owned();
        world
            .said(&["runs", "cancel", &run, "--why", "wrong file"])
            .ends_with(0);
        world.said(&["audit", "--object", &run]).ends_with(0);
    }
    done(&["queue", "resume", "default"]);
    refused(&["job", "remove", "none"], 1);
    done(&["job", "remove", "a b", "f"]);

    // None was left out: of events there is a test of their own.
    let asked = http.done.borrow().clone();
    for command in documented("as at the store") {
        let begins = |done: &String| done == &command || done.starts_with(&format!("{command} "));
        assert!(command == "events" || asked.iter().any(begins), "{command}");
    }

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

/// What was heard, by its words.
fn words(heard: &str) -> Vec<String> {
    let words = heard.lines().map(|line| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let word = event["event"].as_str().or(event["outcome"].as_str());
        word.unwrap_or_default().to_owned()
    });
    words.collect()
}

const ADD: [&str; 10] = [
    "job",
    "add",
    "--id",
    "j",
    "--cron",
    YEARLY,
    "--task",
    "log",
    "--args",
    "{\"message\": \"m\"}",
];

#[test]
fn events_are_told_the_same_at_the_store_and_over_http() {
    let told = |over_http: bool| {
        let world = World::new(over_http);
        let only = "job_added,job_paused,succeeded";
        let (listener, out) = world.listen(&["events", "--only", only, "--job", "j"]);
        world.said(&ADD).ends_with(0);
        world.said(&["job", "run", "j"]).ends_with(0);
        listener.logs(&out, "succeeded");
        world
            .said(&["job", "modify", "j", "--name", "jay"])
            .ends_with(0);
        world.said(&["job", "pause", "j"]).ends_with(0);
        words(&listener.logs(&out, "job_paused"))
    };
    let expected = ["job_added", "succeeded", "job_paused"];
    assert_eq!(told(false), expected);
    assert_eq!(told(true), expected);
}

#[test]
fn who_listens_over_http_is_told_afterwards_what_was_recorded_while_no_worker_answered() {
    let mut world = World::new(true);
    let (url, _) = world.api.clone().unwrap();
    world.said(&ADD).ends_with(0);
    let (mut listener, out) = world.listen(&["events", "--only", "succeeded,unheard"]);
    world.said(&["job", "run", "j"]).ends_with(0);
    listener.logs(&out, "succeeded");

    let _other = world.worker("two", "off");
    drop(world.worker.take());
    let at_the_store = |args: &[&str]| Said::of(&mut world.redis.carillon(args)).ends_with(0);
    at_the_store(&["job", "run", "j"]);
    until("it has run", || {
        let runs = at_the_store(&["runs", "--job", "j", "--json"]).out;
        (runs.matches("succeeded").count() == 2).then_some(())
    });
    let again = world.worker("three", url.strip_prefix("http://").unwrap());
    let heard = until("what was missed", || {
        let heard = fs::read_to_string(&out).unwrap();
        (heard.matches("succeeded").count() == 2).then_some(heard)
    });
    assert_eq!(words(&heard), ["succeeded", "unheard", "succeeded"]);

    // A worker that knows the key no more ends it: nothing would come any more.
    drop(again);
    let config = world.directory.path().join("carillon.toml");
    let (_, table) = token();
    fs::write(&config, table).unwrap();
    let _unknown = world.worker("four", url.strip_prefix("http://").unwrap());
    assert_eq!(listener.0.wait().unwrap().code(), Some(1));
}

#[test]
fn what_a_worker_cannot_be_asked_is_told() {
    let http = World::new(true);
    let (url, file) = http.api.clone().unwrap();
    for command in documented("refused: ") {
        let mut args: Vec<&str> = command.split(' ').collect();
        args.extend(command.starts_with("token ").then_some("x"));
        let said = http.said(&args).ends_with(2);
        assert!(said.err.contains("not over HTTP"), "{}", said.err);
    }
    for command in documented("the same: it asks nobody") {
        let mut local = carillon(&[&command, YEARLY, "--api", "http://127.0.0.1:1"]);
        assert_eq!(Said::of(&mut local).code, 0, "{command}");
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
