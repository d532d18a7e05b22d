//! Starting commands that die with this process.
//!
//! The kernel ties a child's death signal to the *thread* that started it, not to the process. A
//! runtime's threads come and go (one that blocks is replaced, and later ends), and a command must
//! not be killed by that. So all commands are started by one thread that lives as long as the
//! process.

use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::group::Group;

/// A command that was started.
pub(super) struct Started {
    /// Its process group, dropped first.
    pub(super) group: Group,
    pub(super) child: Child,
}

/// A command to be started on behalf of a runtime, and where to tell.
struct Request {
    command: Command,
    runtime: Handle,
    answer: oneshot::Sender<io::Result<Started>>,
}

/// Starts the command.
pub(super) async fn spawn(mut command: Command) -> io::Result<Started> {
    die_with_this_process(&mut command);
    let (answer, started) = oneshot::channel();
    let request = Request {
        command,
        runtime: Handle::current(),
        answer,
    };
    let stopped = || io::Error::other("the thread that starts commands has ended");
    starter()?.send(request).map_err(|_| stopped())?;
    started.await.map_err(|_| stopped())?
}

fn starter() -> io::Result<&'static Sender<Request>> {
    static STARTER: OnceLock<Sender<Request>> = OnceLock::new();
    if let Some(starter) = STARTER.get() {
        return Ok(starter);
    }
    let (sender, requests) = channel();
    // Where two come here at once, the thread of the one that is late ends with its channel.
    thread::Builder::new()
        .name("carillon-spawn".to_owned())
        .spawn(move || start_all(&requests))?;
    Ok(STARTER.get_or_init(|| sender))
}

fn start_all(requests: &Receiver<Request>) {
    for mut request in requests {
        // Tokio watches the child from the runtime that asked.
        let started = {
            let _runtime = request.runtime.enter();
            request.command.spawn().map(|child| Started {
                group: Group::of(&child),
                child,
            })
        };
        // Where nobody waits any more, dropping it kills all that it has begun.
        let _ = request.answer.send(started);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn die_with_this_process(command: &mut Command) {
    use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

    let parent = getpid();
    let prepare = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died just before: then no signal will come.
        if getppid() == Some(parent) {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    };
    #[expect(
        unsafe_code,
        reason = "a child cannot be told otherwise to die with its parent"
    )]
    // SAFETY: the closure runs in the child between fork and exec, where only async-signal-safe
    // calls are allowed: it makes two plain system calls, and neither allocates nor locks.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// Other systems have no such signal: there, a command outlives a node that is killed.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn die_with_this_process(_: &mut Command) {}
