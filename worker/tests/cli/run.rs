//! `carillon run` without any server.

use crate::binary::{carillon, config, start};

#[test]
fn a_worker_waits_for_its_store_and_stops_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let mut command = carillon(&["run", "--store", "redis://:hunter2@127.0.0.1:1"]);
    let worker = start(&mut command, &log);
    let said = worker.logs(&log, "trying again in 500ms");
    assert!(said.contains("WARN redis://127.0.0.1:1/0"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    assert_eq!(worker.stop(), 0);
}

#[test]
fn a_worker_with_nothing_to_do_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let worker = start(&mut carillon(&["run"]), &log);
    let said = worker.logs(&log, "carillon job add");
    assert!(
        said.contains("carillon run --config carillon.toml"),
        "{said}"
    );
    assert_eq!(worker.stop(), 0);
}

#[test]
fn the_jobs_of_a_file_are_fired_in_one_process() {
    let (directory, path) = config(
        "[[jobs]]\nid = \"greet\"\ntask = \"log\"\nargs = { message = \"good morning\" }\n\
         trigger = { type = \"interval\", seconds = 1 }\n\
         [[jobs]]\nid = \"sh\"\ntask = \"shell\"\nargs = { command = [\"true\"] }\n\
         trigger = { type = \"interval\", hours = 1 }\n",
    );
    let log = directory.path().join("log");
    let worker = start(&mut carillon(&["run", "--config", &path]), &log);
    let said = worker.logs(&log, "good morning");
    assert!(
        said.contains("INFO jobs of the configuration: 2 added"),
        "{said}"
    );
    assert!(
        said.contains("allow it with [tasks.shell] enabled = true job=sh"),
        "{said}"
    );
    assert!(said.contains("job=greet run=greet@"), "{said}");
    assert!(
        !said.contains('\u{1b}'),
        "no colours where there is no terminal: {said}"
    );
    assert_eq!(worker.stop(), 0);

    let mut command = carillon(&["run", "--config", &path, "--log-format", "json"]);
    let worker = start(&mut command, &log);
    let said = worker.logs(&log, "good morning");
    let lines: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let greeting = lines.iter().find(|line| line["message"] == "good morning");
    assert_eq!(greeting.unwrap()["job"], "greet");
    assert_eq!(worker.stop(), 0);
}

#[test]
fn a_worker_whose_logs_nobody_reads_goes_on_and_stops_in_order() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    let (_directory, path) = config(
        "[[jobs]]\nid = \"j\"\ntask = \"log\"\nargs = { message = \"m\" }\ntrigger = { type = \"interval\", hours = 1 }\n",
    );
    let mut worker = carillon(&["run", "--config", &path])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut logs = BufReader::new(worker.stderr.take().unwrap()).lines();
    assert!(logs.any(|line| line.unwrap().contains("registered")));
    drop(logs);
    let pid = rustix::process::Pid::from_child(&worker);
    // What it says to this goes nowhere.
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(worker.wait().unwrap().code(), Some(0));
}
