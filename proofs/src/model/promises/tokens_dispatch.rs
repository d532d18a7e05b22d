//! > Dispatch is one script on the shard's Redis: **the caller's lease token is still the stored one**. A
//! > leader that was frozen through its lease is refused.
//!
//! Every accepted dispatch carried the token that was stored then.

use super::Promise;
use crate::model::state::{Breach, State};
use crate::model::world::Protocol;

pub(super) const PROMISE: Promise = ("only the token dispatches", holds);

fn holds(_: &Protocol, state: &State) -> bool {
    !state.past.has(Breach::DispatchedWithoutToken)
}
