//! One-shot jobs: added, and then drained.

use anyhow::Result;
use scheduler_core::Sharded;

use crate::bench::herd::wait_for;
use crate::bench::report::{Report, Verdict, count, per};
use crate::bench::stage::{Kind, LOOK, Stage, date, job};

pub(super) async fn oneshot<S: Sharded>(stage: &mut Stage<'_, S>, jobs: usize) -> Result<Report> {
    let about = format!(
        "{jobs} one-shot jobs, added in bulk and then drained by {} of {} slots, on {}",
        stage.nodes_in_words(),
        stage.bench.concurrency,
        stage.store.describe()
    );
    let mut report = Report::new("oneshot", about);
    stage.tell(&format!("adding {jobs} jobs"));
    let at = stage.clock.now_ms();
    let trigger = date(at)?;
    let mark = stage.mark().await?;
    let make = |number| Ok(job(&format!("job-{number}"), Kind::Measured, trigger.clone())?.build());
    stage.put(jobs, make).await?;
    let added = stage.since(mark).await?;
    let stored = stage.stored_bytes().await?;

    stage.count(Kind::Measured, at, at + 1).await?;
    stage.start_nodes().await?;
    let mark = stage.mark().await?;
    wait_for(stage, jobs as u64).await?;
    // Drained: also handed in.
    while stage.overview().await?.busy > 0 {
        tokio::time::sleep(LOOK).await;
    }
    let drained = stage.since(mark).await?;
    let [counted, _] = stage.counted().await?;
    let missing = (jobs as u64).saturating_sub(counted.fires);
    report.judge(if missing == 0 {
        Verdict::Sustained
    } else {
        Verdict::Not(format!("{missing} of {jobs} jobs did not run"))
    });
    let rate = per(count(jobs as u64), added.took.as_secs_f64());
    report.add("added", &[("per_s", rate), ("s", added.took.as_secs_f64())]);
    report.add_spent("added_", &added, jobs as u64);
    let rate = per(count(counted.fires), drained.took.as_secs_f64());
    let figures = [
        ("per_s", rate),
        ("s", drained.took.as_secs_f64()),
        ("begun", count(counted.fires)),
        ("repeated", count(counted.repeated)),
    ];
    report.add("drained", &figures);
    report.add_spent("drained_", &drained, counted.fires);
    report.add_memory(stage.resident_bytes(), stored, jobs);
    Ok(report)
}
