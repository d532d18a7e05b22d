//! Bringing jobs back from lines that were saved.

use scheduler_core::change::{self, Saved};
use scheduler_core::store::Changed;
use scheduler_core::{Store, StoredJob};

use super::client::{Jobs, Rounds};
use super::{JobsError, OnConflict, Restored};

impl<S: Store> Jobs<S> {
    /// Brings back a job as it stood somewhere, with its pause and when it was to run next.
    ///
    /// # Errors
    ///
    /// The store could not answer, or others kept changing the job.
    pub async fn restore(
        &self,
        saved: &Saved,
        on_conflict: OnConflict,
    ) -> Result<Restored, JobsError> {
        let id = saved.job.id();
        let mut rounds = Rounds::new(id);
        loop {
            let read = self.read(id).await?;
            if let Some(unreadable) = read.unreadable {
                return Ok(Restored::Unreadable(unreadable.why));
            }
            let stored = read.stored.as_ref();
            let is_there = stored.is_some_and(|stored| is_so_already(stored, saved));
            match (stored, on_conflict) {
                (Some(_), _) if is_there => return Ok(Restored::Unchanged),
                (Some(_), OnConflict::Refuse) => return Ok(Restored::Exists),
                (Some(_), OnConflict::Keep) => return Ok(Restored::Kept),
                _ => {}
            }
            let change = change::restore(saved.clone(), stored, read.fired, read.now);
            let Ok(change) = change else {
                return Ok(Restored::Over);
            };
            let expected = stored.map(|stored| stored.version);
            match self.write(vec![(expected, change)]).await?[..] {
                [Changed::Done(_)] if expected.is_some() => return Ok(Restored::Replaced),
                [Changed::Done(_)] => return Ok(Restored::Added),
                [Changed::Taken] => {
                    let key = saved.job.unique().map(|unique| &unique.key);
                    if let Some(key) = key
                        && let Some(holder) = self.holder(key).await?
                    {
                        return Ok(Restored::KeyTaken(holder.job));
                    }
                    rounds.again()?;
                }
                _ => rounds.again()?,
            }
        }
    }
}

/// Whether a job stands here as it stood there. When it runs next says nothing: it may have gone on.
fn is_so_already(stored: &StoredJob, saved: &Saved) -> bool {
    let is_paused_so = match (stored.state.pause(), saved.state.pause()) {
        (None, None) => true,
        (Some(here), Some(there)) => {
            (here.until, &here.by, &here.reason) == (there.until, &there.by, &there.reason)
        }
        _ => false,
    };
    stored.job == saved.job && is_paused_so && stored.parked.is_none()
}
