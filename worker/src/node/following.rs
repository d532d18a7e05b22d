//! Following ends of runs with runs of other jobs: see [`scheduler_core::after`].

use std::collections::BTreeSet;

use scheduler_core::after::{Follow, Step, decide, steps};
use scheduler_core::history::SkipRecord;
use scheduler_core::lease::LeaseToken;
use scheduler_core::plan::SkipReason;
use scheduler_core::store::{FollowAnswer, FollowItem, FollowUp, StoreResult};
use scheduler_core::{Event, Priority, QueueName, Shard, Timestamp};

use crate::node::definitions::Lookup;
use crate::node::shared::Shared;

/// How many entries of history are looked at in one step.
const ENTRIES: usize = 50;

/// How many runs are made in one step.
const BATCH: usize = 200;

/// How many steps one round of the leader takes: what is left waits for the next.
const STEPS: usize = 20;

/// What it takes to follow.
pub(super) struct Following<'a, S> {
    pub(super) shared: &'a Shared<S>,
    pub(super) token: &'a LeaseToken,
    pub(super) now: Timestamp,
}

/// What was followed.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// The queues of the runs that were made.
    pub(super) queues: BTreeSet<QueueName>,
    /// Whether all that ended was followed.
    pub(super) is_all: bool,
}

impl<S: Shard> Following<'_, S> {
    /// Follows what has ended, as much of it as one round may; none where the lease is lost.
    pub(super) async fn catch_up(&self) -> StoreResult<Option<Followed>> {
        let link = &self.shared.link;
        let mut followed = Followed::default();
        for _ in 0..STEPS {
            let trail = link.ask("trail", link.store.trail(ENTRIES)).await?;
            let (steps, to) = steps(&trail, BATCH);
            let Some(to) = to else {
                followed.is_all = true;
                break;
            };
            let is_all = trail.is_all && steps.len() < BATCH;
            let items = self.decided(&steps).await?;
            let request = FollowUp {
                token: self.token.clone(),
                from: trail.cursor.clone(),
                to,
                items,
            };
            match link.ask("follow", link.store.follow(&request)).await? {
                FollowAnswer::LeaseLost => return Ok(None),
                // Somebody changed a job, or another leader came first: look again.
                FollowAnswer::Changed => {}
                FollowAnswer::Followed => {
                    self.tell(&request.items);
                    let queues = request.items.into_iter().map(|item| item.queue);
                    followed.queues.extend(queues);
                    if is_all {
                        followed.is_all = true;
                        break;
                    }
                }
            }
        }
        Ok(Some(followed))
    }

    async fn decided(&self, steps: &[Step<'_>]) -> StoreResult<Vec<FollowItem>> {
        let wanted: Vec<_> = steps
            .iter()
            .map(|step| (step.follower.job.clone(), step.follower.version))
            .collect();
        let definitions = self.shared.definitions.look_up(&wanted).await?;
        let items = steps.iter().zip(definitions).map(|(step, definition)| {
            let (queue, priority, max_instances, max_lined_up, follow) = match definition {
                Lookup::Found(job) => {
                    let policy = job.policy();
                    let limit = policy.max_instances.get();
                    (
                        job.queue().clone(),
                        policy.priority,
                        usize::try_from(limit).unwrap_or(usize::MAX),
                        policy.max_lined_up(),
                        decide(&job, step, self.now),
                    )
                }
                // Where it is gone, its version is, too, and nothing is done.
                Lookup::Gone => unreadable(step, "its record is gone"),
                Lookup::Unreadable(why) => unreadable(step, &why),
            };
            FollowItem {
                job: step.follower.job.clone(),
                version: step.follower.version,
                queue,
                priority,
                max_instances,
                max_lined_up,
                follow,
            }
        });
        Ok(items.collect())
    }

    fn tell(&self, items: &[FollowItem]) {
        for item in items {
            match &item.follow {
                // It may have been recorded as skipped in its place: listeners of the cluster hear
                // of that.
                Follow::Run(run, _) => self
                    .shared
                    .events
                    .tell_of_run(|| Event::RunSubmitted { run: run.clone() }),
                Follow::Skip(skip) => self
                    .shared
                    .events
                    .tell_of_record(|| Event::Skipped(skip.clone())),
            }
        }
    }
}

/// A run that cannot be made, because its definition cannot be read.
fn unreadable(step: &Step<'_>, why: &str) -> (QueueName, Priority, usize, usize, Follow) {
    let skip = SkipRecord {
        job: step.follower.job.clone(),
        skipped: SkipReason::Unreadable,
        first: step.at,
        last: step.at,
        count: 1,
        detail: Some(format!(
            "after {} {}: {why}",
            step.ended.run, step.ended.outcome
        )),
    };
    let queue = QueueName::default_queue();
    (queue, Priority::default(), 0, 0, Follow::Skip(skip))
}
