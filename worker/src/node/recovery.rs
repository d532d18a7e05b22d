//! Recovery: finds sessions that show no life, and settles what they held.
//!
//! The leader and the first two standbys watch, so that a dead leader takes nothing with it. Each
//! by its own clock, and each declares dead only what it has itself seen to stand still (see
//! [`scheduler_core::session`]). What a dead session held is settled in small chunks, each claim
//! only if it still is as it was read: several may do so at once, and any of them may be stopped
//! anywhere. That covers also sessions that somebody else declared dead and did not get to clear
//! up, and claims that a session left behind when it ended in order.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use scheduler_core::run::{Claim, Ending};
use scheduler_core::session::SessionWatch;
use scheduler_core::store::{Drain, FenceAnswer, FenceSession, StoreResult};
use scheduler_core::{SessionId, Shard};
use tokio_util::sync::CancellationToken;

use crate::clock::boottime;
use crate::event::Event;
use crate::node::definitions::Lookup;
use crate::node::session::{Session, Standing};
use crate::node::settling::{Span, Telling, settled};
use crate::node::shared::Shared;
use crate::node::standby::CLOSE_RANKS;

/// How many claims are settled at once.
const CHUNK: usize = 200;

/// How many chunks one look settles at most; the next look goes on.
const CHUNKS_PER_LOOK: usize = 50;

/// How many looks show no session that went before it looks all the same for dead ones with claims: one
/// may have come and gone between two looks.
const LOOKS_WITHOUT_DRAIN: u32 = 10;

/// How many times as long it waits between two looks while its own session is the only one: it need not
/// watch that.
const ALONE: u32 = 2;

/// One node's watch over all sessions.
pub(crate) struct Recovery<S> {
    shared: Arc<Shared<S>>,
    session: Arc<Session>,
    watch: SessionWatch,
    /// How often to look: a fifth of the shortest ttl, so that no two looks lie half of one apart.
    every: Duration,
    /// The sessions that lived at the last look.
    living: HashSet<SessionId>,
    /// How many looks for dead sessions may be left out: none where some may hold claims still.
    spared: u32,
}

impl<S: Shard> Recovery<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>, session: Arc<Session>) -> Self {
        let every = session.ttl / 5;
        Self {
            shared,
            session,
            watch: SessionWatch::new(),
            every,
            living: HashSet::new(),
            spared: 0,
        }
    }

    /// Watches until the node stops.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let looked_at = boottime();
            if self.is_my_turn() {
                // Trouble with the store is told by the link, and the next look tries again.
                let _ = self.run_once().await;
            } else {
                // Whatever ends meanwhile is not seen.
                self.spared = 0;
            }
            let took = boottime().saturating_sub(looked_at);
            let pause = tokio::time::sleep(self.every.saturating_sub(took));
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    fn is_my_turn(&self) -> bool {
        match self.session.standing() {
            Standing::Leader => true,
            Standing::Standby(rank) => rank < CLOSE_RANKS,
            Standing::Unknown => false,
        }
    }

    /// Looks once: declares dead what shows no life, and settles what the dead hold.
    async fn run_once(&mut self) -> StoreResult<()> {
        let link = &self.shared.link;
        let sent = boottime();
        let sessions = link.ask("sessions", link.store.sessions()).await?;
        let shortest = sessions.iter().map(|session| session.ttl).min();
        self.every = shortest.map_or(self.every, |ttl| (ttl / 5).max(Duration::from_millis(20)));
        if sessions.iter().all(|s| s.session == self.session.id) {
            self.every *= ALONE;
        }
        // A session that holds claims when it ends is gone from those that live, however it ended.
        let living = sessions.iter().map(|s| s.session.clone()).collect();
        let before = std::mem::replace(&mut self.living, living);
        if !before.is_subset(&self.living) {
            self.spared = 0;
        }
        for silent in self.watch.sample(sent, boottime(), &sessions) {
            // Whoever looks at itself is alive. If its heart is not, others will see.
            if silent.session != self.session.id {
                self.spared = 0;
                self.fence(silent.session, silent.beat).await?;
            }
        }
        if self.spared == 0 {
            if !self.drain().await? {
                return Ok(());
            }
            self.spared = LOOKS_WITHOUT_DRAIN;
        }
        self.spared -= 1;
        Ok(())
    }

    async fn fence(&self, session: SessionId, beat: u64) -> StoreResult<()> {
        let link = &self.shared.link;
        let request = FenceSession { session, beat };
        let answer = link.ask("fence_session", link.store.fence_session(&request));
        if answer.await? == FenceAnswer::Fenced {
            let session = request.session;
            tracing::warn!(%session, "a node shows no life: taking over its runs");
            self.shared.events.tell(|| Event::SessionFenced {
                session,
                by: self.shared.settings.info.node.clone(),
            });
        }
        Ok(())
    }

    /// Settles the claims of dead sessions, a bounded number at once. Says whether none are left.
    async fn drain(&self) -> StoreResult<bool> {
        let link = &self.shared.link;
        for _ in 0..CHUNKS_PER_LOOK {
            let dead = link
                .ask("dead_claims", link.store.dead_claims(CHUNK))
                .await?;
            if dead.is_empty() {
                return Ok(true);
            }
            for (session, claims) in dead {
                self.settle(&session, &claims).await?;
            }
        }
        Ok(false)
    }

    async fn settle(&self, session: &SessionId, claims: &[Claim]) -> StoreResult<()> {
        let wanted: Vec<_> = claims
            .iter()
            .map(|claim| (claim.run.job.clone(), claim.version))
            .collect();
        let definitions = self.shared.definitions.look_up(&wanted).await?;
        let span = Span {
            started_at: None,
            ended_at: Some(self.shared.clock.now()),
        };
        let items = claims
            .iter()
            .zip(definitions)
            .map(|(claim, definition)| {
                let job = match definition {
                    Lookup::Found(job) => Some(job),
                    // It goes back into its queue, and whoever claims it tells what is wrong.
                    Lookup::Gone | Lookup::Unreadable(_) => None,
                };
                let ending = Ending::NodeLost;
                let node = session.node();
                settled(
                    claim.clone(),
                    job.as_deref(),
                    node,
                    &ending,
                    span,
                    Telling::Record,
                )
            })
            .collect();
        let request = Drain {
            session: session.clone(),
            items,
        };
        let link = &self.shared.link;
        link.ask("drain", link.store.drain(&request)).await?;
        let count = claims.len();
        tracing::warn!(%session, count, "settled the runs of a dead node");
        self.shared.events.tell(|| Event::Recovered {
            session: session.clone(),
            claims: count,
            by: self.shared.settings.info.node.clone(),
        });
        Ok(())
    }
}
