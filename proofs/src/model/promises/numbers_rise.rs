//! > **epoch**: strictly increasing per shard; **fence**: strictly increasing per shard. Counters only
//! > rise, and never give a number twice.

use super::Promise;
use crate::model::state::{Breach, State};
use crate::model::world::Protocol;

pub(super) const PROMISE: Promise = ("numbers rise", holds);

fn holds(_: &Protocol, state: &State) -> bool {
    !state.past.has(Breach::NumberReused)
}
