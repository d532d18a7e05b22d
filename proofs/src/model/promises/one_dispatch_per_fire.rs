//! > **One dispatch per fire.** For each job and fire time at most one run is ever created, whatever
//! > nodes crash, freeze, restart, or see the wrong time.

use super::Promise;
use crate::model::state::{Breach, State};
use crate::model::world::Protocol;

pub(super) const PROMISE: Promise = ("one dispatch per fire", holds);

fn holds(_: &Protocol, state: &State) -> bool {
    let both = |(made, skipped): (&u16, &u16)| made & skipped != 0;
    let past = &state.past;
    !past.has(Breach::MadeTwice) && !past.made.iter().zip(&past.skipped).any(both)
}
