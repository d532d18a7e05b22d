//! Nodes in processes of their own, for one measurement.
//!
//! The measuring process starts itself again, with one word more (`--member`). Such a member runs its nodes, and tells what its handlers have seen: counters each few milliseconds, and all of it when
//! it is asked. Both by lines of JSON: questions come on its standard input, whose end ends it, and
//! what it tells goes to its standard output.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use scheduler_core::Namespace;
use scheduler_redis::{RedisConfig, RedisStore};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

use crate::bench::Bench;
use crate::bench::clock::ServerTime;
use crate::bench::machine;
use crate::bench::nodes::Nodes;
use crate::bench::server::Probe;
use crate::bench::tally::{Counted, Tally};

/// How often a member tells its counters.
const TELL_EVERY: Duration = Duration::from_millis(20);

/// How long a member may take to answer, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a member is asked.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Ask {
    /// To count runs of one kind with a fire time in this window.
    Count { kind: usize, from: i64, to: i64 },
    /// To start its nodes in this namespace, and to count runs of each kind with a fire time in these
    /// windows: the first that it is asked.
    Start {
        namespace: String,
        windows: [(i64, i64); 2],
    },
    /// To tell all that it has counted.
    Read,
}

/// What a member tells.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    /// That it is there.
    Ready,
    So(Counters),
    /// Of each kind.
    All([Sheet; 2]),
}

/// What a member has counted so far.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Counters {
    /// Fires of each kind.
    pub(super) fires: [u64; 2],
    /// The processor time that it has used, in microseconds.
    pub(super) cpu_us: u64,
    /// The memory that it holds.
    pub(super) resident: Option<u64>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Sheet {
    fires: u64,
    repeated: u64,
    /// How many fires were late by how many microseconds.
    lateness: Vec<(u64, u64)>,
}

// ----- the measuring process --------------------------------------------------------------------

/// A member, as the measuring process sees it. Ends when it is dropped.
pub(super) struct Member {
    child: Child,
    asks: ChildStdin,
    latest: Arc<Mutex<Counters>>,
    sheets: mpsc::Receiver<[Sheet; 2]>,
}

impl Member {
    /// Starts this very program again, and waits until it is there.
    pub(super) async fn spawn() -> Result<Self> {
        let program = std::env::current_exe().context("where this program is")?;
        let mut child = Command::new(program)
            .args(std::env::args_os().skip(1))
            .arg("--member")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting a process for nodes")?;
        let asks = child.stdin.take().context("no standard input")?;
        let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let latest = Arc::new(Mutex::new(Counters::default()));
        let (sender, sheets) = mpsc::channel(1);
        let seen = Arc::clone(&latest);
        let first = tokio::time::timeout(PATIENCE, lines.next_line()).await??;
        first.context("a process for nodes ended at once")?;
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                match serde_json::from_str(&line) {
                    Ok(Told::Ready) => {}
                    Ok(Told::So(counters)) => *lock(&seen) = counters,
                    Ok(Told::All(sheets)) => {
                        if sender.send(sheets).await.is_err() {
                            return;
                        }
                    }
                    Err(_) => return,
                }
            }
        });
        Ok(Self {
            child,
            asks,
            latest,
            sheets,
        })
    }

    /// Has it start its nodes in this namespace, and count runs of each kind in these windows.
    pub(super) async fn start(&mut self, namespace: &str, windows: &[(i64, i64); 2]) -> Result<()> {
        let start = Ask::Start {
            namespace: namespace.to_owned(),
            windows: *windows,
        };
        self.ask(&start).await
    }

    pub(super) fn latest(&self) -> Counters {
        *lock(&self.latest)
    }

    /// Has it count runs of one kind with a fire time from `from` on, and before `to`.
    pub(super) async fn count(&mut self, kind: usize, from: i64, to: i64) -> Result<()> {
        self.ask(&Ask::Count { kind, from, to }).await?;
        lock(&self.latest).fires[kind] = 0;
        Ok(())
    }

    /// Adds all that it has counted, of each kind.
    pub(super) async fn add_to(&mut self, counted: [&mut Counted; 2]) -> Result<()> {
        self.ask(&Ask::Read).await?;
        let sheets = tokio::time::timeout(PATIENCE, self.sheets.recv()).await?;
        let sheets = sheets.context("a process for nodes has ended")?;
        for (counted, sheet) in counted.into_iter().zip(sheets) {
            counted.fires += sheet.fires;
            counted.repeated += sheet.repeated;
            for (us, count) in sheet.lateness {
                counted.lateness.saturating_record_n(us, count);
            }
        }
        Ok(())
    }

    /// Fails where it has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("a process for nodes ended by itself: {status}"),
        }
    }

    /// Ends it in order.
    pub(super) async fn end(self) -> Result<()> {
        let Self {
            mut child, asks, ..
        } = self;
        drop(asks);
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        ended.context("a process for nodes does not end")??;
        Ok(())
    }

    async fn ask(&mut self, ask: &Ask) -> Result<()> {
        let line = serde_json::to_string(ask)? + "\n";
        let asked = self.asks.write_all(line.as_bytes()).await;
        asked.context("a process for nodes has ended")
    }
}

fn lock(counters: &Mutex<Counters>) -> std::sync::MutexGuard<'_, Counters> {
    counters.lock().unwrap_or_else(PoisonError::into_inner)
}

// ----- the member -------------------------------------------------------------------------------

/// Runs nodes until standard input ends, as it says, and tells what they do.
///
/// # Errors
///
/// Where the server cannot be reached, or a node fails.
pub async fn member(config: &RedisConfig, bench: &Bench) -> Result<()> {
    let mut asks = asks();
    tell(&Told::Ready)?;
    let first = asks.recv().await.context("nothing was asked")?;
    let Ask::Start { namespace, windows } = serde_json::from_str(&first)? else {
        bail!("{first:?} does not start anything");
    };
    let store = RedisStore::shards(config.clone(), Namespace::new(&namespace)?);
    let mut probe = Probe::of_redis(&store, namespace).await?;
    let clock = ServerTime::compare(&mut probe).await?;
    let tallies = [Tally::new(), Tally::new()];
    let mut nodes = Nodes::default();
    let place = format!("bench-{}", std::process::id());
    for (tally, (from, to)) in tallies.iter().zip(windows) {
        tally.count(from, to)?;
    }
    nodes.start(&store, bench, &place, clock, &tallies)?;
    let served = serve(&mut nodes, asks, &tallies).await;
    let stopped = nodes.stop().await;
    served.and(stopped)
}

/// The lines of standard input. Reading it blocks, so a thread does that.
fn asks() -> mpsc::Receiver<String> {
    let (sender, asks) = mpsc::channel(8);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    asks
}

async fn serve(
    nodes: &mut Nodes,
    mut asks: mpsc::Receiver<String>,
    tallies: &[Tally; 2],
) -> Result<()> {
    let mut tick = tokio::time::interval(TELL_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                nodes.check()?;
                tell(&Told::So(Counters {
                    fires: [tallies[0].fires(), tallies[1].fires()],
                    cpu_us: u64::try_from(machine::cpu().as_micros()).unwrap_or(u64::MAX),
                    resident: machine::resident_bytes(),
                }))?;
            }
            line = asks.recv() => match line {
                None => return Ok(()),
                Some(line) => match serde_json::from_str(&line)? {
                    Ask::Count { kind, from, to } => {
                        tallies.get(kind).context("no such kind")?.count(from, to)?;
                    }
                    Ask::Read => tell(&Told::All([sheet(&tallies[0])?, sheet(&tallies[1])?]))?,
                    Ask::Start { .. } => bail!("it has started already"),
                },
            },
        }
    }
}

fn sheet(tally: &Tally) -> Result<Sheet> {
    let counted = tally.read()?;
    let recorded = counted.lateness.iter_recorded();
    let lateness =
        recorded.map(|step| (step.value_iterated_to(), step.count_since_last_iteration()));
    Ok(Sheet {
        lateness: lateness.collect(),
        fires: counted.fires,
        repeated: counted.repeated,
    })
}

fn tell(told: &Told) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, told)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}
