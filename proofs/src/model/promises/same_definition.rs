//! > A run keeps the definition that it was first claimed with, whichever node goes on with it.
//!
//! And no attempt is begun twice.

use super::Promise;
use crate::model::state::{Breach, State};
use crate::model::world::Protocol;

pub(super) const PROMISE: Promise = ("same definition", holds);

fn holds(_: &Protocol, state: &State) -> bool {
    !state.past.has(Breach::Rebound) && !state.past.has(Breach::BegunTwice)
}
