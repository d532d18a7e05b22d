//! `carillon job list|show`.

use carillon::core::store::RunPlace;
use carillon::core::{Backoff, HistoryPolicy, JobId, Retry, StoredJob, Unique};
use carillon::jobs::JobQuery;
use carillon::wire::{JobView, RunningView};
use humantime::format_duration;
use serde::Serialize;
use serde_json::Value;

use super::{Desk, Failure, output};
use crate::cli::output::{Table, local};

impl Desk {
    pub(super) async fn list(&self, query: &JobQuery, json: bool) -> Result<(), Failure> {
        let list = self.office.search(query).await?;
        if json {
            let jobs: Vec<JobView> = list.jobs.iter().map(JobView::new).collect();
            output::json(&jobs)?;
        } else {
            let mut table = Table::new(&["ID", "TASK", "TRIGGER", "STATE", "NEXT RUN", "RUNNING"]);
            list.jobs.iter().for_each(|stored| table.push(&row(stored)));
            output::table(&mut table, "no jobs")?;
        }
        // They are there, and fire nothing: nobody should have to find that out.
        for (id, why) in &list.unreadable {
            eprintln!("warning: job {id:?} cannot be read: {why}");
        }
        Ok(())
    }

    pub(super) async fn show(&self, id: &JobId, json: bool) -> Result<(), Failure> {
        let stored = self.office.job(id).await?;
        let stored = stored.ok_or_else(|| Self::not_found(id))?;
        let runs = self.office.in_flight(id).await?;
        if json {
            let view = WithRuns {
                job: JobView::new(&stored),
                runs: runs.iter().map(RunningView::new).collect(),
            };
            return Ok(output::json(&view)?);
        }
        for (name, value) in lines(&stored) {
            output::line(&format!("{name:<20} {value}"))?;
        }
        for run in &runs {
            let place = match &run.place {
                RunPlace::Claimed { by, attempt, .. } => {
                    format!("is executed by {}, attempt {attempt}", by.node())
                }
                RunPlace::Waiting => "waits for a worker, or for its next attempt".to_owned(),
                RunPlace::LinedUp { before: 0 } => "is lined up, and goes next".to_owned(),
                RunPlace::LinedUp { before } => format!("is lined up, {before} before it"),
            };
            output::line(&format!("{:<20} {} {place}", "run", run.run))?;
        }
        Ok(())
    }
}

fn row(stored: &StoredJob) -> Vec<String> {
    let job = &stored.job;
    vec![
        job.id().to_string(),
        job.task().to_string(),
        job.trigger().to_string(),
        state(stored),
        next_run(stored),
        stored.in_flight.to_string(),
    ]
}

fn next_run(stored: &StoredJob) -> String {
    let zone = stored.job.trigger().timezone();
    stored
        .next_fire
        .map(|at| local(at, zone))
        .unwrap_or_default()
}

/// How the job stands, and until when where that is known.
fn state(stored: &StoredJob) -> String {
    let zone = stored.job.trigger().timezone();
    let standing = stored.standing().as_str();
    match stored.state.pause().and_then(|pause| pause.until) {
        Some(until) => format!("{standing} until {}", local(until, zone)),
        None => standing.to_owned(),
    }
}

/// The job, field by field, as they are called when a job is written down.
fn lines(stored: &StoredJob) -> Vec<(&'static str, String)> {
    let view = JobView::new(stored);
    let zone = stored.job.trigger().timezone();
    let shown = |at: Option<_>| at.map_or_else(|| "-".to_owned(), |at| local(at, zone));
    let policy = serde_json::to_value(&view.policy).unwrap_or_default();
    let mut lines = vec![
        ("id", view.id),
        ("name", view.name),
        ("task", view.task),
        ("args", view.args.to_string()),
        ("trigger", view.description),
        (
            "after",
            stored
                .job
                .after()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        ("queue", view.queue),
        ("tags", view.tags.join(" ")),
        ("owner", view.owner.unwrap_or_default()),
    ];
    let retry = described(&stored.job.policy().retry);
    let history = described_history(&stored.job.policy().history);
    let policy = POLICY.iter().map(|field| match *field {
        "retry" => ("retry", retry.clone()),
        "history" => ("history", history.clone()),
        field => (field, text(&policy[field])),
    });
    lines.extend(policy);
    if let Some(unique) = stored.job.unique() {
        lines.push(("unique", described_key(unique)));
    }
    lines.extend([("state", view.state)]);
    if let Some(pause) = stored.state.pause() {
        lines.extend([
            ("paused_since", shown(pause.since)),
            ("paused_until", shown(pause.until)),
            ("paused_by", pause.by.clone().unwrap_or_default()),
            ("pause_reason", pause.reason.clone().unwrap_or_default()),
        ]);
    }
    lines.extend([
        ("next_run_time", shown(stored.next_fire)),
        ("last_fire_time", shown(stored.fired)),
        ("running", view.running.to_string()),
        ("version", view.version.to_string()),
    ]);
    for (_, value) in &mut lines {
        if value.is_empty() {
            "-".clone_into(value);
        }
    }
    lines
}

/// The fields of a policy, in the order in which they are shown.
const POLICY: [&str; 14] = [
    "coalesce",
    "misfire_grace_time",
    "max_catch_up",
    "max_instances",
    "overlap",
    "retry",
    "timeout",
    "delivery",
    "on_lost",
    "max_lost",
    "priority",
    "spread",
    "keep",
    "history",
];

/// A unique key, how long it is held, and what becomes of duplicates, in words.
fn described_key(unique: &Unique) -> String {
    let held = unique.ttl.map_or_else(
        || "until its run has ended".to_owned(),
        |ttl| format!("for {}", format_duration(ttl)),
    );
    format!(
        "{}, held {held}, {} on conflict",
        unique.key,
        unique.on_conflict.as_str()
    )
}

/// How much of its history is kept, in words.
fn described_history(history: &HistoryPolicy) -> String {
    let records = |keep: u32| if keep == 1 { "record" } else { "records" };
    let most = history
        .keep
        .map(|keep| format!("{keep} {}", records(keep.get())));
    let age = history
        .keep_for
        .map(|keep| format!("for {}", format_duration(keep)));
    match (most, age) {
        (None, None) => "as much as of all jobs".to_owned(),
        (most, age) => [most, age]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// What becomes of a run whose handler fails, in words.
fn described(retry: &Retry) -> String {
    let attempts = retry.max_attempts.get();
    if attempts == 1 {
        return "no other attempt".to_owned();
    }
    let (base, max) = (format_duration(retry.base), format_duration(retry.max));
    let pauses = match retry.backoff {
        Backoff::Fixed => format!("{base} apart"),
        Backoff::Linear => format!("{base} apart, then that much more each time, {max} at most"),
        Backoff::Exponential => {
            format!("{base} apart, then twice as long each time, {max} at most")
        }
    };
    let jitter = if retry.jitter > 0.0 {
        format!(", give or take {:.0} %", retry.jitter * 100.0)
    } else {
        String::new()
    };
    format!("{attempts} attempts, {pauses}{jitter}")
}

/// A value as people would write it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A job and its runs in flight, as `job show --json` shows them.
#[derive(Debug, Serialize)]
struct WithRuns {
    #[serde(flatten)]
    job: JobView,
    runs: Vec<RunningView>,
}
