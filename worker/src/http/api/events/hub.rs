//! Who listens to the store's channel for all clients of a node.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use scheduler_core::store::HistoryQuery;
use scheduler_core::{Event, Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::place::Place;
use crate::event::{self, ClusterEvents};

/// How many clients may listen to one node.
const LISTENERS: usize = 256;

/// How many events a listener may lie behind before it misses some.
const BEHIND: usize = 4096;

/// How often history is read at most: what is recorded meanwhile is told together.
const READ_EVERY: Duration = Duration::from_millis(50);

/// How often it is looked whether anybody listens still.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How many records are read in one step.
const STEP: usize = 500;

/// What listeners are told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Where it stands in history, if it is recorded there.
    pub(super) place: Option<Place>,
    pub(super) event: Event,
}

/// A place to listen from.
#[derive(Debug)]
pub(in crate::http) struct Seat {
    _permit: OwnedSemaphorePermit,
}

/// Tells all clients of a node what happens.
#[derive(Debug)]
pub(in crate::http) struct Hub {
    seats: Arc<Semaphore>,
    told: broadcast::Sender<Arc<Told>>,
    pump: Mutex<Option<Pump>>,
}

/// The task that listens. It ends with the hub.
#[derive(Debug)]
struct Pump(JoinHandle<()>);

impl Drop for Pump {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Hub {
    pub(in crate::http) fn new() -> Self {
        Self {
            seats: Arc::new(Semaphore::new(LISTENERS)),
            told: broadcast::Sender::new(BEHIND),
            pump: Mutex::default(),
        }
    }

    /// A seat, if one is free.
    pub(super) fn seat(&self) -> Option<Seat> {
        let permit = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        Some(Seat { _permit: permit })
    }

    /// Listens to all that is told from now on, and tells where history ends at this moment or before:
    /// what is recorded behind that is told.
    pub(super) async fn listen<S: Store>(
        self: &Arc<Self>,
        store: &S,
    ) -> Result<(broadcast::Receiver<Arc<Told>>, Place), StoreError> {
        let receiver = self.told.subscribe();
        let end = end_of(store).await?;
        if self.is_idle() {
            // Before anything else: whether the store can be listened to.
            let events = event::listen(store.clone()).await?;
            self.start(store.clone(), events, end.clone());
        }
        Ok((receiver, end))
    }

    fn pump(&self) -> std::sync::MutexGuard<'_, Option<Pump>> {
        self.pump.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_idle(&self) -> bool {
        let pump = self.pump();
        pump.as_ref().is_none_or(|pump| pump.0.is_finished())
    }

    fn start<S: Store>(self: &Arc<Self>, store: S, events: ClusterEvents<S>, begin: Place) {
        let mut pump = self.pump();
        if pump.as_ref().is_some_and(|pump| !pump.0.is_finished()) {
            return;
        }
        let hub = Arc::downgrade(self);
        let told = self.told.clone();
        *pump = Some(Pump(tokio::spawn(async move {
            let mut reader = Reader {
                store,
                told,
                at: begin,
            };
            reader
                .run(events, || {
                    let Some(hub) = hub.upgrade() else {
                        return true;
                    };
                    // Under the lock that a new listener's start takes.
                    let mut pump = hub.pump();
                    let is_over = hub.told.receiver_count() == 0;
                    if is_over {
                        *pump = None;
                    }
                    is_over
                })
                .await;
        })));
    }
}

async fn end_of<S: Store>(store: &S) -> Result<Place, StoreError> {
    let query = HistoryQuery {
        limit: 1,
        ..HistoryQuery::default()
    };
    let position = store.history(&query).await?.position;
    Ok(Place::parse(&position).unwrap_or_else(|| Place::parse("0").expect("a number")))
}

/// Tells what happens, and reads what is recorded.
struct Reader<S> {
    store: S,
    told: broadcast::Sender<Arc<Told>>,
    /// Up to where history was told.
    at: Place,
}

impl<S: Store> Reader<S> {
    async fn run(&mut self, mut events: ClusterEvents<S>, is_over: impl Fn() -> bool) {
        // What was recorded before the channel was listened to is told by nobody else.
        let mut read_at = Some(Instant::now());
        let mut look_at = Instant::now() + LOOK_EVERY;
        loop {
            let wake = read_at.map_or(look_at, |read_at| read_at.min(look_at));
            tokio::select! {
                event = events.next() => {
                    if event.is_record() || event == Event::Unheard {
                        read_at.get_or_insert_with(|| Instant::now() + READ_EVERY);
                    }
                    if !event.is_record() {
                        self.tell(None, event);
                    }
                }
                () = sleep_until(wake) => {
                    let now = Instant::now();
                    if read_at.is_some_and(|read_at| read_at <= now) {
                        // Where the store is away, the channel will say so, too.
                        let is_told = timeout(LOOK_EVERY, self.catch_up()).await;
                        let again = matches!(is_told, Ok(Ok(())));
                        read_at = (!again).then(|| Instant::now() + LOOK_EVERY);
                    }
                    if look_at <= now {
                        if is_over() {
                            return;
                        }
                        look_at = now + LOOK_EVERY;
                    }
                }
            }
        }
    }

    fn tell(&self, place: Option<Place>, event: Event) {
        // Whoever listened may have gone meanwhile.
        let _ = self.told.send(Arc::new(Told { place, event }));
    }

    /// Tells all that was recorded since.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        loop {
            let query = HistoryQuery {
                after: Some(self.at.text().to_owned()),
                limit: STEP,
                ..HistoryQuery::default()
            };
            let page = self.store.history(&query).await?;
            let is_end = page.entries.is_empty() && page.position == self.at.text();
            for entry in page.entries {
                let place = Place::parse(&entry.position);
                self.tell(place, Event::from(entry.record));
            }
            if let Some(at) = Place::parse(&page.position) {
                self.at = at;
            }
            if is_end {
                return Ok(());
            }
        }
    }
}
