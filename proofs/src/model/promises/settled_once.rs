//! > Fire times are settled once: a run is made, or a skip recorded, for each fire time at most once.

use super::Promise;
use crate::model::state::{Breach, State};
use crate::model::world::Protocol;

pub(super) const PROMISE: Promise = ("skips are recorded once", holds);

fn holds(_: &Protocol, state: &State) -> bool {
    !state.past.has(Breach::SettledTwice)
}
