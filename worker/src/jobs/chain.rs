//! Whether jobs would follow one another in a circle. The store refuses to write one; here it is found
//! out which, so that it can be told.

use std::collections::HashMap;

use scheduler_core::after::{Circle, MAX_CHAIN, circle};
use scheduler_core::change::Change;
use scheduler_core::{JobId, Store, Version};

use super::retry::until_known;
use super::{Jobs, JobsError};

impl<S: Store> Jobs<S> {
    /// Refuses changes after which jobs would follow one another in a circle, or would be apart from what
    /// they must be together with.
    pub(super) async fn check_chains(
        &self,
        changes: &[(Option<Version>, Change)],
    ) -> Result<(), JobsError> {
        let shards = self.store().shard_count();
        for (_, change) in changes {
            shards.check(&change.job)?;
        }
        let jobs = changes.iter().map(|(_, change)| &change.job);
        let mut leads: HashMap<JobId, Option<JobId>> = jobs
            .map(|job| (job.id().clone(), job.after().map(|after| after.job.clone())))
            .collect();
        for (_, change) in changes {
            let Some(after) = change.job.after() else {
                continue;
            };
            self.read_chain(&after.job, &mut leads).await?;
            let lead = |job: &JobId| leads.get(job).cloned().flatten();
            if let Some(chain) = circle(change.job.id(), &after.job, lead) {
                return Err(JobsError::Circle(Circle(chain)));
            }
        }
        Ok(())
    }

    /// Reads whom a job follows, and whom that one does, and so on.
    async fn read_chain(
        &self,
        from: &JobId,
        leads: &mut HashMap<JobId, Option<JobId>>,
    ) -> Result<(), JobsError> {
        let mut job = from.clone();
        for _ in 0..=MAX_CHAIN {
            if !leads.contains_key(&job) {
                let ids = std::slice::from_ref(&job);
                let read = until_known(|| self.store().jobs(ids)).await?;
                let stored = read.into_iter().find_map(|read| read.stored);
                let after = stored.and_then(|stored| Some(stored.job.after()?.job.clone()));
                leads.insert(job.clone(), after);
            }
            match leads.get(&job) {
                Some(Some(next)) => job = next.clone(),
                _ => break,
            }
        }
        Ok(())
    }
}
