//! The promises, one file each, each beginning with its words.

mod changed_as_read;
mod effects_in_order;
mod ended_once;
mod in_time;
mod known_or_noticed;
mod max_instances;
mod no_silent_loss;
mod numbers_rise;
mod one_dispatch_per_fire;
mod one_owner;
mod planned_as_it_is;
mod same_definition;
mod settled_once;
mod stale_is_refused;
mod tokens_dispatch;

use stateright::Property;

use super::state::State;
use super::world::Protocol;

/// One promise: its name, and whether it holds.
type Promise = (&'static str, fn(&Protocol, &State) -> bool);

const PROMISES: [Promise; 15] = [
    changed_as_read::PROMISE,
    effects_in_order::PROMISE,
    ended_once::PROMISE,
    in_time::PROMISE,
    known_or_noticed::PROMISE,
    max_instances::PROMISE,
    no_silent_loss::PROMISE,
    numbers_rise::PROMISE,
    one_dispatch_per_fire::PROMISE,
    one_owner::PROMISE,
    planned_as_it_is::PROMISE,
    same_definition::PROMISE,
    settled_once::PROMISE,
    stale_is_refused::PROMISE,
    tokens_dispatch::PROMISE,
];

/// All of them, as the checker wants them.
pub(super) fn all() -> Vec<Property<Protocol>> {
    PROMISES
        .into_iter()
        .map(|(name, holds)| Property::always(name, holds))
        .collect()
}
