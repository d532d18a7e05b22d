//! Changes that a caller decides.

use scheduler_core::change::Change;
use scheduler_core::store::{Changed, JobWrite};
use scheduler_core::{JobId, Store};

use super::client::Rounds;
use super::{Jobs, JobsError};

/// What a decision comes to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decided<T> {
    /// Nothing is to be written.
    Done(T),
    /// This is to be written, and then it is done.
    Write(Box<Change>, T),
}

impl<S: Store> Jobs<S> {
    /// Reads a job, lets `decide` say what becomes of it, and writes that if the job still is as it
    /// was read; else once more.
    ///
    /// # Errors
    ///
    /// Whatever `decide` refuses with; the store could not answer, or others kept changing the job.
    pub(crate) async fn decided<T, E: From<JobsError>>(
        &self,
        id: &JobId,
        mut decide: impl FnMut(&JobWrite) -> Result<Decided<T>, E>,
    ) -> Result<T, E> {
        let mut rounds = Rounds::new(id);
        loop {
            let read = self.read(id).await?;
            let stored = read.stored.as_ref().map(|job| job.version);
            let version = stored.or(read.unreadable.as_ref().map(|job| job.version));
            let (change, done) = match decide(&read)? {
                Decided::Done(done) => return Ok(done),
                Decided::Write(change, done) => (*change, done),
            };
            let before = read.stored.as_ref();
            let written = self.write_one(before, version, change).await;
            match written? {
                Changed::Done(_) => return Ok(done),
                Changed::Conflict | Changed::Taken => rounds.again()?,
            }
        }
    }
}
