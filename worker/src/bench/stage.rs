//! Where a measurement takes place: a store, nodes on it, and what is counted there.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use scheduler_core::store::{Changed, Overview, PutJob, RequestId};
use scheduler_core::trigger::{DateSpec, IntervalSpec, Trigger, TriggerSpec};
use scheduler_core::{Job, JobBuilder, JobId, QueueName, Sharded, TaskName, Timestamp, change};
use uuid::Uuid;

use crate::bench::Bench;
use crate::bench::clock::ServerTime;
use crate::bench::machine;
use crate::bench::member::Member;
use crate::bench::nodes::{NOOP, Nodes, ONEOFF};
use crate::bench::server::{Probe, Work};
use crate::bench::tally::{Counted, Tally};

/// How many jobs are put by one request, and how many such requests are under way at once.
pub(super) const PUT_AT_ONCE: usize = 200;
const PUTS: usize = 4;

/// How long the nodes run before anything is measured: leases, caches and scripts settle.
const WARM_UP: Duration = Duration::from_secs(3);

/// How often a condition is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// A store, nodes on it, and what is counted there.
pub(super) struct Stage<'a, S> {
    pub(super) store: S,
    pub(super) bench: Bench,
    pub(super) clock: ServerTime,
    /// Count the runs of each [`Kind`] in this process.
    tallies: [Tally; 2],
    probe: Probe,
    tell: &'a mut dyn FnMut(&str),
    nodes: Nodes,
    /// Nodes in processes of their own.
    members: Vec<Member>,
    /// Which fire times count, of each [`Kind`].
    windows: [(i64, i64); 2],
    /// The memory that the server's data took before.
    empty: Option<u64>,
    idle_bytes: Option<u64>,
}

/// Which of the two kinds of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// In the default queue.
    Measured = 0,
    /// In a queue of its own.
    Oneoff = 1,
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
    /// The processor time of this process and of those with nodes of their own.
    pub(super) cpu: Duration,
    /// The server's work, where there is a server.
    pub(super) work: Option<Work>,
}

impl<'a, S: Sharded> Stage<'a, S> {
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
            tallies: [Tally::new(), Tally::new()],
            probe,
            tell,
            nodes: Nodes::default(),
            members: Vec::new(),
            windows: [(i64::MAX, i64::MAX); 2],
            empty,
            idle_bytes: machine::resident_bytes(),
        })
    }

    /// Says what is being done.
    pub(super) fn tell(&mut self, what: &str) {
        (self.tell)(what);
    }

    /// Starts the nodes: in this process, or each so many in processes of their own.
    pub(super) async fn start_nodes(&mut self) -> Result<()> {
        if self.bench.processes == 0 {
            let store = &self.store;
            return self
                .nodes
                .start(store, &self.bench, "bench", self.clock, &self.tallies);
        }
        let namespace = self.probe.namespace();
        let namespace = namespace.context("nodes of several processes need a Redis")?;
        for _ in 0..self.bench.processes {
            self.members.push(Member::spawn().await?);
        }
        // All at once: how long a process takes to be there is not the question.
        for member in &mut self.members {
            member.start(namespace, &self.windows).await?;
        }
        Ok(())
    }

    /// Starts the nodes, and gives leases, caches and scripts time to settle.
    pub(super) async fn warm_up(&mut self) -> Result<()> {
        self.tell(&format!("warming up {}", self.nodes_in_words()));
        self.start_nodes().await?;
        tokio::time::sleep(WARM_UP).await;
        self.check_nodes()
    }

    /// How many nodes, and where.
    pub(super) fn nodes_in_words(&self) -> String {
        let Bench {
            nodes, processes, ..
        } = self.bench;
        match processes {
            0 => format!("{nodes} nodes"),
            processes => format!("{processes} processes of {nodes} nodes"),
        }
    }

    /// Fails where a node has ended.
    pub(super) fn check_nodes(&mut self) -> Result<()> {
        for member in &mut self.members {
            member.check()?;
        }
        self.nodes.check()
    }

    /// Stops the nodes, and removes what was stored.
    pub(super) async fn clean_up(mut self) -> Result<()> {
        self.tell("cleaning up");
        let mut ended = self.nodes.stop().await;
        for member in self.members {
            ended = ended.and(member.end().await);
        }
        self.probe.clean_up().await?;
        ended
    }

    // ----- what handlers have seen ----------------------------------------------------------

    /// Counts runs of a kind with a fire time from `from` on, and before `to`, and none of before.
    pub(super) async fn count(&mut self, kind: Kind, from: i64, to: i64) -> Result<()> {
        self.windows[kind as usize] = (from, to);
        self.tallies[kind as usize].count(from, to)?;
        for member in &mut self.members {
            member.count(kind as usize, from, to).await?;
        }
        Ok(())
    }

    /// How many fires of the measured jobs were counted so far.
    pub(super) fn fires(&self) -> u64 {
        let measured = Kind::Measured as usize;
        let elsewhere = self.members.iter();
        let elsewhere = elsewhere.map(|member| member.latest().fires[measured]);
        self.tallies[measured].fires() + elsewhere.sum::<u64>()
    }

    /// All that was counted of the jobs that are measured, and of the others.
    pub(super) async fn counted(&mut self) -> Result<[Counted; 2]> {
        let [measured, oneoffs] = &self.tallies;
        let (mut measured, mut oneoffs) = (measured.read()?, oneoffs.read()?);
        for member in &mut self.members {
            member.add_to([&mut measured, &mut oneoffs]).await?;
        }
        Ok([measured, oneoffs])
    }

    // ----- figures --------------------------------------------------------------------------

    /// What nodes and server have done so far.
    pub(super) async fn mark(&mut self) -> Result<Mark> {
        let work = self.probe.work().await?;
        Ok(Mark {
            at_us: self.clock.now_us(),
            cpu: machine::cpu() + self.cpu_of_members(),
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

    fn cpu_of_members(&self) -> Duration {
        let used = self.members.iter().map(|member| member.latest().cpu_us);
        Duration::from_micros(used.sum())
    }

    /// The memory of this process in the beginning, and now: of the largest where there are several.
    pub(super) fn resident_bytes(&self) -> (Option<u64>, Option<u64>) {
        let members = self.members.iter();
        let largest = members.filter_map(|member| member.latest().resident).max();
        (self.idle_bytes, largest.max(machine::resident_bytes()))
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
        Kind::Measured => NOOP,
        Kind::Oneoff => ONEOFF,
    };
    let job = Job::builder(JobId::new(name)?, TaskName::new(task)?, trigger);
    Ok(match kind {
        Kind::Measured => job,
        Kind::Oneoff => job.queue(QueueName::new(ONEOFF)?),
    })
}

/// Puts jobs by one request.
pub(super) async fn put_at_once<S: Sharded>(
    store: &S,
    jobs: Vec<Job>,
    now: Timestamp,
) -> Result<()> {
    let mut changes = Vec::with_capacity(jobs.len());
    for job in jobs {
        changes.push((None, change::put_new(job, None, now)?));
    }
    let request = PutJob {
        request: RequestId(Uuid::now_v7()),
        all_or_none: false,
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
