//! One soak: a cluster, faults, a calm, and the verdict.

use std::time::Duration;

use anyhow::Result;
use carillon::Jobs;
use carillon::jobs::OnConflict;
use rustix::process::Signal;
use scheduler_core::Store;
use tempfile::TempDir;
use tokio::time::Instant;

use super::clock::Clock;
use super::faults::{Fault, Strike, Target};
use super::lost::Lost;
use super::record::{self, now_ms};
use super::report::report;
use super::schedule::{Scheduled, jobs};
use super::slot::Slot;
use super::verdict::judge;
use crate::proxy::Proxy;
use crate::redis_server::{Moment, Persistence, RedisServer};

/// What to do for how long.
#[derive(Clone, Debug)]
pub struct Soak {
    /// For how long faults strike.
    pub length: Duration,
    /// What faults are drawn from.
    pub seed: u64,
    /// How many nodes.
    pub nodes: usize,
    /// How many jobs.
    pub jobs: usize,
    /// The command as it was typed, for the report.
    pub command: String,
}

/// How long the cluster has to come up, and to come to rest.
const CALM: Duration = Duration::from_secs(12);

/// What may still be on its way when the nodes are told to end.
const LAST_MS: i64 = 3_000;

/// A fault that is to be mended.
pub(super) struct Mend {
    at: Instant,
    pub(super) fault: Fault,
    pub(super) node: Option<usize>,
    pub(super) strike: usize,
}

/// What is struck.
pub(super) struct Ground {
    pub(super) server: RedisServer,
    pub(super) slots: Vec<Slot>,
    pub(super) random: fastrand::Rng,
    pub(super) mends: Vec<Mend>,
    pub(super) strikes: Vec<Strike>,
    /// Where Redis stood when it began to write what it is to lose.
    pub(super) moment: Option<Moment>,
    faults: Vec<Fault>,
    all_are_struck: bool,
    dir: TempDir,
}

/// Runs a soak. Answers with the report, and whether every promise held.
///
/// # Errors
///
/// Where the cluster could not be started or looked into.
pub async fn soak(soak: &Soak) -> Result<(String, bool)> {
    let server = RedisServer::with(Persistence::AppendOnly, None)?;
    let store = server.store("default");
    let begin = now_ms() + 3_000;
    let length = i64::try_from(soak.length.as_millis())?;
    let scheduled = jobs(soak.jobs, begin, length, soak.seed)?;
    for Scheduled { job, .. } in &scheduled {
        Jobs::new(store.clone())
            .put(job.clone(), OnConflict::Replace)
            .await?;
    }
    let mut ground = Ground {
        server,
        slots: Vec::new(),
        random: fastrand::Rng::with_seed(soak.seed),
        mends: Vec::new(),
        strikes: Vec::new(),
        moment: None,
        faults: Fault::ALL.to_vec(),
        all_are_struck: false,
        dir: tempfile::tempdir()?,
    };
    if Clock::library().is_none() {
        // Told in the report as a fault that never struck.
        ground.faults.retain(|fault| *fault != Fault::StepClock);
    }
    for number in 0..soak.nodes {
        ground.add(&format!("node-{number}")).await?;
    }
    tokio::time::sleep(CALM).await;
    ground.strike_until(Instant::now() + soak.length).await?;
    ground.mend_all().await?;
    tokio::time::sleep(CALM).await;
    let until = now_ms() - LAST_MS;
    ground.end().await?;

    let executions = record::read(&ground.dir.path().join("record"))?;
    // Connections from before the faults are not worth asking.
    let store = ground.server.store("default");
    let history = crate::oracle::history(&store).await?;
    let verdict = judge(&scheduled, &executions, &history, &ground.strikes, until);
    let is_good = verdict.is_good();
    Ok((report(soak, &verdict, &ground.strikes), is_good))
}

impl Ground {
    async fn add(&mut self, name: &str) -> Result<()> {
        let proxy = Proxy::start(self.server.port()).await?;
        let url = self.server.url_on(proxy.port());
        self.slots
            .push(Slot::start(name, proxy, url, self.dir.path())?);
        Ok(())
    }

    /// A fault every 2 to 5 seconds.
    async fn strike_until(&mut self, end: Instant) -> Result<()> {
        let mut next = Instant::now();
        while next < end {
            let mend = self.mends.iter().map(|mend| mend.at).min();
            if let Some(at) = mend.filter(|at| *at <= next) {
                tokio::time::sleep_until(at).await;
                self.mend(at).await?;
                continue;
            }
            tokio::time::sleep_until(next).await;
            self.strike().await?;
            next += Duration::from_millis(self.random.u64(2_000..5_000));
        }
        Ok(())
    }

    async fn mend_all(&mut self) -> Result<()> {
        while let Some(at) = self.mends.iter().map(|mend| mend.at).min() {
            tokio::time::sleep_until(at).await;
            self.mend(at).await?;
        }
        Ok(())
    }

    async fn strike(&mut self) -> Result<()> {
        let fault = self.faults[self.random.usize(0..self.faults.len())];
        let lasts = fault.lasts(&mut self.random);
        let any = self.random.usize(0..self.slots.len());
        let node = match fault.target() {
            Target::Node => Some(any),
            Target::Leader => match self.leader().await {
                Some(leader) => Some(leader),
                None => return Ok(()),
            },
            Target::All => None,
        };
        let is_struck = node.map_or(self.all_are_struck, |node| self.slots[node].is_struck);
        if is_struck {
            return Ok(());
        }
        let at_ms = now_ms();
        self.act(fault, node).await?;
        match node {
            Some(node) => self.slots[node].is_struck = true,
            None => self.all_are_struck = true,
        }
        self.mends.push(Mend {
            at: Instant::now() + lasts,
            fault,
            node,
            strike: self.strikes.len(),
        });
        self.strikes.push(Strike {
            fault,
            node: node.map(|node| self.slots[node].name.clone()),
            at_ms,
            mended_ms: i64::MAX,
            lost: Lost::default(),
        });
        Ok(())
    }

    async fn mend(&mut self, at: Instant) -> Result<()> {
        let due = self.mends.iter().position(|mend| mend.at <= at);
        let Some(due) = due else { return Ok(()) };
        let mend = self.mends.remove(due);
        self.undo(&mend).await?;
        let Mend { node, strike, .. } = mend;
        match node {
            Some(node) => self.slots[node].is_struck = false,
            None => self.all_are_struck = false,
        }
        self.strikes[strike].mended_ms = now_ms();
        Ok(())
    }

    async fn leader(&self) -> Option<usize> {
        let store = self.server.store("default");
        let asking = tokio::time::timeout(Duration::from_secs(1), store.overview());
        let leader = asking.await.ok()?.ok()?.leader()?.clone();
        let name = leader.session.node().to_owned();
        self.slots.iter().position(|slot| slot.name == name)
    }

    /// Lets all nodes end in order.
    async fn end(&mut self) -> Result<()> {
        for slot in &self.slots {
            slot.signal(Signal::TERM)?;
        }
        for slot in &mut self.slots {
            slot.ended().await?;
        }
        Ok(())
    }
}
