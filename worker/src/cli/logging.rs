//! Logs, to standard error.

use std::env;
use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use super::args::LogFormat;
use super::failure::Failure;

/// Names the level, or levels by module.
const VARIABLE: &str = "CARILLON_LOG";

/// Begins to write logs, for the rest of the process's life.
pub(super) fn begin(format: LogFormat) -> Result<(), Failure> {
    let directives = env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let filter = EnvFilter::try_new(directives.as_deref().unwrap_or("info")).map_err(|error| {
        let hint = "give a level such as debug, or levels by module: carillon=debug,info";
        Failure::Usage(format!("{VARIABLE}: {error}; {hint}"))
    })?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Where nobody reads the logs any more, work goes on: the complaint about it would go the
        // same way, and end the process.
        .log_internal_errors(false)
        .with_writer(io::stderr);
    match format {
        LogFormat::Text => logs
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    Ok(())
}
