//! > **One owner per run.** At most one node holds a run's claim.
//!
//! Each run that was made and has not ended is in exactly one place: ready, waiting for its time, or
//! claimed by one session that lives or will be cleared up after. `busy` has it, and nothing else.

use super::Promise;
use crate::model::state::{Run, State};
use crate::model::store::Life;
use crate::model::world::Protocol;

pub(super) const PROMISE: Promise = ("one owner, and none is stuck", holds);

fn holds(_: &Protocol, state: &State) -> bool {
    let store = &state.store;
    let claimed = || {
        let looked_after = store.sessions.iter().filter(|s| s.life != Life::Forgotten);
        looked_after.flat_map(|session| session.claims.iter().map(|claim| claim.run))
    };
    let places = |run: Run| {
        let waiting = store.ready.iter().chain(&store.retry);
        waiting.filter(|w| w.run == run).count() + claimed().filter(|r| *r == run).count()
    };
    (0..).zip(&store.jobs).all(|(at, job)| {
        let in_flight = state.past.made[usize::from(at)] & !state.past.ended[usize::from(at)];
        let in_one_place = |number| {
            let run = Run { job: at, number };
            places(run) == usize::from(in_flight & run.bit() != 0)
        };
        job.busy == in_flight && (0..16).all(in_one_place)
    })
}
