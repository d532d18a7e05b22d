//! What a handler is told about the run that it executes.

use std::sync::Arc;

use scheduler_core::{Fence, Job, JobId, NodeName, RunId, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::task::States;

/// The run that a handler executes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) job: Arc<Job>,
    pub(crate) run: RunId,
    pub(crate) attempt: u32,
    pub(crate) fence: Fence,
    pub(crate) node: NodeName,
    pub(crate) started_at: Timestamp,
    pub(crate) cancellation: CancellationToken,
    pub(crate) states: States,
}

impl Context {
    /// The run.
    #[must_use]
    pub const fn run_id(&self) -> &RunId {
        &self.run
    }

    /// The job that the run executes.
    #[must_use]
    pub fn job_id(&self) -> &JobId {
        self.job.id()
    }

    /// The job's definition, as it was when the run was first begun.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// When the run was due: its fire time, or the moment of the request for it.
    #[must_use]
    pub fn scheduled_at(&self) -> Timestamp {
        self.run.scheduled_at()
    }

    /// When this attempt was begun, by the store's clock as this node knows it.
    #[must_use]
    pub const fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// The number of this attempt, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The number of the claim that this attempt runs under: greater than that of each earlier
    /// attempt of this run and of each earlier run of this job. An effect outside is made
    /// exactly-once by refusing a smaller number than the greatest one seen.
    #[must_use]
    pub const fn fence(&self) -> Fence {
        self.fence
    }

    /// The node that executes the run.
    #[must_use]
    pub const fn node(&self) -> &NodeName {
        &self.node
    }

    /// What the scheduler was given of this type: [`State`](crate::State) for who is no handler.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.states.get()
    }

    /// Fires when the handler should stop: its node is shutting down and the grace has ended, or
    /// the node can no longer prove that the claim is its own.
    #[must_use]
    pub const fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }
}
