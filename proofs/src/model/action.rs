//! What may happen next.

use super::change::Wish;
use super::store::Verdict;

/// Whether whoever asks hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// The request is done, and its answer arrives.
    Answered,
    /// No answer comes: the request is done later, or never.
    Unknown,
}

/// One step of one participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The store's clock moves on.
    Tick,
    /// The store's clock steps back.
    StepBack,
    /// The lease ends: by its time, or taken early.
    LeaseEnds,
    /// A request that nobody waits for is done.
    Late(usize),
    /// A node asks for the lease.
    Acquire(u8, Fate),
    /// A leader looks at what is due, and plans.
    Peek(u8),
    /// A leader dispatches what it has planned.
    Dispatch(u8, Fate),
    /// A leader promotes what it has seen to wait no longer.
    Promote(u8, Fate),
    /// A node hands in and claims.
    Exchange(u8, Fate),
    /// A node asks what its session holds.
    Resync(u8),
    /// A node begins the handler of this claim of its own.
    Begin(u8, usize),
    /// An execution ends so, or is not begun.
    End(u8, usize, Verdict),
    /// A handler, perhaps one that nobody could stop, does something outside.
    Effect(u8, usize),
    /// A node's process dies.
    Crash(u8),
    /// A node registers again.
    Register(u8),
    /// A session is declared dead.
    Fence(usize),
    /// Somebody reads so many claims of a session that is to be drained, and sends what becomes of them.
    Drain(usize, usize),
    /// A client decides on a change, and sends it; or sends it twice, for want of an answer.
    Change(u8, Wish, Fate),
}
