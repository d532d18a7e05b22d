//! How a node shares its free slots among the queues that it serves, and among priorities.
//!
//! ```text
//!   10 free slots, queues mail (weight 3) and default (weight 1)
//!   shares       mail: high 4, normal 3, low 1      default: high 1, normal 1, low 0
//!   left over    high of both, then normal of both, then low of both
//! ```
//!
//! Each queue and priority has a share of the slots by its weight, so that nobody starves; what one
//! does not use goes to the others, the high priorities first. Shares are whole slots: who comes off
//! badly in one request comes off better in the next, so that a node with a single slot keeps to the
//! same shares over time.
//!
//! The store only takes what it is told to, in the order in which it is told.

use std::num::NonZeroU32;

use crate::id::QueueName;
use crate::policy::Priority;
use crate::store::{ClaimWish, MAX_CLAIMED, Take};

/// The greatest weight of a queue.
pub const MAX_WEIGHT: NonZeroU32 = NonZeroU32::MIN.saturating_add(999);

/// A queue that a node serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The queue.
    pub queue: QueueName,
    /// How much of the node's slots is its own, compared with the node's other queues. At most
    /// [`MAX_WEIGHT`].
    pub weight: NonZeroU32,
}

impl From<QueueName> for Served {
    /// A queue of weight 1.
    fn from(queue: QueueName) -> Self {
        Self {
            queue,
            weight: NonZeroU32::MIN,
        }
    }
}

/// Which of several queues a node serves first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueOrder {
    /// All of them, by their weights. The default.
    #[default]
    Weighted,
    /// The first until it is empty, then the next: a busy queue starves those behind it.
    Strict,
}

/// Runs of one queue and priority, and how they stand with their share.
#[derive(Clone, Debug)]
struct Lane {
    queue: QueueName,
    priority: Priority,
    weight: i64,
    /// What it is owed: positive where it came off badly.
    credit: i64,
}

/// A node's slots, shared. Remembers who came off badly.
#[derive(Clone, Debug)]
pub struct Shares {
    /// The lanes that share slots: one group where queues are weighted, else one for each queue.
    groups: Vec<Vec<Lane>>,
    /// How many requests there were.
    turn: usize,
}

impl Shares {
    /// The shares of these queues, of which each counts once.
    #[must_use]
    pub fn new(queues: &[Served], order: QueueOrder) -> Self {
        let lanes = |served: &Served| {
            let weight = i64::from(served.weight.min(MAX_WEIGHT).get());
            Priority::ALL.map(|priority| Lane {
                queue: served.queue.clone(),
                priority,
                weight: weight * i64::from(priority.share()),
                credit: 0,
            })
        };
        let groups = match order {
            QueueOrder::Weighted => vec![queues.iter().flat_map(lanes).collect()],
            QueueOrder::Strict => queues.iter().map(|q| lanes(q).to_vec()).collect(),
        };
        Self { groups, turn: 0 }
    }

    /// What to claim next for so many free slots; at most [`MAX_CLAIMED`] runs at once.
    pub fn wish(&mut self, slots: usize) -> ClaimWish {
        let limit = slots.min(MAX_CLAIMED);
        let mut takes = Vec::new();
        for group in &mut self.groups {
            share_out(group, limit, &mut takes);
            leftovers(group, self.turn, limit, &mut takes);
        }
        self.turn = self.turn.wrapping_add(1);
        ClaimWish { takes, limit }
    }
}

/// The lanes' shares of these slots, each slot to whom most is owed.
fn share_out(lanes: &mut [Lane], slots: usize, takes: &mut Vec<Take>) {
    let all: i64 = lanes.iter().map(|lane| lane.weight).sum();
    let mut shares = vec![0; lanes.len()];
    for _ in 0..slots {
        let mut first = 0;
        for at in 0..lanes.len() {
            lanes[at].credit += lanes[at].weight;
            if lanes[at].credit > lanes[first].credit {
                first = at;
            }
        }
        if let Some(lane) = lanes.get_mut(first) {
            lane.credit -= all;
            shares[first] += 1;
        }
    }
    let shares = lanes.iter().zip(shares).filter(|(_, share)| *share > 0);
    takes.extend(shares.map(|(lane, share)| lane.take(share)));
}

/// Whatever is left goes to who can use it: the high priorities first, and of one priority another
/// queue first each time.
fn leftovers(lanes: &[Lane], turn: usize, limit: usize, takes: &mut Vec<Take>) {
    for priority in Priority::ALL {
        let mut same: Vec<_> = lanes.iter().filter(|l| l.priority == priority).collect();
        if !same.is_empty() {
            let first = turn % same.len();
            same.rotate_left(first);
        }
        takes.extend(same.into_iter().map(|lane| lane.take(limit)));
    }
}

impl Lane {
    fn take(&self, most: usize) -> Take {
        Take {
            queue: self.queue.clone(),
            priority: self.priority,
            most,
        }
    }
}
