//! `exchange.lua`, `resync.lua` and what they share with `drain.lua` (`_settle.lua`).

use super::super::checks::Check;
use super::super::state::{Breach, Run};
use super::{Claim, Script, SessionId, Waiting};

/// What becomes of a claimed run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// It is over.
    End,
    /// Another attempt, at once.
    Again,
    /// Another attempt, when its time has come.
    Later,
    /// As if it had never been claimed.
    GiveBack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::model) struct Settled {
    pub(in crate::model) claim: Claim,
    pub(in crate::model) verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::model) struct Exchange {
    pub(in crate::model) session: SessionId,
    pub(in crate::model) number: u8,
    pub(in crate::model) settled: Vec<Settled>,
    /// How many runs to claim.
    pub(in crate::model) wish: u8,
}

/// What an exchange is answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::model) enum Answer {
    Exchanged { claims: Vec<Claim>, stale: Vec<Run> },
    Gone,
    Superseded,
}

impl Exchange {
    pub(in crate::model) fn each_number(&mut self, visit: &mut impl FnMut(&mut u8)) {
        for settled in &mut self.settled {
            settled.claim.each_number(visit);
        }
    }
}

impl Answer {
    pub(in crate::model) fn claims_mut(&mut self) -> impl Iterator<Item = &mut Claim> {
        match self {
            Self::Exchanged { claims, .. } => claims.iter_mut(),
            Self::Gone | Self::Superseded => [].iter_mut(),
        }
    }
}

impl Script<'_> {
    pub(in crate::model) fn exchange(&mut self, request: &Exchange) -> Answer {
        if self.on(Check::Session) && !self.store.is_live(request.session) {
            return Answer::Gone;
        }
        let session = self.store.session_mut(request.session);
        if self.checks.on(Check::Lane) {
            if session.lane == request.number {
                return session.reply.clone().unwrap_or(Answer::Superseded);
            }
            if session.lane > request.number {
                return Answer::Superseded;
            }
        }
        let mut stale = Vec::new();
        for settled in &request.settled {
            let by_fence = self.on(Check::Fence);
            let is_held = |held: &Claim| {
                held.run == settled.claim.run && (!by_fence || held.fence == settled.claim.fence)
            };
            let fence = 1 << settled.claim.fence;
            if self.settle(request.session, settled, Check::Claim, is_held) {
                self.past.taken_in |= fence;
            } else {
                stale.push(settled.claim.run);
                if self.past.taken_in & fence != 0 {
                    self.past.note(Breach::FalselyStale);
                }
            }
        }
        let claims = self.claim(request.session, request.wish);
        let answer = Answer::Exchanged { claims, stale };
        let session = self.store.session_mut(request.session);
        session.lane = request.number;
        session.reply = Some(answer.clone());
        answer
    }

    /// Settles one run, if it is held as it should be; `check` off, in any case.
    pub(super) fn settle(
        &mut self,
        session: SessionId,
        settled: &Settled,
        check: Check,
        is_held: impl Fn(&Claim) -> bool,
    ) -> bool {
        let Settled { claim, verdict } = *settled;
        let claims = &mut self.store.session_mut(session).claims;
        match claims.iter().position(is_held) {
            Some(at) => {
                if claims.remove(at).fence != claim.fence {
                    self.past.note(Breach::HandedInWithoutClaim);
                }
            }
            None if self.checks.on(check) => return false,
            None => self.past.note(Breach::HandedInWithoutClaim),
        }
        let waiting = |attempt| Waiting {
            run: claim.run,
            attempt,
            version: claim.version,
        };
        match verdict {
            Verdict::End => self.end(claim.run),
            Verdict::GiveBack => self.store.ready.insert(0, waiting(claim.attempt)),
            Verdict::Again => self.store.ready.push(waiting(claim.attempt + 1)),
            Verdict::Later => {
                self.store.retry.push(waiting(claim.attempt + 1));
                self.store.retry.sort_unstable();
            }
        }
        true
    }

    fn end(&mut self, run: Run) {
        self.past.end(run);
        self.store.job_mut(run.job).busy &= !run.bit();
    }

    fn claim(&mut self, session: SessionId, wish: u8) -> Vec<Claim> {
        let mut claims = Vec::new();
        while claims.len() < usize::from(wish) && !self.store.ready.is_empty() {
            let Waiting {
                run,
                attempt,
                version,
            } = self.store.ready.remove(0);
            let is_bound = version != 0 && self.on(Check::Binding);
            let version = if is_bound {
                version
            } else {
                self.store.job(run.job).version
            };
            if version == 0 {
                // The job was removed before its run was begun.
                self.end(run);
                continue;
            }
            let fence = self.take_number();
            let epoch = self.store.lease.map_or(0, |token| token.epoch);
            let told = if self.on(Check::OwnFence) {
                fence
            } else {
                epoch
            };
            claims.push(Claim {
                run,
                fence,
                version,
                attempt,
                told,
            });
        }
        let held = &mut self.store.session_mut(session).claims;
        // A claim on the same run is overwritten, as a field of a hash is.
        held.retain(|held| claims.iter().all(|claim| claim.run != held.run));
        held.extend(&claims);
        held.sort_unstable();
        claims
    }

    /// All claims of a session; earlier requests of the lane become void.
    pub(in crate::model) fn resync(
        &mut self,
        id: SessionId,
        number: u8,
    ) -> Result<Vec<Claim>, Answer> {
        if self.on(Check::Session) && !self.store.is_live(id) {
            return Err(Answer::Gone);
        }
        let checks = self.checks;
        let session = self.store.session_mut(id);
        if checks.on(Check::Lane) {
            if session.lane >= number {
                return Err(Answer::Superseded);
            }
            session.lane = number;
            session.reply = None;
        }
        Ok(session.claims.clone())
    }
}
