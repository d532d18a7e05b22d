//! What queues are limited to, and pauses.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::QueueName;
use crate::queue::{Bucket, Hold, QueueLimits, SetBy};
use crate::store::{Steered, Steering};
use crate::time::Timestamp;

/// What one queue keeps to.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    pub(super) limits: QueueLimits,
    pub(super) set_by: Option<SetBy>,
    pub(super) hold: Option<Hold>,
    /// What is left of the rate, once something was taken of it.
    bucket: Option<Bucket>,
}

/// The gates of all queues, and the namespace's.
#[derive(Debug, Default)]
pub(super) struct Gates {
    gates: BTreeMap<QueueName, Gate>,
    /// Queues that jobs or operators have named.
    known: BTreeSet<QueueName>,
    hold: Option<Hold>,
}

impl Gates {
    pub(super) fn get(&self, queue: &QueueName) -> Option<&Gate> {
        self.gates.get(queue)
    }

    pub(super) const fn hold(&self) -> Option<&Hold> {
        self.hold.as_ref()
    }

    /// Notes that there is such a queue.
    pub(super) fn name(&mut self, queue: &QueueName) {
        if !self.known.contains(queue) {
            self.known.insert(queue.clone());
        }
    }

    pub(super) fn known(&self) -> impl Iterator<Item = &QueueName> {
        self.known.iter()
    }

    /// How many more runs of the queue may be claimed, where so many are.
    pub(super) fn room(
        &self,
        queue: &QueueName,
        in_use: impl FnOnce() -> u64,
        now: Timestamp,
    ) -> u64 {
        let Some(gate) = self.gates.get(queue).filter(|_| self.hold.is_none()) else {
            return if self.hold.is_none() { u64::MAX } else { 0 };
        };
        if gate.hold.is_some() {
            return 0;
        }
        let places = gate.limits.concurrency.map_or(u64::MAX, |most| {
            u64::from(most.get()).saturating_sub(in_use())
        });
        let begun = gate.limits.rate.map_or(u64::MAX, |rate| {
            let bucket = gate.bucket.unwrap_or(Bucket::full(rate, now));
            bucket.at(rate, now).runs(rate)
        });
        places.min(begun)
    }

    /// Takes of the queue's rate what was claimed.
    pub(super) fn spend(&mut self, queue: &QueueName, runs: u64, now: Timestamp) {
        if let Some(gate) = self.gates.get_mut(queue)
            && let Some(rate) = gate.limits.rate
        {
            let bucket = gate.bucket.unwrap_or(Bucket::full(rate, now));
            gate.bucket = Some(bucket.at(rate, now).after(rate, runs));
        }
    }

    /// Where the clock stepped back, refilling goes on from where it stands now.
    pub(super) fn set_back(&mut self, queue: &QueueName, now: Timestamp) {
        if let Some(gate) = self.gates.get_mut(queue)
            && let (Some(rate), Some(bucket)) = (gate.limits.rate, gate.bucket)
            && bucket.is_after(now)
        {
            gate.bucket = Some(bucket.at(rate, now));
        }
    }

    pub(super) fn steer(&mut self, what: &Steering, now: Timestamp) -> Steered {
        let hold = |note: &crate::queue::HoldNote| Hold {
            since: now,
            note: note.clone(),
        };
        match what {
            Steering::Limit { queue, limits, by } => self.limit(queue, *limits, Some(*by)),
            Steering::Unlimit(queue) => self.limit(queue, QueueLimits::default(), None),
            Steering::Pause(None, note) => pause(&mut self.hold, hold(note)),
            Steering::Pause(Some(queue), note) => pause(&mut self.gate(queue).hold, hold(note)),
            Steering::Resume(None) => resume(&mut self.hold),
            Steering::Resume(Some(queue)) => resume(&mut self.gate(queue).hold),
        }
    }

    fn gate(&mut self, queue: &QueueName) -> &mut Gate {
        self.gates.entry(queue.clone()).or_default()
    }

    fn limit(&mut self, queue: &QueueName, limits: QueueLimits, by: Option<SetBy>) -> Steered {
        let gate = self.gate(queue);
        if gate.set_by == Some(SetBy::Operator) && by == Some(SetBy::Config) {
            return Steered::Kept;
        }
        if (gate.limits, gate.set_by) == (limits, by) {
            return Steered::Already;
        }
        if gate.limits.rate != limits.rate {
            gate.bucket = None;
        }
        (gate.limits, gate.set_by) = (limits, by);
        self.name(queue);
        Steered::Done
    }
}

fn pause(held: &mut Option<Hold>, hold: Hold) -> Steered {
    if held.is_some() {
        return Steered::Already;
    }
    *held = Some(hold);
    Steered::Done
}

fn resume(held: &mut Option<Hold>) -> Steered {
    match held.take() {
        Some(_) => Steered::Done,
        None => Steered::Already,
    }
}
