//! Who leads, or would, or believes to.

use std::time::Duration;

use scheduler_core::Shard;
use scheduler_core::store::{
    Acquire, AcquireAnswer, Admit, Dispatch, DispatchAnswer, PeekAnswer, Promote, Retire,
};

use super::walker::Walker;
use crate::conformance::{Harness, done, peek, stood_still};

impl<H: Harness> Walker<H> {
    pub(super) async fn acquire(&mut self) {
        let Some(at) = self.pick_node() else { return };
        let node = self.nodes[at].node.clone();
        let view = done(self.world.store.observe(&node.session).await);
        let held = view.token.clone();
        let steal = view.token.map(|token| stood_still(token, view.beat));
        let request = Acquire {
            ttl: Duration::from_secs(30),
            steal: steal.filter(|_| self.random.bool()),
            floor: 0,
            ..node.acquire()
        };
        let answer = done(self.world.store.acquire(&request).await);
        let what = match answer {
            AcquireAnswer::Acquired(token) => {
                if held.as_ref() != Some(&token) {
                    self.oracle.rise(token.epoch.0);
                    self.tokens.push(token);
                }
                "acquired"
            }
            AcquireAnswer::Held(token) => {
                assert_eq!(Some(token), held);
                "held"
            }
            AcquireAnswer::Gone => "gone",
            AcquireAnswer::Early(_) => "early",
        };
        self.trace.add(format!(
            "{at} wants the lease, rank {:?}: {what}",
            view.rank
        ));
    }

    /// Leads with the newest token, or with one that may be long lost.
    pub(super) async fn lead(&mut self) {
        let count = self.tokens.len();
        if count == 0 {
            return;
        }
        let back = if self.random.u8(0..4) == 0 {
            self.pick(count)
        } else {
            0
        };
        let token = self.tokens[count - 1 - back].clone();
        if self.random.u8(0..20) == 0 {
            self.trace.add(format!("token {back} back is released"));
            return done(self.world.store.release(&token).await);
        }
        let leader = self.world.see().await.leader;
        let PeekAnswer::Peeked(mut peeked) = done(self.world.store.peek(&peek(&token)).await)
        else {
            assert_ne!(leader, Some(token), "the holder is told that it is none");
            return self.trace.add(format!("token {back} back looks: lost"));
        };
        assert_eq!(leader.as_ref(), Some(&token), "only who holds the lease");
        // Among equals each store has an order of its own.
        peeked
            .due
            .sort_by(|a, b| (a.due, &a.job).cmp(&(b.due, &b.job)));
        peeked
            .retries
            .sort_by(|a, b| a.waiting.run.cmp(&b.waiting.run));
        peeked.finished.sort();
        peeked.openings.sort_by(|a, b| a.job.cmp(&b.job));
        let (due, retries) = (peeked.due.len(), peeked.retries.len());
        self.trace.add(format!(
            "token {back} back looks: {due} due, {retries} to retry"
        ));
        let mut items = Vec::new();
        for due in &peeked.due {
            items.push(self.world.plan(due, peeked.hold.as_ref()).await);
        }
        let request = Dispatch {
            token: token.clone(),
            planned_at: self.world.now(),
            items,
        };
        if self.random.u8(0..5) == 0 {
            return self.late.dispatch.push(request);
        }
        self.dispatch(&request).await;
        if self.random.u8(0..5) == 0 {
            self.late.dispatch.push(request);
        }
        let mut items = Vec::new();
        for open in &peeked.openings {
            items.push(self.world.plan_opening(open).await);
        }
        let admit = Admit {
            token: token.clone(),
            items,
        };
        assert!(done(self.world.store.admit(&admit).await));
        if self.random.bool() {
            // Its answer was lost.
            assert!(done(self.world.store.admit(&admit).await));
        }
        self.end_pauses(&peeked.resumes).await;
        let (retries, jobs) = (peeked.retries, peeked.finished);
        let promote = Promote {
            token: token.clone(),
            retries,
        };
        assert!(done(self.world.store.promote(&promote).await));
        let retire = Retire {
            token: token.clone(),
            jobs,
        };
        assert!(done(self.world.store.retire(&retire).await));
        self.follow(&token).await;
    }

    pub(super) async fn dispatch(&mut self, request: &Dispatch) {
        let leader = self.world.see().await.leader;
        let mut jobs = Vec::new();
        for item in &request.items {
            let read = self.world.read(&item.job).await;
            jobs.push(read.stored.map(|stored| stored.job));
        }
        match done(self.world.store.dispatch(request).await) {
            DispatchAnswer::Dispatched { mut refused } => {
                // Which is named first is a store's own choice.
                refused.sort_by_key(|refused| refused.index);
                assert_eq!(
                    leader.as_ref(),
                    Some(&request.token),
                    "only who holds the lease"
                );
                for (index, item) in request.items.iter().enumerate() {
                    if refused.iter().all(|refused| refused.index != index) {
                        let job = jobs[index].as_ref().expect("a dispatched job");
                        self.oracle.dispatched(item, job);
                    }
                }
                self.trace.add(format!("dispatch but for {refused:?}"));
            }
            other => self.trace.add(format!("dispatch: {other:?}")),
        }
    }
}
