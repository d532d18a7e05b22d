//! Built-in tasks, so that a worker is useful without a line of Rust.
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
//!
//! Fire times are RFC 3339 in headers and environment. Entries of a stream also hold `node` and
//! `started_at_ms`. What a task answers with is kept in history: the status and the beginning of
//! the body, the exit status and the end of the output, the entry's id.

mod args;
mod http;
mod log;
mod shell;
mod spawn;
mod stream;
mod tail;
mod targets;
#[cfg(test)]
mod testing;

use std::sync::Arc;

pub use args::{ArgsError, check_args};
pub use stream::StreamConnections;
pub use targets::{HttpTargets, Target};

use crate::task::{Args, Context, Tasks};

/// Which built-in tasks a node has.
#[derive(Clone, Default)]
pub struct Builtins {
    /// Whether there is `shell`. Defaults to no: whoever may write jobs could run anything.
    pub shell: bool,
    /// Where `http` may send requests. Defaults to anywhere but link-local addresses and metadata
    /// services.
    pub http: HttpTargets,
    /// Where `stream` writes to. Defaults to nowhere: the task is there, and fails by saying so.
    pub streams: Option<Arc<dyn StreamConnections>>,
}

impl Tasks {
    /// The built-in tasks.
    #[must_use]
    pub fn builtin(builtins: Builtins) -> Self {
        const NAME: &str = "the name of a built-in task is a name";
        let mut tasks = Self::new();
        tasks
            .register("log", |context, Args(args)| log::run(context, args))
            .expect(NAME);
        let client = http::Client::new(builtins.http);
        tasks
            .register("http", move |context: Context, Args(args)| {
                client.clone().run(context, args)
            })
            .expect(NAME);
        if builtins.shell {
            tasks
                .register("shell", |context, Args(args)| shell::run(context, args))
                .expect(NAME);
        }
        let writer = stream::Writer::new(builtins.streams);
        tasks
            .register("stream", move |context: Context, Args(args)| {
                writer.clone().run(context, args)
            })
            .expect(NAME);
        tasks
    }
}
