//! What happens, as it happens.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::binary::{Running, config, start, until};
use crate::redis::Redis;

const JOB: &str = "[worker]\nsession_ttl = \"2s\"\n[[jobs]]\nid = \"j\"\ntask = \"log\"\n\
                   args = { message = \"hi\" }\ntrigger = { type = \"cron\", second = \"*\" }\n";

#[test]
fn a_watcher_sees_what_the_workers_and_others_do() {
    let redis = Redis::start();
    let (directory, path) = config(JOB);
    let seen = directory.path().join("seen");
    let told = directory.path().join("told");
    let mut watch = redis.carillon(&["events"]);
    let (out, err) = (
        fs::File::create(&seen).unwrap(),
        fs::File::create(&told).unwrap(),
    );
    let watcher = Running(watch.stdout(out).stderr(err).spawn().unwrap());
    watcher.logs(&told, "listening to redis://127.0.0.1:");
    let mut only = redis.carillon(&["events", "--only", "lease_won", "--job", "none"]);
    let nothing = directory.path().join("nothing");
    let out = fs::File::create(&nothing).unwrap();
    let picky = Running(only.stdout(out).stderr(Stdio::null()).spawn().unwrap());

    let log = directory.path().join("log");
    let mut worker = redis.carillon(&["run", "--config", &path, "--node", "n1"]);
    let worker = start(&mut worker, &log);
    let line = |what: &str, wanted: &dyn Fn(&Value) -> bool| {
        until(what, || {
            let text = fs::read_to_string(&seen).unwrap();
            // The last line may be half written.
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let mut lines = whole
                .lines()
                .map(|line| serde_json::from_str(line).unwrap());
            lines.find(|line| wanted(line))
        })
    };
    let is = |word: &'static str| move |line: &Value| line["event"] == word;
    assert_eq!(line("a start", &is("scheduler_started"))["node"], "n1");
    assert_eq!(line("a lease", &is("lease_won"))["node"], "n1");
    assert_eq!(line("a job", &is("job_added"))["job"], "j");
    let ended = line("an end", &|line| line["outcome"] == "succeeded");
    assert_eq!(
        (&ended["node"], &ended["task"]),
        (&"n1".into(), &"log".into())
    );
    line("a run", &is("run_submitted"));
    line("its start", &is("run_started"));
    redis.said(&["job", "pause", "j"], 0);
    assert_eq!(line("a pause", &is("job_paused"))["job"], "j");
    redis.said(&["pause", "--by", "anna"], 0);
    assert_eq!(line("all paused", &is("scheduler_paused"))["by"], "anna");
    redis.said(&["resume"], 0);
    line("all resumed", &is("scheduler_resumed"));
    redis.said(&["job", "remove", "j"], 0);
    line("a removal", &is("job_removed"));
    assert_eq!(worker.stop(), 0);
    assert_eq!(line("the end", &is("scheduler_shut_down"))["node"], "n1");
    drop(picky);
    assert_eq!(fs::read_to_string(&nothing).unwrap(), "");
}
