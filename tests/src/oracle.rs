//! What really happened, seen from outside: each handler's start, as the `stream` task wrote it,
//! compared with history and with the schedule itself.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamRangeReply;
use scheduler_core::history::Record;
use scheduler_core::store::{HistoryEntry, HistoryQuery, Store};

/// One start of a handler.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Start {
    /// The run's id.
    pub run: String,
    /// The job's id.
    pub job: String,
    /// Its fire time, in milliseconds.
    pub scheduled_ms: i64,
    /// The number of the attempt.
    pub attempt: u32,
    /// The node.
    pub node: String,
    /// The claim's fence.
    pub fence: u64,
    /// When the handler was begun, in milliseconds.
    pub started_ms: i64,
}

/// The stream that jobs under test write to.
pub const STREAM: &str = "oracle";

/// All starts so far, in the order in which they were written.
///
/// # Errors
///
/// Where the stream cannot be read.
pub async fn starts(redis: &mut MultiplexedConnection) -> Result<Vec<Start>> {
    let entries: StreamRangeReply = redis.xrange_all(STREAM).await?;
    let mut starts = Vec::with_capacity(entries.ids.len());
    for entry in entries.ids {
        let field = |name: &str| entry.get::<String>(name).unwrap_or_default();
        starts.push(Start {
            run: field("run_id"),
            job: field("job_id"),
            scheduled_ms: field("scheduled_at_ms").parse()?,
            attempt: field("attempt").parse()?,
            node: field("node"),
            fence: field("fence").parse()?,
            started_ms: field("started_at_ms").parse()?,
        });
    }
    Ok(starts)
}

/// What history says of each job's fire times: how many runs ended, how many fire times were
/// skipped, by fire time in milliseconds.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Ended runs, by job and fire time.
    pub runs: BTreeMap<(String, i64), u32>,
    /// Skipped fire times: job, first, last, count.
    pub skips: Vec<(String, i64, i64, u64)>,
}

/// The whole history, the newest first: page by page, for one holds a bounded number of records.
///
/// # Errors
///
/// Where it cannot be read.
pub async fn history(store: &impl Store) -> Result<Vec<HistoryEntry>> {
    let mut query = HistoryQuery {
        limit: 1_000,
        ..HistoryQuery::default()
    };
    let mut entries = Vec::new();
    loop {
        let page = store.history(&query).await?;
        entries.extend(page.entries);
        query.before = page.older;
        if query.before.is_none() {
            return Ok(entries);
        }
    }
}

/// What the whole history says.
///
/// # Errors
///
/// Where it cannot be read.
pub async fn ledger(store: &impl Store) -> Result<Ledger> {
    let mut ledger = Ledger::default();
    for entry in history(store).await? {
        match entry.record {
            Record::Run(run) if run.outcome != scheduler_core::run::Outcome::Retrying => {
                let key = (run.run.job.to_string(), run.run.scheduled_at().as_ms());
                *ledger.runs.entry(key).or_default() += 1;
            }
            Record::Run(_) => {}
            Record::Skip(skip) => {
                let (first, last) = (skip.first.as_ms(), skip.last.as_ms());
                ledger
                    .skips
                    .push((skip.job.to_string(), first, last, skip.count));
            }
        }
    }
    Ok(ledger)
}

/// Checks what was promised of jobs that are due once each `every_ms`, between the first fire time
/// that was seen of a job and `until_ms`:
///
/// - no run was dispatched twice: each has at most one first attempt;
/// - each later attempt has a greater fence;
/// - no fire time is missing: each is a run that was begun, or recorded as skipped, never both.
///
/// # Panics
///
/// Where a promise is broken, with what was seen.
pub fn check(starts: &[Start], ledger: &Ledger, every_ms: i64, until_ms: i64) {
    let mut by_run: BTreeMap<&str, Vec<&Start>> = BTreeMap::new();
    let mut by_job: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for start in starts {
        by_run.entry(&start.run).or_default().push(start);
        by_job
            .entry(&start.job)
            .or_default()
            .insert(start.scheduled_ms);
    }
    for (run, starts) in &by_run {
        let mut attempts: Vec<_> = starts.iter().map(|s| (s.attempt, s.fence)).collect();
        attempts.sort_unstable();
        for pair in attempts.windows(2) {
            assert!(
                pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1,
                "{run} ran twice: {starts:#?}"
            );
        }
    }
    assert!(!by_job.is_empty(), "nothing ran");
    for (job, fires) in &by_job {
        let first = *fires.first().expect("not empty");
        let mut at = first;
        while at <= until_ms {
            let skipped = ledger
                .skips
                .iter()
                .any(|(skipped, first, last, _)| skipped == job && (*first..=*last).contains(&at));
            let ran = fires.contains(&at);
            assert!(ran || skipped, "{job}: the fire time {at} is lost");
            assert!(
                !(ran && skipped),
                "{job}: the fire time {at} ran and was skipped"
            );
            at += every_ms;
        }
    }
    for (run, ended) in &ledger.runs {
        assert_eq!(*ended, 1, "{run:?} ended {ended} times");
    }
}
