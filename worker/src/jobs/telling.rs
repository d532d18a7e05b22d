//! Telling the cluster what was changed, and writing down by whom.

use futures_util::future;
use scheduler_core::change::Change;
use scheduler_core::event::Event;
use scheduler_core::store::Changed;
use scheduler_core::{JobState, RunId, Store, StoredJob, Version};

use crate::audit;

/// How many events are told at once.
const STEP: usize = 500;

/// Tells these, and writes down who did so. Where that fails nobody is the worse for it: it was done,
/// and is stored.
pub(crate) async fn tell<S: Store>(store: &S, events: Vec<Event>) {
    for events in events.chunks(STEP) {
        let noted = audit::note_events(store, events);
        let _ = future::join(store.announce(events), noted).await;
    }
}

/// Tells which jobs were added, and which modified.
pub(super) async fn written<S: Store>(
    store: &S,
    changes: &[(Option<Version>, Change)],
    answers: &[Changed],
) {
    let done = changes.iter().zip(answers);
    let events = done.filter_map(|((before, change), answer)| match answer {
        Changed::Conflict | Changed::Taken => None,
        Changed::Done(version) => {
            let (job, version) = (change.job.id().clone(), *version);
            Some(match before {
                None => Event::JobAdded { job, version },
                Some(_) => Event::JobModified { job, version },
            })
        }
    });
    tell(store, events.collect()).await;
}

/// What became of a job by a change, which gave it this version.
pub(super) fn changed(before: Option<&StoredJob>, after: &Change, version: Version) -> Event {
    let job = after.job.id().clone();
    match (before.map(|stored| &stored.state), &after.state) {
        (None, _) => Event::JobAdded { job, version },
        (Some(JobState::Paused { .. }), JobState::Active) => Event::JobResumed { job, version },
        (Some(before), after @ JobState::Paused { .. }) if before.pause() != after.pause() => {
            Event::JobPaused { job, version }
        }
        _ => Event::JobModified { job, version },
    }
}

/// Tells of runs that were made.
pub(super) async fn submitted<S: Store>(store: &S, runs: impl IntoIterator<Item = &RunId>) {
    let submitted = |run: &RunId| Event::RunSubmitted { run: run.clone() };
    tell(store, runs.into_iter().map(submitted).collect()).await;
}
