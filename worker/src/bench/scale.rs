//! What many other stored jobs cost those that are due.

use anyhow::Result;
use scheduler_core::Sharded;

use crate::bench::add::idle_job;
use crate::bench::herd;
use crate::bench::report::{Report, count, per};
use crate::bench::stage::Stage;

pub(super) async fn scale<S: Sharded>(
    stage: &mut Stage<'_, S>,
    stored: usize,
    jobs: usize,
) -> Result<Report> {
    let about = format!(
        "{jobs} jobs due at one instant, without and with {stored} others stored, on {} of {} \
         slots, on {}",
        stage.nodes_in_words(),
        stage.bench.concurrency,
        stage.store.describe()
    );
    let mut report = Report::new("scale", about);
    stage.warm_up().await?;
    let before = herd::run(stage, jobs, "before").await?;
    stage.tell(&format!("storing {stored} other jobs"));
    let bytes = stage.stored_bytes().await?;
    let (began, mark) = (stage.clock.now_ms(), stage.mark().await?);
    stage
        .put(stored, |number| idle_job(&format!("other-{number}"), began))
        .await?;
    let spent = stage.since(mark).await?;
    let now = stage.stored_bytes().await?;
    let after = herd::run(stage, jobs, "after").await?;

    let rate = per(count(stored as u64), spent.took.as_secs_f64());
    report.add("stored", &[("per_s", rate)]);
    before.show(&mut report, "without_");
    after.show(&mut report, "with_");
    let us = |ran: &herd::Ran| {
        let us = ran.spent.work.map_or(0, |work| work.command_us);
        per(count(us), count(ran.counted.fires))
    };
    let figures = [
        ("rate", per(after.rate(), before.rate())),
        ("redis_command_us", per(us(&after), us(&before))),
    ];
    report.add("with_to_without", &figures);
    after.judge(&mut report);
    let grown = now.zip(bytes).map(|(now, then)| now.saturating_sub(then));
    report.add_memory(stage.resident_bytes(), grown, stored);
    Ok(report)
}
