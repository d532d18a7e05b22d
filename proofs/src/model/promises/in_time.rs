//! > *misfire*: a fire time reached later than the job's grace time. It is skipped, never run late.
//!
//! A plan that has grown old is refused, so that the longest delay past the grace time is the age that
//! a plan may have.

use super::Promise;
use crate::model::state::{Breach, State};
use crate::model::world::Protocol;

pub(super) const PROMISE: Promise = ("in time, or a recorded misfire", holds);

fn holds(_: &Protocol, state: &State) -> bool {
    !state.past.has(Breach::MadeLate)
}
