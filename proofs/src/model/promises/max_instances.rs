//! > `max_instances` is 1 by default, in the whole cluster.

use super::Promise;
use crate::model::state::{Breach, State};
use crate::model::world::Protocol;

pub(super) const PROMISE: Promise = ("max instances", holds);

fn holds(_: &Protocol, state: &State) -> bool {
    !state.past.has(Breach::TooManyInFlight)
}
