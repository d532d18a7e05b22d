//! A node of a soak: its process, the proxy to its Redis, and its clock.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::clock::Clock;
use crate::proxy::Proxy;

pub(super) struct Slot {
    pub(super) name: String,
    pub(super) proxy: Proxy,
    pub(super) clock: Clock,
    /// Until it is mended, nothing else is done to it.
    pub(super) is_struck: bool,
    url: String,
    record: PathBuf,
    child: Option<Child>,
}

impl Slot {
    pub(super) fn start(name: &str, proxy: Proxy, url: String, dir: &Path) -> Result<Self> {
        let mut slot = Self {
            name: name.to_owned(),
            proxy,
            clock: Clock::new(dir.join(format!("clock-{name}")))?,
            is_struck: false,
            url,
            record: dir.join("record"),
            child: None,
        };
        slot.run()?;
        Ok(slot)
    }

    pub(super) fn run(&mut self) -> Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("node")
            .arg(&self.name)
            .arg(&self.url)
            .arg(&self.record)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        self.clock.set_up(&mut command);
        self.child = Some(command.spawn().context("a node")?);
        Ok(())
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("a node that runs")?;
        let pid = child.id().context("a node that has not ended")?;
        let pid = Pid::from_raw(i32::try_from(pid)?).context("no process")?;
        Ok(kill_process(pid, signal)?)
    }

    pub(super) async fn kill(&mut self) -> Result<()> {
        Ok(self.child.as_mut().context("a node")?.kill().await?)
    }

    /// Waits for its end: it takes its grace, and no more.
    pub(super) async fn ended(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            let ended = tokio::time::timeout(Duration::from_secs(40), child.wait()).await;
            ended.with_context(|| format!("{} does not end", self.name))??;
        }
        Ok(())
    }
}
