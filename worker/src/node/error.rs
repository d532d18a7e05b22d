//! What ends a node that nobody told to stop.

use std::fmt;

use scheduler_core::StoreError;

use crate::jobs::JobsError;

/// A node could not begin, or could not go on.
#[derive(Debug)]
pub struct NodeError(Kind);

#[derive(Debug)]
enum Kind {
    Register { store: String, error: StoreError },
    Heart(std::io::Error),
    Panicked,
    RunsAlready,
    Jobs(JobsError),
}

impl NodeError {
    pub(crate) const fn register(store: String, error: StoreError) -> Self {
        Self(Kind::Register { store, error })
    }

    pub(crate) const fn heart(error: std::io::Error) -> Self {
        Self(Kind::Heart(error))
    }

    pub(crate) const fn panicked() -> Self {
        Self(Kind::Panicked)
    }

    pub(crate) const fn runs_already() -> Self {
        Self(Kind::RunsAlready)
    }

    pub(crate) const fn jobs(error: JobsError) -> Self {
        Self(Kind::Jobs(error))
    }

    /// The store's error, where the store would not let the node begin.
    #[must_use]
    pub const fn store_error(&self) -> Option<&StoreError> {
        match &self.0 {
            Kind::Register { error, .. } => Some(error),
            Kind::Jobs(JobsError::Store(error)) => Some(error),
            Kind::Jobs(_) | Kind::Heart(_) | Kind::Panicked | Kind::RunsAlready => None,
        }
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Register { store, .. } => write!(f, "could not register with {store}"),
            Kind::Heart(_) => f.write_str("could not start the heartbeat's thread"),
            Kind::RunsAlready => f.write_str("the scheduler runs already"),
            Kind::Jobs(_) => f.write_str("could not put the declared jobs"),
            Kind::Panicked => f.write_str("one of the node's loops panicked: this is a bug"),
        }
    }
}

impl std::error::Error for NodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Kind::Register { error, .. } => Some(error),
            Kind::Heart(error) => Some(error),
            Kind::Jobs(error) => Some(error),
            Kind::Panicked | Kind::RunsAlready => None,
        }
    }
}
