//! Operations of those who limit and pause queues, and what they mean for claims.

use super::requests::Answer;
use super::state::State;
use crate::id::QueueName;
use crate::queue::QueueState;
use crate::store::{QueueBoard, Steer, Steered, Steering, StoreResult};
use crate::time::Timestamp;

impl State {
    pub(super) fn steer(&mut self, request: &Steer, now: Timestamp) -> StoreResult<Steered> {
        match self.requests.answer(request.request) {
            Some(Answer::Steered(answer)) => return Ok(answer),
            Some(other) => return other.mismatch("steer"),
            None => {}
        }
        let answer = self.gates.steer(&request.what, now);
        self.requests
            .keep(request.request, now, Answer::Steered(answer));
        if answer == Steered::Done {
            let queue = match &request.what {
                Steering::Limit { queue, .. } | Steering::Unlimit(queue) => Some(queue),
                Steering::Pause(queue, _) | Steering::Resume(queue) => queue.as_ref(),
            };
            if let Some(queue) = queue {
                self.gates.name(queue);
                self.offer(queue, now);
            }
        }
        Ok(answer)
    }

    pub(super) fn queue_board(&self) -> QueueBoard {
        let state = |queue: &QueueName| {
            let gate = self.gates.get(queue);
            QueueState {
                queue: queue.clone(),
                limits: gate.map(|gate| gate.limits).unwrap_or_default(),
                set_by: gate.and_then(|gate| gate.set_by),
                hold: gate.and_then(|gate| gate.hold.clone()),
                waiting: self.runs.waiting(queue),
                in_use: self.in_use(queue),
                lined_up: self.lined_up_for(queue),
            }
        };
        QueueBoard {
            hold: self.gates.hold().cloned(),
            queues: self.gates.known().map(state).collect(),
        }
    }

    /// How many runs of the queue's jobs are lined up.
    fn lined_up_for(&self, queue: &QueueName) -> u64 {
        let lined_up = self.runs.lined_up_jobs().filter(|(job, _)| {
            let entry = self.catalog.get(job);
            entry.is_some_and(|entry| entry.job.queue() == queue)
        });
        lined_up.map(|(_, count)| count as u64).sum()
    }

    /// How many runs of the queue are claimed, also by dead nodes.
    fn in_use(&self, queue: &QueueName) -> u64 {
        let live = self.sessions.all_live().map(|(_, session)| session);
        let all = live.chain(self.sessions.all_dead().map(|(_, session)| session));
        let claims = all.flat_map(|session| session.claims.values());
        claims.filter(|claim| claim.queue == *queue).count() as u64
    }

    /// How many more runs of the queue may be claimed now.
    pub(super) fn room(&self, queue: &QueueName, now: Timestamp) -> u64 {
        self.gates.room(queue, || self.in_use(queue), now)
    }

    /// Whether a run waits in the queue that could be claimed now.
    pub(super) fn is_on_offer(&self, queue: &QueueName, now: Timestamp) -> bool {
        self.runs.is_waiting(queue) && self.room(queue, now) > 0
    }

    /// Wakes a node for the queue, if one could claim something.
    pub(super) fn offer(&mut self, queue: &QueueName, now: Timestamp) {
        if self.is_on_offer(queue, now) {
            self.rings.ready(queue);
        }
    }
}
