//! Why a command did not do what was asked, and the exit code that says so.

use std::io;
use std::process::ExitCode;

use carillon::config::ConfigError;
use carillon::core::store::StoreErrorKind;
use carillon::core::{NameError, StoreError};
use carillon::jobs::JobsError;
use carillon::{BuildError, NodeError};

/// It was refused, or what it is about is not there.
const REFUSED: u8 = 1;
/// It was typed or configured wrong.
pub(super) const USAGE: u8 = 2;
/// The store did not answer.
const UNREACHABLE: u8 = 3;

/// Nothing was done, but something would be.
const PENDING: u8 = 4;

/// How a line of a message begins that says what to do.
pub(super) const HINT: &str = "hint: ";
/// How a line of a message begins that goes on with the one before: a text, and what points into it.
const MORE: &str = "    ";

/// Why a command did not do what was asked; more than one line where there is more than one reason.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was refused, or what it was about is not there.
    Refused(String),
    /// It was typed or configured wrong.
    Usage(String),
    /// The store did not answer.
    Unreachable(String),
    /// Nobody reads the output any more.
    Closed,
    /// Something would be done that nobody asked for yet; it has been said what.
    Pending,
}

impl Failure {
    /// An error of this store, with its address.
    pub(super) fn of_store(store: &str, error: &StoreError) -> Self {
        let message = format!("{store}: {error}");
        match error.kind() {
            StoreErrorKind::Corrupt | StoreErrorKind::Mismatch => Self::Refused(message),
            StoreErrorKind::Unreachable | StoreErrorKind::Refused | StoreErrorKind::Unknown => {
                Self::Unreachable(message)
            }
        }
    }

    /// An error of those who change jobs in this store.
    pub(super) fn of_jobs(store: &str, error: &JobsError) -> Self {
        match error {
            JobsError::Store(error) => Self::of_store(store, error),
            other => Self::Refused(other.to_string()),
        }
    }

    /// Says on standard error what went wrong.
    pub(super) fn report(&self) -> ExitCode {
        let (message, code) = match self {
            Self::Refused(message) => (message, ExitCode::from(REFUSED)),
            Self::Usage(message) => (message, ExitCode::from(USAGE)),
            Self::Unreachable(message) => (message, ExitCode::from(UNREACHABLE)),
            Self::Closed => return ExitCode::SUCCESS,
            Self::Pending => return ExitCode::from(PENDING),
        };
        for line in message.lines() {
            let kind = if line.starts_with(HINT) || line.starts_with(MORE) {
                ""
            } else {
                "error: "
            };
            eprintln!("{kind}{line}");
        }
        code
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        match error.store_error() {
            Some(cause) => Self::Unreachable(format!("{error}: {cause}")),
            None => Self::Refused(error.to_string()),
        }
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Refused(error.to_string()),
        }
    }
}
