//! How a fault strikes, and how it is mended.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::faults::Fault;
use super::lost::Lost;
use super::run::{Ground, Mend};
use crate::proxy::{Proxy, Way};

/// Where nothing listens.
const NOBODY: [&str; 3] = ["REPLICAOF", "127.0.0.1", "1"];

impl Ground {
    /// Strikes.
    pub(super) async fn act(&mut self, fault: Fault, node: Option<usize>) -> Result<()> {
        match node {
            Some(node) => self.act_on_node(fault, node).await,
            None => self.act_on_all(fault).await,
        }
    }

    async fn act_on_node(&mut self, fault: Fault, node: usize) -> Result<()> {
        let delay = self.delay();
        let hours = self.random.i64(-12..12);
        let seconds = hours * 3600 + self.random.i64(0..3600);
        let slot = &mut self.slots[node];
        match fault {
            Fault::KillNode | Fault::KillLeader => return slot.kill().await,
            Fault::StopBriefly | Fault::StopPastTtl | Fault::StopLeader => {
                return slot.signal(Signal::STOP);
            }
            Fault::Terminate => return slot.signal(Signal::TERM),
            Fault::StepClock => return slot.clock.step(seconds),
            Fault::CutNode => slot.proxy.break_down(),
            Fault::ResetNode => slot.proxy.reset(),
            Fault::StallNode => slot.proxy.stall(),
            Fault::HoldRequests => slot.proxy.hold(Way::Requests),
            Fault::HoldReplies => slot.proxy.hold(Way::Replies),
            Fault::DelayNode => slot.proxy.delay(delay),
            _ => unreachable!("{fault:?} is about all"),
        }
        Ok(())
    }

    async fn act_on_all(&mut self, fault: Fault) -> Result<()> {
        let delay = self.delay();
        match fault {
            Fault::KillRedis => return self.server.kill(),
            Fault::KillRedisEverySecond => {
                return self
                    .ask(&["CONFIG", "SET", "appendfsync", "everysec"])
                    .await;
            }
            Fault::CutTail => self.moment = Some(self.server.moment()?),
            Fault::CutTailEverySecond => {
                self.ask(&["CONFIG", "SET", "appendfsync", "everysec"])
                    .await?;
                self.moment = Some(self.server.moment()?);
            }
            Fault::StopRedis => return self.server.signal(Signal::STOP),
            Fault::FillRedis => return self.ask(&["CONFIG", "SET", "maxmemory", "1"]).await,
            Fault::ReadOnlyRedis => return self.ask(&NOBODY).await,
            Fault::FlushScripts => return self.ask(&["SCRIPT", "FLUSH"]).await,
            Fault::KillConnections => return self.ask(&["CLIENT", "KILL", "TYPE", "normal"]).await,
            Fault::CutAll => self.proxies().for_each(Proxy::break_down),
            Fault::ResetAll => self.proxies().for_each(Proxy::reset),
            Fault::DelayAll => self.proxies().for_each(|proxy| proxy.delay(delay)),
            Fault::LoseReply => self.proxies().for_each(Proxy::cut_next_reply),
            _ => unreachable!("{fault:?} is about a node"),
        }
        Ok(())
    }

    /// Mends what was struck.
    pub(super) async fn undo(&mut self, mend: &Mend) -> Result<()> {
        match mend.node {
            Some(node) => self.undo_on_node(mend.fault, node).await,
            None => self.undo_on_all(mend).await,
        }
    }

    async fn undo_on_node(&mut self, fault: Fault, node: usize) -> Result<()> {
        // What strikes all of them goes on.
        let delay = self.goes_on(Fault::DelayAll, None);
        let is_cut = self.goes_on(Fault::CutAll, None).is_some();
        let slot = &mut self.slots[node];
        match fault {
            Fault::KillNode | Fault::KillLeader | Fault::Terminate => {
                slot.ended().await?;
                return slot.run();
            }
            Fault::StopBriefly | Fault::StopPastTtl | Fault::StopLeader => {
                return slot.signal(Signal::CONT);
            }
            Fault::StepClock => return slot.clock.step(0),
            Fault::CutNode if !is_cut => slot.proxy.mend(),
            Fault::HoldRequests => slot.proxy.let_pass(Way::Requests),
            Fault::HoldReplies => slot.proxy.let_pass(Way::Replies),
            Fault::DelayNode if delay.is_none() => slot.proxy.delay(Duration::ZERO),
            _ => {}
        }
        Ok(())
    }

    async fn undo_on_all(&mut self, mend: &Mend) -> Result<()> {
        match mend.fault {
            Fault::KillRedis => return self.server.run(),
            Fault::KillRedisEverySecond => {
                self.server.kill()?;
                return self.server.run();
            }
            Fault::CutTail | Fault::CutTailEverySecond => {
                let moment = self.moment.take().context("a moment to come back to")?;
                let lost = self.server.lose_since(&moment, self.random.f64())?;
                let strike = &mut self.strikes[mend.strike];
                strike.lost = Lost::read(&lost);
                if lost.is_empty() {
                    strike.fault = Fault::KillRedis;
                }
            }
            Fault::StopRedis => return self.server.signal(Signal::CONT),
            Fault::FillRedis => return self.ask(&["CONFIG", "SET", "maxmemory", "0"]).await,
            Fault::ReadOnlyRedis => return self.ask(&["REPLICAOF", "NO", "ONE"]).await,
            Fault::CutAll => self.on_each_without(Fault::CutNode, Proxy::mend),
            Fault::DelayAll => {
                self.on_each_without(Fault::DelayNode, |proxy| proxy.delay(Duration::ZERO));
            }
            _ => {}
        }
        Ok(())
    }

    fn delay(&mut self) -> Duration {
        Duration::from_millis(self.random.u64(20..300))
    }

    fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.slots.iter().map(|slot| &slot.proxy)
    }

    /// That a fault has not been mended yet.
    fn goes_on(&self, fault: Fault, node: Option<usize>) -> Option<()> {
        let is_it = |mend: &Mend| mend.fault == fault && mend.node == node;
        self.mends.iter().any(is_it).then_some(())
    }

    /// For each node that is not struck by such a fault of its own.
    fn on_each_without(&self, fault: Fault, mend: impl Fn(&Proxy)) {
        for (node, slot) in self.slots.iter().enumerate() {
            if self.goes_on(fault, Some(node)).is_none() {
                mend(&slot.proxy);
            }
        }
    }

    async fn ask(&self, words: &[&str]) -> Result<()> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let mut connection = self.server.connect().await?;
        // It may kill this very connection.
        let _: redis::RedisResult<redis::Value> = command.query_async(&mut connection).await;
        Ok(())
    }
}
