//! Leaders that follow ends of runs, or once did.

use std::collections::BTreeMap;

use scheduler_core::after::{After, Follow, On};
use scheduler_core::lease::LeaseToken;
use scheduler_core::store::{FollowAnswer, FollowUp};
use scheduler_core::{JobId, Shard};

use super::step::JOBS;
use super::walker::Walker;
use crate::conformance::{Harness, done, name};

impl<H: Harness> Walker<H> {
    /// Whom a job may follow besides its own schedule. Some of it would close a circle.
    pub(super) fn some_leader(&mut self, id: &str) -> Option<After> {
        let leader = JOBS[self.pick(JOBS.len())];
        let on = [On::Success, On::Any][self.pick(2)];
        let job = name(leader);
        (leader != id && self.random.bool()).then_some(After { job, on })
    }

    pub(super) async fn follow(&mut self, token: &LeaseToken) {
        let Some(request) = self.world.plan_following(token, 200).await else {
            return;
        };
        if self.random.u8(0..5) == 0 {
            return self.late.follow.push(request);
        }
        self.follow_as(&request).await;
        if self.random.u8(0..5) == 0 {
            self.late.follow.push(request);
        }
    }

    pub(super) async fn follow_as(&mut self, request: &FollowUp) {
        let before = self.world.see().await;
        let answer = done(self.world.store.follow(request).await);
        let leads = before.leader.as_ref() == Some(&request.token);
        let is_as_read = self.oracle.followed == request.from
            && request.items.iter().all(|item| {
                let stored = before.jobs.get(&item.job);
                stored.is_some_and(|stored| stored.version == item.version)
            });
        let expected = match (leads, is_as_read) {
            (false, _) => FollowAnswer::LeaseLost,
            (true, false) => FollowAnswer::Changed,
            (true, true) => FollowAnswer::Followed,
        };
        assert_eq!(answer, expected, "{request:#?}");
        self.trace
            .add(format!("{} follow: {answer:?}", request.items.len()));
        if answer != FollowAnswer::Followed {
            return;
        }
        self.oracle.followed = Some(request.to.clone());
        let mut in_flight: BTreeMap<&JobId, usize> = BTreeMap::new();
        for item in &request.items {
            let stored = &before.jobs[&item.job];
            let in_flight = in_flight.entry(&item.job).or_insert(stored.in_flight);
            match &item.follow {
                Follow::Skip(record) => self.oracle.recorded(record.clone()),
                Follow::Run(_, full) if *in_flight >= item.max_instances + item.max_lined_up => {
                    self.oracle.recorded(full.clone());
                }
                Follow::Run(run, _) => {
                    self.oracle.made(run);
                    *in_flight += 1;
                }
            }
        }
    }
}
