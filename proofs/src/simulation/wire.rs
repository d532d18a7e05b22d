//! What nodes ask and are answered, and the store at the other end.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use scheduler_core::lease::LeaseView;
use scheduler_core::run::Claim;
use scheduler_core::session::SessionSample;
use scheduler_core::store::{
    Acquire, AcquireAnswer, Dispatch, DispatchAnswer, Drain, Exchange, ExchangeAnswer, FenceAnswer,
    FenceSession, Heartbeat, HeartbeatAnswer, Peek, PeekAnswer, Promote, Register, Resync,
    ResyncAnswer, StoreResult,
};
use scheduler_core::{MemoryStore, SessionId, Shard};

/// Which of a node's loops asks: each has one request under way at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Loop {
    Heart,
    Lead,
    Work,
    Sweep,
}

#[derive(Clone, Debug)]
pub(super) enum Request {
    Register(Register),
    Heartbeat(Heartbeat),
    Observe(SessionId),
    Acquire(Acquire),
    Peek(Peek),
    Dispatch(Dispatch),
    Promote(Promote),
    Exchange(Exchange),
    Resync(Resync),
    Sessions,
    Fence(FenceSession),
    DeadClaims,
    Drain(Drain),
}

#[derive(Clone, Debug)]
pub(super) enum Answer {
    Registered,
    Heartbeat(HeartbeatAnswer),
    Observed(LeaseView),
    Acquired(AcquireAnswer),
    Peeked(PeekAnswer),
    Dispatched(DispatchAnswer),
    /// Whether the caller leads.
    Leads(bool),
    Exchanged(ExchangeAnswer),
    Resynced(ResyncAnswer),
    Sessions(Vec<SessionSample>),
    Fenced(FenceAnswer),
    DeadClaims(Vec<(SessionId, Vec<Claim>)>),
    Done,
}

/// Does a request.
pub(super) fn done(store: &MemoryStore, request: &Request) -> Answer {
    match request {
        Request::Register(r) => {
            at_once(store.register(r));
            Answer::Registered
        }
        Request::Heartbeat(r) => Answer::Heartbeat(at_once(store.heartbeat(r))),
        Request::Observe(session) => Answer::Observed(at_once(store.observe(session))),
        Request::Acquire(r) => Answer::Acquired(at_once(store.acquire(r))),
        Request::Peek(r) => Answer::Peeked(at_once(store.peek(r))),
        Request::Dispatch(r) => Answer::Dispatched(at_once(store.dispatch(r))),
        Request::Promote(r) => Answer::Leads(at_once(store.promote(r))),
        Request::Exchange(r) => Answer::Exchanged(at_once(store.exchange(r))),
        Request::Resync(r) => Answer::Resynced(at_once(store.resync(r))),
        Request::Sessions => Answer::Sessions(at_once(store.sessions())),
        Request::Fence(r) => Answer::Fenced(at_once(store.fence_session(r))),
        Request::DeadClaims => Answer::DeadClaims(at_once(store.dead_claims(200))),
        Request::Drain(r) => {
            at_once(store.drain(r));
            Answer::Done
        }
    }
}

/// What a store in this process answers without waiting.
pub(super) fn at_once<T>(answer: impl Future<Output = StoreResult<T>>) -> T {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer.expect("a store in this process answers"),
        Poll::Pending => unreachable!("a store in this process answers at once"),
    }
}
