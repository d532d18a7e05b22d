//! What all Rust peers share: the load, the server's work, and figures under the names that `table.mjs`
//! reads.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

pub struct Load {
    pub url: String,
    pub jobs: usize,
    pub seconds: u64,
    pub concurrency: usize,
}

/// What the server has done so far.
#[derive(Clone, Copy)]
pub struct Spent {
    us: f64,
    calls: f64,
    cpu: f64,
}

pub fn now_ms() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64() * 1000.0
}

pub async fn sleep_until(ms: f64) {
    tokio::time::sleep(Duration::from_secs_f64((ms - now_ms()).max(0.0) / 1000.0)).await;
}

/// From half past one second to half past another, beginning soon: when, and when over.
pub fn whole_seconds(seconds: u64) -> (f64, f64) {
    let from = (now_ms() / 1000.0).ceil() * 1000.0 + 500.0;
    (from, from + 1000.0 * seconds as f64)
}

pub async fn spent(url: &str) -> Result<Spent> {
    let client = redis::Client::open(url)?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    let mut spent = Spent {
        us: 0.0,
        calls: 0.0,
        cpu: 0.0,
    };
    let cpu: String = redis::cmd("INFO").arg("cpu").query_async(&mut redis).await?;
    for line in cpu.lines() {
        if let Some((name, seconds)) = line.split_once(':')
            && ["used_cpu_user", "used_cpu_sys"].contains(&name)
        {
            spent.cpu += seconds.parse::<f64>()?;
        }
    }
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await?;
    for line in stats.lines() {
        let Some((name, figures)) = line.split_once(':') else {
            continue;
        };
        // As with the others: what scripts call is in their own time.
        if ["cmdstat_evalsha", "cmdstat_eval", "cmdstat_bzpopmin"].contains(&name) {
            let figure = |key: &str| {
                let found = figures.split(',').find_map(|pair| pair.strip_prefix(key));
                found.context("a figure")?.parse::<f64>().context("a number")
            };
            spent.calls += figure("calls=")?;
            spent.us += figure("usec=")?;
        }
    }
    Ok(spent)
}

fn per_run(before: Spent, after: Spent, runs: usize) -> Value {
    let runs = runs.max(1) as f64;
    json!({
        "redis_us": (after.us - before.us) / runs,
        "redis_cpu_us": (after.cpu - before.cpu) * 1e6 / runs,
        "commands": (after.calls - before.calls) / runs,
    })
}

/// Figures of recurring jobs whose runs were so many milliseconds late.
pub fn recurring(peer: &str, load: &Load, mut late: Vec<f64>, spent: [Spent; 2]) -> Value {
    late.sort_by(f64::total_cmp);
    let at = |share: f64| late.get(((late.len() as f64 * share) as usize).min(late.len().saturating_sub(1)));
    let expected = load.jobs * load.seconds as usize;
    let over = late.iter().filter(|ms| **ms > 1000.0).count();
    let figures = json!({
        "peer": peer, "load": "recurring", "jobs": load.jobs,
        "per_s": late.len() as f64 / load.seconds as f64,
        "expected": expected, "begun": late.len(), "late": over,
        "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": late.last(),
        "sustained": late.len() >= expected && over * 1000 <= expected,
    });
    joined(figures, per_run(spent[0], spent[1], late.len()))
}

/// Figures of jobs that were added within so many milliseconds and begun at these instants.
pub fn oneshot(peer: &str, load: &Load, added_ms: f64, begun: &[f64], spent: [Spent; 2]) -> Value {
    let first = begun.iter().copied().fold(f64::MAX, f64::min);
    let last = begun.iter().copied().fold(0.0, f64::max);
    let figures = json!({
        "peer": peer, "load": "oneshot", "jobs": load.jobs,
        "added_per_s": 1000.0 * load.jobs as f64 / added_ms,
        "drained_per_s": 1000.0 * begun.len() as f64 / (last - first).max(1.0),
    });
    joined(figures, per_run(spent[0], spent[1], begun.len()))
}

fn joined(mut figures: Value, more: Value) -> Value {
    if let (Some(figures), Value::Object(more)) = (figures.as_object_mut(), more) {
        figures.extend(more);
        figures.retain(|_, figure| !figure.is_null());
    }
    figures
}
