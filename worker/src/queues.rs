//! Limiting and pausing queues, and the whole namespace, on any store.
//!
//! All of it counts for the whole cluster from the next claim on, and takes nothing away from
//! handlers that are running: see [`scheduler_core::queue`].
//!
//! ```
//! use carillon::Queues;
//! use carillon::core::queue::{HoldNote, QueueLimits};
//! use carillon::core::{QueueName, Store, StoreError};
//!
//! async fn throttle<S: Store>(store: S, mail: &QueueName) -> Result<(), StoreError> {
//!     let queues = Queues::new(store);
//!     let limits = QueueLimits {
//!         rate: "100/s".parse().ok(),
//!         ..QueueLimits::default()
//!     };
//!     queues.limit(mail, limits).await?;
//!     queues.pause(mail, HoldNote::default()).await?;
//!     Ok(())
//! }
//! ```

use scheduler_core::queue::{HoldNote, QueueLimits, QueueState, SetBy};
use scheduler_core::store::{QueueBoard, RequestId, Steer, Steered, Steering, StoreResult};
use scheduler_core::{Event, QueueName, Store};
use uuid::Uuid;

use crate::audit::{self, Outcome};
use crate::jobs::retry::until_known;
use crate::jobs::telling;

/// The queues of a store. See the [module](self).
#[derive(Clone, Debug)]
pub struct Queues<S> {
    store: S,
}

impl<S: Store> Queues<S> {
    /// The queues of `store`.
    pub const fn new(store: S) -> Self {
        Self { store }
    }

    /// All queues that jobs or operators have named, by name, and the pause of the namespace.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn list(&self) -> StoreResult<QueueBoard> {
        until_known(|| self.store.queues()).await
    }

    /// One queue, if anybody has named it.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn get(&self, queue: &QueueName) -> StoreResult<Option<QueueState>> {
        let board = self.list().await?;
        Ok(board.queues.into_iter().find(|state| state.queue == *queue))
    }

    /// Limits a queue, in place of all that it was limited to before.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn limit(&self, queue: &QueueName, limits: QueueLimits) -> StoreResult<Steered> {
        self.set(queue, limits, SetBy::Operator).await
    }

    /// Limits a queue as a configuration says: what an operator has set stays
    /// ([`Steered::Kept`]).
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn configure(&self, queue: &QueueName, limits: QueueLimits) -> StoreResult<Steered> {
        self.set(queue, limits, SetBy::Config).await
    }

    async fn set(&self, queue: &QueueName, limits: QueueLimits, by: SetBy) -> StoreResult<Steered> {
        let queue = queue.clone();
        self.steer(Steering::Limit { queue, limits, by }).await
    }

    /// Takes a queue's limits away; those of configurations count again from the next start of a
    /// worker.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn unlimit(&self, queue: &QueueName) -> StoreResult<Steered> {
        self.steer(Steering::Unlimit(queue.clone())).await
    }

    /// Pauses a queue: its runs wait.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn pause(&self, queue: &QueueName, note: HoldNote) -> StoreResult<Steered> {
        self.steer(Steering::Pause(Some(queue.clone()), note)).await
    }

    /// Ends a queue's pause.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn resume(&self, queue: &QueueName) -> StoreResult<Steered> {
        self.steer(Steering::Resume(Some(queue.clone()))).await
    }

    /// Pauses the namespace: runs wait, and fire times are recorded as skipped.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn pause_all(&self, note: HoldNote) -> StoreResult<Steered> {
        self.steer(Steering::Pause(None, note)).await
    }

    /// Ends the namespace's pause.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn resume_all(&self) -> StoreResult<Steered> {
        self.steer(Steering::Resume(None)).await
    }

    async fn steer(&self, what: Steering) -> StoreResult<Steered> {
        // Made once: whatever becomes of the first try, it is done once.
        let request = Steer {
            request: RequestId(Uuid::now_v7()),
            what,
        };
        let steered = until_known(|| self.store.steer(&request)).await?;
        if steered == Steered::Done {
            match limits_of(&request.what) {
                Some((did, queue, limits)) => {
                    let object = Some(queue.to_string());
                    let detail = limits.as_deref();
                    audit::note_one(&self.store, did, object, Outcome::Done, detail).await;
                }
                None => telling::tell(&self.store, Vec::from_iter(event_of(request.what))).await,
            }
        }
        Ok(steered)
    }
}

/// What is written down of it, where it is about limits.
fn limits_of(what: &Steering) -> Option<(&'static str, &QueueName, Option<String>)> {
    match what {
        Steering::Limit { queue, limits, .. } => {
            let any = || "any".to_owned();
            let most = limits.concurrency.map_or_else(any, |most| most.to_string());
            let rate = limits.rate.map_or_else(any, |rate| rate.to_string());
            let limits = format!("concurrency {most}, rate {rate}");
            Some(("queue_limited", queue, Some(limits)))
        }
        Steering::Unlimit(queue) => Some(("queue_unlimited", queue, None)),
        Steering::Pause(..) | Steering::Resume(_) => None,
    }
}

/// What listeners are told of it. Limits are no event.
fn event_of(what: Steering) -> Option<Event> {
    match what {
        Steering::Pause(None, note) => Some(Event::SchedulerPaused { note }),
        Steering::Pause(Some(queue), note) => Some(Event::QueuePaused { queue, note }),
        Steering::Resume(None) => Some(Event::SchedulerResumed),
        Steering::Resume(Some(queue)) => Some(Event::QueueResumed { queue }),
        Steering::Limit { .. } | Steering::Unlimit(_) => None,
    }
}
