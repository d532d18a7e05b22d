//! > Each attempt gets a **fence** that is greater for each later attempt: hand them to the other side,
//! > and let it refuse what it has seen.
//!
//! A side that refuses fences smaller than the highest it has seen never takes an effect of an earlier
//! attempt after one of a later.

use super::Promise;
use crate::model::state::{Breach, State};
use crate::model::world::Protocol;

pub(super) const PROMISE: Promise = ("effects in order", holds);

fn holds(_: &Protocol, state: &State) -> bool {
    !state.past.has(Breach::EffectsReordered)
}
