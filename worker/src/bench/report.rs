//! What a measurement found.

use std::fmt;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::bench::load::Recurring;
use crate::bench::server::Work;

/// What a measurement found.
#[derive(Clone, Debug)]
pub struct Report {
    pub(crate) load: Recurring,
    /// How many fires were due.
    pub(crate) expected: u64,
    /// How many handlers were begun.
    pub(crate) fires: u64,
    /// How many runs waited at the end, and jobs that were due.
    pub(crate) left: u64,
    /// In microseconds.
    pub(crate) lateness: Histogram<u64>,
    pub(crate) work: Work,
}

impl Report {
    /// Whether every fire that was due was begun, and none waited at the end.
    #[must_use]
    pub const fn is_sustained(&self) -> bool {
        self.fires >= self.expected && self.left == 0
    }

    /// Fires per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.per(self.fires, self.load.measure.as_secs())
    }

    #[expect(clippy::unused_self, reason = "reads like the other figures")]
    fn per(&self, amount: u64, of: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let ratio = amount as f64 / of.max(1) as f64;
        ratio
    }

    fn quantile_ms(&self, quantile: f64) -> f64 {
        self.per(self.lateness.value_at_quantile(quantile), 1_000)
    }

    /// The figures for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "bench": "recurring",
            "jobs": self.load.jobs,
            "every_s": self.load.every,
            "nodes": self.load.nodes,
            "concurrency": self.load.concurrency,
            "seconds": self.load.measure.as_secs(),
            "sustained": self.is_sustained(),
            "fires": self.fires,
            "expected": self.expected,
            "left": self.left,
            "fires_per_s": self.rate(),
            "lateness_ms": {
                "p50": self.quantile_ms(0.5),
                "p99": self.quantile_ms(0.99),
                "p99.9": self.quantile_ms(0.999),
                "max": self.quantile_ms(1.0),
            },
            "redis_command_us_per_fire": self.per(self.work.command_us, self.fires),
            "redis_cpu_us_per_fire": self.per(self.work.cpu_us, self.fires),
            "redis_commands_per_fire": self.per(self.work.commands, self.fires),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recurring {
            jobs,
            every,
            nodes,
            concurrency,
            measure,
        } = &self.load;
        writeln!(
            f,
            "{jobs} jobs, each due every {every} s, on {nodes} nodes of {concurrency} slots, for {} s",
            measure.as_secs()
        )?;
        let verdict = if self.is_sustained() {
            "sustained".to_owned()
        } else {
            let missing = self.expected.saturating_sub(self.fires);
            format!(
                "NOT sustained: {missing} fires missing, {} left waiting",
                self.left
            )
        };
        writeln!(
            f,
            "  fires per second      {:>10.0}   {verdict}",
            self.rate()
        )?;
        writeln!(
            f,
            "  lateness              {:>7.1} ms p50, {:.1} p99, {:.1} p99.9, {:.1} max",
            self.quantile_ms(0.5),
            self.quantile_ms(0.99),
            self.quantile_ms(0.999),
            self.quantile_ms(1.0)
        )?;
        writeln!(
            f,
            "  Redis per fire        {:>7.2} us in commands, {:.2} us of CPU, {:.3} commands",
            self.per(self.work.command_us, self.fires),
            self.per(self.work.cpu_us, self.fires),
            self.per(self.work.commands, self.fires)
        )
    }
}
