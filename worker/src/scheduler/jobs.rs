//! What may be asked of a scheduler about its jobs, whether it runs or not.

use scheduler_core::patch::{Edit, JobPatch};
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::{JobId, RunId, Sharded, StoredJob};

use crate::jobs::{
    JobList, Jobs, Modified, OnConflict, PauseWish, Put, Removed, RunRequested, Switched,
};
use crate::scheduler::{NewJob, Scheduler, SchedulerError};

/// The jobs of the scheduler's store: every node and client sees the same ones.
impl<S: Sharded> Scheduler<S> {
    /// All that can be done with jobs: these methods are the short way.
    #[must_use]
    pub fn jobs(&self) -> Jobs<S> {
        Jobs::new(self.store.clone())
    }

    /// Adds a job. Says whether it is new, takes the place of a stored one, or was there already.
    ///
    /// ```
    /// use std::time::Duration;
    /// use carillon::{NewJob, Scheduler};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let scheduler = Scheduler::in_memory().task("hello", || async {}).build()?;
    /// let hello = NewJob::new("hello", "hello").every(Duration::from_secs(10));
    /// scheduler.add_job(hello.clone()).await?;
    /// assert!(scheduler.add_job(hello.clone()).await.is_err(), "there is one of this id");
    /// scheduler.add_job(hello.replace_existing()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A field that breaks a rule; a stored job of the same id, unless the new one says what to do
    /// then; a schedule that is over; a store that cannot answer.
    pub async fn add_job(&self, job: impl Into<NewJob> + Send) -> Result<Put, SchedulerError> {
        let job = job.into();
        let id = job.id().to_owned();
        let wish = job
            .checked(&self.defaults, OnConflict::Refuse)
            .map_err(|error| SchedulerError::Job {
                job: id.clone(),
                error,
            })?;
        match self.jobs().put(wish.job, wish.on_conflict).await? {
            Put::Exists => Err(SchedulerError::Exists { job: id }),
            Put::Over(why) => Err(SchedulerError::Over { job: id, why }),
            Put::KeyTaken(by) => Err(SchedulerError::KeyTaken { job: id, by }),
            Put::Unreadable(why) => Err(SchedulerError::Unreadable { job: id, why }),
            done => Ok(done),
        }
    }

    /// The job of this id, if there is one.
    ///
    /// # Errors
    ///
    /// No job's id; a record that cannot be read; a store that cannot answer.
    pub async fn get_job(
        &self,
        id: impl AsRef<str> + Send,
    ) -> Result<Option<StoredJob>, SchedulerError> {
        Ok(self.jobs().get(&checked(id)?).await?)
    }

    /// All jobs, by id.
    ///
    /// # Errors
    ///
    /// A store that cannot answer.
    pub async fn get_jobs(&self) -> Result<JobList, SchedulerError> {
        Ok(self.jobs().list().await?)
    }

    /// Changes some fields of a job: all of them, or none where one breaks a rule.
    ///
    /// ```
    /// use std::time::Duration;
    /// use carillon::core::patch::{Edit, JobPatch};
    /// use carillon::{NewJob, Scheduler};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let scheduler = Scheduler::in_memory().build()?;
    /// # scheduler.add_job(NewJob::new("hello", "hello").every(Duration::from_secs(10))).await?;
    /// let patch = JobPatch {
    ///     queue: Edit::To("slow".to_owned()),
    ///     ..JobPatch::default()
    /// };
    /// scheduler.modify_job("hello", &patch).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// No such job; a field that breaks a rule; a store that cannot answer.
    pub async fn modify_job(
        &self,
        id: impl AsRef<str> + Send,
        patch: &JobPatch,
    ) -> Result<(), SchedulerError> {
        let id = checked(id)?;
        match self.jobs().modify(&id, patch, &self.defaults).await? {
            Modified::Done(_) | Modified::Unchanged(_) => Ok(()),
            Modified::NotFound => Err(not_found(&id)),
            Modified::Refused(error) => Err(SchedulerError::Modify {
                job: id.to_string(),
                error,
            }),
        }
    }

    /// Gives a job a new schedule, which begins now. A paused job stays paused.
    ///
    /// # Errors
    ///
    /// No such job; a trigger that breaks a rule, or is over; a store that cannot answer.
    pub async fn reschedule_job(
        &self,
        id: impl AsRef<str> + Send,
        trigger: TriggerSpec,
    ) -> Result<(), SchedulerError> {
        let patch = JobPatch {
            trigger: Edit::To(trigger),
            ..JobPatch::default()
        };
        self.modify_job(id, &patch).await
    }

    /// Pauses a job: its fire times are recorded as skipped until it is resumed. Nothing happens to
    /// one that is paused already.
    ///
    /// # Errors
    ///
    /// No such job; a store that cannot answer.
    pub async fn pause_job(&self, id: impl AsRef<str> + Send) -> Result<(), SchedulerError> {
        let id = checked(id)?;
        switched(&id, self.jobs().pause(&id).await?)
    }

    /// Pauses a job, and says who does so, why, or until when: then it comes back by itself.
    ///
    /// # Errors
    ///
    /// No such job; an end that has passed; a store that cannot answer.
    pub async fn pause_job_with(
        &self,
        id: impl AsRef<str> + Send,
        wish: &PauseWish,
    ) -> Result<(), SchedulerError> {
        let id = checked(id)?;
        switched(&id, self.jobs().pause_with(&id, wish).await?)
    }

    /// Resumes a paused job. Nothing happens to one that is not paused.
    ///
    /// # Errors
    ///
    /// No such job; a store that cannot answer.
    pub async fn resume_job(&self, id: impl AsRef<str> + Send) -> Result<(), SchedulerError> {
        let id = checked(id)?;
        switched(&id, self.jobs().resume(&id).await?)
    }

    /// Removes a job. Runs that have begun go on.
    ///
    /// # Errors
    ///
    /// No such job; a store that cannot answer.
    pub async fn remove_job(&self, id: impl AsRef<str> + Send) -> Result<(), SchedulerError> {
        let id = checked(id)?;
        match self.jobs().remove(&id).await? {
            Removed::Done => Ok(()),
            Removed::NotFound => Err(not_found(&id)),
        }
    }

    /// Removes all jobs of the store, also those of other services that share it. Says how many
    /// there were.
    ///
    /// # Errors
    ///
    /// A store that cannot answer: some may have been removed.
    pub async fn remove_all_jobs(&self) -> Result<usize, SchedulerError> {
        let jobs = self.jobs();
        let list = jobs.list().await?;
        let unreadable = list.unreadable.iter().map(|(id, _)| id.as_str());
        let readable = list.jobs.iter().map(|stored| stored.job.id().as_str());
        let mut removed = 0;
        for id in readable.chain(unreadable) {
            if jobs.remove(&checked(id)?).await? == Removed::Done {
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Runs a job once, now, beside its schedule; a paused one, too. Answers with the run, which
    /// waits for a node.
    ///
    /// # Errors
    ///
    /// No such job; as many of its runs in flight as it allows; a store that cannot answer.
    pub async fn run_job(&self, id: impl AsRef<str> + Send) -> Result<RunId, SchedulerError> {
        let id = checked(id)?;
        match self.jobs().run_now(&id).await? {
            RunRequested::Made(run) => Ok(run),
            RunRequested::Full { in_flight } => Err(SchedulerError::Full {
                job: id.to_string(),
                in_flight,
            }),
            RunRequested::NotFound => Err(not_found(&id)),
            RunRequested::TooEarly => Err(SchedulerError::TooEarly {
                job: id.to_string(),
            }),
        }
    }
}

fn checked(id: impl AsRef<str>) -> Result<JobId, SchedulerError> {
    let id = id.as_ref();
    JobId::new(id).map_err(|error| SchedulerError::Name {
        job: id.to_owned(),
        error,
    })
}

fn not_found(id: &JobId) -> SchedulerError {
    SchedulerError::NotFound {
        job: id.to_string(),
    }
}

fn switched(id: &JobId, switched: Switched) -> Result<(), SchedulerError> {
    match switched {
        Switched::Done | Switched::Already => Ok(()),
        Switched::NotFound => Err(not_found(id)),
        Switched::Ended => Err(SchedulerError::PauseEnded {
            job: id.to_string(),
        }),
    }
}
