//! Pausing all jobs at once, and what a scheduler says of itself.

use scheduler_core::Sharded;
use scheduler_core::queue::{Hold, HoldNote};

use crate::jobs::JobsError;
use crate::queues::Queues;
use crate::scheduler::{Scheduler, SchedulerError};

/// What a scheduler does at a moment: answered by [`Scheduler::state`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchedulerState {
    /// This node does not run. Others of the store may.
    Stopped,
    /// It runs.
    Running,
    /// It runs, and all jobs are paused: since when, by whom and why.
    Paused(Hold),
}

/// Pausing: for the whole cluster, from whichever node it is asked for, whether that runs or not.
impl<S: Sharded> Scheduler<S> {
    /// Pauses all jobs of the store, on all nodes, until [`resume`](Self::resume): fire times are
    /// recorded as skipped, and runs wait. What is running goes on. Nothing happens where they are
    /// paused already.
    ///
    /// ```
    /// use carillon::core::queue::HoldNote;
    /// use carillon::{Scheduler, SchedulerState};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let scheduler = Scheduler::in_memory().build()?;
    /// let running = scheduler.start()?;
    /// let note = HoldNote {
    ///     reason: Some("moving the database".to_owned()),
    ///     ..HoldNote::default()
    /// };
    /// scheduler.pause_with(note).await?;
    /// if let SchedulerState::Paused(hold) = scheduler.state().await? {
    ///     println!("paused since {}: {:?}", hold.since, hold.note.reason);
    /// }
    /// scheduler.resume().await?;
    /// assert_eq!(scheduler.state().await?, SchedulerState::Running);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A pause is no state of this process: it outlives it, and `carillon resume` ends it, too.
    ///
    /// # Errors
    ///
    /// A store that cannot answer.
    pub async fn pause(&self) -> Result<(), SchedulerError> {
        self.pause_with(HoldNote::default()).await
    }

    /// Pauses all jobs, as [`pause`](Self::pause) does, and says who does so, and why: history says
    /// it with each fire time that is skipped. The note of a pause that is there already stays.
    ///
    /// # Errors
    ///
    /// A store that cannot answer.
    pub async fn pause_with(&self, note: HoldNote) -> Result<(), SchedulerError> {
        let paused = self.queues().pause_all(note).await;
        paused.map(drop).map_err(of_store)
    }

    /// Ends the pause of all jobs. Those that are paused one by one stay so. Nothing happens where
    /// there is no pause.
    ///
    /// # Errors
    ///
    /// A store that cannot answer.
    pub async fn resume(&self) -> Result<(), SchedulerError> {
        let resumed = self.queues().resume_all().await;
        resumed.map(drop).map_err(of_store)
    }

    /// The pause of all jobs, if there is one: since when, by whom and why.
    ///
    /// # Errors
    ///
    /// A store that cannot answer.
    pub async fn paused(&self) -> Result<Option<Hold>, SchedulerError> {
        let board = self.queues().list().await.map_err(of_store)?;
        Ok(board.hold)
    }

    /// Whether this node runs, and whether all jobs are paused. A node that does not run does not ask
    /// the store.
    ///
    /// # Errors
    ///
    /// A store that cannot answer.
    pub async fn state(&self) -> Result<SchedulerState, SchedulerError> {
        if !self.is_running() {
            return Ok(SchedulerState::Stopped);
        }
        let paused = self.paused().await?;
        Ok(paused.map_or(SchedulerState::Running, SchedulerState::Paused))
    }

    /// Whether this node runs, paused or not. Asks nobody.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.node.lives()
    }

    /// The queues of the store: their limits and their pauses.
    #[must_use]
    pub fn queues(&self) -> Queues<S> {
        Queues::new(self.store.clone())
    }
}

fn of_store(error: scheduler_core::StoreError) -> SchedulerError {
    JobsError::Store(error).into()
}
