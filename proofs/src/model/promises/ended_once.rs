//! > Each fire time becomes a run, or a recorded skip: a run ends once, and history says so once.

use super::Promise;
use crate::model::state::{Breach, State};
use crate::model::world::Protocol;

pub(super) const PROMISE: Promise = ("a run ends once", holds);

fn holds(_: &Protocol, state: &State) -> bool {
    !state.past.has(Breach::EndedTwice)
}
