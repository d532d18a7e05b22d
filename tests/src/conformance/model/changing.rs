//! Clients that change jobs and ask for runs.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::change::{self, Change, JobState};
use scheduler_core::plan::Skip;
use scheduler_core::policy::{Coalesce, Grace, OnLost, Overlap};
use scheduler_core::store::{Changed, PutJob, RemoveJob, RunNow, RunNowAnswer};
use scheduler_core::{
    Cause, Job, JobId, Pause, Policy, Priority, RunId, Store, StoredJob, Timestamp,
};

use super::keying::ONCE;
use super::step::JOBS;
use super::walker::Walker;
use crate::conformance::{Harness, done, job, name};

impl<H: Harness> Walker<H> {
    /// A job as somebody might want it.
    fn some_job(&mut self) -> Job {
        let which = self.pick(JOBS.len());
        let limit = NonZeroU32::MIN.saturating_add(self.random.u32(0..5));
        let coalesce = [Coalesce::Latest, Coalesce::Earliest, Coalesce::All][self.pick(3)];
        let grace = [Grace::Unlimited, Grace::Within(Duration::from_secs(12))][self.pick(2)];
        let priority = Priority::ALL[self.pick(3)];
        let builder = job(JOBS[which]).max_instances(limit).coalesce(coalesce);
        let policy = Policy {
            priority,
            overlap: [Overlap::Skip, Overlap::Queue][self.pick(2)],
            spread: self.random.bool().then_some(Duration::from_secs(7)),
            ..*builder.clone().build().policy()
        };
        let after = self.some_leader(JOBS[which]);
        let builder = builder.policy(policy).after(after);
        builder
            .misfire_grace_time(grace)
            .on_lost(OnLost::Retry)
            .build()
    }

    /// A change that somebody might want of a job as it was read.
    fn some_change(&mut self, stored: &StoredJob, job: Job) -> Option<Change> {
        let now = self.world.now();
        match self.random.u8(0..4) {
            3 => {
                let pause = Pause {
                    since: Some(now),
                    until: Some(now.after(Duration::from_millis(self.random.u64(1..40) * 700))),
                    by: Some("somebody".to_owned()),
                    reason: None,
                };
                change::pause_with(stored, pause, now)
            }
            0 => change::pause(stored).or_else(|| change::resume(stored, now)),
            1 => change::resume(stored, now),
            _ => change::replace(stored, job, now).ok(),
        }
    }

    pub(super) async fn put(&mut self) {
        let job = self.some_job();
        let read = self.world.read(job.id()).await;
        let version = read.stored.as_ref().map(|stored| stored.version);
        let change = match &read.stored {
            Some(stored) => self.some_change(stored, job),
            None => change::put_new(job, read.fired, read.now).ok(),
        };
        let Some(change) = change else { return };
        let request = PutJob {
            request: self.request(),
            all_or_none: false,
            changes: vec![(version, change)],
        };
        if self.random.u8(0..4) == 0 {
            return self.late.put.push(request);
        }
        self.write(&request).await;
    }

    /// Does what a leader does with pauses that it saw to have ended; or somebody who once led.
    pub(super) async fn end_pauses(&mut self, jobs: &[JobId]) {
        for id in jobs {
            let Some(stored) = self.world.read(id).await.stored else {
                continue;
            };
            let Some(change) = change::end_pause(&stored, self.world.now()) else {
                continue;
            };
            let request = PutJob {
                request: self.request(),
                all_or_none: false,
                changes: vec![(Some(stored.version), change)],
            };
            if self.random.u8(0..4) == 0 {
                self.late.put.push(request);
            } else {
                self.write(&request).await;
            }
        }
    }

    pub(super) async fn write(&mut self, request: &PutJob) {
        let due = self.due(request.changes[0].1.job.id()).await;
        let held = self.key_held().await;
        let answers = done(self.world.store.put(request).await);
        let again = done(self.world.store.put(request).await);
        assert_eq!(answers, again, "asked again");
        self.keyed(&request.changes[0], held.as_ref(), answers[0]);
        let change = &request.changes[0].1;
        let what = match answers[0] {
            Changed::Done(version) => {
                self.oracle.rise(version.0);
                let stays = match change.state {
                    JobState::Active => change.next_fire,
                    JobState::Paused { from, .. } => from,
                };
                assert_kept(due, stays, &change.skips);
                let detail = change.detail.as_deref();
                self.oracle.skipped(change.job.id(), &change.skips, detail);
                "done"
            }
            Changed::Conflict => "conflict",
            Changed::Taken => "taken",
        };
        self.trace.add(format!(
            "put {} {:?}: {what}",
            change.job.id(),
            change.state
        ));
    }

    /// The fire time of a job that is due and waits for its leader.
    async fn due(&self, id: &JobId) -> Option<Timestamp> {
        let stored = self.world.read(id).await.stored?;
        stored.next_fire.filter(|at| *at <= self.world.now())
    }

    pub(super) async fn remove(&mut self) {
        let all = [&JOBS[..], &ONCE[..]].concat();
        let which = self.pick(all.len());
        let Some(stored) = self.world.read(&name(all[which])).await.stored else {
            return;
        };
        let removal = change::remove(&stored, self.world.now());
        let request = RemoveJob {
            request: self.request(),
            job: stored.job.id().clone(),
            version: stored.version,
            next_fire: stored.next_fire,
            skips: removal.skips,
            next: removal.next,
            detail: stored.state.pause().and_then(Pause::words),
        };
        if self.random.u8(0..4) == 0 {
            return self.late.removal.push(request);
        }
        self.remove_as(&request).await;
    }

    pub(super) async fn remove_as(&mut self, request: &RemoveJob) {
        let due = self.due(&request.job).await;
        let answer = done(self.world.store.remove(request).await);
        let done = matches!(answer, Changed::Done(_));
        if done {
            assert_kept(due, None, &request.skips);
            let detail = request.detail.as_deref();
            self.oracle.skipped(&request.job, &request.skips, detail);
            self.oracle.key.removed(&request.job);
        }
        self.trace.add(format!("remove {}: {done}", request.job));
    }

    pub(super) async fn run_now(&mut self) {
        let which = self.pick(JOBS.len());
        let Some(stored) = self.world.read(&name(JOBS[which])).await.stored else {
            return;
        };
        let request = self.request();
        let request = RunNow {
            request,
            cause: Cause::Request(request.0),
            job: stored.job,
            version: stored.version,
        };
        if self.random.u8(0..4) == 0 {
            return self.late.run.push(request);
        }
        self.run_as(&request).await;
    }

    pub(super) async fn run_as(&mut self, request: &RunNow) {
        let answer = done(self.world.store.run_now(request).await);
        let again = done(self.world.store.run_now(request).await);
        assert_eq!(answer, again, "asked again");
        if answer == RunNowAnswer::Made {
            let run = RunId::request(request.job.id().clone(), request.request.0);
            self.oracle.made(&run);
        }
        self.trace
            .add(format!("run {} now: {answer:?}", request.job.id()));
    }
}

/// Whatever was due when a change was accepted stays pending, or is recorded by the change.
fn assert_kept(due: Option<Timestamp>, stays: Option<Timestamp>, skips: &[Skip]) {
    let recorded = skips.first().map(|skip| skip.first);
    assert!(
        due.is_none() || due == stays || due == recorded,
        "{due:?} is lost"
    );
}
