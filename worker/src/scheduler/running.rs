//! A scheduler that runs in the background.

use std::ops::Deref;

use scheduler_core::Sharded;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::node::NodeError;
use crate::scheduler::Scheduler;
use crate::scheduler::object::Life;

/// What a scheduler does with its handlers when it is told to shut down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// It waits for them, for as long as its grace. The default.
    #[default]
    ForRuns,
    /// It tells them to stop at once; their runs are tried again elsewhere, as after a lost node.
    NotAtAll,
}

/// A scheduler that runs in the background: made by [`Scheduler::start`]. Does all that a
/// [`Scheduler`] does.
///
/// Dropping it tells the scheduler to shut down, and waits for nothing.
#[derive(Debug)]
#[must_use = "a scheduler shuts down when this is dropped"]
pub struct Running<S> {
    scheduler: Scheduler<S>,
    shutdown: CancellationToken,
    /// None once it has been waited for.
    task: Option<JoinHandle<Result<(), NodeError>>>,
}

impl<S: Sharded> Running<S> {
    pub(super) fn begin(scheduler: Scheduler<S>, life: Life) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(scheduler.clone().live(life, shutdown.clone()));
        Self {
            scheduler,
            shutdown,
            task: Some(task),
        }
    }

    /// Shuts the scheduler down in order, and waits until it has: the lease goes back at once, no
    /// more runs are claimed, and its handlers end or are stopped.
    ///
    /// # Errors
    ///
    /// What had ended it before.
    pub async fn shutdown(mut self, wait: Wait) -> Result<(), NodeError> {
        if wait == Wait::NotAtAll {
            self.scheduler.node.hurry().cancel();
        }
        self.shutdown.cancel();
        self.end().await
    }

    /// Waits until the scheduler has ended, because somebody told it to, or for an error.
    ///
    /// # Errors
    ///
    /// As those of [`Scheduler::run`].
    pub async fn ended(mut self) -> Result<(), NodeError> {
        self.end().await
    }

    async fn end(&mut self) -> Result<(), NodeError> {
        match self.task.take() {
            Some(task) => task.await.unwrap_or_else(|_| Err(NodeError::panicked())),
            None => Ok(()),
        }
    }
}

impl<S> Deref for Running<S> {
    type Target = Scheduler<S>;

    fn deref(&self) -> &Scheduler<S> {
        &self.scheduler
    }
}

impl<S> Drop for Running<S> {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Something that listens to a scheduler's events: made by
/// [`Scheduler::add_listener`]. Dropping it ends the listening.
#[derive(Debug)]
#[must_use = "a listener hears nothing more when this is dropped"]
pub struct Listener(JoinHandle<()>);

impl Listener {
    pub(super) const fn new(task: JoinHandle<()>) -> Self {
        Self(task)
    }

    /// Ends the listening.
    pub fn remove(self) {}
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}
