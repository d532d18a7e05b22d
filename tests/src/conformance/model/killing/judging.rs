//! The calm after the kills, and what must be so then.

use std::collections::BTreeSet;
use std::time::Duration;

use scheduler_core::history::Record;
use scheduler_core::run::{Ending, Outcome};
use scheduler_core::store::{Drain, FenceSession, FollowAnswer};
use scheduler_core::{Cause, JobId, RunId, Shard, Timestamp};

use super::others::{FOLLOWER, ONCE};
use super::{EVERY, Killing};
use crate::conformance::{Harness, START, done};

impl<H: Harness> Killing<H> {
    /// Nobody is killed any more: what is on its way arrives, and all comes to its end.
    pub(super) async fn calm(&mut self) {
        while !self.late.is_empty() {
            self.arrive().await;
        }
        self.begin_anew().await;
        self.world.advance(EVERY * 2).await;
        self.node = self.world.node("last").await;
        let sight = self.world.see().await;
        for sample in sight.samples.values() {
            if sample.session != self.node.session {
                let fence = FenceSession {
                    session: sample.session.clone(),
                    beat: sample.beat,
                };
                done(self.world.store.fence_session(&fence).await);
            }
        }
        for (session, claims) in done(self.world.store.dead_claims(10_000).await) {
            let mut items = Vec::new();
            for claim in &claims {
                items.push(self.world.settled(claim, &Ending::NodeLost).await);
            }
            assert_eq!(
                done(self.world.store.drain(&Drain { session, items }).await).left,
                0
            );
        }
        let token = self.world.lead(&self.node).await;
        for _ in 0..1_000 {
            self.world.beat(&token).await;
            while let Some(follow) = self.world.plan_following(&token, 200).await {
                let answer = done(self.world.store.follow(&follow).await);
                assert_eq!(answer, FollowAnswer::Followed);
            }
            let claims = self.world.claim(&mut self.node, 100).await;
            for claim in &claims {
                let settled = self.world.settled(claim, &Ending::Succeeded(None)).await;
                let exchange = self.node.exchange(vec![settled], 0);
                self.world.exchange(&exchange).await;
            }
            let sight = self.world.see().await;
            let is_due = |due: &Timestamp| *due <= self.world.now();
            let due = sight.jobs.values().filter_map(|stored| stored.next_fire);
            let is_followed = self.world.plan_following(&token, 1).await.is_none();
            if claims.is_empty()
                && sight.busy == 0
                && is_followed
                && due.filter(is_due).count() == 0
            {
                return;
            }
            self.world.advance(Duration::from_millis(500)).await;
        }
        panic!("stuck: {:#?}", self.world.see().await);
    }

    pub(super) async fn judge(&mut self) {
        self.look().await;
        let now = self.world.now();
        let stored = std::mem::take(&mut self.stored);
        self.times
            .extend(stored.into_iter().map(|(id, since)| (id, since, now)));
        let mut came = BTreeSet::new();
        for (id, since, until) in &self.times {
            came.extend(fire_times(*since, *until).map(|at| (id.clone(), at)));
        }
        let (mut settled, mut ended) = (BTreeSet::new(), BTreeSet::new());
        let mut settle = |id: &JobId, at| {
            assert!(
                settled.insert((id.clone(), at)),
                "{id} at {at} was settled twice"
            );
        };
        let mut made: BTreeSet<RunId> = BTreeSet::new();
        for record in self.world.see().await.records() {
            match record {
                // Ends that were followed are judged below.
                Record::Skip(skip) if skip.job.as_str() == FOLLOWER => {}
                // Jobs that run once have fire times of their own.
                Record::Skip(skip) if ONCE.contains(&skip.job.as_str()) => {
                    settle(&skip.job, skip.first);
                }
                Record::Skip(skip) => {
                    let just_before = Timestamp::from_ms(skip.first.as_ms() - 1);
                    let skipped: Vec<_> = fire_times(just_before, skip.last).collect();
                    assert_eq!(skipped.len() as u64, skip.count, "{skip:?}");
                    skipped.into_iter().for_each(|at| settle(&skip.job, at));
                }
                Record::Run(run) => {
                    if made.insert(run.run.clone())
                        && let Cause::Fire(at) = run.run.cause
                    {
                        settle(&run.run.job, at);
                    }
                    if run.outcome != Outcome::Retrying {
                        assert!(ended.insert(run.run.clone()), "{} ended twice", run.run);
                    }
                }
            }
        }
        assert_eq!(made, ended, "each run ends");
        self.judge_followed(&made).await;
        self.judge_notes().await;
        settled.retain(|(id, _)| !ONCE.contains(&id.as_str()));
        assert_eq!(settled, came, "what was settled, and what came");
        self.killed.runs = ended.len();
        self.killed.fires = settled.len();
    }
}

/// The fire times of each job after one instant and up to another.
fn fire_times(since: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
    let every = i64::try_from(EVERY.as_millis()).expect("small");
    let place = |at: Timestamp| (at.as_ms() - START.as_ms()).div_euclid(every);
    (place(since) + 1..=place(until)).map(move |n| Timestamp::from_ms(START.as_ms() + n * every))
}
