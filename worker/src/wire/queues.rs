//! Queues, and the pause of the namespace.

use std::num::NonZeroU32;

use scheduler_core::queue::{Hold, QueueState, SetBy};
use scheduler_core::store::QueueBoard;
use serde::{Deserialize, Serialize};

/// A pause of a queue or of the namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct HoldView {
    /// Whether it is paused.
    pub paused: bool,
    /// Since when.
    pub paused_since: Option<String>,
    /// Who paused it.
    pub paused_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl HoldView {
    /// The view of a pause, or of none.
    #[must_use]
    pub fn new(hold: Option<&Hold>) -> Self {
        Self {
            paused: hold.is_some(),
            paused_since: hold.map(|hold| hold.since.to_string()),
            paused_by: hold.and_then(|hold| hold.note.by.clone()),
            reason: hold.and_then(|hold| hold.note.reason.clone()),
        }
    }
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct QueueView {
    /// Its name.
    pub queue: String,
    /// How many of its runs are executed at once; null for any number.
    pub concurrency: Option<u32>,
    /// How many of its runs are begun in a time: `100/s`; null for any number.
    pub rate: Option<String>,
    /// Who set its limits: `operator` or `config`; null where nobody did.
    #[cfg_attr(feature = "http", schema(value_type = Option<String>))]
    pub set_by: Option<SetBy>,
    /// Its pause.
    #[serde(flatten)]
    pub hold: HoldView,
    /// How many runs wait in it.
    pub waiting: u64,
    /// How many of these have high priority.
    pub high: u64,
    /// How many of these have normal priority.
    pub normal: u64,
    /// How many of these have low priority.
    pub low: u64,
    /// How many of its runs are executed.
    pub running: u64,
    /// How many runs of its jobs wait behind others of their job.
    pub lined_up: u64,
}

impl QueueView {
    /// The view of a queue.
    #[must_use]
    pub fn new(state: &QueueState) -> Self {
        let [high, normal, low] = state.waiting;
        Self {
            queue: state.queue.to_string(),
            concurrency: state.limits.concurrency.map(NonZeroU32::get),
            rate: state.limits.rate.map(|rate| rate.to_string()),
            set_by: state.set_by,
            hold: HoldView::new(state.hold.as_ref()),
            waiting: high + normal + low,
            high,
            normal,
            low,
            running: state.in_use,
            lined_up: state.lined_up,
        }
    }
}

/// All queues, and the pause of the namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Board {
    /// The pause of the namespace.
    #[serde(flatten)]
    pub hold: HoldView,
    /// The queues, by name.
    pub queues: Vec<QueueView>,
}

impl Board {
    /// The view of all queues.
    #[must_use]
    pub fn new(board: &QueueBoard) -> Self {
        Self {
            hold: HoldView::new(board.hold.as_ref()),
            queues: board.queues.iter().map(QueueView::new).collect(),
        }
    }
}
