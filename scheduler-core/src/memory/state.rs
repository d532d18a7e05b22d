//! All records of a shard, and the steps that several operations share.

use super::bells::Rings;
use super::catalog::Catalog;
use super::deeds::Deeds;
use super::failed::Failed;
use super::following::Following;
use super::gates::Gates;
use super::journal::Journal;
use super::notes::NotesOfRuns;
use super::requests::Requests;
use super::runs::Runs;
use super::schedule::Schedule;
use super::sessions::Sessions;
use super::tenure::Tenure;
use super::uniques::Uniques;
use crate::history::{Record, RunRecord, SkipRecord};
use crate::id::{Fence, JobId, QueueName, RunId, Version};
use crate::plan::Skip;
use crate::policy::Priority;
use crate::run::{Claim, Ending, Outcome, Verdict, WaitingRun};
use crate::store::{DueRetry, Settled, Wake};
use crate::time::Timestamp;

/// One shard.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Where epochs, versions and fences come from. Only rises.
    seq: u64,
    pub(super) catalog: Catalog,
    pub(super) schedule: Schedule,
    pub(super) uniques: Uniques,
    pub(super) runs: Runs,
    pub(super) gates: Gates,
    pub(super) sessions: Sessions,
    pub(super) tenure: Tenure,
    pub(super) failed: Failed,
    pub(super) following: Following,
    pub(super) notes: NotesOfRuns,
    pub(super) deeds: Deeds,
    pub(super) journal: Journal,
    pub(super) requests: Requests,
    pub(super) rings: Rings,
    /// Whether a job was put since the leader last looked.
    is_leader_called: bool,
}

impl State {
    /// The next number of the shard's counter, greater than all before it and than any that the
    /// caller has seen.
    pub(super) fn next_number(&mut self, floor: u64) -> u64 {
        self.seq = self.seq.max(floor) + 1;
        self.seq
    }

    /// A job may be due earlier than the leader knows.
    pub(super) fn call_leader(&mut self) {
        self.is_leader_called = true;
        self.rings.leader();
    }

    /// The leader has seen what there is.
    pub(super) const fn note_leader_came(&mut self) {
        self.is_leader_called = false;
    }

    /// Whether there is something to do already for who would wait for it.
    pub(super) fn has_reason(&self, wake: &Wake, now: Timestamp) -> bool {
        match wake {
            Wake::Ready(queues) => queues.iter().any(|queue| self.is_on_offer(queue, now)),
            Wake::Leader => self.is_leader_called,
            Wake::Lease => self.tenure.token().is_none(),
        }
    }

    /// Makes a run that waits in this queue.
    pub(super) fn begin_run(&mut self, run: RunId, queue: &QueueName, priority: Priority) {
        self.runs.begin(run, queue, priority);
        self.rings.ready(queue);
    }

    /// Makes a run that waits in this queue, bound to a definition already.
    pub(super) fn begin_bound_run(
        &mut self,
        run: RunId,
        version: Version,
        queue: &QueueName,
        priority: Priority,
    ) {
        self.runs.begin_bound(run, version, queue, priority);
        self.rings.ready(queue);
    }

    /// Makes a run of a job that allows so many at once: it waits in this queue, or in line.
    pub(super) fn place_run(
        &mut self,
        run: RunId,
        queue: &QueueName,
        priority: Priority,
        max_instances: usize,
    ) {
        if self.runs.must_line_up(&run.job, max_instances) {
            self.runs.line_up(run);
        } else {
            self.begin_run(run, queue, priority);
        }
    }

    /// Ends the runs that are lined up behind others of a job that is removed.
    pub(super) fn end_line(&mut self, job: &JobId, queue: &QueueName, now: Timestamp) {
        for run in self.runs.leave_line(job) {
            let waiting = WaitingRun {
                run,
                attempt: 1,
                version: None,
                losses: 0,
                priority: Priority::default(),
            };
            self.end_removed(waiting, queue, now);
        }
    }

    /// Records skipped fire times, and settles them.
    pub(super) fn skip(
        &mut self,
        job: &JobId,
        skips: &[Skip],
        detail: Option<&str>,
        now: Timestamp,
    ) {
        for skip in skips {
            self.schedule.settle(job, skip.last);
            let record = SkipRecord::new(job.clone(), skip).with_detail(detail);
            self.journal.append(now, Record::Skip(record));
        }
    }

    /// Does what was decided about a run whose claim has just been taken from its session.
    ///
    /// What is stored of the claim counts, not what the caller says of it.
    pub(super) fn settle_run(&mut self, claim: Claim, settled: &Settled, now: Timestamp) {
        if let Some(record) = &settled.record {
            self.journal.append(now, record.clone());
        }
        if !matches!(settled.verdict, Verdict::End(_))
            && let Some(reason) = self.runs.take_cancelled(&claim.run)
        {
            return self.end_cancelled(claim.run, claim.attempt, &claim.queue, reason, now);
        }
        match settled.verdict {
            Verdict::End(_) => {
                if let (Some(Record::Run(record)), Some(job)) =
                    (&settled.record, &settled.definition)
                {
                    self.failed.keep(record.clone(), job.clone(), now);
                }
                self.end_run(&claim.run);
            }
            Verdict::Again {
                after,
                attempt,
                losses,
            } => {
                let waiting = claim.waiting(attempt, losses);
                if after.is_zero() {
                    self.runs.append(&claim.queue, waiting);
                    self.rings.ready(&claim.queue);
                } else {
                    self.runs.delay(DueRetry {
                        queue: claim.queue,
                        waiting,
                        not_before: now.after(after),
                    });
                }
            }
            Verdict::Defer { after } => {
                let waiting = claim.deferred();
                if waiting.version.is_none() {
                    self.runs.unbind(&claim.run);
                }
                self.runs.delay(DueRetry {
                    queue: claim.queue,
                    waiting,
                    not_before: now.after(after),
                });
            }
            Verdict::GiveBack => {
                let waiting = claim.waiting(claim.attempt, claim.losses);
                self.runs.prepend(&claim.queue, waiting);
                self.rings.ready(&claim.queue);
            }
        }
    }

    /// Ends a waiting run whose job was removed before anybody began it.
    pub(super) fn end_removed(&mut self, waiting: WaitingRun, queue: &QueueName, now: Timestamp) {
        self.end_run(&waiting.run);
        let record = RunRecord {
            run: waiting.run,
            outcome: Outcome::Removed,
            attempt: waiting.attempt,
            fence: Fence::default(),
            node: String::new(),
            task: None,
            queue: queue.clone(),
            started_at: None,
            ended_at: Some(now),
            next_at: None,
            detail: Ending::DefinitionGone.detail(),
        };
        self.journal.append(now, Record::Run(record));
    }

    /// Ends a run that somebody cancelled.
    pub(super) fn end_cancelled(
        &mut self,
        run: RunId,
        attempt: u32,
        queue: &QueueName,
        reason: String,
        now: Timestamp,
    ) {
        self.end_run(&run);
        let record = RunRecord {
            run,
            outcome: Outcome::Cancelled,
            attempt,
            fence: Fence::default(),
            node: String::new(),
            task: None,
            queue: queue.clone(),
            started_at: None,
            ended_at: None,
            next_at: None,
            detail: Some(reason),
        };
        self.journal.append(now, Record::Run(record));
    }

    fn end_run(&mut self, run: &RunId) {
        self.runs.end(run);
        if self.runs.open(&run.job) {
            self.call_leader();
        }
        let runs = &self.runs;
        self.catalog
            .release(&run.job, |version| runs.is_bound(&run.job, version));
    }
}
