//! Real `carillon` processes.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

/// The binary under test: built beside the tests by the same `cargo` call.
///
/// # Panics
///
/// Where it was not built.
#[must_use]
pub fn binary() -> PathBuf {
    let here = std::env::current_exe().expect("the test's own path");
    let profile = here
        .ancestors()
        .nth(2)
        .expect("target/<profile>/deps/<test>");
    let binary = profile.join("carillon");
    assert!(
        binary.exists(),
        "{} is missing: run the whole workspace's tests, or `cargo build -p carillon` first",
        binary.display()
    );
    binary
}

/// A command of the binary, untouched by the environment that the tests run in.
#[must_use]
pub fn carillon() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars() {
        if name.starts_with("CARILLON_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// A running `carillon run`.
#[derive(Debug)]
pub struct Node {
    name: String,
    child: Child,
    log: Arc<Log>,
}

/// What a process has said so far.
#[derive(Debug, Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Notify,
}

impl Log {
    fn read(self: &Arc<Self>, from: impl AsyncRead + Unpin + Send + 'static) {
        let log = Arc::clone(self);
        tokio::spawn(async move {
            let mut lines = BufReader::new(from).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                log.lines
                    .lock()
                    .expect("no panic under this lock")
                    .push(line);
                log.more.notify_waiters();
            }
        });
    }
}

impl Node {
    /// Starts a node of this name; `args` follow after `run --node NAME`.
    ///
    /// # Errors
    ///
    /// Where the process cannot be started.
    pub fn start(name: &str, args: &[&str]) -> Result<Self> {
        Self::start_with(name, args, &[])
    }

    /// The same, with these variables.
    ///
    /// # Errors
    ///
    /// Where the process cannot be started.
    pub fn start_with(name: &str, args: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        let mut command = carillon();
        command.args(["run", "--node", name]).args(args);
        command.envs(variables.iter().copied());
        Self::spawn(name, command)
    }

    /// Starts a node that is no `carillon run`: a service that has a scheduler in it.
    ///
    /// # Errors
    ///
    /// Where the process cannot be started.
    pub fn spawn(name: &str, mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        let log = Arc::new(Log::default());
        log.read(child.stdout.take().context("no stdout")?);
        log.read(child.stderr.take().context("no stderr")?);
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// The node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends the process a signal.
    ///
    /// # Errors
    ///
    /// Where it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.child.id().context("the process has ended")?;
        let pid = Pid::from_raw(i32::try_from(pid)?).context("no process")?;
        Ok(kill_process(pid, signal)?)
    }

    /// How much memory the process has, in bytes.
    ///
    /// # Errors
    ///
    /// Where it has ended.
    pub fn memory(&self) -> Result<u64> {
        let pid = self.child.id().context("the process has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(kib.context("VmRSS")?.parse::<u64>()? * 1024)
    }

    /// Waits for the process's end.
    ///
    /// # Errors
    ///
    /// Where it cannot be waited for.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// Ends the process at once, as a crash does.
    ///
    /// # Errors
    ///
    /// Where it has ended already.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// All that the process has said so far.
    ///
    /// # Panics
    ///
    /// Where a reader panicked.
    #[must_use]
    pub fn log(&self) -> String {
        self.log
            .lines
            .lock()
            .expect("no panic under this lock")
            .join("\n")
    }

    /// Waits until the process has said something with `text` in it.
    ///
    /// # Errors
    ///
    /// Where it does not within a minute; with all that it has said instead.
    pub async fn says(&self, text: &str) -> Result<()> {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let more = self.log.more.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            if self.log().contains(text) {
                return Ok(());
            }
            if tokio::time::timeout_at(deadline, more).await.is_err() {
                bail!("{} never said {text:?}, but:\n{}", self.name, self.log());
            }
        }
    }
}

/// Waits until `condition` holds, looking again every few milliseconds.
///
/// # Errors
///
/// Where it does not hold within a minute, or cannot be asked.
pub async fn until<F, Fut>(what: &str, mut condition: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<bool>>,
{
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(20));
    while tokio::time::Instant::now() < deadline {
        tick.tick().await;
        if condition().await? {
            return Ok(());
        }
    }
    bail!("waited a minute for: {what}")
}
