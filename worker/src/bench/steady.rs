//! Jobs that are due again and again.

use std::time::Duration;

use anyhow::Result;
use scheduler_core::{Sharded, Timestamp};

use crate::bench::report::{Report, Verdict, count, per};
use crate::bench::stage::{Kind, LOOK, Spent, Stage, date, interval, job, ms, put_at_once};
use crate::bench::tally::Counted;
use crate::bench::{Oneoffs, Steady};

/// How long after the last fire time fires are waited for.
const GRACE: Duration = Duration::from_secs(5);

/// Of so many fires, one may come more than a second late.
const LATE_ONE_OF: u64 = 1_000;

/// By one of so many jobs what waits may grow while it is measured.
const GROWN_ONE_OF: u64 = 20;

/// How long after it was added a one-off job is due.
const ONEOFF_AHEAD: Duration = Duration::from_millis(500);

/// All due at the same instants.
pub(super) async fn recurring<S: Sharded>(
    stage: &mut Stage<'_, S>,
    steady: &Steady,
) -> Result<Report> {
    let about = about(stage, steady, "all due at once");
    let first = align(stage.clock.now_ms(), steady.every);
    let found = measure(stage, steady, |_| first, None).await?;
    found.report("recurring", about, stage, steady).await
}

/// Evenly spread over time.
pub(super) async fn lateness<S: Sharded>(
    stage: &mut Stage<'_, S>,
    steady: &Steady,
) -> Result<Report> {
    let about = about(stage, steady, "evenly spread");
    let first = align(stage.clock.now_ms(), steady.every);
    let (every, jobs) = (ms(steady.every), to_i64(steady.jobs));
    let start = |number: usize| first + every * to_i64(number) / jobs;
    let found = measure(stage, steady, start, None).await?;
    found.report("lateness", about, stage, steady).await
}

/// All due at the same instants, and one-off jobs of another queue beside them.
pub(super) async fn mixed<S: Sharded>(
    stage: &mut Stage<'_, S>,
    steady: &Steady,
    oneoffs: Oneoffs,
) -> Result<Report> {
    let about = format!(
        "{}; and {} one-off jobs of another queue added each second",
        about(stage, steady, "all due at once"),
        oneoffs.rate
    );
    let first = align(stage.clock.now_ms(), steady.every);
    let found = measure(stage, steady, |_| first, Some(oneoffs)).await?;
    let [_, others] = stage.counted().await?;
    let mut report = found.report("mixed", about, stage, steady).await?;
    let expected = count(u64::from(oneoffs.rate)) * count(steady.measure.as_secs());
    let figures = [
        ("expected", expected),
        ("begun", count(others.fires)),
        ("late", count(others.late())),
    ];
    report.add("oneoff_fires", &figures);
    report.add_lateness("oneoff_", &others);
    if count(others.fires) < expected {
        report.judge(Verdict::Not("one-off jobs were missed".to_owned()));
    }
    Ok(report)
}

fn about<S: Sharded>(stage: &Stage<'_, S>, steady: &Steady, how: &str) -> String {
    format!(
        "{} jobs, each due every {:?}, {how}, on {} of {} slots, for {:?}, on {}",
        steady.jobs,
        steady.every,
        stage.nodes_in_words(),
        stage.bench.concurrency,
        steady.measure,
        stage.store.describe()
    )
}

/// The last whole multiple of `every` before `now`.
fn align(now: i64, every: Duration) -> i64 {
    now - now.rem_euclid(ms(every).max(1))
}

fn to_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

struct Found {
    jobs: u64,
    counted: Counted,
    expected: u64,
    /// What waited half a period after the first fire time, and after the last: runs, and jobs that
    /// were due.
    at_first: u64,
    left: u64,
    spent: Spent,
    /// What the jobs alone take on the server.
    stored: Option<u64>,
}

async fn measure<S: Sharded>(
    stage: &mut Stage<'_, S>,
    steady: &Steady,
    start: impl Fn(usize) -> i64,
    oneoffs: Option<Oneoffs>,
) -> Result<Found> {
    stage.tell(&format!("putting {} jobs", steady.jobs));
    let every = steady.every;
    let make = |number| {
        let trigger = interval(every, start(number))?;
        Ok(job(&format!("job-{number}"), Kind::Measured, trigger)?.build())
    };
    stage.put(steady.jobs, make).await?;
    let stored = stage.stored_bytes().await?;
    stage.warm_up().await?;

    // From half a period before a fire time to half a period before a later one: whole rounds.
    let every_ms = ms(every);
    let rounds = (ms(steady.measure) / every_ms).max(1);
    let soon = stage.clock.now_ms() + 2 * every_ms;
    let from = soon - (soon - start(0)).rem_euclid(every_ms) - every_ms / 2;
    let to = from + rounds * every_ms;
    stage.count(Kind::Measured, from, to).await?;
    stage.count(Kind::Oneoff, from, i64::MAX).await?;
    stage.clock.sleep_until(from).await;
    let seconds = Duration::from_millis(u64::try_from(to - from).unwrap_or(0));
    stage.tell(&format!("measuring for {seconds:?}"));
    let mark = stage.mark().await?;
    let at_first = watch(stage, from, to, every_ms, oneoffs).await?;
    let left = waiting(stage).await?;
    let spent = stage.since(mark).await?;
    let expected = u64::try_from(rounds).unwrap_or(0) * steady.jobs as u64;
    let until = stage.clock.now_ms() + ms(GRACE);
    while stage.fires() < expected && stage.clock.now_ms() < until {
        tokio::time::sleep(LOOK).await;
    }
    if oneoffs.is_some() {
        tokio::time::sleep(ONEOFF_AHEAD * 2).await;
    }
    let [counted, _] = stage.counted().await?;
    Ok(Found {
        jobs: steady.jobs as u64,
        counted,
        expected,
        at_first,
        left,
        spent,
        stored,
    })
}

/// Tells each second how it goes, and adds one-off jobs. Answers with what waited after the first
/// round.
async fn watch<S: Sharded>(
    stage: &mut Stage<'_, S>,
    from: i64,
    to: i64,
    every: i64,
    oneoffs: Option<Oneoffs>,
) -> Result<u64> {
    let (mut before, mut at_first) = (0, None);
    for second in 1.. {
        let until = (from + second * 1_000).min(to);
        if let Some(oneoffs) = oneoffs
            && from + second * 1_000 <= to
        {
            add_oneoffs(stage, oneoffs, until - 1_000).await?;
        }
        stage.clock.sleep_until(until).await;
        stage.check_nodes()?;
        let fires = stage.fires();
        stage.tell(&format!("{second:>4} s: {} fires", fires - before));
        before = fires;
        if at_first.is_none() && until >= from + every {
            at_first = Some(waiting(stage).await?);
        }
        if until == to {
            break;
        }
    }
    Ok(at_first.unwrap_or(0))
}

/// Adds the one-off jobs of the second that begins at `from`, one by one, at even distances.
async fn add_oneoffs<S: Sharded>(stage: &Stage<'_, S>, oneoffs: Oneoffs, from: i64) -> Result<()> {
    for number in 0..i64::from(oneoffs.rate) {
        stage
            .clock
            .sleep_until(from + 1_000 * number / i64::from(oneoffs.rate))
            .await;
        let now = stage.clock.now_ms();
        let trigger = date(now + ms(ONEOFF_AHEAD))?;
        let job = job(&format!("oneoff-{from}-{number}"), Kind::Oneoff, trigger)?.build();
        put_at_once(&stage.store, vec![job], Timestamp::from_ms(now)).await?;
    }
    Ok(())
}

/// How many runs wait, and how many jobs are due.
async fn waiting<S: Sharded>(stage: &Stage<'_, S>) -> Result<u64> {
    let overview = stage.overview().await?;
    let ready: u64 = overview.queues.iter().map(|queue| queue.ready).sum();
    Ok(ready + overview.due)
}

impl Found {
    fn verdict(&self) -> Verdict {
        let missing = self.expected.saturating_sub(self.counted.fires);
        let late = self.counted.late();
        // Half a period after a fire time some may wait for their turn. Where that are more after the
        // last than after the first, the nodes do not keep up.
        let grown = self.left.saturating_sub(self.at_first);
        if missing > 0 {
            Verdict::Not(format!(
                "{missing} of {} fires missing, {} left waiting",
                self.expected, self.left
            ))
        } else if late * LATE_ONE_OF > self.expected {
            Verdict::Not(format!("{late} fires more than a second late"))
        } else if grown * GROWN_ONE_OF > self.jobs {
            Verdict::Not(format!(
                "what waits grew from {} to {}",
                self.at_first, self.left
            ))
        } else {
            Verdict::Sustained
        }
    }

    async fn report<S: Sharded>(
        self,
        bench: &'static str,
        about: String,
        stage: &mut Stage<'_, S>,
        steady: &Steady,
    ) -> Result<Report> {
        let mut report = Report::new(bench, about);
        report.judge(self.verdict());
        let fires = self.counted.fires;
        let rounds = per(count(self.expected), count(steady.jobs as u64));
        let seconds = rounds * steady.every.as_secs_f64();
        let figures = [
            ("per_s", per(count(fires), seconds)),
            ("expected", count(self.expected)),
            ("begun", count(fires)),
            ("late", count(self.counted.late())),
            ("repeated", count(self.counted.repeated)),
            ("left", count(self.left)),
        ];
        report.add("fires", &figures);
        report.add_lateness("", &self.counted);
        report.add_spent("", &self.spent, fires);
        report.add_memory(stage.resident_bytes(), self.stored, steady.jobs);
        Ok(report)
    }
}
