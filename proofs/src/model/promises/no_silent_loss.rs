//! > **No silent loss.** Each fire time becomes a run, or a recorded skip with its reason. A crash at
//! > any instruction loses neither the job nor the fire.
//!
//! Each fire time that came to be due is a run, a recorded skip, or pending still.

use super::Promise;
use crate::model::state::State;
use crate::model::world::Protocol;

pub(super) const PROMISE: Promise = ("no silent loss", holds);

fn holds(_: &Protocol, state: &State) -> bool {
    let past = &state.past;
    (0..).zip(&state.store.jobs).all(|(at, job)| {
        let at: usize = at;
        let settled = past.made[at] | past.skipped[at];
        let pending = job.pending().filter(|_| job.exists());
        // All from the pending one on.
        let open = pending.map_or(0, |first| !((1 << first) - 1));
        past.owed[at] & !settled & !open == 0
    })
}
