//! The nodes of one process.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use scheduler_core::{NodeName, QueueName, Sharded, TaskName};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bench::Bench;
use crate::bench::clock::ServerTime;
use crate::bench::tally::Tally;
use crate::node::{NodeError, Timing};
use crate::scheduler::Scheduler;
use crate::task::Tasks;

/// The task, and the queue, of jobs that are added while others are measured.
pub(super) const ONEOFF: &str = "oneoff";

/// The task of the jobs that are measured.
pub(super) const NOOP: &str = "noop";

/// The nodes of this process. They end when this is dropped.
#[derive(Default)]
pub(super) struct Nodes {
    stop: CancellationToken,
    running: JoinSet<Result<(), NodeError>>,
}

impl Nodes {
    /// Starts as many as `bench` says; the runs of each kind are counted in its tally.
    pub(super) fn start<S: Sharded>(
        &mut self,
        store: &S,
        bench: &Bench,
        place: &str,
        clock: ServerTime,
        [measured, oneoffs]: &[Tally; 2],
    ) -> Result<()> {
        for number in 1..=bench.nodes {
            let mut tasks = Tasks::new();
            tasks.insert(TaskName::new(NOOP)?, measured.handler(clock)?);
            tasks.insert(TaskName::new(ONEOFF)?, oneoffs.handler(clock)?);
            let scheduler = Scheduler::builder(store.detached())
                .node(NodeName::new(format!("{place}-{number}"))?)
                .tasks(tasks)
                .concurrency(bench.concurrency)
                .queues(vec![QueueName::new(ONEOFF)?, QueueName::default_queue()])
                .timing(Timing {
                    shutdown_grace: Duration::from_secs(1),
                    ..Timing::default()
                })
                .build()?;
            self.running.spawn(scheduler.run(self.stop.clone()));
        }
        Ok(())
    }

    /// Fails where a node has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        if let Some(ended) = self.running.try_join_next() {
            ended.context("a node panicked")??;
            bail!("a node ended by itself");
        }
        Ok(())
    }

    /// Stops them, and waits until all have ended.
    pub(super) async fn stop(&mut self) -> Result<()> {
        self.stop.cancel();
        let mut ended = Ok(());
        while let Some(node) = self.running.join_next().await {
            let node = node.context("a node panicked").and_then(|n| Ok(n?));
            ended = ended.and(node);
        }
        ended
    }
}
