//! Answers of the API, turned back into what they were made from.

use std::collections::VecDeque;

use carillon::config::JobDocument;
use carillon::core::change::{JobState, Pause};
use carillon::core::history::{Record, RunRecord, SkipRecord};
use carillon::core::notes::{LogLine, Notes, Progress, RunNotes};
use carillon::core::store::{HistoryEntry, RunPlace};
use carillon::core::{Fence, JobDefaults, RunId, SessionId, StoredJob, Timestamp, Version};
use carillon::wire::{AttemptView, EntryView, JobView, ReportView, RunView, RunningView, SkipView};
use serde_json::{Value, json};

use crate::cli::failure::Failure;

/// Something that the API answered and that cannot be read.
fn odd(what: &str, why: impl std::fmt::Display) -> Failure {
    Failure::Refused(format!(
        "no answer that this version can read: {what}: {why}"
    ))
}

pub(super) fn instant(text: &str) -> Result<Timestamp, Failure> {
    text.parse().map_err(|error| odd(text, error))
}

pub(super) fn run(text: &str) -> Result<RunId, Failure> {
    text.parse().map_err(|error| odd(text, error))
}

fn instants(text: Option<&str>) -> Result<Option<Timestamp>, Failure> {
    text.map(instant).transpose()
}

/// The job, as it is stored.
pub(super) fn stored(view: &JobView) -> Result<StoredJob, Failure> {
    let policy = serde_json::to_value(&view.policy).map_err(|error| odd(&view.id, error))?;
    let mut job = json!({
        "id": view.id,
        "name": view.name,
        "task": view.task,
        "args": view.args,
        "trigger": view.trigger,
        "queue": view.queue,
        "tags": view.tags,
    });
    if let (Some(job), Value::Object(policy)) = (job.as_object_mut(), policy) {
        // What has no value has none in a document either.
        job.extend(policy.into_iter().filter(|(_, value)| !value.is_null()));
        for (field, value) in [("after", json!(view.after)), ("unique", json!(view.unique))] {
            if !value.is_null() {
                job.insert(field.to_owned(), value);
            }
        }
        if job["args"].is_null() {
            job.remove("args");
        }
    }
    let defaults = JobDefaults::default();
    let read = JobDocument::of_value("job", job).and_then(|document| document.check(&defaults));
    let read = read.map_err(|error| odd(&view.id, error))?.pop();
    let job = read.ok_or_else(|| odd(&view.id, "no job"))?.job;
    let next = instants(view.next_run_time.as_deref())?;
    let state = match &view.pause {
        None => JobState::Active,
        Some(pause) => JobState::Paused {
            from: None,
            pause: Pause {
                since: instants(pause.since.as_deref())?,
                until: instants(pause.until.as_deref())?,
                by: pause.by.clone(),
                reason: pause.reason.clone(),
            },
        },
    };
    let fired = instants(view.last_fire_time.as_deref())?;
    Ok(StoredJob {
        job: job.into_builder().owner(view.owner.clone()).build(),
        version: Version(view.version),
        state,
        next_fire: next,
        parked: (view.state == "parked").then(|| fired.unwrap_or(Timestamp::EPOCH)),
        fired,
        in_flight: view.running,
    })
}

/// An entry of history.
pub(super) fn entry(view: EntryView) -> Result<HistoryEntry, Failure> {
    let (time, record) = match view {
        EntryView::Run(run) => (run.time.clone(), Record::Run(run_record(run)?)),
        EntryView::Skip(skip) => (skip.time.clone(), Record::Skip(skip_record(skip)?)),
    };
    Ok(HistoryEntry {
        // Not told: pages say where to go on.
        position: String::new(),
        at: instant(&time)?,
        record,
    })
}

fn run_record(view: RunView) -> Result<RunRecord, Failure> {
    let odd_name = |error: carillon::core::NameError| odd(&view.run, error);
    // As a line of history has it, so that each word is read by who writes it.
    let outcome = serde_json::from_value(view.outcome.clone().into());
    Ok(RunRecord {
        run: view.run.parse().map_err(odd_name)?,
        outcome: outcome.map_err(|error| odd(&view.outcome, error))?,
        attempt: view.attempt,
        fence: Fence(view.fence),
        node: view.node,
        task: view
            .task
            .map(|task| task.parse().map_err(odd_name))
            .transpose()?,
        queue: view.queue.parse().map_err(odd_name)?,
        started_at: instants(view.started_at.as_deref())?,
        ended_at: instants(view.ended_at.as_deref())?,
        next_at: instants(view.next_attempt_at.as_deref())?,
        detail: view.detail,
    })
}

fn skip_record(view: SkipView) -> Result<SkipRecord, Failure> {
    let skipped = serde_json::from_value(view.reason.clone().into());
    Ok(SkipRecord {
        job: view.job.parse().map_err(|error| odd(&view.job, error))?,
        skipped: skipped.map_err(|error| odd(&view.reason, error))?,
        first: instant(&view.first)?,
        last: instant(&view.last)?,
        count: view.count,
        detail: view.detail,
    })
}

/// The session of a worker of which only the name is told.
fn session(node: &str) -> Result<SessionId, Failure> {
    let name = format!("{node}~{:032}", 0);
    SessionId::new(&name).map_err(|error| odd(node, error))
}

/// Where a run in flight is.
fn place(
    state: &str,
    node: Option<&str>,
    attempt: Option<u32>,
    fence: Option<u64>,
    before: Option<usize>,
) -> Result<Option<RunPlace>, Failure> {
    Ok(match state {
        "running" => Some(RunPlace::Claimed {
            by: session(node.unwrap_or("node"))?,
            attempt: attempt.unwrap_or(1),
            fence: Fence(fence.unwrap_or_default()),
        }),
        "waiting" => Some(RunPlace::Waiting),
        "lined_up" => Some(RunPlace::LinedUp {
            before: before.unwrap_or_default(),
        }),
        _ => None,
    })
}

/// A run in flight.
pub(super) fn in_flight(view: &RunningView) -> Result<carillon::core::store::RunInFlight, Failure> {
    let run = view.run.parse().map_err(|error| odd(&view.run, error))?;
    let place = place(
        &view.state,
        view.node.as_deref(),
        view.attempt,
        None,
        view.before,
    )?;
    Ok(carillon::core::store::RunInFlight {
        run,
        place: place.ok_or_else(|| odd(&view.run, &view.state))?,
    })
}

/// Where the run is, and what its handlers noted.
pub(super) fn report(
    run: &RunId,
    view: &ReportView,
) -> Result<(Option<RunPlace>, Vec<RunNotes>), Failure> {
    let node = view.node.as_deref();
    let place = place(&view.state, node, view.attempt, view.fence, view.before)?;
    let told = view.attempts.iter();
    let notes = told.map(|attempt| notes(run, attempt));
    let notes: Result<Vec<_>, _> = notes.collect();
    let notes = notes?.into_iter().filter(|told| !told.notes.is_empty());
    Ok((place, notes.collect()))
}

fn notes(run: &RunId, view: &AttemptView) -> Result<RunNotes, Failure> {
    let progress = view.progress.as_ref().map(|told| {
        Ok::<_, Failure>(Progress {
            fraction: told.fraction,
            text: told.text.clone(),
            at: instant(&told.at)?,
        })
    });
    let log = view.log.iter().map(|line| {
        Ok::<_, Failure>(LogLine {
            at: instant(&line.at)?,
            text: line.text.clone(),
        })
    });
    Ok(RunNotes {
        run: run.clone(),
        attempt: view.attempt,
        fence: Fence(view.fence.unwrap_or_default()),
        number: 0,
        notes: Notes {
            progress: progress.transpose()?,
            result: view.result.clone(),
            log: log.collect::<Result<VecDeque<_>, _>>()?.into(),
            dropped: view.dropped_lines,
        },
    })
}
