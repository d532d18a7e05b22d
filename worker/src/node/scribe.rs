//! The scribe: writes down what handlers tell while they run, now and then.
//!
//! Handlers note into a [`Notebook`] of their attempt, which takes a lock and no time. The scribe looks
//! at all notebooks each [`EVERY`], and tells the store of those that have changed: all that an attempt
//! has noted so far, so that nothing is told twice by telling it again. No handler and no completion
//! waits for it; what it could not write in time is lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use scheduler_core::notes::{MAX_NOTES, Note, NoteError, Notes, RunNotes};
use scheduler_core::{Fence, RunId, SessionId, Shard, Timestamp};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::node::shared::Shared;
use crate::task::secrets::Hidden;

/// How often it writes.
const EVERY: Duration = Duration::from_secs(1);

/// How many attempts it holds that have ended and could not be written down yet.
const MOST_ENDED: usize = 1_000;

/// What handlers of this node have noted. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desk(Arc<Mutex<BTreeMap<Fence, Page>>>);

/// What one attempt has noted.
#[derive(Debug)]
struct Page {
    run: RunId,
    attempt: u32,
    notes: Notes,
    /// How often it was told.
    number: u64,
    /// Whether there is something that was not told.
    has_news: bool,
    has_ended: bool,
}

/// Where a handler notes.
#[derive(Clone, Debug)]
pub(crate) struct Notebook {
    desk: Desk,
    run: RunId,
    attempt: u32,
    fence: Fence,
    hidden: Hidden,
}

impl Notebook {
    /// The same, for a handler that was given secrets.
    pub(crate) fn hiding(self, hidden: Hidden) -> Self {
        Self { hidden, ..self }
    }

    /// What must not be seen in what the handler tells.
    pub(crate) const fn hidden(&self) -> &Hidden {
        &self.hidden
    }

    pub(crate) fn progress(
        &self,
        fraction: f64,
        text: &str,
        at: Timestamp,
    ) -> Result<(), NoteError> {
        let text = self.hidden.mask(text.to_owned());
        self.write(|notes| notes.progress(fraction, &text, at))
    }

    pub(crate) fn result(&self, result: Value) -> Result<(), NoteError> {
        let result = self.hidden.mask_value(result);
        self.write(|notes| notes.result(result))
    }

    pub(crate) fn log(&self, text: &str, at: Timestamp) {
        let text = self.hidden.mask(text.to_owned());
        self.write(|notes| notes.log(&text, at));
    }

    fn write<A>(&self, write: impl FnOnce(&mut Notes) -> A) -> A {
        self.desk.with(|pages| {
            let page = pages.entry(self.fence).or_insert_with(|| Page {
                run: self.run.clone(),
                attempt: self.attempt,
                notes: Notes::default(),
                number: 0,
                has_news: false,
                has_ended: false,
            });
            page.has_news = true;
            write(&mut page.notes)
        })
    }
}

impl Desk {
    fn with<A>(&self, act: impl FnOnce(&mut BTreeMap<Fence, Page>) -> A) -> A {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where the handler of this attempt notes.
    pub(crate) fn notebook(&self, run: &RunId, attempt: u32, fence: Fence) -> Notebook {
        Notebook {
            desk: self.clone(),
            run: run.clone(),
            attempt,
            fence,
            hidden: Hidden::default(),
        }
    }

    /// The attempt under this claim has ended: nothing more comes of it.
    pub(crate) fn ended(&self, fence: Fence) {
        self.with(|pages| {
            if let Some(page) = pages.get_mut(&fence) {
                page.has_ended = true;
                let ended = |page: &&Page| page.has_ended;
                if pages.values().filter(ended).count() > MOST_ENDED {
                    // The store is away, or cannot keep up: the oldest goes.
                    let oldest = pages.iter().find(|(_, page)| page.has_ended);
                    if let Some(fence) = oldest.map(|(fence, _)| *fence) {
                        pages.remove(&fence);
                    }
                }
            }
        });
    }

    /// Some of what was not told yet; what has ended without any news is forgotten.
    fn take_news(&self) -> Vec<(Fence, RunNotes)> {
        self.with(|pages| {
            pages.retain(|_, page| page.has_news || !page.has_ended);
            let news = pages.iter_mut().filter(|(_, page)| page.has_news);
            let told = news.take(MAX_NOTES).map(|(fence, page)| {
                page.has_news = false;
                page.number += 1;
                let notes = RunNotes {
                    run: page.run.clone(),
                    attempt: page.attempt,
                    fence: *fence,
                    number: page.number,
                    notes: page.notes.clone(),
                };
                (*fence, notes)
            });
            told.collect()
        })
    }

    /// Takes back that these were told.
    fn not_told(&self, fences: impl Iterator<Item = Fence>) {
        self.with(|pages| {
            for fence in fences {
                if let Some(page) = pages.get_mut(&fence) {
                    page.has_news = true;
                }
            }
        });
    }

    /// Writes down all that is new, if it can.
    pub(crate) async fn write_down<S: Shard>(&self, shared: &Shared<S>, session: &SessionId) {
        loop {
            let news = self.take_news();
            if news.is_empty() {
                return;
            }
            let (fences, notes): (Vec<_>, Vec<_>) = news.into_iter().unzip();
            let is_all = notes.len() < MAX_NOTES;
            let note = Note {
                session: session.clone(),
                notes,
                keep: shared.settings.retention.notes_for,
            };
            let link = &shared.link;
            if link.ask("note", link.store.note(&note)).await.is_err() {
                self.not_told(fences.into_iter());
                return;
            }
            if is_all {
                return;
            }
        }
    }
}

/// Writes down what handlers note, until it is told to stop, and then the last of it.
pub(crate) async fn run<S: Shard>(
    shared: Arc<Shared<S>>,
    session: SessionId,
    stop: CancellationToken,
) {
    let desk = shared.desk.clone();
    loop {
        let pause = tokio::time::sleep(EVERY);
        let goes_on = stop.run_until_cancelled(pause).await.is_some();
        desk.write_down(&shared, &session).await;
        if !goes_on {
            return;
        }
    }
}
