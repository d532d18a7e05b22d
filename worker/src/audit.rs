//! Who changes what, as the store keeps it: see [`carillon::core::audit`](scheduler_core::audit).
//!
//! Whoever answers for what a piece of code does says so once, around it; all that is changed within
//! it, by [`Jobs`](crate::Jobs), [`Queues`](crate::Queues) or a scheduler, is written down with that
//! name. What nobody answers for is not written down: a program that adds a thousand jobs a second
//! would leave no room for what people do.
//!
//! ```
//! use carillon::audit::{Author, Via, acting_as};
//! use carillon::core::{JobId, Store};
//! use carillon::jobs::{Jobs, JobsError};
//!
//! async fn stop<S: Store>(store: S, job: &JobId) -> Result<(), JobsError> {
//!     let author = Author::new("the admin page, for anna", Via::Library);
//!     acting_as(author, Jobs::new(store).pause(job)).await?;
//!     Ok(())
//! }
//! ```
//!
//! A deed is written down once it was done. Where that fails, the log says so, and what was done stays
//! done.

use scheduler_core::Store;
use scheduler_core::audit::{Audit, MAX_DEEDS};
pub use scheduler_core::audit::{Author, Deed, Outcome, Via};
use scheduler_core::event::Event;
use scheduler_core::store::RequestId;
use uuid::Uuid;

use crate::jobs::retry::until_known;

tokio::task_local! {
    static AUTHOR: Author;
}

/// Does something in somebody's name: what it changes is written down as that author's.
///
/// Holds for what `act` awaits itself, not for tasks that it spawns.
pub async fn acting_as<F: Future>(author: Author, act: F) -> F::Output {
    AUTHOR.scope(author, act).await
}

/// In whose name this is done.
fn author() -> Option<Author> {
    AUTHOR.try_with(Clone::clone).ok()
}

/// Writes down one deed to these objects, if anybody answers for it; `object` says what it was done to.
pub(crate) async fn note_one<S: Store>(
    store: &S,
    did: &str,
    objects: impl IntoIterator<Item = String>,
    outcome: Outcome,
    detail: Option<&str>,
) {
    let Some(author) = author() else {
        return;
    };
    let mut deed = Deed::new(author, did, None).with_detail(detail);
    deed.outcome = outcome;
    deed.count = 0;
    objects.into_iter().for_each(|object| deed.also(object));
    deed.count = deed.count.max(1);
    write(store, vec![deed]).await;
}

/// Writes down what these events tell, if anybody answers for it: what was done alike to many is one
/// deed.
pub(crate) async fn note_events<S: Store>(store: &S, events: &[Event]) {
    let Some(author) = author() else {
        return;
    };
    let mut deeds: Vec<Deed> = Vec::new();
    for event in events {
        let (did, object) = (event.word(), object(event));
        match (deeds.last_mut(), object) {
            (Some(last), Some(object)) if last.did == did => last.also(object),
            (_, object) => {
                let deed = Deed::new(author.clone(), did, object);
                deeds.push(deed.with_detail(reason(event)));
            }
        }
    }
    write(store, deeds).await;
}

/// Writes down deeds. Where that fails it is logged: they are done all the same.
pub(crate) async fn write<S: Store>(store: &S, deeds: Vec<Deed>) {
    for some in deeds.chunks(MAX_DEEDS) {
        // Made once: whatever becomes of the first try, it is written once.
        let request = Audit {
            request: RequestId(Uuid::now_v7()),
            deeds: some.to_vec(),
        };
        if let Err(error) = until_known(|| store.audit(&request)).await {
            for deed in some {
                let deed = deed.to_line();
                tracing::warn!(%error, deed, "could not write down who changed what");
            }
        }
    }
}

/// What an event is about.
fn object(event: &Event) -> Option<String> {
    match event {
        Event::RunSubmitted { run } => Some(run.to_string()),
        Event::QueuePaused { queue, .. } | Event::QueueResumed { queue } => Some(queue.to_string()),
        other => other.job().map(ToString::to_string),
    }
}

/// Why, where an event says so.
fn reason(event: &Event) -> Option<&str> {
    match event {
        Event::QueuePaused { note, .. } | Event::SchedulerPaused { note } => note.reason.as_deref(),
        _ => None,
    }
}
