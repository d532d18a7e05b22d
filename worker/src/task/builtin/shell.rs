//! The task `shell`: runs a command, and leaves nothing of it behind.
//!
//! The command is the leader of a process group of its own, which is ended as a whole when the
//! time is over or the run is cancelled: asked first (`TERM`), killed after [`TERM_GRACE`]. When
//! the node itself is killed, the kernel kills the command (not what the command has started in
//! turn: no process outlives its node to see to that).
//!
//! Standard output and error share one pipe, so that their order is kept. Their lines go into the
//! run's log, and the end of them into its record.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use scheduler_core::notes::MAX_LINE;
use serde::{Deserialize, Deserializer, de};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::group::Group;
use super::spawn::{Started, spawn};
use super::tail::Tail;
use crate::task::Context;
use crate::task::secrets::VARIABLE_PREFIX;

/// How long a command may take to end after it was asked to.
const TERM_GRACE: Duration = Duration::from_secs(3);

/// How often the end of a process group is looked for: nobody tells it.
const GROUP_POLL: Duration = Duration::from_millis(20);

/// How much of the output is kept, in bytes.
const KEPT_OUTPUT: usize = 1_500;

/// How long the output is waited for once the command has ended: what it has left running may hold
/// the pipe open for ever.
const DRAIN: Duration = Duration::from_millis(200);

/// Args of the task `shell`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `command`")]
pub(super) struct ShellArgs {
    /// The program, and its arguments. No shell reads them.
    #[serde(deserialize_with = "command")]
    command: Vec<String>,
    /// Environment variables besides the node's own. Defaults to none.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Where it runs. Defaults to where the node runs.
    #[serde(default)]
    dir: Option<PathBuf>,
    /// How long it may run. Defaults to however long.
    #[serde(default, with = "scheduler_core::duration::option")]
    timeout: Option<Duration>,
}

fn command<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let rule = "a command is a list of arguments: [\"program\", \"first argument\", ...]";
    let command = Vec::<String>::deserialize(from)
        .map_err(|error| de::Error::custom(format!("{error}; {rule}")))?;
    match command.first() {
        Some(program) if !program.is_empty() => Ok(command),
        _ => Err(de::Error::custom(format!("the program is missing; {rule}"))),
    }
}

/// Why a command was ended before its time.
enum Stopped {
    TimedOut(Duration),
    Cancelled,
}

pub(super) async fn run(context: Context, args: ShellArgs) -> Result<String, String> {
    let program = args.command[0].clone();
    let failed = |error: io::Error| format!("{program}: {error}");
    let (reader, writer) = io::pipe().map_err(failed)?;
    let output = Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(failed)?;
    let command = prepare(&context, &args, writer).map_err(failed)?;
    // Moved into the call: the pipe ends when no process holds its writing end any more.
    // The group is dropped first: it is killed while the child still holds its number.
    let Started {
        mut child,
        mut group,
    } = spawn(command).await.map_err(failed)?;

    let mut tail = Tail::new(KEPT_OUTPUT);
    let (status, stopped) = {
        let mut ended = pin!(watch(&mut child, &mut group, &context, args.timeout));
        let mut reading = pin!(read(output, &context, &mut tail));
        let mut all_read = false;
        let ended = loop {
            tokio::select! {
                ended = &mut ended => break ended,
                () = &mut reading, if !all_read => all_read = true,
            }
        };
        if !all_read {
            let _ = timeout(DRAIN, reading).await;
        }
        ended.map_err(failed)?
    };
    // It may begin in the middle of a secret.
    let output = context.masked(tail.into_text());
    report(&program, status, stopped.as_ref(), &output)
}

/// Reads all output: each line goes into the run's log as it comes, and the end of it is kept.
async fn read(mut output: Receiver, context: &Context, tail: &mut Tail) {
    let mut buffer = [0; 4096];
    let mut line = Vec::new();
    while let Ok(length @ 1..) = output.read(&mut buffer).await {
        tail.push(&buffer[..length]);
        for piece in buffer[..length].split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if piece.ends_with(b"\n") || line.len() > MAX_LINE {
                context.log(String::from_utf8_lossy(&line));
                line.clear();
            }
        }
    }
    context.log(String::from_utf8_lossy(&line));
}

fn prepare(context: &Context, args: &ShellArgs, output: io::PipeWriter) -> io::Result<Command> {
    let mut command = Command::new(&args.command[0]);
    command
        .args(&args.command[1..])
        .env("TRACEPARENT", context.traceparent())
        .envs(&args.env)
        .env("CARILLON_JOB_ID", context.job_id().as_str())
        .env("CARILLON_RUN_ID", context.run_id().to_string())
        .env("CARILLON_SCHEDULED_AT", context.scheduled_at().to_string())
        .env("CARILLON_ATTEMPT", context.attempt().to_string())
        .env("CARILLON_FENCE", context.fence().to_string())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .kill_on_drop(true);
    match context.followed() {
        Some(ended) => command
            .env("CARILLON_FOLLOWED_RUN", ended.run.to_string())
            .env("CARILLON_FOLLOWED_OUTCOME", ended.outcome.as_str()),
        None => command
            .env_remove("CARILLON_FOLLOWED_RUN")
            .env_remove("CARILLON_FOLLOWED_OUTCOME"),
    };
    // How to reach the store is the node's secret, not its jobs'.
    for name in crate::environment::SECRET_VARIABLES {
        command.env_remove(name);
    }
    // Nor are the secrets of other jobs; what this one was given stands in its args.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with(VARIABLE_PREFIX) && !args.env.contains_key(&*name) {
            command.env_remove(&*name);
        }
    }
    if let Some(dir) = &args.dir {
        command.current_dir(dir);
    }
    Ok(command)
}

/// Waits for the command's end, or ends it.
async fn watch(
    child: &mut Child,
    group: &mut Group,
    context: &Context,
    limit: Option<Duration>,
) -> io::Result<(ExitStatus, Option<Stopped>)> {
    let time_over = async {
        match limit {
            Some(limit) => {
                sleep(limit).await;
                limit
            }
            None => std::future::pending().await,
        }
    };
    let stopped = tokio::select! {
        status = child.wait() => {
            // What it has left running is meant to run on.
            group.leave();
            return Ok((status?, None));
        }
        limit = time_over => Stopped::TimedOut(limit),
        () = context.cancellation().cancelled() => Stopped::Cancelled,
    };
    let status = end(child, group).await?;
    Ok((status, Some(stopped)))
}

/// Ends the command's whole process group, and takes its status.
async fn end(child: &mut Child, group: &mut Group) -> io::Result<ExitStatus> {
    group.signal(Signal::TERM);
    let gone = async {
        let status = child.wait().await;
        while group.has_members() {
            sleep(GROUP_POLL).await;
        }
        status
    };
    if let Ok(status) = timeout(TERM_GRACE, gone).await {
        group.leave();
        return status;
    }
    group.signal(Signal::KILL);
    child.wait().await
}

fn report(
    program: &str,
    status: ExitStatus,
    stopped: Option<&Stopped>,
    output: &str,
) -> Result<String, String> {
    let what = match stopped {
        Some(Stopped::TimedOut(limit)) => {
            format!("{program}: ended after its timeout of {limit:?}")
        }
        Some(Stopped::Cancelled) => format!("{program}: ended, since the run was cancelled"),
        None => format!("{program}: {status}"),
    };
    let text = if output.is_empty() {
        what
    } else {
        format!("{what}\n{output}")
    };
    if status.success() && stopped.is_none() {
        Ok(text)
    } else {
        Err(text)
    }
}

#[cfg(test)]
#[cfg(feature = "cli")]
#[path = "shell_tests.rs"]
mod tests;
