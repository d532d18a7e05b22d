//! How long the ringing stops when the leader goes: `cargo bench -p tests --bench failover`.
//!
//! Three real nodes with default settings on a real Redis, one job that is due every 50 ms. Again
//! and again the leader is killed (`-9`), frozen, or told to stop; the figure is the longest silence around
//! that, seen by the handlers, less the 50 ms. Tries: the first argument, or 10.

use std::time::Duration;

use anyhow::{Context, Result};
use redis::AsyncCommands;
use rustix::process::Signal;
use tests::cluster::{Cluster, take};
use tests::node::{Node, until};
use tests::oracle::{self, STREAM};
use tests::redis_server::Persistence;

const PERIOD: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() -> Result<()> {
    let tries = std::env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(10);
    let signals = [
        (Signal::KILL, "kill -9"),
        (Signal::STOP, "SIGSTOP"),
        (Signal::TERM, "SIGTERM"),
    ];
    for (signal, name) in signals {
        let mut silences = measure(signal, tries).await?;
        silences.sort_unstable();
        let (median, worst) = (silences[tries / 2], silences[tries - 1]);
        eprintln!(
            "{name}: silence of {median} ms at the median, {worst} ms at the worst of {tries}"
        );
        eprintln!("  all: {silences:?}");
    }
    Ok(())
}

async fn measure(signal: Signal, tries: usize) -> Result<Vec<i64>> {
    let mut silences = Vec::with_capacity(tries);
    for _ in 0..tries {
        silences.push(silence(signal).await?);
    }
    Ok(silences)
}

/// One try, on a cluster of its own: leaders that change again and again within a minute are a
/// matter of their own (each steal protects the next leader for longer).
async fn silence(signal: Signal) -> Result<i64> {
    let job = format!(
        "[[jobs]]\nid = \"often\"\ntask = \"stream\"\nargs = {{ stream = \"{STREAM}\" }}\n\
         trigger = {{ type = \"interval\", seconds = {} }}\nmax_instances = 100\n",
        PERIOD.as_secs_f64()
    );
    let cluster = Cluster::new(Persistence::None, 0, &job).await?;
    let mut nodes: Vec<Node> = ["a", "b", "c"]
        .iter()
        .map(|name| cluster.node(name))
        .collect::<Result<_>>()?;
    // Two seconds: a leader is left alone for its first.
    ring(&cluster, 40).await?;
    let leader = cluster.leader().await?;
    let before = now_ms(&cluster).await?;
    let gone = take(&mut nodes, &leader);
    gone.signal(signal)?;
    ring(&cluster, 40).await?;
    let starts = oracle::starts(&mut cluster.redis.clone()).await?;
    let times: Vec<i64> = starts.iter().map(|start| start.started_ms).collect();
    let around = times.windows(2).filter(|pair| pair[1] >= before);
    let silence = around
        .map(|pair| pair[1] - pair[0])
        .max()
        .context("no fires")?;
    Ok(silence - i64::try_from(PERIOD.as_millis())?)
}

/// Waits for so many more fires.
async fn ring(cluster: &Cluster, fires: usize) -> Result<()> {
    let before: usize = cluster.redis.clone().xlen(STREAM).await?;
    until("fires", || async {
        let now: usize = cluster.redis.clone().xlen(STREAM).await?;
        Ok(now >= before + fires)
    })
    .await
}

async fn now_ms(cluster: &Cluster) -> Result<i64> {
    let (seconds, us): (i64, i64) = redis::cmd("TIME")
        .query_async(&mut cluster.redis.clone())
        .await?;
    Ok(seconds * 1000 + us / 1000)
}
