//! What one node knows, and what it makes of answers.

use super::state::Tick;
use super::store::{Answer, Claim, Exchange, Item, SessionId, Settled, Token, Verdict, Waiting};

/// How far the execution of a claim has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Phase {
    Claimed,
    Running,
    Over(Verdict),
}

/// A claim that a node believes to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Held {
    pub(super) claim: Claim,
    pub(super) phase: Phase,
}

/// What a leader has seen, and planned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Planned {
    pub(super) at: Tick,
    pub(super) items: Vec<Item>,
    pub(super) retries: Vec<Waiting>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) session: SessionId,
    /// Crashed, or its session is over: it registers anew, if at all.
    pub(super) is_out: bool,
    pub(super) token: Option<Token>,
    pub(super) planned: Option<Planned>,
    /// The number of the last request of its lane, and that request while its answer is missing.
    pub(super) number: u8,
    pub(super) under_way: Option<Exchange>,
    pub(super) held: Vec<Held>,
    /// Handlers that nobody could stop, of claims that are no longer held.
    pub(super) zombies: Vec<Claim>,
}

impl Node {
    pub(super) const fn new(node: u8) -> Self {
        Self {
            session: SessionId {
                node,
                registration: 0,
            },
            is_out: false,
            token: None,
            planned: None,
            number: 0,
            under_way: None,
            held: Vec::new(),
            zombies: Vec::new(),
        }
    }

    /// Its process is gone, and begins again with nothing.
    pub(super) fn crash(&mut self) {
        *self = Self {
            session: self.session,
            is_out: true,
            ..Self::new(self.session.node)
        };
    }

    /// Its session is over: it forgets all that it held, but a handler may go on.
    pub(super) fn lose_session(&mut self, keeps_zombies: bool) {
        let running = self.held.iter().filter(|h| h.phase == Phase::Running);
        let mut zombies = std::mem::take(&mut self.zombies);
        if keeps_zombies {
            zombies.extend(running.map(|held| held.claim));
        }
        self.crash();
        self.zombies = zombies;
    }

    pub(super) fn register(&mut self) -> SessionId {
        self.session.registration += 1;
        self.is_out = false;
        self.session
    }

    /// What it would hand in and claim next: the request under way, or a new one.
    pub(super) fn next_exchange(&self, slots: u8) -> Exchange {
        if let Some(request) = &self.under_way {
            return request.clone();
        }
        let over = self.held.iter().filter_map(|held| match held.phase {
            Phase::Over(verdict) => Some(Settled {
                claim: held.claim,
                verdict,
            }),
            Phase::Claimed | Phase::Running => None,
        });
        let settled: Vec<_> = over.collect();
        let executing = self.held.len() - settled.len();
        Exchange {
            session: self.session,
            number: self.number + 1,
            settled,
            wish: slots.saturating_sub(u8::try_from(executing).unwrap_or(u8::MAX)),
        }
    }

    /// Takes in the answer to this request. Says whether the session lives.
    pub(super) fn exchanged(&mut self, request: &Exchange, answer: Answer) -> bool {
        self.number = request.number;
        self.under_way = None;
        match answer {
            Answer::Gone => return false,
            // It asks what it holds; what it wanted to settle stays as it is until then.
            Answer::Superseded => {}
            Answer::Exchanged { claims, .. } => {
                let settled = |held: &Held| request.settled.iter().any(|s| s.claim == held.claim);
                self.held.retain(|held| !settled(held));
                self.hold(claims);
            }
        }
        true
    }

    /// Takes in what the session holds.
    pub(super) fn resynced(&mut self, number: u8, claims: Vec<Claim>, keeps_zombies: bool) {
        self.number = number;
        let known = std::mem::take(&mut self.held);
        for held in known {
            if claims.contains(&held.claim) {
                self.held.push(held);
            } else if held.phase == Phase::Running && keeps_zombies {
                self.zombies.push(held.claim);
            }
        }
        self.hold(claims);
    }

    fn hold(&mut self, claims: Vec<Claim>) {
        for claim in claims {
            if self.held.iter().all(|held| held.claim != claim) {
                let phase = Phase::Claimed;
                self.held.push(Held { claim, phase });
            }
        }
        self.held.sort_unstable();
    }

    /// Each version, epoch and fence that it knows.
    pub(super) fn each_number(&mut self, visit: &mut impl FnMut(&mut u8)) {
        if let Some(token) = &mut self.token {
            visit(&mut token.epoch);
        }
        if let Some(planned) = &mut self.planned {
            planned
                .items
                .iter_mut()
                .for_each(|item| visit(&mut item.version));
            planned
                .retries
                .iter_mut()
                .for_each(|waiting| visit(&mut waiting.version));
        }
        if let Some(request) = &mut self.under_way {
            request.each_number(visit);
        }
        let held = self.held.iter_mut().map(|held| &mut held.claim);
        for claim in held.chain(&mut self.zombies) {
            claim.each_number(visit);
        }
    }
}
