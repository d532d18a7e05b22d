//! Where a measurement takes place: a store, nodes on it, and what is counted there.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use scheduler_core::store::{Changed, Overview, PutJob, RequestId};
use scheduler_core::trigger::{DateSpec, IntervalSpec, Trigger, TriggerSpec};
use scheduler_core::{
    Job, JobBuilder, JobId, NodeName, QueueName, Store, TaskName, Timestamp, change,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bench::Bench;
use crate::bench::clock::ServerTime;
use crate::bench::machine;
use crate::bench::server::{Probe, Work};
use crate::bench::tally::Tally;
use crate::node::{NodeError, Timing};
use crate::scheduler::Scheduler;
use crate::task::Tasks;

/// How many jobs are put by one request, and how many such requests are under way at once.
pub(super) const PUT_AT_ONCE: usize = 200;
const PUTS: usize = 4;

/// How long the nodes run before anything is measured: leases, caches and scripts settle.
const WARM_UP: Duration = Duration::from_secs(3);

/// How often a condition is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// The task, and the queue, of jobs that are added while others are measured.
const ONEOFF: &str = "oneoff";

/// A store, nodes on it, and what is counted there.
pub(super) struct Stage<'a, S> {
    pub(super) store: S,
    pub(super) bench: Bench,
    pub(super) clock: ServerTime,
    /// Counts the runs of the jobs that are measured.
    pub(super) tally: Tally,
    /// Counts those of [`Kind::Oneoff`].
    pub(super) oneoffs: Tally,
    probe: Probe,
    tell: &'a mut dyn FnMut(&str),
    stop: CancellationToken,
    nodes: JoinSet<Result<(), NodeError>>,
    /// The memory that the server's data took before.
    empty: Option<u64>,
    idle_bytes: Option<u64>,
}

/// Which of the two kinds of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// In the default queue.
    Measured,
    /// In a queue of its own.
    Oneoff,
}

/// What nodes and server had done at some moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    at_us: i64,
    cpu: Duration,
    work: Option<Work>,
}

/// What nodes and server did between two moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    /// How long it took.
    pub(super) took: Duration,
    /// The processor time of this process, and so of all nodes.
    pub(super) cpu: Duration,
    /// The server's work, where there is a server.
    pub(super) work: Option<Work>,
}

impl<'a, S: Store> Stage<'a, S> {
    pub(super) async fn new(
        store: S,
        mut probe: Probe,
        bench: &Bench,
        tell: &'a mut dyn FnMut(&str),
    ) -> Result<Self> {
        let clock = ServerTime::compare(&mut probe).await?;
        let empty = probe.memory().await?;
        Ok(Self {
            store,
            bench: *bench,
            clock,
            tally: Tally::new(),
            oneoffs: Tally::new(),
            probe,
            tell,
            stop: CancellationToken::new(),
            nodes: JoinSet::new(),
            empty,
            idle_bytes: machine::resident_bytes(),
        })
    }

    /// Says what is being done.
    pub(super) fn tell(&mut self, what: &str) {
        (self.tell)(what);
    }

    /// Starts the nodes.
    pub(super) fn start_nodes(&mut self) -> Result<()> {
        for number in 1..=self.bench.nodes {
            let mut tasks = Tasks::new();
            tasks.insert(TaskName::new("noop")?, self.tally.handler(self.clock)?);
            tasks.insert(TaskName::new(ONEOFF)?, self.oneoffs.handler(self.clock)?);
            let scheduler = Scheduler::builder(self.store.detached())
                .node(NodeName::new(format!("bench-{number}"))?)
                .tasks(tasks)
                .concurrency(self.bench.concurrency)
                .queues(vec![QueueName::new(ONEOFF)?, QueueName::default_queue()])
                .timing(Timing {
                    shutdown_grace: Duration::from_secs(1),
                    ..Timing::default()
                })
                .build()?;
            self.nodes.spawn(scheduler.run(self.stop.clone()));
        }
        Ok(())
    }

    /// Starts the nodes, and gives leases, caches and scripts time to settle.
    pub(super) async fn warm_up(&mut self) -> Result<()> {
        self.tell(&format!("warming up {} nodes", self.bench.nodes));
        self.start_nodes()?;
        tokio::time::sleep(WARM_UP).await;
        self.check_nodes()
    }

    /// Fails where a node has ended.
    pub(super) fn check_nodes(&mut self) -> Result<()> {
        if let Some(ended) = self.nodes.try_join_next() {
            ended.context("a node panicked")??;
            bail!("a node ended by itself");
        }
        Ok(())
    }

    /// Stops the nodes, and removes what was stored.
    pub(super) async fn clean_up(mut self) -> Result<()> {
        self.tell("cleaning up");
        self.stop.cancel();
        let mut ended = Ok(());
        while let Some(node) = self.nodes.join_next().await {
            let node = node.context("a node panicked").and_then(|n| Ok(n?));
            ended = ended.and(node);
        }
        self.probe.clean_up().await?;
        ended
    }

    // ----- figures --------------------------------------------------------------------------

    /// What nodes and server have done so far.
    pub(super) async fn mark(&mut self) -> Result<Mark> {
        let work = self.probe.work().await?;
        Ok(Mark {
            at_us: self.clock.now_us(),
            cpu: machine::cpu(),
            work,
        })
    }

    /// What they did since.
    pub(super) async fn since(&mut self, mark: Mark) -> Result<Spent> {
        let now = self.mark().await?;
        let took = u64::try_from(now.at_us - mark.at_us).unwrap_or(0);
        Ok(Spent {
            took: Duration::from_micros(took),
            cpu: now.cpu.saturating_sub(mark.cpu),
            work: now.work.zip(mark.work).map(|(now, then)| now.since(then)),
        })
    }

    /// How much more memory the server's data takes than in the beginning.
    pub(super) async fn stored_bytes(&mut self) -> Result<Option<u64>> {
        let now = self.probe.memory().await?;
        let grown = now.zip(self.empty);
        Ok(grown.map(|(now, empty)| now.saturating_sub(empty)))
    }

    /// The memory of this process in the beginning, and now.
    pub(super) fn resident_bytes(&self) -> (Option<u64>, Option<u64>) {
        (self.idle_bytes, machine::resident_bytes())
    }

    pub(super) async fn overview(&self) -> Result<Overview> {
        Ok(self.store.overview().await?)
    }

    // ----- jobs -----------------------------------------------------------------------------

    /// Puts so many jobs, as `make` makes them by number.
    pub(super) async fn put(
        &self,
        count: usize,
        make: impl Fn(usize) -> Result<Job>,
    ) -> Result<()> {
        let now = Timestamp::from_ms(self.clock.now_ms());
        let make = &make;
        let requests = (0..count).step_by(PUT_AT_ONCE).map(|first| async move {
            let last = (first + PUT_AT_ONCE).min(count);
            let jobs = (first..last).map(make).collect::<Result<Vec<_>>>()?;
            put_at_once(&self.store, jobs, now).await
        });
        let done = stream::iter(requests).buffer_unordered(PUTS);
        done.try_collect::<()>().await
    }
}

/// A job of this name and trigger.
pub(super) fn job(name: &str, kind: Kind, trigger: Trigger) -> Result<JobBuilder> {
    let task = match kind {
        Kind::Measured => "noop",
        Kind::Oneoff => ONEOFF,
    };
    let job = Job::builder(JobId::new(name)?, TaskName::new(task)?, trigger);
    Ok(match kind {
        Kind::Measured => job,
        Kind::Oneoff => job.queue(QueueName::new(ONEOFF)?),
    })
}

/// Puts jobs by one request.
pub(super) async fn put_at_once<S: Store>(store: &S, jobs: Vec<Job>, now: Timestamp) -> Result<()> {
    let mut changes = Vec::with_capacity(jobs.len());
    for job in jobs {
        changes.push((None, change::put_new(job, None, now)?));
    }
    let request = PutJob {
        request: RequestId(Uuid::now_v7()),
        changes,
    };
    if store.put(&request).await?.contains(&Changed::Conflict) {
        bail!("a job of the benchmark was there already");
    }
    Ok(())
}

/// A trigger for each `every`, from `start` (in milliseconds since 1970) on.
pub(super) fn interval(every: Duration, start: i64) -> Result<Trigger> {
    let spec = TriggerSpec::Interval(IntervalSpec {
        seconds: Some(every.as_secs_f64()),
        start_date: Some(text(start)),
        ..IntervalSpec::default()
    });
    Ok(spec.resolve(chrono_tz::Tz::UTC)?)
}

/// A trigger for one instant, in milliseconds since 1970.
pub(super) fn date(at: i64) -> Result<Trigger> {
    let spec = TriggerSpec::Date(DateSpec {
        run_date: Some(text(at)),
        ..DateSpec::default()
    });
    Ok(spec.resolve(chrono_tz::Tz::UTC)?)
}

fn text(ms: i64) -> String {
    let at = Timestamp::from_ms(ms).to_datetime();
    at.format("%Y-%m-%d %H:%M:%S%.3f+00:00").to_string()
}

/// A duration in whole milliseconds.
pub(super) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
