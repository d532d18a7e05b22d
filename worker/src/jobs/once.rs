//! Jobs that run once.

use scheduler_core::trigger::{DateSpec, TriggerSpec};
use scheduler_core::{Job, JobBuilder, JobId, Store, TaskName};

use super::client::{Jobs, new_id_beside};
use super::{JobsError, OnConflict, Once, Put};

impl<S: Store> Jobs<S> {
    /// Puts a job of this task that runs once, under an id that is made for it; answers with that.
    /// `with` says what there is to say of it besides. It leaves the store after its run, unless its
    /// policy keeps it; its history stays.
    ///
    /// With a [unique key](scheduler_core::unique) that another job holds, the answer is that job's id
    /// where duplicates are ignored: it does the work.
    ///
    /// ```
    /// use carillon::core::{Store, TaskName, Unique, UniqueKey};
    /// use carillon::jobs::{Jobs, JobsError, Once};
    ///
    /// async fn bill<S: Store>(store: S, order: u64) -> Result<(), Box<dyn std::error::Error>> {
    ///     let unique = Unique::new(UniqueKey::new(format!("bill {order}"))?);
    ///     let jobs = Jobs::new(store);
    ///     let with = |job: carillon::core::JobBuilder| job.args(order).unique(Some(unique));
    ///     let job = jobs.once(TaskName::new("bill")?, Once::Now, with).await?;
    ///     println!("{job} bills order {order}, however often this is called");
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not answer. Its unique key is held by another job, and that is to be an error.
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
        let shards = self.store().shard_count();
        let new_id = |key: Option<&str>| {
            let id = new_id_beside(shards, key, task.as_str(), now);
            JobId::new(id).expect("a word and a number are an id")
        };
        let date = TriggerSpec::Date(DateSpec {
            run_date: Some(at.to_string()),
            ..DateSpec::default()
        });
        let trigger = date.resolve(chrono_tz::UTC).expect("an instant is a date");
        let job = with(Job::builder(new_id(None), task.clone(), trigger)).build();
        let key = job.unique().map(|unique| unique.key.clone());
        let is_placed = shards.check(&job).is_ok();
        // Made for it: where its key is in another shard, another id will do.
        let job = match &key {
            Some(key) if !is_placed => job.with_id(new_id(Some(key.as_str()))),
            _ => job,
        };
        let id = job.id().clone();
        match (self.put(job, OnConflict::Refuse).await?, key) {
            (Put::Ignored(holder), _) => Ok(holder),
            (Put::KeyTaken(by), Some(key)) => Err(JobsError::KeyTaken { key, by }),
            _ => Ok(id),
        }
    }
}
