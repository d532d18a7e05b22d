//! Built-in tasks, so that a worker is useful without a line of Rust. All but `log` are there with the
//! features `task-http`, `task-shell` and `task-stream` only.
//!
//! | task | does | args |
//! |---|---|---|
//! | `log` | logs a message, with job and run | `message`; `level` (`"info"`) |
//! | `http` | sends a request; an answer of 2xx succeeds | `url`; `method` (`"GET"`), `headers`, `body` (text, or JSON), `timeout` (30 s) |
//! | `shell` | runs a command; exit status 0 succeeds | `command` (a list: the program, its arguments); `env`, `dir`, `timeout` |
//! | `stream` | appends an entry to a Redis stream | `stream` (its key); `fields` |
//!
//! `http`, `shell` and `stream` tell whatever they call which run it is for, so that effects
//! outside can be made exactly-once there:
//!
//! | | `http`: headers | `shell`: environment | `stream`: fields |
//! |---|---|---|---|
//! | job | `X-Carillon-Job` | `CARILLON_JOB_ID` | `job_id` |
//! | run | `X-Carillon-Run` | `CARILLON_RUN_ID` | `run_id` |
//! | fire time | `X-Carillon-Scheduled-At` | `CARILLON_SCHEDULED_AT` | `scheduled_at_ms` |
//! | attempt | `X-Carillon-Attempt` | `CARILLON_ATTEMPT` | `attempt` |
//! | fence | `X-Carillon-Fence` | `CARILLON_FENCE` | `fence` |
//! | the run that it follows | `X-Carillon-Followed-Run` | `CARILLON_FOLLOWED_RUN` | `followed_run` |
//! | how that ended | `X-Carillon-Followed-Outcome` | `CARILLON_FOLLOWED_OUTCOME` | `followed_outcome` |
//!
//! Fire times are RFC 3339 in headers and environment. Entries of a stream also hold `node` and
//! `started_at_ms`. What a task answers with is kept in history: the status and the beginning of
//! the body, the exit status and the end of the output, the entry's id.

mod args;
#[cfg(feature = "task-shell")]
mod group;
#[cfg(feature = "task-http")]
mod http;
mod log;
#[cfg(feature = "task-http")]
mod reach;
#[cfg(feature = "task-shell")]
mod shell;
#[cfg(feature = "task-shell")]
mod spawn;
#[cfg(feature = "task-stream")]
mod stream;
#[cfg(feature = "task-shell")]
mod tail;
#[cfg(any(feature = "config", feature = "task-http"))]
mod targets;
#[cfg(test)]
#[cfg(feature = "cli")]
mod testing;

#[cfg(feature = "task-stream")]
use std::sync::Arc;

pub use args::{ArgsError, check_args};
#[cfg(feature = "task-stream")]
pub use stream::Streams;
#[cfg(any(feature = "config", feature = "task-http"))]
pub use targets::{HttpTargets, Target};

#[cfg(any(feature = "task-http", feature = "task-stream"))]
use crate::task::Context;
use crate::task::{Args, Tasks};

/// Which built-in tasks a node has, and what they may do.
#[derive(Clone, Default)]
pub struct Builtins {
    #[cfg(feature = "task-shell")]
    shell: bool,
    #[cfg(feature = "task-http")]
    http: HttpTargets,
    #[cfg(feature = "task-stream")]
    streams: Option<Arc<dyn Streams>>,
}

impl Builtins {
    /// All but `shell`; `stream` is there, and fails by saying that it has nowhere to write to.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is `shell`. Defaults to no: whoever may write jobs could run anything.
    #[cfg(feature = "task-shell")]
    #[must_use]
    pub const fn shell(mut self, is_there: bool) -> Self {
        self.shell = is_there;
        self
    }

    /// Where `http` may send requests. Defaults to anywhere but link-local addresses and metadata
    /// services.
    #[cfg(feature = "task-http")]
    #[must_use]
    pub fn http(mut self, targets: HttpTargets) -> Self {
        self.http = targets;
        self
    }

    /// Where `stream` writes to: a [`RedisStore`](scheduler_redis::RedisStore), for one. Defaults to
    /// nowhere.
    #[cfg(feature = "task-stream")]
    #[must_use]
    pub fn streams(mut self, streams: Arc<dyn Streams>) -> Self {
        self.streams = Some(streams);
        self
    }
}

impl Tasks {
    /// The built-in tasks.
    #[must_use]
    #[cfg_attr(
        not(any(feature = "task-http", feature = "task-shell", feature = "task-stream")),
        expect(
            unused_variables,
            clippy::needless_pass_by_value,
            reason = "there is nothing to choose"
        )
    )]
    pub fn builtin(builtins: Builtins) -> Self {
        const NAME: &str = "the name of a built-in task is a name";
        let mut tasks = Self::new();
        tasks
            .register("log", |context, Args(args)| log::run(context, args))
            .expect(NAME);
        #[cfg(feature = "task-http")]
        {
            let client = http::Client::new(builtins.http);
            tasks
                .register("http", move |context: Context, Args(args)| {
                    client.clone().run(context, args)
                })
                .expect(NAME);
        }
        #[cfg(feature = "task-shell")]
        if builtins.shell {
            tasks
                .register("shell", |context, Args(args)| shell::run(context, args))
                .expect(NAME);
        }
        #[cfg(feature = "task-stream")]
        {
            let writer = stream::Writer::new(builtins.streams);
            tasks
                .register("stream", move |context: Context, Args(args)| {
                    writer.clone().run(context, args)
                })
                .expect(NAME);
        }
        tasks
    }
}
