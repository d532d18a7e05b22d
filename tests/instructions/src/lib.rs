//! The steps of a fire's life that a node computes by itself, without a store: what is counted, and
//! what is timed.
//!
//! Each step works on a batch as nodes make them under load; its figures are per item.

use std::hint::black_box;

use anyhow::{Context as _, Result};
use scheduler_core::plan::plan;
use scheduler_core::run::{Claim, Ending, settle};
use scheduler_core::store::{ClaimWish, Dispatch, DispatchItem, Exchange, Settled, Take};
use scheduler_core::{
    Fence, Generation, Job, JobDefaults, JobSpec, Namespace, Priority, QueueName, RunId, Timestamp,
    Version,
};
use scheduler_redis::{RedisConfig, RedisStore};

/// How many items one batch has.
pub const BATCH: usize = 500;

/// When all jobs are due: a Monday, 9:00:00 in New York.
const DUE: Timestamp = Timestamp::from_ms(1_893_852_000_000);

const QUEUE: &str = "default";

/// One step, and all that it takes.
pub struct Step {
    /// What it is called.
    pub name: &'static str,
    work: Box<dyn Fn()>,
}

impl Step {
    /// Does it once, for a whole batch.
    pub fn run(&self) {
        (self.work)();
    }
}

/// All steps.
///
/// # Errors
///
/// What is wrong with the jobs that they are about.
pub fn steps() -> Result<Vec<Step>> {
    let jobs = (0..BATCH).map(job).collect::<Result<Vec<_>>>()?;
    let store = RedisStore::new(RedisConfig::from_url("redis://localhost")?, namespace()?);
    let dispatch = dispatch(&jobs)?;
    let exchange = exchange(&jobs)?;
    let answer = answer(&exchange);
    let records = jobs.iter().map(RedisStore::job_as_stored);
    let records = records.collect::<Result<Vec<_>, _>>()?;

    let triggers = jobs.clone();
    let planned = jobs.clone();
    let sender = store.clone();
    Ok(vec![
        step("trigger", move || {
            for job in &triggers {
                black_box(job.trigger().next_after(black_box(DUE)));
            }
        }),
        step("plan", move || {
            for job in &planned {
                black_box(plan(job, DUE, black_box(DUE), 0));
            }
        }),
        step("dispatch_written", move || {
            black_box(sender.dispatch_as_sent(black_box(&dispatch)));
        }),
        step("exchange_written", move || {
            black_box(store.exchange_as_sent(black_box(&exchange)));
        }),
        step("claims_read", move || {
            black_box(RedisStore::exchange_as_read(black_box(&answer)));
        }),
        step("record_written", move || {
            for job in &jobs {
                black_box(RedisStore::job_as_stored(black_box(job)).ok());
            }
        }),
        step("record_read", move || {
            for record in &records {
                black_box(RedisStore::job_as_read(black_box(record)).ok());
            }
        }),
    ])
}

fn step(name: &'static str, work: impl Fn() + 'static) -> Step {
    let work = Box::new(work);
    Step { name, work }
}

fn namespace() -> Result<Namespace> {
    Ok(Namespace::new("count")?)
}

fn job(number: usize) -> Result<Job> {
    let spec: JobSpec = serde_json::from_value(serde_json::json!({
        "id": format!("report-{number}"), "task": "send_report",
        "args": { "text": "x".repeat(53) },
        "trigger": {
            "type": "cron", "expression": "*/15 9-17 * * MON-FRI", "timezone": "America/New_York",
        },
    }))?;
    Ok(spec.resolve(&JobDefaults::default())?)
}

fn queue() -> Result<QueueName> {
    Ok(QueueName::new(QUEUE)?)
}

fn dispatch(jobs: &[Job]) -> Result<Dispatch> {
    let queue = queue()?;
    let items = jobs.iter().zip(1..).map(|(job, version)| DispatchItem {
        job: job.id().clone(),
        due: DUE,
        version: Version(version),
        queue: queue.clone(),
        priority: Priority::default(),
        max_instances: 1,
        max_lined_up: 0,
        plan: plan(job, DUE, DUE, 0),
        note: None,
    });
    Ok(Dispatch {
        token: "node~00000000000000000000000000000001 7 1893851000000".parse()?,
        planned_at: DUE,
        items: items.collect(),
    })
}

fn settled(job: &Job, number: u64) -> Result<Settled> {
    let claim = Claim {
        run: RunId::fire(job.id().clone(), DUE),
        fence: Fence(number),
        version: Version(number),
        attempt: 1,
        losses: 0,
        queue: queue()?,
        priority: Priority::default(),
        fresh: true,
        begun: false,
    };
    let record = serde_json::json!({
        "run": claim.run, "outcome": "succeeded", "attempt": 1, "fence": number, "node": "node",
        "task": job.task(), "queue": QUEUE,
        "started_ms": DUE.as_ms(), "ended_ms": DUE.as_ms() + 1,
    });
    Ok(Settled {
        verdict: settle(job.policy(), &claim, &Ending::Succeeded(None), 0.5),
        claim,
        record: Some(serde_json::from_value(record).context("a record")?),
        definition: None,
    })
}

fn exchange(jobs: &[Job]) -> Result<Exchange> {
    let settled = jobs
        .iter()
        .zip(1..)
        .map(|(job, number)| settled(job, number));
    let take = Take {
        queue: queue()?,
        priority: Priority::default(),
        most: BATCH,
    };
    Ok(Exchange {
        generation: Generation(1),
        session: "node~00000000000000000000000000000001".parse()?,
        lane: 0,
        request: 12,
        floor: 1_000,
        settled: settled.collect::<Result<_>>()?,
        wish: Some(ClaimWish {
            takes: vec![take],
            limit: BATCH,
        }),
    })
}

/// What a store answers that gives as many claims.
fn answer(exchange: &Exchange) -> String {
    let claims = exchange.settled.iter().map(|settled| {
        let Claim {
            run,
            fence,
            version,
            ..
        } = &settled.claim;
        format!("\n{fence} ~{version} 1 0 {QUEUE} n {run}")
    });
    format!("0 {BATCH}{}", claims.collect::<String>())
}
