//! What a leader does besides settling what is due: each of it harmless when done again.

use scheduler_core::change;
use scheduler_core::store::{
    Admit, AdmitItem, Changed, JobWrite, Park, ParkItem, Peeked, Promote, PutJob, RequestId,
    Retire, StoreResult, Tidy, TidyAnswer,
};
use scheduler_core::{Priority, QueueName, Shard, Version};
use uuid::Uuid;

use super::{Leader, QUIET_TIDY_EVERY, TIDY_EVERY};
use crate::clock::boottime;
use crate::event::Event;
use crate::node::definitions::Lookup;
use crate::node::following::Following;

impl<S: Shard> Leader<S> {
    /// Takes jobs out of the schedule that nobody can plan: they would stay at its head for ever.
    /// False where the lease is lost.
    pub(super) async fn park(&mut self, jobs: Vec<ParkItem>) -> StoreResult<bool> {
        let request = Park {
            token: self.token.clone(),
            jobs,
        };
        let link = &self.shared.link;
        let leads = link.ask("park", link.store.park(&request)).await?;
        if leads {
            for ParkItem {
                job,
                version,
                reason,
                ..
            } in request.jobs
            {
                tracing::error!(%job, %version, reason, "parked a job that cannot be read");
            }
        }
        Ok(leads)
    }

    /// Brings back jobs whose pause has ended, each if it still is as it is read now: safe also for a
    /// leader that has been deposed meanwhile, and asked for again by the next look where the answer
    /// is lost. Says whether any came back.
    pub(super) async fn end_pauses(&mut self, peeked: &Peeked) -> StoreResult<bool> {
        if peeked.resumes.is_empty() {
            return Ok(false);
        }
        let link = &self.shared.link;
        let read = link.ask("jobs", link.store.jobs(&peeked.resumes)).await?;
        let changes = read.iter().filter_map(|read| {
            let stored = read.stored.as_ref()?;
            let change = change::end_pause(stored, read.now)?;
            Some((Some(stored.version), change))
        });
        let changes: Vec<_> = changes.collect();
        self.park_paused(peeked, &read).await?;
        if changes.is_empty() {
            return Ok(false);
        }
        let link = &self.shared.link;
        let request = PutJob {
            request: RequestId(Uuid::new_v4()),
            all_or_none: false,
            changes,
        };
        let answers = link.ask("put", link.store.put(&request)).await?;
        let mut any = false;
        for ((_, change), answer) in request.changes.iter().zip(&answers) {
            if let Changed::Done(version) = *answer {
                any = true;
                let job = change.job.id();
                tracing::info!(%job, "its pause has ended");
                self.shared.events.tell(|| Event::JobResumed {
                    job: job.clone(),
                    version,
                });
            }
        }
        Ok(any)
    }

    /// Sets jobs aside whose pause has ended and that nobody can read: they would be the first to be
    /// looked at for ever, and keep others from coming back. Whoever has lost the lease learns so
    /// elsewhere.
    async fn park_paused(&mut self, peeked: &Peeked, read: &[JobWrite]) -> StoreResult<()> {
        let lost = peeked.resumes.iter().zip(read).filter_map(|(job, read)| {
            let (version, reason) = match (&read.stored, &read.unreadable) {
                (Some(_), _) => return None,
                (None, Some(job)) => (job.version, job.why.clone()),
                (None, None) => (Version::default(), "its record is gone".to_owned()),
            };
            Some(ParkItem {
                job: job.clone(),
                due: peeked.now,
                version,
                reason,
            })
        });
        let lost: Vec<_> = lost.collect();
        if !lost.is_empty() {
            self.park(lost).await?;
        }
        Ok(())
    }

    /// Lets runs go that are lined up, where their jobs have room. False where the lease is lost.
    pub(super) async fn admit(&mut self, peeked: &Peeked) -> StoreResult<bool> {
        if peeked.openings.is_empty() {
            return Ok(true);
        }
        let wanted = peeked.openings.iter();
        let wanted: Vec<_> = wanted
            .map(|open| (open.job.clone(), open.version))
            .collect();
        let definitions = self.shared.definitions.look_up(&wanted).await?;
        let mut items = Vec::with_capacity(wanted.len());
        for ((job, version), definition) in wanted.into_iter().zip(definitions) {
            let (queue, priority, limit) = match definition {
                Lookup::Found(job) => {
                    let policy = job.policy();
                    let limit = policy.max_instances.get();
                    (job.queue().clone(), policy.priority, limit)
                }
                // Its next change shows it again.
                Lookup::Gone | Lookup::Unreadable(_) => {
                    (QueueName::default_queue(), Priority::default(), 0)
                }
            };
            self.queues.insert(queue.clone());
            items.push(AdmitItem {
                job,
                version,
                queue,
                priority,
                max_instances: usize::try_from(limit).unwrap_or(usize::MAX),
            });
        }
        let token = self.token.clone();
        let request = Admit { token, items };
        let link = &self.shared.link;
        link.ask("admit", link.store.admit(&request)).await
    }

    /// Makes the runs that follow ends of others. False where the lease is lost.
    pub(super) async fn follow(&mut self, peeked: &Peeked) -> StoreResult<bool> {
        self.follows = peeked.follows;
        self.has_followed = !peeked.follows;
        if !peeked.follows {
            return Ok(true);
        }
        let following = Following {
            shared: &self.shared,
            token: &self.token,
            now: peeked.now,
        };
        let Some(followed) = following.catch_up().await? else {
            return Ok(false);
        };
        self.queues.extend(followed.queues);
        self.has_followed = followed.is_all;
        Ok(true)
    }

    pub(super) async fn promote(&mut self, peeked: &Peeked) -> StoreResult<bool> {
        if peeked.retries.is_empty() {
            return Ok(true);
        }
        for retry in &peeked.retries {
            if !self.queues.contains(&retry.queue) {
                self.queues.insert(retry.queue.clone());
            }
        }
        let request = Promote {
            token: self.token.clone(),
            retries: peeked.retries.clone(),
        };
        let link = &self.shared.link;
        link.ask("promote", link.store.promote(&request)).await
    }

    pub(super) async fn retire(&self, peeked: &Peeked) -> StoreResult<bool> {
        if peeked.finished.is_empty() {
            return Ok(true);
        }
        let request = Retire {
            token: self.token.clone(),
            jobs: peeked.finished.clone(),
        };
        let link = &self.shared.link;
        let leads = link.ask("retire", link.store.retire(&request)).await?;
        if leads {
            for job in request.jobs {
                self.shared.events.tell(|| Event::JobFinished { job });
            }
        }
        Ok(leads)
    }

    /// Forgets what is past keeping: now and then, and with each round while there is more of it
    /// than one call may forget. Also under a load that never lets the leader rest. False where the
    /// lease is lost.
    pub(super) async fn tidy(&mut self) -> StoreResult<bool> {
        let now = boottime();
        let every = if self.is_quiet() {
            QUIET_TIDY_EVERY
        } else {
            TIDY_EVERY
        };
        if self.tidied_at.is_some_and(|at| now < at + every) {
            return Ok(true);
        }
        self.tidied_at = Some(now);
        let retention = self.shared.settings.retention;
        let request = Tidy {
            token: self.token.clone(),
            // What has ended and was not followed yet stands in it.
            keep_history: if self.has_followed {
                retention.history
            } else {
                u64::MAX
            },
            keep_history_for: retention.history_for.filter(|_| self.has_followed),
            keep_requests: retention.requests,
            keep_fired: retention.fired,
            keep_failed: retention.failed,
            keep_failed_for: retention.failed_for,
        };
        let link = &self.shared.link;
        let answer = link.ask("tidy", link.store.tidy(&request)).await?;
        if answer == TidyAnswer::More {
            self.tidied_at = None;
        }
        Ok(answer != TidyAnswer::LeaseLost)
    }
}
