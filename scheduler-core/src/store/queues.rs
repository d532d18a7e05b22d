//! Requests and answers of those who limit and pause queues.

use super::RequestId;
use crate::id::QueueName;
use crate::queue::{Hold, HoldNote, QueueLimits, QueueState, SetBy};

/// Changes what a queue, or the whole namespace, keeps to.
#[derive(Clone, Debug)]
pub struct Steer {
    /// The request.
    pub request: RequestId,
    /// What to change.
    pub what: Steering,
}

/// What to change about queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Steering {
    /// A queue's limits.
    Limit {
        /// The queue.
        queue: QueueName,
        /// In place of all that it was limited to before.
        limits: QueueLimits,
        /// Who says so: a configuration never replaces what an operator said.
        by: SetBy,
    },
    /// Takes a queue's limits away, as if nobody had ever set any.
    Unlimit(QueueName),
    /// Pauses a queue; the namespace where none is named.
    Pause(Option<QueueName>, HoldNote),
    /// Ends such a pause.
    Resume(Option<QueueName>),
}

/// What became of steering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steered {
    /// It was done.
    Done,
    /// It was so already.
    Already,
    /// An operator has set limits, and they stay.
    Kept,
}

/// All queues, as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueBoard {
    /// The pause of the namespace.
    pub hold: Option<Hold>,
    /// The queues in which runs wait, or that were ever named, by name.
    pub queues: Vec<QueueState>,
}
