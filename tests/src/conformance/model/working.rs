//! Nodes that come and go, claim and settle; and sweepers.

use std::time::Duration;

use scheduler_core::Shard;
use scheduler_core::run::{Claim, Ending, Outcome, Verdict};
use scheduler_core::store::{
    Drain, ExchangeAnswer, FenceAnswer, FenceSession, HeartbeatAnswer, ResyncAnswer, Settled,
};

use super::walker::{Walker, Walking};
use crate::conformance::{Harness, Node, done, settled_as};

const MAX_NODES: usize = 4;

impl<H: Harness> Walker<H> {
    pub(super) async fn register(&mut self) {
        if self.nodes.len() == MAX_NODES {
            let leaving = self.pick(MAX_NODES);
            let walking = self.nodes.remove(leaving);
            self.trace
                .add(format!("{} leaves", walking.node.session.node()));
            self.oracle.died(&walking.node.session);
            done(self.world.store.leave(&walking.node.session).await);
        }
        let node = Node::new(self.session());
        self.trace.add(format!("{} registers", node.session.node()));
        done(self.world.store.register(&node.register()).await);
        self.nodes.push(Walking {
            node,
            claims: Vec::new(),
            last: None,
            past: None,
        });
    }

    pub(super) fn pick_node(&mut self) -> Option<usize> {
        let count = self.nodes.len();
        (count > 0).then(|| self.pick(count))
    }

    pub(super) async fn heartbeat(&mut self) {
        let Some(at) = self.pick_node() else { return };
        let request = self.nodes[at].node.heartbeat();
        let answer = done(self.world.store.heartbeat(&request).await);
        self.trace.add(format!("heartbeat of {at}: {answer:?}"));
        if answer == HeartbeatAnswer::Gone {
            self.nodes.remove(at);
        }
    }

    /// What becomes of a claim, by chance.
    fn settle(&mut self, claim: &Claim) -> Settled {
        let (verdict, ending) = match self.random.u8(0..8) {
            0 => (Verdict::GiveBack, Ending::NotBegun),
            1 | 2 => {
                let again = Verdict::Again {
                    after: Duration::from_millis(self.random.u64(1..4000)),
                    attempt: claim.attempt + 1,
                    losses: claim.losses + 1,
                };
                (again, Ending::NodeLost)
            }
            _ => {
                let ending = Ending::Succeeded(None);
                (Verdict::End(Outcome::Succeeded), ending)
            }
        };
        settled_as(claim, verdict, &ending)
    }

    pub(super) async fn exchange(&mut self) {
        let Some(at) = self.pick_node() else { return };
        let mut settled = Vec::new();
        let mut given_back = false;
        let mut kept = Vec::new();
        for claim in std::mem::take(&mut self.nodes[at].claims) {
            let how = self.settle(&claim);
            // Of several that go to the head of a queue, each store has an order of its own.
            let again = how.verdict == Verdict::GiveBack && given_back;
            if again || self.random.bool() {
                kept.push(claim);
            } else {
                given_back |= how.verdict == Verdict::GiveBack;
                settled.push(how);
            }
        }
        self.nodes[at].claims = kept;
        let past = self.nodes[at].past.take();
        let is_other = |past: &Settled| settled.iter().all(|s| s.claim.run != past.claim.run);
        self.nodes[at].past = settled.last().cloned();
        settled.extend(past.filter(is_other));
        let limit = self.pick(4);
        let request = self.nodes[at].node.exchange(settled, limit);
        let session = request.session.clone();
        match done(self.world.store.exchange(&request).await) {
            ExchangeAnswer::Exchanged(exchanged) => {
                for settled in &request.settled {
                    let stale = exchanged.stale.contains(&settled.claim.run);
                    let held = self.oracle.holds(&session, &settled.claim);
                    assert_eq!(stale, !held, "{settled:?}");
                    if held {
                        let ended = matches!(settled.verdict, Verdict::End(_));
                        self.oracle.settled(&settled.claim.run, ended);
                    }
                }
                for claim in &exchanged.claims {
                    self.oracle.claimed(&session, claim);
                }
                let runs = exchanged.claims.iter();
                let runs: Vec<_> = runs.map(|c| format!("{} #{}", c.run, c.attempt)).collect();
                let (settled, stale) = (request.settled.len(), exchanged.stale.len());
                self.trace.add(format!(
                    "{at} settles {settled} ({stale} stale), claims {runs:?}"
                ));
                self.nodes[at].claims.extend(exchanged.claims);
                self.nodes[at].last = Some(request);
            }
            ExchangeAnswer::Gone => {
                self.trace.add(format!("{at} exchanges: gone"));
                self.nodes.remove(at);
            }
            ExchangeAnswer::Behind => panic!("nothing was lost"),
            ExchangeAnswer::Superseded => panic!("a new request is superseded"),
        }
    }

    /// The last exchange arrives once more.
    pub(super) async fn ask_again(&mut self) {
        let Some(at) = self.pick_node() else { return };
        let Some(request) = self.nodes[at].last.clone() else {
            return;
        };
        let before = self.world.see().await;
        let answer = done(self.world.store.exchange(&request).await);
        let what = match &answer {
            ExchangeAnswer::Exchanged(exchanged) => format!("{} claims", exchanged.claims.len()),
            other => format!("{other:?}"),
        };
        self.trace.add(format!("{at} asks again: {what}"));
        self.world
            .expect(&before, "an exchange that was asked for again")
            .await;
    }

    pub(super) async fn resync(&mut self) {
        let Some(at) = self.pick_node() else { return };
        let request = self.nodes[at].node.resync();
        let answer = done(self.world.store.resync(&request).await);
        if let ResyncAnswer::Claims(claims) = answer {
            let sorted = |mut claims: Vec<Claim>| {
                claims.sort_by_key(|claim| claim.fence);
                claims
            };
            let walking = &mut self.nodes[at];
            let known = sorted(std::mem::take(&mut walking.claims));
            walking.claims = sorted(claims);
            assert_eq!(known, walking.claims, "what the node knows that it holds");
            self.trace
                .add(format!("{at} resyncs: {}", walking.claims.len()));
        }
    }

    /// Declares some session dead, rightly or not, and settles some of what dead ones hold.
    pub(super) async fn sweep(&mut self) {
        if let Some(at) = self.pick_node() {
            let session = self.nodes[at].node.session.clone();
            let beat = self.nodes[at].node.beat + u64::from(self.random.bool());
            let request = FenceSession { session, beat };
            let answer = done(self.world.store.fence_session(&request).await);
            if answer != FenceAnswer::Alive {
                self.oracle.died(&request.session);
            }
            self.trace.add(format!("fence {at}: {answer:?}"));
        }
        let dead = self.world.see().await.dead;
        for (session, mut claims) in dead {
            self.random.shuffle(&mut claims);
            claims.truncate(2);
            let items: Vec<_> = claims.iter().map(|claim| self.settle(claim)).collect();
            for item in &items {
                assert!(self.oracle.holds(&session, &item.claim), "{item:?}");
                let ended = matches!(item.verdict, Verdict::End(_));
                self.oracle.settled(&item.claim.run, ended);
            }
            let node = session.node().to_owned();
            let left = done(self.world.store.drain(&Drain { session, items }).await).left;
            self.trace.add(format!("drain {node}: {left} left"));
        }
    }
}
