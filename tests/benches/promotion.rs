//! What a failover costs where sentinels watch: `cargo bench -p tests --bench promotion -- 5`.
//!
//! Again and again the primary of three servers is killed, hangs, or is asked to hand over (`SENTINEL FAILOVER`),
//! while three real nodes ring a job each 200 ms and a client changes jobs as fast as it is answered. The figures: how
//! long after the next primary's promotion the next handler began there; and how many of the client's changes had been
//! acknowledged and are gone, over how long, for each `durability`. Tries: the first argument, or 5.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use carillon::Jobs;
use carillon::jobs::OnConflict;
use rustix::process::Signal;
use scheduler_core::job::{JobDefaults, JobSpec};
use scheduler_core::{Job, Namespace};
use scheduler_redis::{RedisConfig, RedisStore};
use tests::node::{Node, until};
use tests::oracle::{self, STREAM};
use tests::sentinels::Sentinels;

#[derive(Clone, Copy, Debug)]
enum Way {
    Crash,
    Hang,
    Planned,
}

/// What one try came to.
#[derive(Clone, Copy, Debug)]
struct Try {
    next_fire_ms: i64,
    lost: usize,
    lost_over_ms: i64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let tries = std::env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(5);
    for durability in ["none", "replicas:1", "replicas:2"] {
        for way in [Way::Crash, Way::Hang, Way::Planned] {
            let mut all = Vec::new();
            for _ in 0..tries {
                all.push(fail_over(way, durability).await?);
            }
            let spread = |of: fn(&Try) -> i64| {
                let mut values: Vec<i64> = all.iter().map(of).collect();
                values.sort_unstable();
                (values[values.len() / 2], values[values.len() - 1])
            };
            let (median, worst) = spread(|one| one.next_fire_ms);
            let (lost, most) = spread(|one| i64::try_from(one.lost).unwrap_or(i64::MAX));
            let (over, longest) = spread(|one| one.lost_over_ms);
            eprintln!(
                "{durability}, {way:?}, {tries} tries: next fire {median} ms after the promotion, worst {worst}; \
                 acknowledged changes lost {lost}, most {most}, over {over} ms, longest {longest}"
            );
        }
    }
    Ok(())
}

async fn fail_over(way: Way, durability: &str) -> Result<Try> {
    let mut all = Sentinels::start().await?;
    let (_nodes, _dir) = nodes(&all.url(), durability)?;
    let old = all.primary().await?;
    until("fires", || async {
        Ok(starts(&all, old).await?.len() >= 10)
    })
    .await?;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let config = RedisConfig::from_url(&all.url())?
        .with_durability(durability.parse().map_err(anyhow::Error::msg)?);
    let client = tokio::spawn(change(config, Arc::clone(&acknowledged)));
    until("changes", || async {
        Ok(acknowledged.lock().expect("no panic").len() >= 50)
    })
    .await?;
    match way {
        Way::Crash => all.servers[old].kill()?,
        Way::Hang => all.servers[old].signal(Signal::STOP)?,
        Way::Planned => all.fail_over().await?,
    }
    let new = all.moved_from(old).await?;
    let promoted_ms = now_ms()?;
    let later = || async {
        let starts = starts(&all, new).await?;
        Ok::<_, anyhow::Error>(starts.into_iter().filter(|at| *at > promoted_ms).min())
    };
    until("a fire on the new primary", || async {
        Ok(later().await?.is_some())
    })
    .await?;
    let first = later().await?.context("a start")?;
    if matches!(way, Way::Planned) {
        until("a primary that has stepped down", || async {
            Ok(!all.is_primary(old).await)
        })
        .await?;
    }
    client.abort();
    let there = Jobs::new(all.servers[new].store("default")).list().await?;
    let there: BTreeSet<_> = there
        .jobs
        .iter()
        .map(|job| job.job.id().to_string())
        .collect();
    let acknowledged = acknowledged.lock().expect("no panic").clone();
    let lost: Vec<i64> = acknowledged
        .iter()
        .filter(|(id, _)| !there.contains(id))
        .map(|(_, at)| *at)
        .collect();
    let lost_over_ms = match (lost.first(), lost.last()) {
        (Some(first), Some(last)) => last - first + 1,
        _ => 0,
    };
    if matches!(way, Way::Hang) {
        // A stopped process does not end.
        all.servers[old].signal(Signal::CONT)?;
    }
    Ok(Try {
        next_fire_ms: first - promoted_ms,
        lost: lost.len(),
        lost_over_ms,
    })
}

/// Adds jobs, one after the other, and notes when each was acknowledged.
async fn change(config: RedisConfig, acknowledged: Arc<Mutex<Vec<(String, i64)>>>) -> Result<()> {
    let jobs = Jobs::new(RedisStore::new(config, Namespace::default_namespace()));
    for number in 0.. {
        let id = format!("job-{number}");
        if jobs.put(job(&id)?, OnConflict::Replace).await.is_ok() {
            let mut all = acknowledged.lock().expect("no panic");
            all.push((id, now_ms()?));
        }
    }
    Ok(())
}

fn job(id: &str) -> Result<Job> {
    let spec: JobSpec = serde_json::from_value(serde_json::json!({
        "id": id, "task": "log", "trigger": { "type": "interval", "hours": 1 },
    }))?;
    Ok(spec.resolve(&JobDefaults::default())?)
}

fn nodes(url: &str, durability: &str) -> Result<(Vec<Node>, tempfile::TempDir)> {
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("carillon.toml");
    let text = format!(
        "[store]\nurl = \"{url}\"\ndurability = \"{durability}\"\n[[jobs]]\nid = \"tick\"\ntask = \"stream\"\n\
         args = {{ stream = \"{STREAM}\" }}\ntrigger = {{ type = \"interval\", seconds = 0.2 }}\n"
    );
    std::fs::write(&config, text)?;
    let config = config.to_str().context("a path")?;
    let nodes = ["one", "two", "three"];
    let nodes = nodes.map(|name| Node::start(name, &["--config", config]));
    Ok((nodes.into_iter().collect::<Result<_>>()?, dir))
}

/// When handlers began that a server knows of.
async fn starts(all: &Sentinels, server: usize) -> Result<Vec<i64>> {
    let starts = oracle::starts(&mut all.servers[server].connect().await?).await?;
    Ok(starts.into_iter().map(|start| start.started_ms).collect())
}

fn now_ms() -> Result<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_millis())?)
}
