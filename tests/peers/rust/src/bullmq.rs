//! BullMQ's own port to Rust.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bullmq::job_scheduler::RepeatOptions;
use bullmq::worker::{CancellationToken, ProcessorFn};
use bullmq::options::RedisConnectionOptions;
use bullmq::types::RemoveOnFinish;
use bullmq::{BulkJob, Job, JobOptions, Queue, QueueOptions, Worker, WorkerOptions};
use serde_json::{Value, json};

use crate::measured::{self, Load, now_ms, sleep_until, spent, whole_seconds};

const PEER: &str = "bullmq-official 1.4.4";
const QUEUE: &str = "peer-rust";

/// How many jobs are added by one call.
const BULK: usize = 1000;

/// When a run was due, and when it was begun.
type Seen = Arc<Mutex<Vec<(f64, f64)>>>;

fn connection(load: &Load) -> RedisConnectionOptions {
    RedisConnectionOptions {
        url: load.url.clone(),
        ..RedisConnectionOptions::default()
    }
}

async fn queue(load: &Load) -> Result<Queue> {
    let options = QueueOptions {
        connection: connection(load),
        ..QueueOptions::default()
    };
    Ok(Queue::with_options(QUEUE, options).await?)
}

async fn worker(load: &Load, seen: &Seen) -> Result<Worker> {
    let seen = Arc::clone(seen);
    let processor: ProcessorFn = Arc::new(move |job: Job, _: CancellationToken| {
        let due = job.opts().prev_millis.unwrap_or_else(|| job.timestamp()) as f64;
        seen.lock().expect("no panic under this lock").push((due, now_ms()));
        Box::pin(async { Ok(Value::Null) })
    });
    let options = WorkerOptions {
        connection: connection(load),
        concurrency: load.concurrency,
        ..WorkerOptions::default()
    };
    Ok(Worker::with_options(QUEUE, processor, options).await?)
}

fn removed_when_done() -> JobOptions {
    JobOptions {
        remove_on_complete: Some(RemoveOnFinish::Bool(true)),
        remove_on_fail: Some(RemoveOnFinish::Bool(true)),
        ..JobOptions::default()
    }
}

pub async fn recurring(load: &Load) -> Result<Value> {
    let queue = queue(load).await?;
    for number in 0..load.jobs {
        let each_second = RepeatOptions {
            pattern: Some("* * * * * *".to_owned()),
            ..RepeatOptions::default()
        };
        let id = format!("job-{number}");
        queue
            .upsert_job_scheduler(&id, each_second, Some("noop"), None, Some(removed_when_done()))
            .await
            .with_context(|| id.clone())?;
    }
    let seen = Seen::default();
    let worker = worker(load, &seen).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (from, to) = whole_seconds(load.seconds);
    sleep_until(from).await;
    let before = spent(&load.url).await?;
    sleep_until(to).await;
    let after = spent(&load.url).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let late = seen.lock().expect("no panic under this lock");
    let late = late.iter().filter(|(due, _)| *due >= from && *due < to);
    let late = late.map(|(due, begun)| begun - due).collect();
    let figures = measured::recurring(PEER, load, late, [before, after]);
    worker.close(1000).await?;
    queue.obliterate(true, 1000).await?;
    Ok(figures)
}

pub async fn oneshot(load: &Load) -> Result<Value> {
    let queue = queue(load).await?;
    let began = now_ms();
    for first in (0..load.jobs).step_by(BULK) {
        let job = |i| BulkJob::with_options("noop", json!({ "i": i }), removed_when_done());
        let jobs = (first..load.jobs.min(first + BULK)).map(job).collect();
        queue.add_bulk(jobs).await?;
    }
    let added = now_ms() - began;
    let before = spent(&load.url).await?;
    let seen = Seen::default();
    let worker = worker(load, &seen).await?;
    while seen.lock().expect("no panic under this lock").len() < load.jobs {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let after = spent(&load.url).await?;
    let begun: Vec<f64> = seen.lock().expect("no panic under this lock").iter().map(|(_, at)| *at).collect();
    let figures = measured::oneshot(PEER, load, added, &begun, [before, after]);
    worker.close(1000).await?;
    queue.obliterate(true, 1000).await?;
    Ok(figures)
}
