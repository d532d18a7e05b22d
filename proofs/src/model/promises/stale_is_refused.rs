//! > A completion with a stale claim is refused and counted.
//!
//! And only that is: nobody is told so of what it has itself handed in.

use super::Promise;
use crate::model::state::{Breach, State};
use crate::model::world::Protocol;

pub(super) const PROMISE: Promise = ("stale is refused", holds);

fn holds(_: &Protocol, state: &State) -> bool {
    !state.past.has(Breach::HandedInWithoutClaim) && !state.past.has(Breach::FalselyStale)
}
