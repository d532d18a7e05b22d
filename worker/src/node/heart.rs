//! The heart: shows that the session lives, and watches that it may be trusted.
//!
//! Both run on a thread of their own, with a runtime and a connection of their own: a handler that
//! blocks every thread of the node's runtime must stop neither the heartbeats (the node lives) nor
//! the watchdog (the only one who can still tell handlers to stop).

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use scheduler_core::Shard;
use scheduler_core::store::{Heartbeat, HeartbeatAnswer};
use tokio_util::sync::CancellationToken;

use crate::clock::boottime;
use crate::event::Event;
use crate::node::link::{Backoff, Link};
use crate::node::session::{Session, Stopped};
use crate::node::shared::Shared;

/// A session's heart. Stops, and ends the session, when it is dropped.
#[derive(Debug)]
pub(crate) struct Heart {
    session: Arc<Session>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Heart {
    /// Begins to beat.
    pub(crate) fn start<S: Shard>(
        shared: &Arc<Shared<S>>,
        session: &Arc<Session>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stop = CancellationToken::new();
        let beating = Beating {
            shared: Arc::clone(shared),
            session: Arc::clone(session),
            link: shared.link.detached(session.ttl / 4),
            beat: 0,
            contradictions: 0,
        };
        let stopped = stop.clone();
        let (shared, watched) = (Arc::clone(shared), Arc::clone(session));
        let thread = std::thread::Builder::new()
            .name("carillon-heart".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = stopped.cancelled() => {}
                        () = beating.run() => {}
                        () = watch(&shared, &watched) => {}
                    }
                });
            })?;
        Ok(Self {
            session: Arc::clone(session),
            stop,
            thread: Some(thread),
        })
    }

    /// Stops beating, and waits until the thread has ended.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // The thread ends at its next await, but joining it blocks.
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the heart's thread panicked");
            }
        }
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        // Whoever drops a node without shutting it down takes its claims' proof of life with it.
        self.stop.cancel();
        self.session.end();
    }
}

struct Beating<S> {
    shared: Arc<Shared<S>>,
    session: Arc<Session>,
    link: Link<S>,
    beat: u64,
    /// How many heartbeats in a row counted other claims than the node believes to hold.
    contradictions: u32,
}

impl<S: Shard> Beating<S> {
    /// Beats until the session is over.
    async fn run(mut self) {
        let every = self.session.ttl / 4;
        let mut backoff = Backoff::up_to(every / 2);
        loop {
            let sent = boottime();
            let pause = match self.beat(sent).await {
                Some(true) => {
                    backoff.reset();
                    every.saturating_sub(boottime().saturating_sub(sent))
                }
                Some(false) => return,
                None => backoff.next(),
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Beats once: whether the session lives, if there was an answer.
    async fn beat(&mut self, sent: Duration) -> Option<bool> {
        self.beat += 1;
        let book = self.session.book();
        let quiet = book.quiet();
        let heartbeat = Heartbeat {
            session: self.session.id.clone(),
            beat: self.beat,
            ttl: self.session.ttl,
            running: book.held(),
            generation: self.session.generation(),
        };
        let answer = self.link.store.heartbeat(&heartbeat);
        match self.link.ask("heartbeat", answer).await.ok()? {
            HeartbeatAnswer::Alive {
                now,
                claims,
                cancelled,
            } => {
                self.shared.clock.learn(sent, boottime(), now);
                if self.session.renewed(sent) {
                    let session = &self.session.id;
                    tracing::info!(%session, "the session lives still: beginning runs again");
                    self.shared.events.tell(|| Event::TrustResumed {
                        session: session.clone(),
                    });
                }
                self.session.note_cancelled(cancelled);
                self.compare(book.contradicts(quiet, claims), claims);
                Some(true)
            }
            HeartbeatAnswer::Gone => {
                self.session.end();
                Some(false)
            }
            HeartbeatAnswer::Behind => {
                // It is the work loop that knows what to tell. Until then the trust runs on as it is.
                self.session.is_behind(heartbeat.generation);
                None
            }
        }
    }

    /// A claim that no one executes, because the answer that brought it was lost, would be kept
    /// alive by these heartbeats for ever. One count may have met a late request on its way; two in
    /// a row have not.
    fn compare(&mut self, contradicts: bool, claims: usize) {
        if !contradicts {
            self.contradictions = 0;
            return;
        }
        self.contradictions += 1;
        if self.contradictions >= 2 {
            let held = self.session.book().held();
            tracing::warn!(claims, held, "the store counts other claims than this node");
            self.contradictions = 0;
            self.session.want_resync();
        }
    }
}

/// Stops the handlers when trust ends, however that came about: an answer that is missing, a
/// machine that slept, a process that was frozen.
async fn watch<S: Shard>(shared: &Shared<S>, session: &Session) {
    // A sleep does not count suspend, so it must be short against the margin.
    let tick = (session.ttl / 40).max(Duration::from_millis(5));
    loop {
        let now = boottime();
        if session.trust_has_ended(now) {
            // Told first, which takes no time to speak of: listeners hear of causes before effects.
            let id = &session.id;
            shared.events.tell(|| Event::TrustLost {
                session: id.clone(),
            });
            session.stop_handlers(Stopped::TrustLost);
            shared.counters.trust_lost();
            tracing::warn!(
                session = %id,
                "no heartbeat was answered in time: stopping the handlers, for others may take \
                 over their runs"
            );
        }
        let left = session.trusted_until().saturating_sub(now);
        let pause = if left.is_zero() { tick } else { left.min(tick) };
        tokio::time::sleep(pause).await;
    }
}
