//! Several real nodes on one real Redis: each fire runs once, whatever becomes of the nodes.
//!
//! The oracle is a stream that the jobs themselves write to (`stream` task), compared with history
//! and with the schedule.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use redis::AsyncCommands;
use rustix::process::Signal;
use scheduler_core::Timestamp;
use scheduler_core::shard::{ShardCount, Shards};
use scheduler_core::store::Store;
use tempfile::TempDir;
use tests::cluster::{Cluster, NAMESPACE, take};
use tests::node::{Node, until};
use tests::oracle::{STREAM, Start};
use tests::redis_server::Persistence;

fn names(starts: &[Start]) -> BTreeSet<&str> {
    starts.iter().map(|start| start.node.as_str()).collect()
}

/// For how many seconds the long tests ring: `CARILLON_TEST_SECONDS`, or a few.
fn seconds() -> usize {
    std::env::var("CARILLON_TEST_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(8)
}

#[tokio::test]
async fn three_nodes_run_each_fire_once_and_all_take_part() -> Result<()> {
    let mut cluster = Cluster::new(Persistence::None, 50, "[worker]\nconcurrency = 4").await?;
    let mut nodes = vec![cluster.node("a")?, cluster.node("b")?, cluster.node("c")?];
    cluster.ring(seconds()).await?;
    let starts = cluster.check(&mut nodes).await?;
    assert_eq!(names(&starts).len(), 3, "all nodes take part");
    assert!(starts.iter().all(|start| start.attempt == 1));
    let jobs: BTreeSet<_> = starts.iter().map(|start| &start.job).collect();
    assert_eq!(jobs.len(), 50, "three nodes put 50 jobs, not 150");
    let runs: BTreeSet<_> = starts.iter().map(|start| &start.run).collect();
    assert_eq!(runs.len(), starts.len());
    Ok(())
}

#[tokio::test]
async fn a_killed_leader_is_replaced_long_before_its_lease_ends() -> Result<()> {
    // With a lease of an hour, only missing progress can bring another leader.
    let more = "[worker]\nlease_ttl = \"1h\"\nsession_ttl = \"3s\"";
    let mut cluster = Cluster::new(Persistence::None, 10, more).await?;
    let mut nodes = vec![cluster.node("a")?, cluster.node("b")?, cluster.node("c")?];
    cluster.ring(2).await?;
    let leader = cluster.leader().await?;
    take(&mut nodes, &leader).kill().await?;
    cluster.ring(3).await?;
    assert_ne!(cluster.leader().await?, leader);
    // What the dead node had claimed comes back.
    let store = &cluster.store;
    until(
        "recovery",
        || async move { Ok(store.nodes().await?.len() == 2) },
    )
    .await?;
    cluster.ring(2).await?;
    cluster.check(&mut nodes).await?;
    Ok(())
}

#[tokio::test]
async fn a_leader_that_was_frozen_past_its_lease_dispatches_nothing_twice() -> Result<()> {
    let more = "[worker]\nlease_ttl = \"1s\"\nsession_ttl = \"2s\"";
    let mut cluster = Cluster::new(Persistence::None, 10, more).await?;
    let mut nodes = vec![cluster.node("a")?, cluster.node("b")?, cluster.node("c")?];
    cluster.ring(2).await?;
    let leader = cluster.leader().await?;
    let frozen = take(&mut nodes, &leader);
    frozen.signal(Signal::STOP)?;
    // Three ttls of the lease by the fires of the others.
    cluster.ring(4).await?;
    frozen.signal(Signal::CONT)?;
    cluster.ring(3).await?;
    nodes.push(frozen);
    cluster.check(&mut nodes).await?;
    Ok(())
}

#[tokio::test]
async fn a_leader_that_is_told_to_stop_hands_over_at_once() -> Result<()> {
    let more = "[worker]\nlease_ttl = \"1h\"";
    let mut cluster = Cluster::new(Persistence::None, 10, more).await?;
    let mut nodes = vec![cluster.node("a")?, cluster.node("b")?, cluster.node("c")?];
    cluster.ring(2).await?;
    let leader = cluster.leader().await?;
    let mut stopped = take(&mut nodes, &leader);
    stopped.signal(Signal::TERM)?;
    assert!(stopped.ended().await?.success(), "{}", stopped.log());
    cluster.ring(3).await?;
    let starts = cluster.check(&mut nodes).await?;
    assert!(
        starts.iter().all(|start| start.attempt == 1),
        "nothing had to be run again"
    );
    Ok(())
}

/// A job whose handler writes down that it began, and then goes on for long.
fn long_job(dir: &TempDir, on_lost: &str) -> String {
    let file = dir.path().join("begun");
    format!(
        "[tasks.shell]\nenabled = true\n[[jobs]]\nid = \"long\"\ntask = \"shell\"\n\
         on_lost = \"{on_lost}\"\n\
         args = {{ command = [\"sh\", \"-c\", \"echo $CARILLON_RUN_ID $CARILLON_ATTEMPT >> {}; exec sleep 600\"] }}\n\
         trigger = {{ type = \"interval\", hours = 1 }}\n",
        file.display()
    )
}

async fn begun(dir: &TempDir, lines: usize) -> Result<Vec<String>> {
    let file = dir.path().join("begun");
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    until("a handler", || async {
        Ok(read().lines().count() >= lines)
    })
    .await?;
    Ok(read().lines().map(str::to_owned).collect())
}

/// A cluster whose first node was killed in the middle of a long run, with the second at hand.
struct KilledInTheMiddle {
    cluster: Cluster,
    _second: Node,
    scratch: TempDir,
}

impl KilledInTheMiddle {
    /// What becomes of the run is said by `on_lost`.
    async fn new(on_lost: &str) -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let job = long_job(&scratch, on_lost);
        let more = format!("[worker]\nsession_ttl = \"2s\"\n{job}");
        let cluster = Cluster::new(Persistence::None, 0, &more).await?;
        let mut first = cluster.node("first")?;
        first.says("registered").await?;
        let config = cluster.config.to_str().context("a path")?;
        let asked = tests::node::carillon()
            .args(["job", "run", "long", "--config", config])
            .output()
            .await?;
        assert!(asked.status.success(), "{asked:?}");
        begun(&scratch, 1).await?;
        let second = cluster.node("second")?;
        second.says("registered").await?;
        first.kill().await?;
        Ok(Self {
            cluster,
            _second: second,
            scratch,
        })
    }
}

#[tokio::test]
async fn runs_of_a_killed_node_are_executed_again_on_another() -> Result<()> {
    let killed = KilledInTheMiddle::new("retry").await?;
    let begun = begun(&killed.scratch, 2).await?;
    let words: Vec<Vec<&str>> = begun.iter().map(|line| line.split(' ').collect()).collect();
    assert_eq!((words[0][1], words[1][1]), ("1", "2"), "{begun:?}");
    assert_eq!(words[0][0], words[1][0], "the same run");
    Ok(())
}

#[tokio::test]
async fn runs_that_must_not_be_repeated_are_recorded_as_lost() -> Result<()> {
    let killed = KilledInTheMiddle::new("fail").await?;
    let store = &killed.cluster.store;
    until("the run is recorded", || async move {
        Ok(store.overview().await?.busy == 0)
    })
    .await?;
    let config = killed.cluster.config.to_str().context("a path")?;
    let shown = tests::node::carillon()
        .args(["runs", "--config", config])
        .output()
        .await?;
    let shown = String::from_utf8(shown.stdout)?;
    assert!(shown.contains("lost"), "{shown}");
    assert_eq!(begun(&killed.scratch, 1).await?.len(), 1, "executed once");
    Ok(())
}

#[tokio::test]
async fn nodes_wait_for_a_redis_that_went_away_and_go_on() -> Result<()> {
    let more = "[worker]\nsession_ttl = \"3s\"";
    let mut cluster = Cluster::new(Persistence::AppendOnly, 5, more).await?;
    let mut nodes = vec![cluster.node("a")?, cluster.node("b")?];
    cluster.ring(2).await?;
    cluster.server.kill()?;
    for node in &nodes {
        node.says("the store does not answer").await?;
        // After many a try, and long after the lease has ended.
        node.says("no heartbeat was answered in time").await?;
    }
    cluster.server.run()?;
    cluster.redis = cluster.server.connect().await?;
    let store = cluster.server.store(NAMESPACE);
    cluster.store = Shards::new(ShardCount::ONE, |_| store.clone());
    cluster.ring(3).await?;
    for node in &nodes {
        node.says("the store answers again").await?;
        let warnings = node
            .log()
            .lines()
            .filter(|line| line.contains("WARN"))
            .count();
        assert!(warnings <= 4, "a flood:\n{}", node.log());
    }
    cluster.check(&mut nodes).await?;
    Ok(())
}

#[tokio::test]
async fn jobs_that_left_after_their_run_do_not_come_back_with_the_file() -> Result<()> {
    // Late, but not so late that the store may have forgotten it.
    let minute_ago = SystemTime::now() - Duration::from_secs(60);
    let ms = minute_ago
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_millis();
    let run_date = Timestamp::from_ms(i64::try_from(ms)?);
    let once = format!(
        "[[jobs]]\nid = \"once\"\ntask = \"stream\"\nargs = {{ stream = \"{STREAM}\" }}\n\
         trigger = {{ type = \"date\", run_date = \"{run_date}\" }}\n"
    );
    let mut cluster = Cluster::new(Persistence::None, 0, &once).await?;
    for name in ["a", "b"] {
        let mut node = cluster.node(name)?;
        node.says("registered").await?;
        let store = &cluster.store;
        until("the job has left", || async move {
            let overview = store.overview().await?;
            Ok(overview.leader().is_some() && overview.jobs == 0 && overview.busy == 0)
        })
        .await?;
        node.signal(Signal::TERM)?;
        assert!(node.ended().await?.success(), "{}", node.log());
    }
    assert_eq!(cluster.starts().await?.len(), 1);
    let keys: Vec<String> = cluster.redis.keys("carillon:*:job*").await?;
    assert!(keys.is_empty(), "{keys:?}");
    Ok(())
}
