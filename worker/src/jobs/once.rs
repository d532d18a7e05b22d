//! Jobs that run once.

use scheduler_core::trigger::{DateSpec, TriggerSpec};
use scheduler_core::{Job, JobBuilder, JobId, Store, TaskName};

use super::client::{Jobs, new_id};
use super::{JobsError, OnConflict, Once};

impl<S: Store> Jobs<S> {
    /// Puts a job of this task that runs once, under an id that is made for it; answers with that.
    /// `with` says what there is to say of it besides. It leaves the store after its run, unless its
    /// policy keeps it; its history stays.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn once(
        &self,
        task: TaskName,
        when: Once,
        with: impl FnOnce(JobBuilder) -> JobBuilder,
    ) -> Result<JobId, JobsError> {
        let now = self.now().await?;
        let at = match when {
            Once::Now => now,
            Once::At(at) => at,
            Once::After(delay) => now.after(delay),
        };
        let id = JobId::new(new_id(task.as_str(), now)).expect("a word and a number are an id");
        let date = TriggerSpec::Date(DateSpec {
            run_date: Some(at.to_string()),
            ..DateSpec::default()
        });
        let trigger = date.resolve(chrono_tz::UTC).expect("an instant is a date");
        let job = with(Job::builder(id.clone(), task, trigger)).build();
        self.put(job, OnConflict::Refuse).await?;
        Ok(id)
    }
}
