//! The store: what it holds, and one function per script.
//!
//! Each function has the checks of its script in the script's order. What is observed on the way
//! goes into [`Past`](super::state::Past), which no function looks at.

mod changing;
mod dispatch;
mod exchange;
mod lease;
mod sweep;

use super::checks::{Check, Checks};
use super::plan::{Plan, Rule};
use super::scope::Scope;
use super::state::{Past, Run, Tick};

pub(super) use changing::{Change, Changed, Kind};
pub(super) use dispatch::{Dispatch, Dispatched, Item, Promote};
pub use exchange::Verdict;
pub(super) use exchange::{Answer, Exchange, Settled};

/// A node's session: the node, and which of its registrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SessionId {
    pub(super) node: u8,
    pub(super) registration: u8,
}

/// A lease: who, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Token {
    pub(super) session: SessionId,
    pub(super) epoch: u8,
}

/// What a store holds of one job; version 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Job {
    pub(super) version: u8,
    /// Which definition it is: as the version, but never the same for two.
    pub(super) definition: u8,
    pub(super) rule: u8,
    pub(super) due: Option<Tick>,
    pub(super) paused: bool,
    pub(super) paused_from: Option<Tick>,
    pub(super) fired: Option<Tick>,
    /// Runs in flight, one bit each.
    pub(super) busy: u16,
}

impl Job {
    pub(super) const fn exists(&self) -> bool {
        self.version != 0
    }

    pub(super) const fn rule(&self) -> Rule {
        Rule(self.rule)
    }

    /// The fire time that waits to be settled.
    pub(super) fn pending(&self) -> Option<Tick> {
        self.due.or(self.paused_from)
    }

    /// The fire times that are due by `now`.
    pub(super) fn pending_until(&self, now: Tick, last: Tick) -> impl Iterator<Item = Tick> {
        let rule = self.rule();
        let mut at = self.pending().filter(|_| self.exists());
        std::iter::from_fn(move || {
            let due = at.filter(|due| *due <= now)?;
            at = rule.following(due, last);
            Some(due)
        })
    }

    pub(super) fn in_flight(&self) -> u8 {
        u8::try_from(self.busy.count_ones()).unwrap_or(u8::MAX)
    }
}

/// A run that waits for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Waiting {
    pub(super) run: Run,
    pub(super) attempt: u8,
    /// 0 before its first claim.
    pub(super) version: u8,
}

/// A session's right to execute a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Claim {
    pub(super) run: Run,
    pub(super) fence: u8,
    pub(super) version: u8,
    pub(super) attempt: u8,
    /// What handlers are told: the fence.
    pub(super) told: u8,
}

/// Whether a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Life {
    Live,
    Dead,
    /// Nobody looks after it any more.
    Forgotten,
}

/// What a store holds of one session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) life: Life,
    pub(super) claims: Vec<Claim>,
    /// The lane's last request, and its answer; none where a resync took the number.
    pub(super) lane: u8,
    pub(super) reply: Option<Answer>,
}

/// A request that changes something.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Request {
    Acquire(SessionId),
    Dispatch(Dispatch),
    Promote(Promote),
    Exchange(Exchange),
    Drain(SessionId, Vec<Claim>),
    Change(Change),
}

impl Claim {
    pub(super) fn each_number(&mut self, visit: &mut impl FnMut(&mut u8)) {
        visit(&mut self.fence);
        visit(&mut self.version);
        visit(&mut self.told);
    }
}

impl Request {
    /// Each version, epoch and fence in it.
    pub(super) fn each_number(&mut self, visit: &mut impl FnMut(&mut u8)) {
        match self {
            Self::Acquire(_) => {}
            Self::Dispatch(dispatch) => {
                visit(&mut dispatch.token.epoch);
                dispatch
                    .items
                    .iter_mut()
                    .for_each(|item| visit(&mut item.version));
            }
            Self::Promote(promote) => {
                visit(&mut promote.token.epoch);
                promote
                    .waiting
                    .iter_mut()
                    .for_each(|waiting| visit(&mut waiting.version));
            }
            Self::Exchange(exchange) => exchange.each_number(visit),
            Self::Drain(_, claims) => claims.iter_mut().for_each(|claim| claim.each_number(visit)),
            Self::Change(change) => visit(&mut change.version),
        }
    }
}

/// What the shard holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Store {
    pub(super) now: Tick,
    pub(super) ticks: Tick,
    pub(super) seq: u8,
    pub(super) definitions: u8,
    pub(super) lease: Option<Token>,
    pub(super) jobs: Vec<Job>,
    pub(super) ready: Vec<Waiting>,
    pub(super) retry: Vec<Waiting>,
    pub(super) sessions: Vec<Session>,
    pub(super) replies: Vec<(u8, Changed)>,
}

/// What a script runs with.
pub(super) struct Script<'a> {
    pub(super) store: &'a mut Store,
    pub(super) past: &'a mut Past,
    pub(super) left: &'a mut Scope,
    pub(super) checks: Checks,
}

impl Script<'_> {
    const fn on(&self, check: Check) -> bool {
        self.checks.on(check)
    }

    fn take_number(&mut self) -> u8 {
        self.store.seq += 1;
        self.past.give_number(self.store.seq);
        self.store.seq
    }

    /// Does a request that nobody waits for.
    pub(super) fn run_late(&mut self, request: &Request) {
        match request {
            Request::Acquire(session) => drop(self.acquire(*session)),
            Request::Dispatch(dispatch) => drop(self.dispatch(dispatch)),
            Request::Promote(promote) => drop(self.promote(promote)),
            Request::Exchange(exchange) => drop(self.exchange(exchange)),
            Request::Drain(session, claims) => self.drain(*session, claims),
            Request::Change(change) => drop(self.change(change)),
        }
    }
}

impl Store {
    pub(super) fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.iter().find(|session| session.id == id)
    }

    pub(super) fn is_live(&self, id: SessionId) -> bool {
        self.session(id)
            .is_some_and(|session| session.life == Life::Live)
    }

    /// The session, forgotten or not.
    pub(super) fn session_mut(&mut self, id: SessionId) -> &mut Session {
        let at = self.sessions.iter().position(|session| session.id == id);
        let at = at.unwrap_or_else(|| {
            self.sessions.push(Session {
                id,
                life: Life::Forgotten,
                claims: Vec::new(),
                lane: 0,
                reply: None,
            });
            self.sessions.len() - 1
        });
        &mut self.sessions[at]
    }

    pub(super) fn register(&mut self, id: SessionId) {
        self.session_mut(id).life = Life::Live;
        self.sessions.sort_unstable_by_key(|session| session.id);
    }

    pub(super) fn job_mut(&mut self, job: u8) -> &mut Job {
        &mut self.jobs[usize::from(job)]
    }

    pub(super) fn job(&self, job: u8) -> &Job {
        &self.jobs[usize::from(job)]
    }
}

/// What a due job looks like to who plans it.
pub(super) fn item(job: u8, stored: &Job, due: Tick, plan: Plan) -> Item {
    Item {
        job,
        due,
        version: stored.version,
        definition: stored.definition,
        plan,
    }
}
