//! `carillon job pause|resume|run|remove`.

use carillon::core::{JobId, Store};
use carillon::jobs::{Removed, RunRequested, Switched};

use serde_json::Value;

use super::{Desk, Failure, output};

/// Says of each job what became of it; the last refusal decides about the exit code.
struct Told(Result<(), Failure>);

impl Told {
    fn new() -> Self {
        Self(Ok(()))
    }

    fn done(&self, text: &str) -> Result<(), Failure> {
        Ok(output::line(text)?)
    }

    fn refused(&mut self, failure: Failure) {
        if let Err(earlier) = std::mem::replace(&mut self.0, Err(failure)) {
            let _ = earlier.report();
        }
    }
}

impl<S: Store> Desk<S> {
    pub(super) async fn pause(&self, ids: &[JobId]) -> Result<(), Failure> {
        let mut told = Told::new();
        for id in ids {
            match self.jobs.pause(id).await.map_err(|e| self.failed(&e))? {
                Switched::Done => told.done(&format!("paused {id}"))?,
                Switched::Already => told.done(&format!("{id} was paused already"))?,
                Switched::NotFound => told.refused(Self::not_found(id)),
            }
        }
        told.0
    }

    pub(super) async fn resume(&self, ids: &[JobId]) -> Result<(), Failure> {
        let mut told = Told::new();
        for id in ids {
            match self.jobs.resume(id).await.map_err(|e| self.failed(&e))? {
                Switched::Done => told.done(&format!("resumed {id}"))?,
                Switched::Already => told.done(&format!("{id} was not paused"))?,
                Switched::NotFound => told.refused(Self::not_found(id)),
            }
        }
        told.0
    }

    pub(super) async fn remove(&self, ids: &[JobId]) -> Result<(), Failure> {
        let mut told = Told::new();
        for id in ids {
            match self.jobs.remove(id).await.map_err(|e| self.failed(&e))? {
                Removed::Done => told.done(&format!("removed {id}"))?,
                Removed::NotFound => told.refused(Self::not_found(id)),
            }
        }
        told.0
    }

    pub(super) async fn run_now(&self, ids: &[JobId], args: Option<&Value>) -> Result<(), Failure> {
        let mut told = Told::new();
        for id in ids {
            let asked = match args {
                Some(args) => self.jobs.run_now_with(id, args).await,
                None => self.jobs.run_now(id).await,
            };
            match asked.map_err(|e| self.failed(&e))? {
                RunRequested::Made(run) => told.done(&run.to_string())?,
                RunRequested::Full { in_flight } => told.refused(Failure::Refused(format!(
                    "job {:?} has {in_flight} run(s) in flight, as many as it allows",
                    id.as_str()
                ))),
                RunRequested::NotFound => told.refused(Self::not_found(id)),
                RunRequested::TooEarly => {
                    let message = "the store's clock stands before 1970".to_owned();
                    told.refused(Failure::Refused(message));
                }
            }
        }
        told.0
    }
}
