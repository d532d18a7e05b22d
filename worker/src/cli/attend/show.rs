//! `carillon runs show`: all that is known about one run.

use std::collections::BTreeSet;
use std::time::Duration;

use carillon::core::history::RunRecord;
use carillon::core::notes::{LogLine, Notes};
use carillon::core::store::RunPlace;
use carillon::core::{RunId, Timestamp};
use carillon::jobs::RunReport;
use carillon::wire::ReportView;
use chrono_tz::Tz;
use tokio::time::sleep;

use super::ShowArgs;
use crate::cli::failure::Failure;
use crate::cli::office::Office;
use crate::cli::output::{self, brief, local};

/// How often `--watch` looks.
const LOOK: Duration = Duration::from_millis(250);

pub(super) async fn show(
    office: &Office,
    run: &RunId,
    args: &ShowArgs,
    zone: Tz,
) -> Result<(), Failure> {
    let mut report = office.report(run).await?;
    if !report.is_known() {
        return Err(Failure::Refused(format!(
            "nothing is known of a run \"{run}\": it never was, or history has forgotten it"
        )));
    }
    let page = Page { zone };
    if !args.watch {
        if args.json {
            return Ok(output::json(&ReportView::new(&report))?);
        }
        for line in page.all(&report) {
            output::line(&line)?;
        }
        return Ok(());
    }
    let mut told = BTreeSet::new();
    loop {
        if args.json {
            let view = serde_json::to_string(&ReportView::new(&report)).unwrap_or_default();
            if told.insert(view.clone()) {
                output::line(&view)?;
            }
        } else {
            for line in page.news(&report) {
                if told.insert(line.clone()) {
                    output::line(&line)?;
                }
            }
        }
        if report.place.is_none() {
            return Ok(());
        }
        sleep(LOOK).await;
        report = office.report(run).await?;
    }
}

/// A report in words.
struct Page {
    zone: Tz,
}

impl Page {
    fn all(&self, report: &RunReport) -> Vec<String> {
        let field = |name: &str, value: String| format!("{name:<20} {value}");
        let scheduled_at = report.run.scheduled_at();
        let mut lines = vec![
            field("run", report.run.to_string()),
            field("job", report.run.job.to_string()),
            field("scheduled_at", local(scheduled_at, self.zone)),
            field("state", self.state(report)),
        ];
        if let Some((_, record)) = report.records.iter().rfind(|(_, r)| r.task.is_some()) {
            let task = record.task.as_ref().map(ToString::to_string);
            lines.push(field("task", task.unwrap_or_default()));
            lines.push(field("queue", record.queue.to_string()));
        }
        if let Some(last) = report.notes.last() {
            if let Some(progress) = &last.notes.progress {
                let ago = brief(report.now.since(progress.at));
                let is_live = matches!(report.place, Some(RunPlace::Claimed { .. }));
                let when = if is_live {
                    format!(" ({ago} ago)")
                } else {
                    String::new()
                };
                lines.push(field("progress", format!("{}{when}", words(&last.notes))));
            }
            if let Some(result) = &last.notes.result {
                lines.push(field("result", result.to_string()));
            }
        }
        for (written, record) in &report.records {
            let name = format!("attempt {}", record.attempt);
            lines.push(field(&name, self.attempt(*written, record)));
        }
        for told in &report.notes {
            if told.notes.dropped > 0 {
                let dropped = told.notes.dropped;
                lines.push(format!(
                    "attempt {}: {dropped} earlier lines were dropped",
                    told.attempt
                ));
            }
            let written = told.notes.log.iter();
            lines.extend(written.map(|line| self.log_line(told.attempt, line)));
        }
        lines
    }

    /// Line by line, what may be new.
    fn news(&self, report: &RunReport) -> Vec<String> {
        let mut lines = Vec::new();
        for told in &report.notes {
            let written = told.notes.log.iter();
            lines.extend(written.map(|line| self.log_line(told.attempt, line)));
            if told.notes.progress.is_some() {
                lines.push(format!("attempt {}: {}", told.attempt, words(&told.notes)));
            }
            if let Some(result) = &told.notes.result {
                lines.push(format!("attempt {}: result {result}", told.attempt));
            }
        }
        for (written, record) in &report.records {
            let attempt = self.attempt(*written, record);
            lines.push(format!("attempt {}: {attempt}", record.attempt));
        }
        lines.push(format!("{} {}", report.run, self.state(report)));
        lines
    }

    fn state(&self, report: &RunReport) -> String {
        match &report.place {
            Some(RunPlace::Claimed { by, attempt, fence }) => {
                format!("running on {}, attempt {attempt}, fence {fence}", by.node())
            }
            Some(RunPlace::Waiting) => "waiting for a worker, or for its next attempt".to_owned(),
            Some(RunPlace::LinedUp { before }) => {
                format!("lined up behind others of its job, {before} before it")
            }
            None => match report.outcome() {
                Some(outcome) => outcome.to_string(),
                None => "over, and history does not say how (any more)".to_owned(),
            },
        }
    }

    fn attempt(&self, written: Timestamp, record: &RunRecord) -> String {
        let mut text = record.outcome.to_string();
        if !record.node.is_empty() {
            text += &format!(" on {}", record.node);
        }
        if record.fence.0 > 0 {
            text += &format!(", fence {}", record.fence);
        }
        if let Some(late) = record.late() {
            text += &format!(", {} late", brief(late));
        }
        if let Some(took) = record.took() {
            text += &format!(", took {}", brief(took));
        }
        if let Some(next) = record.next_at {
            text += &format!(", next at {}", local(next, self.zone));
        }
        text += &format!(", recorded {}", local(written, self.zone));
        if let Some(detail) = &record.detail {
            let detail = detail.split_whitespace().collect::<Vec<_>>().join(" ");
            text += &format!(": {detail}");
        }
        text
    }

    fn log_line(&self, attempt: u32, line: &LogLine) -> String {
        format!(
            "attempt {attempt}: {} {}",
            local(line.at, self.zone),
            line.text
        )
    }
}

/// How far it is: `42 %, half of it`.
fn words(notes: &Notes) -> String {
    let Some(progress) = &notes.progress else {
        return String::new();
    };
    let percent = progress.fraction * 100.0;
    if progress.text.is_empty() {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.0} %, {}", progress.text)
    }
}
