//! Adding jobs, one by one and in bulk.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use scheduler_core::{Job, Sharded, Timestamp};

use crate::bench::report::{Report, count, per};
use crate::bench::stage::{Kind, Stage, interval, job, put_at_once};

/// One of so many jobs is added alone.
const ALONE: usize = 20;

pub(super) async fn add<S: Sharded>(stage: &mut Stage<'_, S>, jobs: usize) -> Result<Report> {
    let about = format!(
        "{jobs} jobs added (interval trigger, 64 bytes of args), on {}",
        stage.store.describe()
    );
    let mut report = Report::new("add", about);
    let alone = (jobs / ALONE).max(1);
    stage.tell(&format!("adding {alone} jobs one by one"));
    let mark = stage.mark().await?;
    let mut took = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
    for number in 0..alone {
        let now = stage.clock.now_us();
        let job = idle_job(&format!("alone-{number}"), now / 1000)?;
        put_at_once(&stage.store, vec![job], Timestamp::from_ms(now / 1000)).await?;
        let us = u64::try_from(stage.clock.now_us() - now).unwrap_or(0);
        took.saturating_record(us.max(1));
    }
    let spent = stage.since(mark).await?;
    let at = |quantile| count(took.value_at_quantile(quantile)) / 1_000.0;
    let figures = [("p50", at(0.5)), ("p99", at(0.99)), ("max", at(1.0))];
    report.add("one_by_one_ms", &figures);
    let rate = per(count(alone as u64), spent.took.as_secs_f64());
    report.add("one_by_one", &[("per_s", rate)]);
    report.add_spent("one_by_one_", &spent, alone as u64);

    let bulk = jobs.saturating_sub(alone).max(1);
    stage.tell(&format!("adding {bulk} jobs in bulk"));
    let (now, mark) = (stage.clock.now_ms(), stage.mark().await?);
    stage
        .put(bulk, |number| idle_job(&format!("bulk-{number}"), now))
        .await?;
    let spent = stage.since(mark).await?;
    let rate = per(count(bulk as u64), spent.took.as_secs_f64());
    report.add("bulk", &[("per_s", rate)]);
    report.add_spent("bulk_", &spent, bulk as u64);
    let stored = stage.stored_bytes().await?;
    report.add_memory(stage.resident_bytes(), stored, alone + bulk);
    Ok(report)
}

/// A job that is not due for long, `now` being in milliseconds since 1970.
pub(super) fn idle_job(name: &str, now: i64) -> Result<Job> {
    let year = Duration::from_secs(365 * 24 * 3600);
    let trigger = interval(year, now + 24 * 3_600_000)?;
    let args = serde_json::json!({ "text": "x".repeat(50) });
    Ok(job(name, Kind::Measured, trigger)?.args(args).build())
}
