//! One soak: a cluster, faults, a calm, and the verdict.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use carillon::Jobs;
use carillon::jobs::OnConflict;
use rustix::process::{Pid, Signal, kill_process};
use scheduler_core::Store;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::faults::{Fault, Strike};
use super::record::{self, now_ms};
use super::report::report;
use super::schedule::{Scheduled, jobs};
use super::verdict::judge;
use crate::proxy::Proxy;
use crate::redis_server::{Persistence, RedisServer};

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

struct Slot {
    name: String,
    proxy: Proxy,
    child: Option<Child>,
    /// Until it is mended, nothing else is done to it.
    is_struck: bool,
}

struct Mend {
    at: Instant,
    fault: Fault,
    node: Option<usize>,
    strike: usize,
}

struct Ground {
    server: RedisServer,
    slots: Vec<Slot>,
    file: PathBuf,
    random: fastrand::Rng,
    mends: Vec<Mend>,
    strikes: Vec<Strike>,
    redis_is_struck: bool,
    _dir: TempDir,
}

/// Runs a soak. Answers with the report, and whether every promise held.
///
/// # Errors
///
/// Where the cluster could not be started or looked into.
pub async fn soak(soak: &Soak) -> Result<(String, bool)> {
    let dir = tempfile::tempdir()?;
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
        file: dir.path().join("record"),
        random: fastrand::Rng::with_seed(soak.seed),
        mends: Vec::new(),
        strikes: Vec::new(),
        redis_is_struck: false,
        _dir: dir,
    };
    for number in 0..soak.nodes {
        ground.add(&format!("node-{number}")).await?;
    }
    tokio::time::sleep(CALM).await;
    ground.strike_until(Instant::now() + soak.length).await?;
    ground.mend_all().await?;
    tokio::time::sleep(CALM).await;
    let until = now_ms() - LAST_MS;
    ground.end().await?;

    let executions = record::read(&ground.file)?;
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
        let mut slot = Slot {
            name: name.to_owned(),
            proxy,
            child: None,
            is_struck: false,
        };
        slot.start(&self.server, &self.file)?;
        self.slots.push(slot);
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
        let fault = Fault::ALL[self.random.usize(0..Fault::ALL.len())];
        let lasts = fault.lasts(&mut self.random);
        let any = self.random.usize(0..self.slots.len());
        let leader = matches!(fault, Fault::KillLeader | Fault::StopLeader);
        let chosen = if leader {
            self.leader().await
        } else {
            Some(any)
        };
        let node = match fault {
            Fault::KillRedis
            | Fault::StopRedis
            | Fault::FlushScripts
            | Fault::KillConnections
            | Fault::CutAll
            | Fault::LoseReply => None,
            _ => chosen,
        };
        let is_about_redis = node.is_none();
        let is_free = match node {
            Some(node) => !self.slots[node].is_struck,
            None => !self.redis_is_struck && !leader,
        };
        if !is_free {
            return Ok(());
        }
        let at_ms = now_ms();
        self.act(fault, node).await?;
        match node {
            Some(node) => self.slots[node].is_struck = true,
            None => self.redis_is_struck = is_about_redis,
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
        });
        Ok(())
    }

    async fn act(&mut self, fault: Fault, node: Option<usize>) -> Result<()> {
        match (fault, node) {
            (Fault::KillNode | Fault::KillLeader, Some(node)) => self.slots[node].kill().await,
            (Fault::StopBriefly | Fault::StopPastTtl | Fault::StopLeader, Some(node)) => {
                self.slots[node].signal(Signal::STOP)
            }
            (Fault::Terminate, Some(node)) => self.slots[node].signal(Signal::TERM),
            (Fault::CutNode, Some(node)) => {
                self.slots[node].proxy.break_down();
                Ok(())
            }
            (Fault::StallNode, Some(node)) => {
                self.slots[node].proxy.stall();
                Ok(())
            }
            (Fault::KillRedis, _) => self.server.kill(),
            (Fault::StopRedis, _) => self.server.signal(Signal::STOP),
            (Fault::FlushScripts, _) => self.ask(&["SCRIPT", "FLUSH"]).await,
            (Fault::KillConnections, _) => self.ask(&["CLIENT", "KILL", "TYPE", "normal"]).await,
            (Fault::CutAll, _) => {
                self.slots.iter().for_each(|slot| slot.proxy.break_down());
                Ok(())
            }
            (Fault::LoseReply, _) => {
                self.slots
                    .iter()
                    .for_each(|slot| slot.proxy.cut_next_reply());
                Ok(())
            }
            (_, None) => Ok(()),
        }
    }

    async fn mend(&mut self, at: Instant) -> Result<()> {
        let due = self.mends.iter().position(|mend| mend.at <= at);
        let Some(due) = due else { return Ok(()) };
        let Mend {
            fault,
            node,
            strike,
            ..
        } = self.mends.remove(due);
        match (fault, node) {
            (Fault::KillNode | Fault::KillLeader | Fault::Terminate, Some(node)) => {
                let slot = &mut self.slots[node];
                slot.ended().await?;
                slot.start(&self.server, &self.file)?;
            }
            (Fault::StopBriefly | Fault::StopPastTtl | Fault::StopLeader, Some(node)) => {
                self.slots[node].signal(Signal::CONT)?;
            }
            (Fault::CutNode, Some(node)) => self.slots[node].proxy.mend(),
            (Fault::KillRedis, _) => self.server.run()?,
            (Fault::StopRedis, _) => self.server.signal(Signal::CONT)?,
            (Fault::CutAll, _) => {
                for (slot, cut) in self.slots.iter().zip(self.cut_alone()) {
                    if !cut {
                        slot.proxy.mend();
                    }
                }
            }
            _ => {}
        }
        match node {
            Some(node) => self.slots[node].is_struck = false,
            None => self.redis_is_struck = false,
        }
        self.strikes[strike].mended_ms = now_ms();
        Ok(())
    }

    /// Which nodes are cut off by a fault of their own.
    fn cut_alone(&self) -> Vec<bool> {
        let is_cut = |node| {
            let own = |mend: &Mend| mend.fault == Fault::CutNode && mend.node == Some(node);
            self.mends.iter().any(own)
        };
        (0..self.slots.len()).map(is_cut).collect()
    }

    async fn leader(&self) -> Option<usize> {
        let store = self.server.store("default");
        let asking = tokio::time::timeout(Duration::from_secs(1), store.overview());
        let leader = asking.await.ok()?.ok()?.leader?;
        let name = leader.session.node().to_owned();
        self.slots.iter().position(|slot| slot.name == name)
    }

    async fn ask(&self, words: &[&str]) -> Result<()> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let mut connection = self.server.connect().await?;
        // It may kill this very connection.
        let _: redis::RedisResult<redis::Value> = command.query_async(&mut connection).await;
        Ok(())
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

impl Slot {
    fn start(&mut self, server: &RedisServer, file: &Path) -> Result<()> {
        let child = Command::new(std::env::current_exe()?)
            .arg("node")
            .arg(&self.name)
            .arg(server.url_on(self.proxy.port()))
            .arg(file)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("a node")?;
        self.child = Some(child);
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("a node that runs")?;
        let pid = child.id().context("a node that has not ended")?;
        let pid = Pid::from_raw(i32::try_from(pid)?).context("no process")?;
        Ok(kill_process(pid, signal)?)
    }

    async fn kill(&mut self) -> Result<()> {
        Ok(self.child.as_mut().context("a node")?.kill().await?)
    }

    /// Waits for its end: it takes its grace, and no more.
    async fn ended(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            let ended = tokio::time::timeout(Duration::from_secs(40), child.wait());
            let mut why = String::new();
            write!(why, "{} does not end", self.name)?;
            ended.await.context(why)??;
        }
        Ok(())
    }
}
