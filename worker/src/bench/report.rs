//! What a measurement found.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::bench::stage::Spent;
use crate::bench::tally::Counted;

/// What a measurement found: figures in sections, and whether the rate was sustained.
#[derive(Clone, Debug)]
pub struct Report {
    bench: &'static str,
    about: String,
    verdict: Option<Verdict>,
    sections: Vec<Section>,
}

/// Whether a rate was sustained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Sustained,
    /// And why not.
    Not(String),
}

/// Figures that belong together, each under its name.
#[derive(Clone, Debug)]
struct Section {
    key: String,
    figures: Vec<(&'static str, f64)>,
}

impl Report {
    pub(super) fn new(bench: &'static str, about: String) -> Self {
        Self {
            bench,
            about,
            verdict: None,
            sections: Vec::new(),
        }
    }

    pub(super) fn judge(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
    }

    /// Adds a section.
    pub(super) fn add(&mut self, key: impl Into<String>, figures: &[(&'static str, f64)]) {
        self.sections.push(Section {
            key: key.into(),
            figures: figures.to_vec(),
        });
    }

    /// Adds the lateness of fires, under a key that begins with `prefix`.
    pub(super) fn add_lateness(&mut self, prefix: &str, counted: &Counted) {
        let at = |quantile| count(counted.lateness.value_at_quantile(quantile)) / 1_000.0;
        let figures = [
            ("p50", at(0.5)),
            ("p99", at(0.99)),
            ("p99.9", at(0.999)),
            ("max", count(counted.lateness.max()) / 1_000.0),
        ];
        self.add(format!("{prefix}lateness_ms"), &figures);
    }

    /// Adds what nodes and server spent on so many of something.
    pub(super) fn add_spent(&mut self, prefix: &str, spent: &Spent, number: u64) {
        let seconds = spent.took.as_secs_f64();
        let each = |amount: f64| per(amount, count(number));
        let mut cores = vec![("nodes", per(spent.cpu.as_secs_f64(), seconds))];
        if let Some(work) = spent.work {
            cores.push(("redis", per(count(work.cpu_us) / 1e6, seconds)));
            let figures = [
                ("command_us", each(count(work.command_us))),
                ("cpu_us", each(count(work.cpu_us))),
                ("commands", each(count(work.commands))),
            ];
            self.add(format!("{prefix}redis_per_fire"), &figures);
        }
        self.add(format!("{prefix}cores"), &cores);
        let us = spent.cpu.as_secs_f64() * 1e6;
        self.add(format!("{prefix}nodes_per_fire"), &[("cpu_us", each(us))]);
    }

    /// Adds the memory of this process, and that of the server by job.
    pub(super) fn add_memory(
        &mut self,
        (before, now): (Option<u64>, Option<u64>),
        stored: Option<u64>,
        jobs: usize,
    ) {
        const MB: f64 = 1_000_000.0;
        if let (Some(before), Some(now)) = (before, now) {
            let figures = [("before", count(before) / MB), ("now", count(now) / MB)];
            self.add("nodes_resident_mb", &figures);
        }
        if let Some(bytes) = stored {
            let figures = [("per_job", per(count(bytes), count(jobs as u64)))];
            self.add("redis_bytes", &figures);
        }
    }

    /// Whether every fire that was due was begun in time, and no queue of them grew. True where
    /// that was not the question.
    #[must_use]
    pub const fn is_sustained(&self) -> bool {
        !matches!(self.verdict, Some(Verdict::Not(_)))
    }

    /// The figures for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = Map::new();
        json.insert("bench".to_owned(), json!(self.bench));
        json.insert("about".to_owned(), json!(self.about));
        if self.verdict.is_some() {
            json.insert("sustained".to_owned(), json!(self.is_sustained()));
        }
        if let Some(Verdict::Not(why)) = &self.verdict {
            json.insert("why_not".to_owned(), json!(why));
        }
        for Section { key, figures } in &self.sections {
            let figures = figures
                .iter()
                .map(|(name, figure)| ((*name).to_owned(), json!(figure)));
            json.insert(key.clone(), Value::Object(figures.collect()));
        }
        Value::Object(json)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.about)?;
        match &self.verdict {
            Some(Verdict::Sustained) => writeln!(f, "  sustained")?,
            Some(Verdict::Not(why)) => writeln!(f, "  NOT sustained: {why}")?,
            None => {}
        }
        for Section { key, figures } in &self.sections {
            write!(f, "  {:<24} ", key.replace('_', " "))?;
            for (at, (name, figure)) in figures.iter().enumerate() {
                let comma = if at == 0 { "" } else { ", " };
                write!(f, "{comma}{} {}", name.replace('_', " "), short(*figure))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// A figure with as many places as it is worth.
fn short(figure: f64) -> String {
    match figure.abs() {
        large if large >= 100.0 => format!("{figure:.0}"),
        middle if middle >= 10.0 => format!("{figure:.1}"),
        small if small >= 1.0 || small == 0.0 => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) const fn count(number: u64) -> f64 {
    number as f64
}

/// So much per so many; 0 where there are none.
pub(super) fn per(amount: f64, of: f64) -> f64 {
    if of > 0.0 { amount / of } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_with_the_places_that_they_are_worth() {
        assert_eq!(short(12_345.6), "12346");
        assert_eq!(short(12.34), "12.3");
        assert_eq!(short(1.234), "1.23");
        assert_eq!(short(0.1234), "0.123");
        assert_eq!(short(0.0), "0.00");
    }

    #[test]
    fn what_is_not_sustained_says_why_to_people_and_to_programs() {
        let mut report = Report::new("recurring", "10 jobs".to_owned());
        assert!(report.is_sustained(), "it was not asked");
        report.judge(Verdict::Not("3 fires missing".to_owned()));
        report.add("fires", &[("expected", 10.0), ("begun", 7.0)]);
        assert!(!report.is_sustained());
        let json = report.to_json();
        assert_eq!(json["sustained"], json!(false));
        assert_eq!(json["fires"]["begun"], json!(7.0));
        let text = report.to_string();
        assert!(text.contains("NOT sustained: 3 fires missing"), "{text}");
        assert!(text.contains("expected 10.0, begun 7.00"), "{text}");
    }
}
