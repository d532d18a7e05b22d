//! > Dispatch is one script: the caller's lease token is still the stored one, **the job's due score and
//! > version are the expected ones**.
//!
//! What is dispatched was planned with the definition that the job has at that moment.

use super::Promise;
use crate::model::state::{Breach, State};
use crate::model::world::Protocol;

pub(super) const PROMISE: Promise = ("planned as it is", holds);

fn holds(_: &Protocol, state: &State) -> bool {
    !state.past.has(Breach::DispatchedOtherwise)
}
