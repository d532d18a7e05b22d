//! What a handler is told about the run that it executes.

use std::sync::Arc;

use scheduler_core::history::RunRecord;
use scheduler_core::notes::NoteError;
use scheduler_core::{Fence, Job, JobId, NodeName, RunId, Timestamp};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::clock::StoreClock;
use crate::node::scribe::Notebook;
use crate::node::trace::Tracing;
use crate::task::States;

/// The run that a handler executes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) job: Arc<Job>,
    pub(crate) run: RunId,
    pub(crate) followed: Option<Arc<RunRecord>>,
    pub(crate) attempt: u32,
    pub(crate) fence: Fence,
    pub(crate) node: NodeName,
    pub(crate) started_at: Timestamp,
    pub(crate) cancellation: CancellationToken,
    pub(crate) states: States,
    pub(crate) notebook: Notebook,
    pub(crate) clock: Arc<StoreClock>,
    pub(crate) tracing: Arc<Tracing>,
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

    /// How the run ended that this one follows, for a job that runs [after](scheduler_core::Job::after)
    /// another: which run it was, how it ended, and what it said. None where the run was made by its
    /// own schedule, by hand or again, and where history does not reach back to it any more.
    #[must_use]
    pub fn followed(&self) -> Option<&RunRecord> {
        self.followed.as_deref()
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

    /// Tells how far the run is: a fraction from 0 to 1, and what that means in words. Seen within a
    /// second in `carillon runs show RUN --watch`; each call takes the place of the last.
    ///
    /// ```
    /// # async fn import(context: carillon::Context, rows: Vec<String>) -> Result<(), carillon::task::BoxError> {
    /// for (done, row) in rows.iter().enumerate() {
    ///     context.progress(done as f64 / rows.len() as f64, format!("row {done}"))?;
    ///     if row.is_empty() {
    ///         context.log(format!("row {done} is empty"));
    ///     }
    /// }
    /// context.keep_result(&rows.len())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What is no fraction.
    pub fn progress(&self, fraction: f64, text: impl AsRef<str>) -> Result<(), NoteError> {
        let now = self.clock.now();
        self.notebook.progress(fraction, text.as_ref(), now)
    }

    /// Keeps a line with the run, for people; a text of several lines is several. Of each attempt the
    /// last 200 lines are kept, of 16 KiB in all, and the others counted.
    ///
    /// Lines are written to the store once a second: what a node that dies had not written yet is
    /// lost. What must not be lost belongs into a log of the service's own.
    pub fn log(&self, text: impl AsRef<str>) {
        self.notebook.log(text.as_ref(), self.clock.now());
    }

    /// Keeps a small result with the run, for a while; each call takes the place of the last. Written
    /// down as lines are. What a handler *returns* stands in the run's record besides, as text.
    ///
    /// # Errors
    ///
    /// What has more than 16 KiB as JSON, or is none.
    pub fn keep_result(&self, result: &impl Serialize) -> Result<(), NoteError> {
        let result = serde_json::to_value(result);
        let result = result.map_err(|error| NoteError::NotJson(error.to_string()))?;
        self.notebook.result(result)
    }

    /// The run's trace and this attempt's span, as the header `traceparent` of W3C Trace Context has them: to
    /// be handed to whatever the handler calls. The same run is the same trace on each node.
    #[must_use]
    pub fn traceparent(&self) -> String {
        self.tracing.traceparent(&self.run, self.fence)
    }

    /// A text as others may see it: without the secrets that the handler was given. What a handler
    /// answers with, notes or fails with is masked likewise.
    #[must_use]
    pub fn masked(&self, text: impl Into<String>) -> String {
        self.notebook.hidden().mask(text.into())
    }

    /// Fires when the handler should stop: its node is shutting down and the grace has ended, or
    /// the node can no longer prove that the claim is its own.
    #[must_use]
    pub const fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }
}
