//! One step: what a node, a leader, a sweeper or a client might do next.

use std::time::Duration;

use scheduler_core::Shard;
use scheduler_core::run::{Claim, Ending, Verdict};
use scheduler_core::store::{Drain, Promote};

use super::walker::Walker;
use crate::conformance::{Harness, done, settled_as};

/// The jobs of a walk.
pub(super) const JOBS: [&str; 3] = ["a", "b", "c"];

impl<H: Harness> Walker<H> {
    pub(super) async fn step(&mut self) {
        match self.random.u32(0..100) {
            0..15 => self.pass_time().await,
            15..20 => self.register().await,
            20..25 => self.heartbeat().await,
            25..32 => self.acquire().await,
            32..50 => self.lead().await,
            50..68 => self.exchange().await,
            68..72 => self.ask_again().await,
            72..75 => self.resync().await,
            75..77 => self.sweep().await,
            77 => self.note().await,
            78..79 => self.begin().await,
            79..81 => self.cancel().await,
            81..84 => self.put_once().await,
            84..88 => self.put().await,
            88..91 => self.remove().await,
            91..94 => self.run_now().await,
            94..97 => self.steer().await,
            _ => self.arrive_late().await,
        }
    }

    async fn pass_time(&mut self) {
        let now = self.world.now();
        let to = match self.random.u64(0..10) {
            0 => now.before(Duration::from_secs(3)),
            1 => now.after(Duration::from_secs(45)),
            step => now.after(Duration::from_millis(step * 700)),
        };
        self.trace.add(format!("the clock goes from {now} to {to}"));
        self.world.set_clock(to).await;
    }

    /// What was sent long ago arrives.
    async fn arrive_late(&mut self) {
        if let Some(request) = self.late.dispatch.pop() {
            self.trace.add("a late dispatch arrives".to_owned());
            self.dispatch(&request).await;
        }
        if let Some(request) = self.late.put.pop() {
            self.trace.add("a late change arrives".to_owned());
            self.write(&request).await;
        }
        if let Some(request) = self.late.removal.pop() {
            self.trace.add("a late removal arrives".to_owned());
            self.remove_as(&request).await;
        }
        if let Some(request) = self.late.follow.pop() {
            self.trace.add("a late following arrives".to_owned());
            self.follow_as(&request).await;
        }
        if let Some(request) = self.late.run.pop() {
            self.trace.add("a late wish for a run arrives".to_owned());
            self.run_as(&request).await;
        }
    }

    /// Lets all that is in flight end: nothing may be stuck.
    pub(super) async fn finish(&mut self) {
        self.steer_nothing().await;
        for walking in std::mem::take(&mut self.nodes) {
            done(self.world.store.leave(&walking.node.session).await);
        }
        for (session, claims) in self.world.see().await.dead {
            let back = |claim: &Claim| settled_as(claim, Verdict::GiveBack, &Ending::NotBegun);
            let items: Vec<_> = claims.iter().map(back).collect();
            let left = done(self.world.store.drain(&Drain { session, items }).await).left;
            assert_eq!(left, 0);
        }
        let last = self.world.now().after(Duration::from_secs(7200));
        self.world.set_clock(last).await;
        let mut node = self.world.node("last").await;
        let token = self.world.lead(&node).await;
        let retries = self.world.peek(&token).await.retries;
        let promote = Promote { token, retries };
        assert!(done(self.world.store.promote(&promote).await));
        loop {
            self.world.admit(&promote.token).await;
            let claims = self.world.claim(&mut node, 50).await;
            for claim in &claims {
                self.world
                    .hand_in(&mut node, claim, &Ending::Succeeded(None))
                    .await;
            }
            // Cancelled runs end where they are claimed, and may let others go.
            let openings = self.world.peek(&promote.token).await.openings;
            if claims.is_empty() && openings.is_empty() {
                break;
            }
        }
        let sight = self.world.see().await;
        let left = (sight.busy, sight.waiting(), sight.retries, sight.held);
        assert_eq!(left, (0, 0, 0, 0), "stuck: {sight:#?}");
    }
}
