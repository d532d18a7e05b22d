//! > Writes jobs, each if it still is as it was read.
//!
//! A change is applied to the very definition that whoever decided on it has read.

use super::Promise;
use crate::model::state::{Breach, State};
use crate::model::world::Protocol;

pub(super) const PROMISE: Promise = ("changed as it was read", holds);

fn holds(_: &Protocol, state: &State) -> bool {
    !state.past.has(Breach::ChangedUnseen)
}
