//! `carillon job list|show`.

use carillon::core::{Coalesce, Grace, JobId, JobState, OnLost, Priority, Store, StoredJob};
use serde::Serialize;
use serde_json::Value;

use super::{Desk, Failure, output};
use crate::cli::output::{Table, local};

impl<S: Store> Desk<S> {
    pub(super) async fn list(&self, json: bool) -> Result<(), Failure> {
        let list = self.jobs.list().await.map_err(|e| self.failed(&e))?;
        if json {
            let jobs: Vec<JobView<'_>> = list.jobs.iter().map(JobView::new).collect();
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
        let stored = self.jobs.get(id).await.map_err(|e| self.failed(&e))?;
        let stored = stored.ok_or_else(|| Self::not_found(id))?;
        if json {
            return Ok(output::json(&JobView::new(&stored))?);
        }
        for (name, value) in lines(&stored) {
            output::line(&format!("{name:<20} {value}"))?;
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
        state(stored).to_owned(),
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

const fn state(stored: &StoredJob) -> &'static str {
    match (stored.state, stored.parked) {
        (JobState::Active, None) => "active",
        (JobState::Active, Some(_)) => "parked",
        (JobState::Paused { .. }, _) => "paused",
    }
}

/// The job, field by field, as they are called when a job is written down.
fn lines(stored: &StoredJob) -> Vec<(&'static str, String)> {
    let view = JobView::new(stored);
    let zone = stored.job.trigger().timezone();
    let shown = |at: Option<_>| at.map_or_else(|| "-".to_owned(), |at| local(at, zone));
    let json = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let value_of = |value: &dyn Fn() -> serde_json::Result<Value>| {
        value().map(|value| json(&value)).unwrap_or_default()
    };
    vec![
        ("id", view.id.to_owned()),
        ("name", view.name.to_owned()),
        ("task", view.task.to_owned()),
        ("args", view.args.to_string()),
        ("trigger", stored.job.trigger().describe()),
        ("queue", view.queue.to_owned()),
        (
            "coalesce",
            value_of(&|| serde_json::to_value(view.coalesce)),
        ),
        (
            "misfire_grace_time",
            value_of(&|| serde_json::to_value(view.misfire_grace_time)),
        ),
        ("max_catch_up", view.max_catch_up.to_string()),
        ("max_instances", view.max_instances.to_string()),
        ("priority", view.priority.to_string()),
        ("on_lost", value_of(&|| serde_json::to_value(view.on_lost))),
        ("max_lost", view.max_lost.to_string()),
        ("state", view.state.to_owned()),
        ("next_run_time", shown(stored.next_fire)),
        ("last_fire_time", shown(stored.fired)),
        ("running", view.running.to_string()),
        ("version", view.version.to_string()),
    ]
}

/// A job, as `--json` shows it.
#[derive(Debug, Serialize)]
struct JobView<'a> {
    id: &'a str,
    name: &'a str,
    task: &'a str,
    args: &'a Value,
    trigger: Value,
    timezone: &'static str,
    queue: &'a str,
    coalesce: Coalesce,
    misfire_grace_time: Grace,
    max_catch_up: u32,
    max_instances: u32,
    priority: Priority,
    on_lost: OnLost,
    max_lost: u32,
    state: &'static str,
    next_run_time: Option<String>,
    last_fire_time: Option<String>,
    running: usize,
    version: u64,
}

impl<'a> JobView<'a> {
    fn new(stored: &'a StoredJob) -> Self {
        let (job, policy) = (&stored.job, stored.job.policy());
        Self {
            id: job.id().as_str(),
            name: job.name(),
            task: job.task().as_str(),
            args: job.args(),
            // As it was typed, but for the zone, which is spelled out.
            trigger: serde_json::to_value(job.trigger()).unwrap_or_default(),
            timezone: job.trigger().timezone().name(),
            queue: job.queue().as_str(),
            coalesce: policy.coalesce,
            misfire_grace_time: policy.misfire_grace_time,
            max_catch_up: policy.max_catch_up.get(),
            max_instances: policy.max_instances.get(),
            priority: policy.priority,
            on_lost: policy.on_lost,
            max_lost: policy.max_lost.get(),
            state: state(stored),
            next_run_time: stored.next_fire.map(|at| at.to_string()),
            last_fire_time: stored.fired.map(|at| at.to_string()),
            running: stored.in_flight,
            version: stored.version.0,
        }
    }
}
