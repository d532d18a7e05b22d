use std::path::Path;
use std::process;
use std::time::Instant;

use futures_util::FutureExt as _;
use rustix::process::Pid;
use serde_json::json;
use tempfile::TempDir;

use super::super::testing::{args, context, following};
use super::*;

async fn sh(script: &str) -> Result<String, String> {
    run(
        context("a"),
        args(json!({ "command": ["sh", "-c", script] })),
    )
    .await
}

/// Whether there is such a process; one that has ended and whose status nobody took is none.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map_or("Z", |(_, rest)| rest);
    !state.starts_with(['Z', 'X'])
}

async fn until_dead(pid: &str) {
    let began = Instant::now();
    while is_alive(pid) {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "process {pid} lives on"
        );
        sleep(Duration::from_millis(5)).await;
    }
}

/// A pipe with a name: whoever opens it for reading waits for somebody who writes.
fn fifo(directory: &TempDir) -> String {
    let path = directory.path().join("fifo");
    let made = process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    path.display().to_string()
}

async fn read_fifo(path: &str) -> String {
    tokio::fs::read_to_string(path)
        .await
        .unwrap()
        .trim()
        .to_owned()
}

#[tokio::test]
async fn a_command_is_told_its_run_and_its_output_is_kept_in_order() {
    let script = "echo $CARILLON_JOB_ID; echo $CARILLON_RUN_ID >&2; echo $CARILLON_SCHEDULED_AT; \
                  echo $CARILLON_ATTEMPT $CARILLON_FENCE $MINE >&2; pwd";
    let directory = tempfile::tempdir().unwrap();
    let wish = json!({
        "command": ["sh", "-c", script],
        "env": { "MINE": "my own" },
        "dir": directory.path(),
    });
    let output = run(context("my job"), args(wish)).await.unwrap();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(
        lines,
        [
            "sh: exit status: 0",
            "my job",
            "my job@1766595600123",
            "2025-12-24T17:00:00.123Z",
            "2 77 my own",
            &directory
                .path()
                .canonicalize()
                .unwrap()
                .display()
                .to_string(),
        ]
    );
}

#[tokio::test]
async fn a_command_is_told_which_run_it_follows() {
    let script = "echo $CARILLON_FOLLOWED_RUN $CARILLON_FOLLOWED_OUTCOME";
    let wish = json!({
        "command": ["sh", "-c", script],
        "env": { "CARILLON_FOLLOWED_RUN": "forged" },
    });
    let output = run(following("a"), args(wish.clone())).await.unwrap();
    assert_eq!(output, "sh: exit status: 0\nfirst@1766595600000 failed");
    let output = run(context("a"), args(wish)).await.unwrap();
    assert_eq!(output, "sh: exit status: 0", "it follows none");
}

#[tokio::test]
async fn a_failure_tells_the_status_and_the_end_of_the_output() {
    let error = sh("echo went wrong >&2; exit 3").await.unwrap_err();
    assert_eq!(error, "sh: exit status: 3\nwent wrong");
    let error = sh("kill -9 $$").await.unwrap_err();
    assert_eq!(error, "sh: signal: 9 (SIGKILL)");
    let missing = run(
        context("a"),
        args(json!({ "command": ["/nowhere/program"] })),
    );
    let error = missing.await.unwrap_err();
    assert_eq!(
        error,
        "/nowhere/program: No such file or directory (os error 2)"
    );
}

#[tokio::test]
async fn of_a_flood_only_the_end_is_kept() {
    let output = sh("yes | head -c 10000000; echo the end").await.unwrap();
    assert!(output.ends_with("y\nthe end"), "{output}");
    assert!(output.contains("... (10000008 bytes in all)"), "{output}");
    assert!(output.len() < 2 * KEPT_OUTPUT);
}

#[tokio::test]
async fn a_timeout_ends_the_whole_group() {
    let script = "sleep 1000 & echo $!; wait";
    let wish = json!({ "command": ["sh", "-c", script], "timeout": "300ms" });
    let error = run(context("a"), args(wish)).await.unwrap_err();
    let (what, grandchild) = error.split_once('\n').unwrap();
    assert_eq!(what, "sh: ended after its timeout of 300ms");
    until_dead(grandchild).await;
}

#[tokio::test]
async fn a_cancelled_command_may_clean_up() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = fifo(&directory);
    let script =
        "trap 'echo cleaned up; exit 0' TERM; echo ready > $FIFO; while :; do sleep 0.01; done";
    let wish = json!({ "command": ["sh", "-c", script], "env": { "FIFO": fifo } });
    let context = context("a");
    let cancellation = context.cancellation().clone();
    let ready = async {
        read_fifo(&fifo).await;
        cancellation.cancel();
    };
    let (outcome, ()) = tokio::join!(run(context, args(wish)), ready);
    let error = outcome.unwrap_err();
    // In between, the shell tells that its own child was asked to end, too.
    assert!(
        error.starts_with(
            "sh: ended, since the run was cancelled
"
        ),
        "{error}"
    );
    assert!(
        error.ends_with(
            "
cleaned up"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn whoever_does_not_listen_is_killed() {
    let script =
        "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo $!; wait; sleep 1000";
    let wish = json!({ "command": ["sh", "-c", script], "timeout": "300ms" });
    let began = Instant::now();
    let error = run(context("a"), args(wish)).await.unwrap_err();
    assert!(began.elapsed() >= TERM_GRACE);
    let (_, grandchild) = error.split_once('\n').unwrap();
    until_dead(grandchild).await;
}

#[tokio::test]
async fn what_a_command_leaves_running_holds_nothing_up() {
    let output = sh("sleep 1000 & echo $!").await.unwrap();
    let (_, left) = output.split_once('\n').unwrap();
    assert!(is_alive(left), "a command that ended well is left alone");
    let pid = Pid::from_raw(left.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_dropped_run_leaves_no_command() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = fifo(&directory);
    let script = "sleep 1000 & echo $$ $! > $FIFO; wait";
    let wish = json!({ "command": ["sh", "-c", script], "env": { "FIFO": fifo } });
    let pids = tokio::select! {
        outcome = run(context("a"), args(wish)) => panic!("{outcome:?}"),
        pids = read_fifo(&fifo) => pids,
    };
    for pid in pids.split(' ') {
        until_dead(pid).await;
    }
}

#[tokio::test]
async fn a_command_that_was_started_for_nobody_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = fifo(&directory);
    let mut command = Command::new("sh");
    command
        .args(["-c", "sleep 1000 & echo $$ $! > $FIFO; wait"])
        .env("FIFO", &fifo)
        .process_group(0)
        .kill_on_drop(true);
    let mut spawning = Box::pin(spawn(command));
    let asked = (&mut spawning).now_or_never();
    let pids = read_fifo(&fifo).await;
    // The run is dropped before it learns that its command was started.
    drop((asked, spawning));
    for pid in pids.split(' ') {
        until_dead(pid).await;
    }
}

const NODE_FIFO: &str = "CARILLON_TEST_NODE_FIFO";

#[tokio::test]
#[ignore = "the process that the next test kills"]
async fn node_to_be_killed() {
    let fifo = std::env::var(NODE_FIFO).expect("run by the next test only");
    let script = "echo $$ > $FIFO; exec sleep 1000";
    let wish = json!({ "command": ["sh", "-c", script], "env": { "FIFO": fifo } });
    let _ = run(context("a"), args(wish)).await;
}

#[tokio::test]
async fn a_command_dies_with_its_node() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = fifo(&directory);
    let name = concat!(module_path!(), "::node_to_be_killed");
    let (_, name) = name.split_once("::").unwrap();
    let mut node = process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", name])
        .env(NODE_FIFO, &fifo)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let command = read_fifo(&fifo).await;
    assert!(Path::new(&format!("/proc/{command}")).exists());
    node.kill().unwrap();
    node.wait().unwrap();
    until_dead(&command).await;
}
