//! What a node tells the cluster: gathered, and sent in batches, so that nothing ever waits for it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use scheduler_core::Shard;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Event;
use crate::node::shared::Shared;

/// How many events may wait to be sent. Where the store is away for long, the later ones are dropped:
/// who listens is cut off from it, too.
const MOST: usize = 4096;

/// How many are sent at once.
const BATCH: usize = 500;

/// For how long nobody listens, where nobody did: what happens to runs is not told until then. After
/// that the next such event is, whoever hears it, and its answer says whether anybody did. A node where
/// nothing happens asks nothing.
const UNHEARD: Duration = Duration::from_millis(500);

/// How long a node that ends tries to tell that.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What waits to be sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<VecDeque<Event>>,
    added: Notify,
    /// Whether there is anybody who sends.
    is_open: AtomicBool,
    /// Whether somebody may listen.
    is_wanted: AtomicBool,
}

impl Outbox {
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    pub(super) fn put(&self, event: &Event) {
        if !self.is_open() {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MOST {
            waiting.push_back(event.clone());
            drop(waiting);
            self.added.notify_one();
        }
    }

    fn take(&self) -> Vec<Event> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(BATCH);
        waiting.drain(..count).collect()
    }

    fn close(&self) {
        self.is_open.store(false, Ordering::Relaxed);
        self.is_wanted.store(false, Ordering::Relaxed);
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Sends what a node tells the cluster, for as long as it lives. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Announcer {
    done: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Announcer {
    pub(crate) fn start<S: Shard>(shared: &Arc<Shared<S>>) -> Self {
        let done = CancellationToken::new();
        shared.events.outbox.is_open.store(true, Ordering::Relaxed);
        shared
            .events
            .outbox
            .is_wanted
            .store(true, Ordering::Relaxed);
        let task = tokio::spawn(announce(Arc::clone(shared), done.clone()));
        Self {
            done,
            task: Some(task),
        }
    }

    /// Sends what is left, and ends.
    pub(crate) async fn end(mut self) {
        self.done.cancel();
        if let Some(task) = self.task.take() {
            let abort = task.abort_handle();
            if tokio::time::timeout(LAST_WORD, task).await.is_err() {
                abort.abort();
            }
        }
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Closes the outbox however the sending ends.
struct Open<'a>(&'a Outbox);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

async fn announce<S: Shard>(shared: Arc<Shared<S>>, done: CancellationToken) {
    let outbox = &shared.events.outbox;
    let _open = Open(outbox);
    loop {
        let is_done = done.is_cancelled();
        let events = outbox.take();
        if !events.is_empty() {
            let link = &shared.link;
            // Where it fails, these are lost: whoever listens has trouble with the same store.
            let told = link.ask("announce", link.store.announce(&events)).await;
            let is_heard = told.is_ok_and(|listeners| listeners > 0);
            outbox.is_wanted.store(is_heard, Ordering::Relaxed);
        } else if is_done {
            return;
        }
        if events.len() < BATCH && !is_done {
            let is_wanted = outbox.is_wanted.load(Ordering::Relaxed);
            tokio::select! {
                () = outbox.added.notified() => {}
                () = tokio::time::sleep(UNHEARD), if !is_wanted => {
                    outbox.is_wanted.store(true, Ordering::Relaxed);
                }
                () = done.cancelled() => {}
            }
        }
    }
}
