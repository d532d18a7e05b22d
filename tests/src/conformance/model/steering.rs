//! Operators who limit and pause queues, and the namespace.

use std::num::NonZeroU32;

use scheduler_core::queue::{HoldNote, QueueLimits, SetBy};
use scheduler_core::store::{Steer, Steered, Steering};
use scheduler_core::{QueueName, Store};

use super::walker::Walker;
use crate::conformance::{Harness, Sight, done};

impl<H: Harness> Walker<H> {
    pub(super) async fn steer(&mut self) {
        let queue = QueueName::default_queue();
        let note = HoldNote::default();
        let what = match self.random.u8(0..12) {
            0 => Steering::Pause(Some(queue), note),
            1 => Steering::Pause(None, note),
            2..5 => Steering::Resume(Some(queue)),
            5..8 => Steering::Resume(None),
            8 => Steering::Unlimit(queue),
            _ => Steering::Limit {
                queue,
                limits: self.some_limits(),
                by: [SetBy::Config, SetBy::Operator][self.pick(2)],
            },
        };
        let request = self.request();
        let request = Steer { request, what };
        let answer = done(self.world.store.steer(&request).await);
        let again = done(self.world.store.steer(&request).await);
        assert_eq!(answer, again, "asked again");
        self.trace.add(format!("{:?}: {answer:?}", request.what));
    }

    fn some_limits(&mut self) -> QueueLimits {
        let rates = ["1/s", "2/3s", "5/m"];
        let concurrency = NonZeroU32::new(self.random.u32(0..4));
        let rate = rates.get(self.pick(rates.len() + 1));
        QueueLimits {
            concurrency,
            rate: rate.map(|rate| rate.parse().expect("a rate")),
        }
    }

    /// Looks at the queues: what is counted as claimed is what is held.
    pub(super) async fn look_at_queues(&mut self, sight: &Sight) {
        let board = done(self.world.store.queues().await);
        let in_use: u64 = board.queues.iter().map(|queue| queue.in_use).sum();
        let dead: usize = sight.dead.values().map(Vec::len).sum();
        assert_eq!(
            in_use,
            sight.held + dead as u64,
            "claims counted: {board:#?}"
        );
        let waiting: u64 = board.queues.iter().flat_map(|queue| queue.waiting).sum();
        assert_eq!(waiting, sight.waiting());
        let queues = board.queues.iter().map(|q| (&q.limits, &q.hold, q.waiting));
        let queues: Vec<_> = queues.collect();
        self.trace.add(format!("{:?} {queues:?}", board.hold));
    }

    /// Lets go of all that was limited or paused.
    pub(super) async fn steer_nothing(&mut self) {
        let queue = QueueName::default_queue();
        for what in [
            Steering::Resume(None),
            Steering::Resume(Some(queue.clone())),
            Steering::Unlimit(queue),
        ] {
            let request = self.request();
            let answer = done(self.world.store.steer(&Steer { request, what }).await);
            assert_ne!(answer, Steered::Kept);
        }
    }
}
