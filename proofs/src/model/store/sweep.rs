//! `fence_session.lua` and `drain.lua`.
//!
//! A sweeper fences what it has seen to stand still; here it may fence any session at any moment.

use super::super::checks::Check;
use super::{Claim, Life, Script, SessionId, Settled, Verdict};

impl Script<'_> {
    pub(in crate::model) fn fence(&mut self, id: SessionId) {
        if !self.store.is_live(id) {
            return;
        }
        self.store.session_mut(id).life = Life::Dead;
        self.bury(id);
    }

    /// Settles claims of a dead session, each if it still is as it was read.
    pub(in crate::model) fn drain(&mut self, id: SessionId, claims: &[Claim]) {
        let is_dead = self.store.session(id).is_some_and(|s| s.life == Life::Dead);
        if !is_dead && self.on(Check::FenceFirst) {
            return;
        }
        for claim in claims {
            let settled = Settled {
                claim: *claim,
                verdict: Verdict::Again,
            };
            self.settle(id, &settled, Check::Drained, |held| held == claim);
        }
        self.bury(id);
    }

    /// Forgets a dead session that holds nothing.
    fn bury(&mut self, id: SessionId) {
        let is_over =
            |s: &super::Session| s.id == id && s.life == Life::Dead && s.claims.is_empty();
        self.store.sessions.retain(|session| !is_over(session));
    }
}
