//! A node's operations: its session, and the runs that it claims and settles.

use std::collections::BTreeMap;

use super::sessions::{LaneAnswer, Session};
use super::state::State;
use crate::id::{Fence, Generation, QueueName, SessionId};
use crate::run::{Claim, WaitingRun};
use crate::store::{
    Begin, BeginAnswer, ClaimWish, Exchange, ExchangeAnswer, Exchanged, Heartbeat, HeartbeatAnswer,
    Reconcile, ReconcileAnswer, Register, Registered, Resync, ResyncAnswer, Settled,
};
use crate::time::Timestamp;

/// Nothing is ever lost here.
const ONLY: Generation = Generation(1);

impl State {
    pub(super) fn register(&mut self, request: &Register, now: Timestamp) -> Registered {
        self.sessions.begin(request, now);
        let number = self.sessions.order(&request.session).unwrap_or(0);
        Registered {
            now,
            generation: ONLY,
            number,
        }
    }

    pub(super) fn heartbeat(&mut self, request: &Heartbeat, now: Timestamp) -> HeartbeatAnswer {
        if request.generation != ONLY {
            return HeartbeatAnswer::Behind;
        }
        let Some(session) = self.sessions.live_mut(&request.session) else {
            return HeartbeatAnswer::Gone;
        };
        // A heartbeat that was overtaken by a later one proves nothing any more.
        if request.beat >= session.beat {
            session.beat = request.beat;
            session.ttl = request.ttl;
            session.deadline = now.after(request.ttl);
            session.running = request.running;
        }
        HeartbeatAnswer::Alive {
            now,
            claims: session.claims.len(),
            cancelled: self.runs.cancelled_of(session.claims.keys()),
        }
    }

    /// Nothing was lost: the session holds what it holds.
    pub(super) fn reconcile(&self, request: &Reconcile) -> ReconcileAnswer {
        let Some(session) = self.sessions.live(&request.session) else {
            return ReconcileAnswer::Gone;
        };
        let is_held = |claim: &&Claim| {
            let held = session.claims.get(&claim.run);
            held.is_some_and(|held| held.fence == claim.fence)
        };
        let over = request.claims.iter().filter(|claim| !is_held(claim));
        ReconcileAnswer::Reconciled {
            generation: ONLY,
            over: over.map(|claim| claim.fence).collect(),
        }
    }

    pub(super) fn leave(&mut self, session: &SessionId) {
        self.sessions.end(session);
    }

    pub(super) fn exchange(&mut self, request: &Exchange, now: Timestamp) -> ExchangeAnswer {
        if request.generation != ONLY {
            return ExchangeAnswer::Behind;
        }
        let Some(session) = self.sessions.live(&request.session) else {
            return ExchangeAnswer::Gone;
        };
        match session.lanes.get(&request.lane) {
            Some((last, answer)) if request.request == *last => {
                return match answer {
                    LaneAnswer::Exchanged(exchanged) => {
                        ExchangeAnswer::Exchanged(exchanged.clone())
                    }
                    LaneAnswer::Resynced => ExchangeAnswer::Superseded,
                };
            }
            Some((last, _)) if request.request < *last => return ExchangeAnswer::Superseded,
            _ => {}
        }
        let mut exchanged = Exchanged::default();
        for settled in &request.settled {
            if !self.hand_in(&request.session, settled, now) {
                exchanged.stale.push(settled.claim.run.clone());
            }
        }
        if let Some(wish) = &request.wish {
            exchanged.claims = self.claim(request, wish, now);
        }
        for queue in request.wish.iter().flat_map(ClaimWish::queues) {
            self.gates.set_back(queue, now);
        }
        for settled in &request.settled {
            self.gates.set_back(&settled.claim.queue, now);
            // A place was freed that this node may not want.
            self.offer(&settled.claim.queue, now);
        }
        if let Some(session) = self.sessions.live_mut(&request.session) {
            let answer = LaneAnswer::Exchanged(exchanged.clone());
            session
                .lanes
                .insert(request.lane, (request.request, answer));
        }
        ExchangeAnswer::Exchanged(exchanged)
    }

    /// Settles a run if the session still holds it, under the fence that the caller knows.
    fn hand_in(&mut self, session: &SessionId, settled: &Settled, now: Timestamp) -> bool {
        let session = self.sessions.live_mut(session);
        let claim =
            session.and_then(|s| take_claim(s, |held| held.fence == settled.claim.fence, settled));
        claim
            .map(|claim| self.settle_run(claim, settled, now))
            .is_some()
    }

    fn claim(&mut self, request: &Exchange, wish: &ClaimWish, now: Timestamp) -> Vec<Claim> {
        let mut claims = Vec::new();
        let mut room = BTreeMap::new();
        for take in &wish.takes {
            let room = room
                .entry(&take.queue)
                .or_insert_with(|| self.room(&take.queue, now));
            let most = take.most.min(usize::try_from(*room).unwrap_or(usize::MAX));
            let before = claims.len();
            let most = before.saturating_add(most).min(wish.limit);
            while claims.len() < most
                && let Some(waiting) = self.runs.pop(&take.queue, take.priority)
            {
                claims.extend(self.bind(waiting, &take.queue, request.floor, now));
            }
            let claimed = (claims.len() - before) as u64;
            *room = room.saturating_sub(claimed);
            if claimed > 0 {
                self.gates.spend(&take.queue, claimed, now);
            }
        }
        if let Some(session) = self.sessions.live_mut(&request.session) {
            let held = claims
                .iter()
                .map(|claim| (claim.run.clone(), claim.clone()));
            session.claims.extend(held);
        }
        for queue in wish.queues() {
            // Whoever was woken for these has no room for them.
            self.offer(queue, now);
        }
        claims
    }

    pub(super) fn begin(&mut self, request: &Begin) -> BeginAnswer {
        if request.generation != ONLY {
            return BeginAnswer::Behind;
        }
        let Some(session) = self.sessions.live_mut(&request.session) else {
            return BeginAnswer::Gone;
        };
        let mut stale = Vec::new();
        for (run, fence) in &request.claims {
            match session.claims.get_mut(run) {
                Some(claim) if claim.fence == *fence => claim.begun = true,
                _ => stale.push(run.clone()),
            }
        }
        BeginAnswer::Begun { stale }
    }

    /// Makes a waiting run a claim. At its first, a run is bound to its job's definition of that
    /// moment; where there is none any more, the run ends.
    fn bind(
        &mut self,
        waiting: WaitingRun,
        queue: &QueueName,
        floor: u64,
        now: Timestamp,
    ) -> Option<Claim> {
        if let Some(reason) = self.runs.take_cancelled(&waiting.run) {
            self.end_cancelled(waiting.run, waiting.attempt, queue, reason, now);
            return None;
        }
        let current = || self.catalog.version(&waiting.run.job);
        let Some(version) = waiting.version.or_else(current) else {
            self.end_removed(waiting, queue, now);
            return None;
        };
        self.runs.bind(&waiting.run, version);
        Some(Claim {
            run: waiting.run,
            fence: Fence(self.next_number(floor)),
            version,
            attempt: waiting.attempt,
            losses: waiting.losses,
            queue: queue.clone(),
            priority: waiting.priority,
            fresh: waiting.version.is_none(),
            begun: false,
        })
    }

    pub(super) fn resync(&mut self, request: &Resync) -> ResyncAnswer {
        if request.generation != ONLY {
            return ResyncAnswer::Behind;
        }
        let Some(session) = self.sessions.live_mut(&request.session) else {
            return ResyncAnswer::Gone;
        };
        match session.lanes.get(&request.lane) {
            Some((last, _)) if request.request < *last => return ResyncAnswer::Superseded,
            Some((last, LaneAnswer::Exchanged(_))) if request.request == *last => {
                return ResyncAnswer::Superseded;
            }
            _ => {}
        }
        let answer = (request.request, LaneAnswer::Resynced);
        session.lanes.insert(request.lane, answer);
        ResyncAnswer::Claims(session.claims.values().cloned().collect())
    }
}

/// Takes a run's claim from a session, if the one that is held is as the caller knows it.
pub(super) fn take_claim(
    session: &mut Session,
    is_known: impl FnOnce(&Claim) -> bool,
    settled: &Settled,
) -> Option<Claim> {
    let held = session.claims.get(&settled.claim.run)?;
    if is_known(held) {
        session.claims.remove(&settled.claim.run)
    } else {
        None
    }
}
