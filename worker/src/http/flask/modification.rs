//! `PATCH /jobs/<id>`: some fields of a job. All of them are changed, or none.

use scheduler_core::store::JobWrite;
use scheduler_core::{Job, JobDefaults, JobId, StoredJob};
use serde_json::{Map, Value, json};

use super::addition::{check_jobstore, name, next, queue};
use super::arguments::{Arguments, changed_args, changed_kwargs};
use super::callables::Callables;
use super::policy;
use super::python::type_name;
use super::refusal::Refusal;
use super::schedule;
use super::show::{Shown, is_there};
use super::trigger::{Kind, Moments, flatten};
use crate::jobs::Decided;

/// Attributes of a job that can be changed.
const ATTRIBUTES: [&str; 9] = [
    "func",
    "args",
    "kwargs",
    "name",
    "misfire_grace_time",
    "coalesce",
    "max_instances",
    "executor",
    "next_run_time",
];

/// What a body says of a job.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Modification(Map<String, Value>);

impl Modification {
    pub(super) fn read(body: Value) -> Result<Self, Refusal> {
        let Value::Object(body) = body else {
            return Err(Refusal::invalid(format!(
                "flask_apscheduler.scheduler.APScheduler.modify_job() argument after ** must be a \
                 mapping, not {}",
                type_name(&body)
            )));
        };
        if body.contains_key("id") {
            return Err(Refusal::invalid(
                "APScheduler.modify_job() got multiple values for argument 'id'",
            ));
        }
        Ok(Self(body))
    }

    /// What the request comes to for the job as it is stored.
    pub(super) fn decide(
        &self,
        id: &JobId,
        read: &JobWrite,
        callables: &Callables<'_>,
        defaults: &JobDefaults,
    ) -> Result<Decided<Shown>, Refusal> {
        let stored = found(id, read)?;
        let mut body = self.0.clone();
        check_jobstore(body.remove("jobstore").as_ref())?;
        flatten(&mut body, read.now)?;
        let moments = Moments {
            zone: defaults.timezone,
            now: read.now,
        };
        let trigger = trigger(&mut body, moments)?;
        let next = next(body.get("next_run_time"), moments)?;
        let mut job = modified(&stored.job, &body, callables)?;
        let change = match trigger {
            Some(trigger) => {
                job = with(&job, "trigger", json!(trigger))?;
                schedule::reschedule(job, stored, read.now)
            }
            None => schedule::modify(job, stored, read.now),
        };
        let change = schedule::set_next(change, stored, read.now, next)?;
        let shown = Shown::new(change.job.clone(), change.next_fire);
        let is_so = change.job == stored.job
            && change.state == stored.state
            && change.next_fire == stored.next_fire;
        Ok(if is_so {
            Decided::Done(shown)
        } else {
            Decided::Write(Box::new(change), shown)
        })
    }
}

/// The job that a request is about.
pub(super) fn found<'a>(id: &JobId, read: &'a JobWrite) -> Result<&'a StoredJob, Refusal> {
    if let Some(unreadable) = &read.unreadable {
        let why = &unreadable.why;
        return Err(Refusal::conflict(format!("Job {id} cannot be read: {why}")));
    }
    let stored = read.stored.as_ref().filter(|stored| is_there(stored));
    stored.ok_or_else(|| Refusal::no_such_job(id.as_str()))
}

/// Takes the trigger and its fields out of a body.
fn trigger(
    body: &mut Map<String, Value>,
    moments: Moments,
) -> Result<Option<scheduler_core::trigger::Trigger>, Refusal> {
    let Some(named) = body.remove("trigger") else {
        return Ok(None);
    };
    let kind = match Kind::read(Some(&named)) {
        Ok(kind) if named.is_string() && kind != Kind::CalendarInterval => kind,
        _ => {
            let named = super::python::to_str(&named);
            return Err(Refusal::invalid(format!(
                "Trigger {named} is not supported."
            )));
        }
    };
    let mut fields = Map::new();
    for field in kind.fields() {
        // Jitter is not among those that the original takes here.
        if *field != "jitter"
            && let Some(value) = body.remove(*field)
        {
            fields.insert((*field).to_owned(), value);
        }
    }
    kind.trigger(&fields, moments).map(Some)
}

/// The job with other attributes.
fn modified(
    job: &Job,
    body: &Map<String, Value>,
    callables: &Callables<'_>,
) -> Result<Job, Refusal> {
    let mut changed = job.clone();
    if ["func", "args", "kwargs"]
        .iter()
        .any(|name| body.contains_key(*name))
    {
        let task = match body.get("func") {
            Some(func) => callables.resolve(func)?,
            None => job.task().clone(),
        };
        let mut arguments = Arguments::of(job.args());
        if let Some(args) = body.get("args") {
            arguments.args = changed_args(args)?;
        }
        if let Some(kwargs) = body.get("kwargs") {
            arguments.kwargs = changed_kwargs(kwargs)?;
        }
        let args = arguments.into_value();
        callables.check_args(&task, &args)?;
        changed = with(&changed, "task", json!(task))?;
        changed = with(&changed, "args", args)?;
    }
    if let Some(value) = body.get("name") {
        changed = with(&changed, "name", json!(name(value)?))?;
    }
    let policy = policy::changed(changed.policy(), body)?;
    changed = with(&changed, "policy", json!(policy))?;
    if let Some(queue) = queue(body.get("executor"))? {
        changed = with(&changed, "queue", json!(queue))?;
    }
    let unknown: Vec<&str> = body
        .keys()
        .map(String::as_str)
        .filter(|name| !ATTRIBUTES.contains(name))
        .collect();
    if !unknown.is_empty() {
        return Err(Refusal::invalid(format!(
            "The following are not modifiable attributes of Job: {}",
            unknown.join(", ")
        )));
    }
    Ok(changed)
}

/// The job with one field of its record replaced. The others stay, known here or not.
fn with(job: &Job, field: &str, value: Value) -> Result<Job, Refusal> {
    let invalid = |error: serde_json::Error| Refusal::invalid(format!("{field}: {error}"));
    let mut record = serde_json::to_value(job).map_err(invalid)?;
    match record.as_object_mut() {
        Some(record) if value.is_null() => drop(record.remove(field)),
        Some(record) => drop(record.insert(field.to_owned(), value)),
        None => {}
    }
    serde_json::from_value(record).map_err(invalid)
}
