//! Sessions with their claims: those that live, and dead ones that are being cleared up after.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::id::{RunId, SessionId};
use crate::run::Claim;
use crate::store::{Exchanged, NodeInfo, Register};
use crate::time::Timestamp;

/// The last request of a lane, and what is answered when it is asked again.
#[derive(Clone, Debug)]
pub(super) enum LaneAnswer {
    /// It was an exchange, and brought this.
    Exchanged(Exchanged),
    /// It was a resync: the claims are answered as they are.
    Resynced,
}

/// A node's life in the store.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) beat: u64,
    pub(super) ttl: Duration,
    /// A hint for people: what counts is the beat, seen by a sweeper.
    pub(super) deadline: Timestamp,
    pub(super) since: Timestamp,
    pub(super) info: NodeInfo,
    pub(super) running: usize,
    pub(super) claims: BTreeMap<RunId, Claim>,
    pub(super) lanes: HashMap<u16, (u64, LaneAnswer)>,
    /// Standbys come up in this order.
    pub(super) order: u64,
}

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    live: BTreeMap<SessionId, Session>,
    dead: BTreeMap<SessionId, Session>,
    arrivals: u64,
}

impl Sessions {
    /// Begins a session. One that lives is left as it is, and one that is dead stays so: a request
    /// that arrives late must not bring it back.
    pub(super) fn begin(&mut self, request: &Register, now: Timestamp) {
        if self.live.contains_key(&request.session) || self.dead.contains_key(&request.session) {
            return;
        }
        let order = self.next_order();
        let session = Session {
            beat: 0,
            ttl: request.ttl,
            deadline: now.after(request.ttl),
            since: now,
            info: request.info.clone(),
            running: 0,
            claims: BTreeMap::new(),
            lanes: HashMap::new(),
            order,
        };
        self.live.insert(request.session.clone(), session);
    }

    /// The place of a session in the line of those that came, if it lives.
    pub(super) fn order(&self, session: &SessionId) -> Option<u64> {
        self.live.get(session).map(|session| session.order)
    }

    /// A session that lives.
    pub(super) fn live(&self, session: &SessionId) -> Option<&Session> {
        self.live.get(session)
    }

    /// A session that lives.
    pub(super) fn live_mut(&mut self, session: &SessionId) -> Option<&mut Session> {
        self.live.get_mut(session)
    }

    /// All sessions that live.
    pub(super) fn all_live(&self) -> impl Iterator<Item = (&SessionId, &Session)> {
        self.live.iter()
    }

    /// A session that is dead and still holds claims.
    pub(super) fn dead_mut(&mut self, session: &SessionId) -> Option<&mut Session> {
        self.dead.get_mut(session)
    }

    /// The session, alive or dead, that has claimed this run, and its claim.
    pub(super) fn claim_of(&self, run: &RunId) -> Option<(&SessionId, &Claim)> {
        let mut all = self.all_live().chain(self.all_dead());
        all.find_map(|(id, session)| Some((id, session.claims.get(run)?)))
    }

    /// Whether a session is dead and still holds claims.
    pub(super) fn is_dead(&self, session: &SessionId) -> bool {
        self.dead.contains_key(session)
    }

    /// All sessions that are dead and still hold claims.
    pub(super) fn all_dead(&self) -> impl Iterator<Item = (&SessionId, &Session)> {
        self.dead.iter()
    }

    /// Ends a session's life: it is forgotten where it holds no claims, else kept as dead until
    /// they have been settled.
    pub(super) fn end(&mut self, id: &SessionId) {
        if let Some(session) = self.live.remove(id)
            && !session.claims.is_empty()
        {
            self.dead.insert(id.clone(), session);
        }
    }

    /// How many claims a dead session still holds; it is forgotten when there are none.
    pub(super) fn bury(&mut self, id: &SessionId) -> usize {
        let left = self.dead.get(id).map_or(0, |session| session.claims.len());
        if left == 0 {
            self.dead.remove(id);
        }
        left
    }

    /// How many live sessions but `leader` come before this one; none where it does not live.
    pub(super) fn rank(&self, id: &SessionId, leader: Option<&SessionId>) -> Option<usize> {
        let order = self.live.get(id)?.order;
        let before = self
            .live
            .iter()
            .filter(|(other, session)| session.order < order && Some(*other) != leader);
        Some(before.count())
    }

    /// Puts a session behind all others.
    pub(super) fn demote(&mut self, id: &SessionId) {
        let order = self.next_order();
        if let Some(session) = self.live.get_mut(id) {
            session.order = order;
        }
    }

    const fn next_order(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }
}
