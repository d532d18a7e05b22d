//! The task `log`.

use std::convert::Infallible;

use serde::Deserialize;
use tracing::{debug, error, info, trace, warn};

use crate::task::Context;

/// Args of the task `log`: logs a message, with the job and the run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `message`")]
pub(super) struct LogArgs {
    /// What to log.
    message: String,
    /// How loud. Defaults to `info`.
    #[serde(default)]
    level: Level,
}

/// How loud a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// The quietest.
    Trace,
    /// For those who look for a fault.
    Debug,
    /// What is shown by default.
    #[default]
    Info,
    /// Something to look at.
    Warn,
    /// Something to act on.
    Error,
}

pub(super) async fn run(context: Context, args: LogArgs) -> Result<(), Infallible> {
    let (job, run) = (context.job_id(), context.run_id());
    let message = context.masked(args.message);
    // The level of an event is a constant of its place.
    match args.level {
        Level::Trace => trace!(%job, %run, "{message}"),
        Level::Debug => debug!(%job, %run, "{message}"),
        Level::Info => info!(%job, %run, "{message}"),
        Level::Warn => warn!(%job, %run, "{message}"),
        Level::Error => error!(%job, %run, "{message}"),
    }
    Ok(())
}
