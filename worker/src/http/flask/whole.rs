//! The scheduler as a whole: it runs, is paused, or is stopped.
//!
//! All of it is the namespace's pause, which counts for the whole cluster. A scheduler that was shut
//! down is one that is paused for this reason, until it is started again; its jobs stay.

use scheduler_core::Store;
use scheduler_core::queue::HoldNote;

use super::refusal::Refusal;
use crate::Queues;
use crate::http::app::App;
use crate::jobs::JobsError;

const STOPPED: &str = "shut down through Flask-APScheduler's API";
const PAUSED: &str = "paused through Flask-APScheduler's API";

/// What the scheduler does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Running,
    Paused,
    Stopped,
}

/// What became of a start.
pub(super) enum Started {
    Done,
    Already,
}

/// The scheduler as a whole.
pub(super) struct Whole<S>(Queues<S>);

impl<S: Store> Whole<S> {
    pub(super) fn of(app: &App<S>) -> Self {
        Self(Queues::new(app.store().clone()))
    }

    pub(super) async fn stage(&self) -> Result<Stage, Refusal> {
        let hold = self.0.list().await.map_err(JobsError::from)?.hold;
        Ok(match hold {
            None => Stage::Running,
            Some(hold) if hold.note.reason.as_deref() == Some(STOPPED) => Stage::Stopped,
            Some(_) => Stage::Paused,
        })
    }

    pub(super) async fn pause(&self) -> Result<(), Refusal> {
        match self.stage().await? {
            Stage::Stopped => Err(not_running()),
            Stage::Paused => Ok(()),
            Stage::Running => self.hold(PAUSED).await,
        }
    }

    pub(super) async fn resume(&self) -> Result<(), Refusal> {
        match self.stage().await? {
            Stage::Stopped => Err(not_running()),
            Stage::Running => Ok(()),
            Stage::Paused => self.go_on().await,
        }
    }

    pub(super) async fn start(&self) -> Result<Started, Refusal> {
        match self.stage().await? {
            Stage::Running | Stage::Paused => Ok(Started::Already),
            Stage::Stopped => self.go_on().await.map(|()| Started::Done),
        }
    }

    pub(super) async fn shut_down(&self) -> Result<(), Refusal> {
        match self.stage().await? {
            Stage::Stopped => Err(not_running()),
            Stage::Running => self.hold(STOPPED).await,
            Stage::Paused => {
                // A pause keeps the reason that it was first given.
                self.go_on().await?;
                self.hold(STOPPED).await
            }
        }
    }

    /// That runs can begin: one that is asked for now would only wait.
    pub(super) async fn must_run(&self) -> Result<(), Refusal> {
        match self.stage().await? {
            Stage::Running => Ok(()),
            Stage::Paused => Err(Refusal::conflict("Scheduler is paused")),
            Stage::Stopped => Err(not_running()),
        }
    }

    async fn hold(&self, reason: &str) -> Result<(), Refusal> {
        let note = HoldNote {
            by: None,
            reason: Some(reason.to_owned()),
        };
        let held = self.0.pause_all(note).await;
        held.map(drop)
            .map_err(|error| JobsError::from(error).into())
    }

    async fn go_on(&self) -> Result<(), Refusal> {
        let resumed = self.0.resume_all().await;
        resumed
            .map(drop)
            .map_err(|error| JobsError::from(error).into())
    }
}

fn not_running() -> Refusal {
    Refusal::conflict("Scheduler is not running")
}
