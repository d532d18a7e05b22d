//! What the suite needs of a store under test.

use std::future::Future;

use scheduler_core::{Shard, Timestamp};

/// Makes stores under test.
pub trait Harness {
    /// The store.
    type Store: Shard;
    /// What moves its clock.
    type Clock: ClockHand;

    /// An empty shard that nobody else uses, whose clock stands at `start`.
    fn fresh(&self, start: Timestamp) -> impl Future<Output = Fresh<Self::Store, Self::Clock>>;
}

/// An empty shard.
#[derive(Debug)]
pub struct Fresh<S, C> {
    /// The store.
    pub store: S,
    /// What moves its clock.
    pub clock: C,
}

/// Moves a store's clock, which otherwise stands still.
pub trait ClockHand {
    /// Sets the clock, also backwards.
    fn set(&self, to: Timestamp) -> impl Future<Output = ()>;
}
