//! What no longer matters is forgotten, so that histories that differ in nothing else become one.
//!
//! - A request under way that can never do anything again (its token, session, number or claims are
//!   gone for good) is one that never arrives. What makes it void is a check: where that is switched
//!   off, the request stays.
//! - A kept answer is dropped when nobody can ask for it again.
//! - Numbers of the shard's counter are only ever compared, so they may be dense.

use super::checks::{Check, Checks};
use super::node::Phase;
use super::state::State;
use super::store::{Request, Store};

impl State {
    pub(super) fn forget_what_is_over(&mut self, checks: Checks) {
        let store = &self.store;
        self.late.retain(|request| !is_void(request, store, checks));
        self.late.sort_unstable();
        self.forget_answers();
        self.forget_past();
        if checks.on(Check::VersionsRise) {
            self.renumber();
        }
    }

    fn forget_answers(&mut self) {
        let late = &self.late;
        self.store.replies.retain(|(asked, _)| {
            late.iter()
                .any(|request| matches!(request, Request::Change(c) if c.request == *asked))
        });
        let nodes = &self.nodes;
        for session in &mut self.store.sessions {
            let node = &nodes[usize::from(session.id.node)];
            let asks_again = !node.is_out && node.session == session.id && node.under_way.is_some();
            let may_arrive = late
                .iter()
                .any(|request| matches!(request, Request::Exchange(e) if e.session == session.id));
            if !asks_again && !may_arrive {
                session.reply = None;
            }
        }
        for node in &mut self.nodes {
            let nothing = |p: &super::node::Planned| p.items.is_empty() && p.retries.is_empty();
            if node.planned.as_ref().is_some_and(nothing) {
                node.planned = None;
            }
        }
    }

    fn forget_past(&mut self) {
        let settled = self.past.made.iter().zip(&self.past.skipped);
        for (owed, (made, skipped)) in self.past.owed.iter_mut().zip(settled) {
            *owed &= !(made | skipped);
        }
        let (ended, nodes) = (&self.past.ended, &self.nodes);
        self.past.begun.retain(|(run, ..)| {
            let is_over = ended[usize::from(run.job)] & run.bit() != 0;
            !is_over
        });
        self.past.effects.retain(|(run, ..)| {
            let is_over = ended[usize::from(run.job)] & run.bit() != 0;
            let goes_on = |node: &super::node::Node| {
                let running = node.held.iter().filter(|held| held.phase == Phase::Running);
                running
                    .map(|held| &held.claim)
                    .chain(&node.zombies)
                    .any(|c| c.run == *run)
            };
            !is_over || nodes.iter().any(goes_on)
        });
    }

    /// Gives all numbers of the shard's counter anew: dense, in the same order.
    fn renumber(&mut self) {
        let mut present = 0_u64;
        self.each_number(|number| present |= 1 << *number);
        present &= !1;
        self.past.taken_in &= present;
        let dense = |number: u8| {
            let up_to = u64::MAX >> (63 - u32::from(number));
            u8::try_from((present & up_to).count_ones()).unwrap_or(u8::MAX)
        };
        let mut taken_in = 0;
        for number in (1..64).filter(|number| self.past.taken_in & (1 << number) != 0) {
            taken_in |= 1 << dense(number);
        }
        self.past.taken_in = taken_in;
        self.each_number(|number| *number = dense(*number));
        self.store.seq = dense(63);
        self.past.highest = self.store.seq;
    }

    /// Each version, epoch and fence, wherever it stands; 0 is none.
    fn each_number(&mut self, mut visit: impl FnMut(&mut u8)) {
        let store = &mut self.store;
        store
            .lease
            .iter_mut()
            .for_each(|token| visit(&mut token.epoch));
        store
            .jobs
            .iter_mut()
            .for_each(|job| visit(&mut job.version));
        for waiting in store.ready.iter_mut().chain(&mut store.retry) {
            visit(&mut waiting.version);
        }
        for session in &mut store.sessions {
            session
                .claims
                .iter_mut()
                .for_each(|claim| claim.each_number(&mut visit));
            if let Some(answer) = &mut session.reply {
                answer
                    .claims_mut()
                    .for_each(|claim| claim.each_number(&mut visit));
            }
        }
        for node in &mut self.nodes {
            node.each_number(&mut visit);
        }
        for request in &mut self.late {
            request.each_number(&mut visit);
        }
        let past = &mut self.past;
        past.begun
            .iter_mut()
            .for_each(|(.., version)| visit(version));
        past.effects
            .iter_mut()
            .for_each(|(_, fence, _)| visit(fence));
    }
}

/// Whether a request can never do anything again.
fn is_void(request: &Request, store: &Store, checks: Checks) -> bool {
    match request {
        Request::Acquire(session) => !store.is_live(*session),
        // A token that is no longer the stored one never is again.
        Request::Dispatch(dispatch) => {
            dispatch.items.is_empty()
                || checks.on(Check::Token) && store.lease != Some(dispatch.token)
        }
        Request::Promote(promote) => {
            promote.waiting.is_empty()
                || checks.on(Check::Token) && store.lease != Some(promote.token)
        }
        Request::Exchange(exchange) => {
            let session = store.session(exchange.session);
            let is_over = checks.on(Check::Session) && !store.is_live(exchange.session);
            let is_past = checks.on(Check::Lane)
                && session.is_some_and(|session| session.lane >= exchange.number);
            is_over || is_past
        }
        Request::Drain(id, claims) => {
            let held = |claim| store.session(*id).is_some_and(|s| s.claims.contains(claim));
            checks.on(Check::Drained) && !claims.iter().any(held)
        }
        Request::Change(change) => {
            let asked = |(request, _): &(u8, _)| *request == change.request;
            checks.on(Check::Requests) && store.replies.iter().any(asked)
        }
    }
}
