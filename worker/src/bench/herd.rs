//! Many jobs that are due at one instant.

use std::time::Duration;

use anyhow::{Result, bail};
use scheduler_core::Sharded;

use crate::bench::report::{Report, Verdict, count, per};
use crate::bench::stage::{Kind, LOOK, Spent, Stage, date, job, ms};
use crate::bench::tally::Counted;

/// How long before the instant everything must be ready.
const AHEAD: Duration = Duration::from_secs(2);

/// Without another fire for so long, no more is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many jobs are put to see how long that takes.
const TRIAL: usize = 400;

/// A herd that ran.
pub(super) struct Ran {
    pub(super) jobs: usize,
    pub(super) counted: Counted,
    pub(super) spent: Spent,
    /// What the server's data had grown to before they were due.
    pub(super) stored: Option<u64>,
}

impl Ran {
    /// How long it took until the last was begun.
    pub(super) fn took(&self) -> Duration {
        Duration::from_micros(self.counted.lateness.max())
    }

    /// Begun per second, from the instant to the last.
    pub(super) fn rate(&self) -> f64 {
        per(count(self.counted.fires), self.took().as_secs_f64())
    }
}

pub(super) async fn herd<S: Sharded>(stage: &mut Stage<'_, S>, jobs: usize) -> Result<Report> {
    let about = format!(
        "{jobs} jobs due at one instant, on {} of {} slots, on {}",
        stage.nodes_in_words(),
        stage.bench.concurrency,
        stage.store.describe()
    );
    stage.warm_up().await?;
    let ran = run(stage, jobs, "job").await?;
    let mut report = Report::new("herd", about);
    ran.judge(&mut report);
    ran.show(&mut report, "");
    report.add_memory(stage.resident_bytes(), ran.stored, jobs + TRIAL);
    Ok(report)
}

/// Puts a herd, lets it run, and waits for the last; the nodes are running.
pub(super) async fn run<S: Sharded>(
    stage: &mut Stage<'_, S>,
    jobs: usize,
    name: &str,
) -> Result<Ran> {
    stage.tell(&format!("putting {jobs} jobs"));
    let began = stage.clock.now_ms();
    let far = date(began + ms(Duration::from_secs(24 * 3600)))?;
    let trial = |number| {
        Ok(job(
            &format!("trial-{name}-{number}"),
            Kind::Measured,
            far.clone(),
        )?
        .build())
    };
    stage.put(TRIAL, trial).await?;
    let took = (stage.clock.now_ms() - began).max(1);
    let share = i64::try_from(jobs / TRIAL + 1).unwrap_or(i64::MAX);
    // Twice as long as it should take.
    let instant = stage.clock.now_ms() + took.saturating_mul(share) * 2 + 2 * ms(AHEAD);
    let trigger = date(instant)?;
    let make =
        |number| Ok(job(&format!("{name}-{number}"), Kind::Measured, trigger.clone())?.build());
    stage.put(jobs, make).await?;
    if stage.clock.now_ms() + ms(AHEAD) / 2 > instant {
        bail!("putting {jobs} jobs took longer than expected: is this server busy?");
    }
    let stored = stage.stored_bytes().await?;
    stage.count(Kind::Measured, instant, instant + 1).await?;
    stage.clock.sleep_until(instant - ms(AHEAD) / 4).await;
    let mark = stage.mark().await?;
    stage.clock.sleep_until(instant).await;
    wait_for(stage, jobs as u64).await?;
    let spent = stage.since(mark).await?;
    let [counted, _] = stage.counted().await?;
    Ok(Ran {
        jobs,
        stored,
        spent,
        counted,
    })
}

/// Waits until so many fires were counted, as long as more come. Tells how it goes.
pub(super) async fn wait_for<S: Sharded>(stage: &mut Stage<'_, S>, expected: u64) -> Result<()> {
    let (mut before, mut moved, mut told) = (0, stage.clock.now_ms(), stage.clock.now_ms());
    loop {
        let (fires, now) = (stage.fires(), stage.clock.now_ms());
        if fires != before {
            moved = now;
        }
        before = fires;
        if now - told >= 1_000 || fires >= expected {
            stage.tell(&format!("{fires} of {expected} begun"));
            stage.check_nodes()?;
            told = now;
        }
        if fires >= expected || now - moved > ms(PATIENCE) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

impl Ran {
    pub(super) fn judge(&self, report: &mut Report) {
        let missing = (self.jobs as u64).saturating_sub(self.counted.fires);
        report.judge(if missing == 0 {
            Verdict::Sustained
        } else {
            Verdict::Not(format!("{missing} of {} fires missing", self.jobs))
        });
    }

    pub(super) fn show(&self, report: &mut Report, prefix: &str) {
        let figures = [
            ("begun", count(self.counted.fires)),
            ("repeated", count(self.counted.repeated)),
            ("all_within_s", self.took().as_secs_f64()),
            ("per_s", self.rate()),
        ];
        report.add(format!("{prefix}fires"), &figures);
        report.add_lateness(prefix, &self.counted);
        report.add_spent(prefix, &self.spent, self.counted.fires);
    }
}
