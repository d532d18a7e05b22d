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
//! The store only takes what it is told to, in the order in which it is told. A queue's limit may end that
//! early: where one run may be claimed at a time, only who is named first gets it. So the shares are named
//! in an order of their own, those first who have claimed least for their weight.

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
    /// The same before the last request.
    before: i64,
    /// How much was claimed of it, for its weight.
    claimed: i64,
}

/// Lanes that share slots.
#[derive(Clone, Debug)]
struct Group {
    lanes: Vec<Lane>,
    /// How much was claimed of the lane that was claimed of last, for its weight, before that: no lane is
    /// behind this, so that one in which nothing waited for long has nothing to catch up with.
    pace: i64,
}

/// A node's slots, shared. Remembers who came off badly.
#[derive(Clone, Debug)]
pub struct Shares {
    /// The lanes that share slots: one group where queues are weighted, else one for each queue.
    groups: Vec<Group>,
    /// How many requests there were that came to anything.
    turn: usize,
    /// Whether the last one did: one that found nothing is nobody's turn.
    was_claimed: bool,
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
                before: 0,
                claimed: 0,
            })
        };
        let groups = match order {
            QueueOrder::Weighted => vec![queues.iter().flat_map(lanes).collect()],
            QueueOrder::Strict => queues.iter().map(|q| lanes(q).to_vec()).collect(),
        };
        let groups = groups.into_iter().map(|lanes| Group { lanes, pace: 0 });
        Self {
            groups: groups.collect(),
            turn: 0,
            was_claimed: false,
        }
    }

    /// What to claim next for so many free slots; at most [`MAX_CLAIMED`] runs at once.
    pub fn wish(&mut self, slots: usize) -> ClaimWish {
        let limit = slots.min(MAX_CLAIMED);
        if std::mem::take(&mut self.was_claimed) {
            self.turn = self.turn.wrapping_add(1);
        } else {
            let lanes = self.groups.iter_mut().flat_map(|group| &mut group.lanes);
            lanes.for_each(|lane| lane.credit = lane.before);
        }
        let mut takes = Vec::new();
        for group in &mut self.groups {
            group.share_out(limit, &mut takes);
            leftovers(&group.lanes, self.turn, limit, &mut takes);
        }
        ClaimWish { takes, limit }
    }

    /// So many runs of this queue and priority were claimed by the last request.
    pub fn claimed(&mut self, queue: &QueueName, priority: Priority, runs: usize) {
        self.was_claimed |= runs > 0;
        for group in &mut self.groups {
            let is_it = |lane: &&mut Lane| lane.queue == *queue && lane.priority == priority;
            if let Some(lane) = group.lanes.iter_mut().find(is_it) {
                group.pace = group.pace.max(lane.claimed);
                let runs = i64::try_from(runs).unwrap_or(i64::MAX);
                let each = WHOLE / lane.weight;
                lane.claimed = group.pace.saturating_add(each.saturating_mul(runs));
            }
        }
    }
}

/// What one run of a lane of weight 1 counts for. Greater than all weights.
const WHOLE: i64 = 1_000_000;

impl Group {
    /// The lanes' shares of these slots, each slot to whom most is owed; those first of which least was
    /// claimed.
    fn share_out(&mut self, slots: usize, takes: &mut Vec<Take>) {
        let shares = share_out(&mut self.lanes, slots);
        let shares = self.lanes.iter().zip(shares);
        let mut shares: Vec<_> = shares.filter(|(_, share)| *share > 0).collect();
        shares.sort_by_key(|(lane, _)| lane.claimed.max(self.pace));
        takes.extend(shares.into_iter().map(|(lane, share)| lane.take(share)));
    }
}

/// How many of these slots each lane has, each slot to whom most is owed.
fn share_out(lanes: &mut [Lane], slots: usize) -> Vec<usize> {
    let all: i64 = lanes.iter().map(|lane| lane.weight).sum();
    let mut shares = vec![0; lanes.len()];
    for lane in lanes.iter_mut() {
        lane.before = lane.credit;
    }
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
    shares
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
