//! A sweeper's operations: taking over what dead nodes held.

use super::state::State;
use super::working::take_claim;
use crate::id::SessionId;
use crate::run::Claim;
use crate::session::SessionSample;
use crate::store::{Drain, DrainAnswer, FenceAnswer, FenceSession};
use crate::time::Timestamp;

impl State {
    pub(super) fn samples(&self) -> Vec<SessionSample> {
        let sample = |(id, session): (&SessionId, &super::sessions::Session)| SessionSample {
            session: id.clone(),
            beat: session.beat,
            ttl: session.ttl,
        };
        self.sessions.all_live().map(sample).collect()
    }

    pub(super) fn fence_session(&mut self, request: &FenceSession) -> FenceAnswer {
        match self.sessions.live(&request.session) {
            Some(session) if session.beat != request.beat => FenceAnswer::Alive,
            Some(_) => {
                self.sessions.end(&request.session);
                FenceAnswer::Fenced
            }
            None if self.sessions.is_dead(&request.session) => FenceAnswer::Fenced,
            None => FenceAnswer::Unknown,
        }
    }

    pub(super) fn dead_claims(&self, limit: usize) -> Vec<(SessionId, Vec<Claim>)> {
        let mut left = limit;
        let mut found = Vec::new();
        for (id, session) in self.sessions.all_dead() {
            let claims: Vec<_> = session.claims.values().take(left).cloned().collect();
            left -= claims.len();
            if !claims.is_empty() {
                found.push((id.clone(), claims));
            }
        }
        found
    }

    pub(super) fn drain(&mut self, request: &Drain, now: Timestamp) -> DrainAnswer {
        for settled in &request.items {
            let session = self.sessions.dead_mut(&request.session);
            let claim = session.and_then(|s| take_claim(s, |held| *held == settled.claim, settled));
            if let Some(claim) = claim {
                let queue = claim.queue.clone();
                self.settle_run(claim, settled, now);
                self.gates.set_back(&queue, now);
                self.offer(&queue, now);
            }
        }
        DrainAnswer {
            left: self.sessions.bury(&request.session),
        }
    }
}
