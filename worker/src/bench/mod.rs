//! Measuring a store with Carillon's own load: `carillon bench`.
//!
//! Handlers that do nothing, as many nodes as asked for, in this process or in several, in a namespace of
//! its own that is removed afterwards, however the measurement ended. Counted from outside the nodes:
//! fires by the handlers themselves, the server's work from the difference of its own statistics.
//!
//! Lateness is the time from a run's fire time to the first instruction of its handler, by the
//! server's clock, in microseconds. The fire times are given by the schedule, whatever the load
//! does, so a standstill shows with every fire that it made late, and a fire that never came is
//! counted as missed: nothing is omitted. A rate is called sustained only if none was missed, next
//! to none came more than a second late, and what waits between two rounds did not grow.

mod add;
mod clock;
mod herd;
mod machine;
mod member;
mod nodes;
mod oneshot;
mod report;
mod scale;
mod server;
mod stage;
mod steady;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use scheduler_core::{MemoryStore, Namespace, Sharded};
use scheduler_redis::{RedisConfig, RedisStore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock::SystemClock;
use server::Probe;
use stage::Stage;

pub use member::member;
pub use report::Report;

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct Bench {
    /// The load.
    pub load: Load,
    /// How many nodes share the work, in each process.
    pub nodes: usize,
    /// How many processes of their own these run in; none where they run in this one.
    pub processes: usize,
    /// How many runs each node executes at once.
    pub concurrency: usize,
}

/// A load.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// Jobs that are due again and again, all at the same instants.
    Recurring(Steady),
    /// Jobs that are due again and again, evenly spread over time.
    Lateness(Steady),
    /// The first, and meanwhile one-off jobs of another queue that are added as time goes by.
    Mixed(Steady, Oneoffs),
    /// So many jobs that are due once, all at one instant.
    Herd(usize),
    /// So many jobs that are due at once: added, and then drained.
    Oneshot(usize),
    /// So many jobs, added one by one and in bulk.
    Add(usize),
    /// A herd of the second size, without and with so many other jobs in the store.
    Scale {
        /// How many other jobs.
        stored: usize,
        /// How many are due.
        jobs: usize,
    },
}

/// Jobs that are due again and again.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    /// How many jobs.
    pub jobs: usize,
    /// How often each of them is due.
    pub every: Duration,
    /// For how long to measure.
    pub measure: Duration,
}

/// Jobs that are due once, added as time goes by.
#[derive(Clone, Copy, Debug)]
pub struct Oneoffs {
    /// How many a second.
    pub rate: u32,
}

/// The store to measure.
#[derive(Clone, Debug)]
pub enum Target {
    /// A Redis, in a namespace of its own.
    Redis(Box<RedisConfig>),
    /// The embedded store.
    Memory,
}

/// Measures `bench` on `target`; `tell` is called with what is being done. Ends early, and clean,
/// when `shutdown` is cancelled.
///
/// # Errors
///
/// Where the server cannot be reached, a node fails, or it was told to stop.
pub async fn run(
    target: &Target,
    bench: &Bench,
    shutdown: CancellationToken,
    mut tell: impl FnMut(&str),
) -> Result<Report> {
    match target {
        Target::Redis(config) => {
            let name = format!("bench-{}", Uuid::now_v7().simple());
            let store = RedisStore::shards(config.as_ref().clone(), Namespace::new(&name)?);
            for shard in store.shards() {
                shard.load_scripts().await?;
            }
            let probe = Probe::of_redis(&store, name).await?;
            play(store, probe, bench, &shutdown, &mut tell).await
        }
        Target::Memory => {
            let store = MemoryStore::new(Arc::new(SystemClock));
            play(store, Probe::none(), bench, &shutdown, &mut tell).await
        }
    }
}

async fn play<S: Sharded>(
    store: S,
    probe: Probe,
    bench: &Bench,
    shutdown: &CancellationToken,
    tell: &mut impl FnMut(&str),
) -> Result<Report> {
    let mut stage = Stage::new(store, probe, bench, tell).await?;
    let measuring = async {
        match bench.load {
            Load::Recurring(steady) => steady::recurring(&mut stage, &steady).await,
            Load::Lateness(steady) => steady::lateness(&mut stage, &steady).await,
            Load::Mixed(steady, oneoffs) => steady::mixed(&mut stage, &steady, oneoffs).await,
            Load::Herd(jobs) => herd::herd(&mut stage, jobs).await,
            Load::Oneshot(count) => oneshot::oneshot(&mut stage, count).await,
            Load::Add(count) => add::add(&mut stage, count).await,
            Load::Scale { stored, jobs } => scale::scale(&mut stage, stored, jobs).await,
        }
    };
    let measured = shutdown.run_until_cancelled(measuring).await;
    let cleaned = stage.clean_up().await;
    let report = measured.context("interrupted")??;
    cleaned?;
    Ok(report)
}
