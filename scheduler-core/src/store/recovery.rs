//! Requests and answers of a sweeper, which takes over what dead nodes held.

use crate::id::SessionId;
use crate::store::Settled;

/// Declares a session dead.
#[derive(Clone, Debug)]
pub struct FenceSession {
    /// The session.
    pub session: SessionId,
    /// The beat at which it was seen to stand still.
    pub beat: u64,
}

/// What became of declaring a session dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceAnswer {
    /// It is dead (now, or was before).
    Fenced,
    /// It showed life meanwhile.
    Alive,
    /// There is no such session.
    Unknown,
}

/// Settles claims of a dead session.
#[derive(Clone, Debug)]
pub struct Drain {
    /// The session.
    pub session: SessionId,
    /// What becomes of its claims, at most 200.
    pub items: Vec<DrainItem>,
}

/// A claim of a dead session that is to be settled, if it still is as it was read.
pub type DrainItem = Settled;

/// What became of settling a dead session's claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainAnswer {
    /// How many claims are left in it; it is forgotten when there are none.
    pub left: usize,
}
