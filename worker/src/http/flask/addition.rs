//! `POST /jobs`: a job, as its body describes it.

use scheduler_core::store::JobWrite;
use scheduler_core::{Job, JobDefaults, JobId, JobSpec, TaskName};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::arguments::{self, Arguments};
use super::callables::Callables;
use super::python::{to_str, truth, type_name};
use super::refusal::Refusal;
use super::schedule::{self, Next, Plan};
use super::show::{Shown, is_there};
use super::trigger::{Kind, Moments, flatten};
use super::{dates, policy};
use crate::jobs::Decided;

/// What `add_job` takes by name; everything else is the trigger's.
const NAMED: [&str; 13] = [
    "func",
    "trigger",
    "args",
    "kwargs",
    "id",
    "name",
    "misfire_grace_time",
    "coalesce",
    "max_instances",
    "next_run_time",
    "jobstore",
    "executor",
    "replace_existing",
];

/// How long a name for people may be, in bytes.
const LONGEST_NAME: usize = 255;

/// A body that names a job, whose other fields are read when the store's clock is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Addition {
    pub(super) id: JobId,
    body: Map<String, Value>,
}

impl Addition {
    pub(super) fn read(body: Value) -> Result<Self, Refusal> {
        let Value::Object(mut body) = body else {
            return Err(Refusal::invalid(format!(
                "flask_apscheduler.scheduler.APScheduler.add_job() argument after ** must be a \
                 mapping, not {}",
                type_name(&body)
            )));
        };
        let missing = [!body.contains_key("id"), !body.contains_key("func")];
        let missing = match missing {
            [true, true] => "2 required positional arguments: 'id' and 'func'",
            [true, false] => "1 required positional argument: 'id'",
            [false, true] => "1 required positional argument: 'func'",
            [false, false] => "",
        };
        if !missing.is_empty() {
            let message = format!("APScheduler.add_job() missing {missing}");
            return Err(Refusal::invalid(message));
        }
        if !body.get("name").is_some_and(truth) {
            let name = body.get("id").cloned().unwrap_or_default();
            body.insert("name".to_owned(), name);
        }
        let id = id(&body)?;
        Ok(Self { id, body })
    }

    /// What the request comes to for the job as it is stored.
    pub(super) fn decide(
        &self,
        read: &JobWrite,
        callables: &Callables<'_>,
        defaults: &JobDefaults,
    ) -> Result<Decided<Shown>, Refusal> {
        let (job, next) = self.job(read, callables, defaults)?;
        let replaces = self.body.get("replace_existing").is_some_and(truth);
        if let Some(unreadable) = &read.unreadable {
            if unreadable.is_newer || !replaces {
                return Err(Refusal::exists(job.id().as_str()));
            }
            let change =
                scheduler_core::change::replace_unreadable(unreadable, job, read.fired, read.now)
                    .map_err(|error| Refusal::invalid(error.to_string()))?;
            return Ok(written(change));
        }
        match read.stored.as_ref().filter(|stored| is_there(stored)) {
            Some(_) if !replaces => Err(Refusal::exists(job.id().as_str())),
            Some(stored) => Ok(written(schedule::replace(job, stored, read.now, next)?)),
            None => Ok(match schedule::add(job.clone(), read, next)? {
                Plan::Write(change) => written(*change),
                Plan::Nothing => {
                    let first = job.trigger().first(read.now);
                    Decided::Done(Shown::new(job, first))
                }
            }),
        }
    }

    /// The job, checked in the order in which the original looks at the fields.
    fn job(
        &self,
        read: &JobWrite,
        callables: &Callables<'_>,
        defaults: &JobDefaults,
    ) -> Result<(Job, Next), Refusal> {
        let mut body = self.body.clone();
        flatten(&mut body, read.now)?;
        let moments = Moments {
            zone: defaults.timezone,
            now: read.now,
        };
        let kind = Kind::read(body.get("trigger"))?;
        let fields: Map<String, Value> = body
            .iter()
            .filter(|(name, _)| !NAMED.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let trigger = kind.trigger(&fields, moments)?;
        let arguments = Arguments {
            args: arguments::tuple(body.get("args"))?,
            kwargs: arguments::dict(body.get("kwargs"))?,
        };
        let task = callables.resolve(body.get("func").unwrap_or(&Value::Null))?;
        let args = arguments.into_value();
        callables.check_args(&task, &args)?;
        let name = name(body.get("name").unwrap_or(&Value::Null))?;
        let policy = policy::changed(&defaults.policy, &body)?;
        let queue = queue(body.get("executor"))?;
        let next = next(body.get("next_run_time"), moments)?;
        check_jobstore(body.get("jobstore"))?;
        let spec: JobSpec = spec(&self.id, name, &task, &args, trigger.spec(), queue)?;
        let defaults = JobDefaults {
            policy,
            ..defaults.clone()
        };
        Ok((spec.resolve(&defaults)?, next))
    }
}

fn written(change: scheduler_core::change::Change) -> Decided<Shown> {
    let shown = Shown::new(change.job.clone(), change.next_fire);
    Decided::Write(Box::new(change), shown)
}

/// Whatever is not said is the job defaults'.
fn spec(
    id: &JobId,
    name: String,
    task: &TaskName,
    args: &Value,
    trigger: &scheduler_core::trigger::TriggerSpec,
    queue: Option<&str>,
) -> Result<JobSpec, Refusal> {
    let mut spec = json!({
        "id": id,
        "task": task,
        "args": args,
        "trigger": trigger,
        "queue": queue,
    });
    if name != id.as_str() {
        spec["name"] = Value::String(name);
    }
    serde_json::from_value(spec).map_err(|error| Refusal::invalid(error.to_string()))
}

/// The id; where it is empty and there is a name, a new one.
fn id(body: &Map<String, Value>) -> Result<JobId, Refusal> {
    let text = match body.get("id") {
        Some(Value::String(text)) if text.is_empty() && body.get("name").is_some_and(truth) => {
            Uuid::new_v4().simple().to_string()
        }
        Some(Value::String(text)) if text.is_empty() => {
            return Err(Refusal::invalid("name must be a nonempty string"));
        }
        Some(Value::String(text)) => text.clone(),
        _ => return Err(Refusal::invalid("id must be a nonempty string")),
    };
    JobId::new(text).map_err(|error| Refusal::invalid(error.to_string()))
}

/// A name for people.
pub(super) fn name(value: &Value) -> Result<String, Refusal> {
    match value {
        Value::String(name) if name.len() > LONGEST_NAME => {
            let length = name.len();
            let message = format!("name has {length} bytes: 1 to {LONGEST_NAME} are allowed");
            Err(Refusal::invalid(message))
        }
        Value::String(name) if !name.trim().is_empty() => Ok(name.clone()),
        _ => Err(Refusal::invalid("name must be a nonempty string")),
    }
}

/// The queue that stands for an executor: the one of the same name.
pub(super) fn queue(executor: Option<&Value>) -> Result<Option<&str>, Refusal> {
    match executor {
        None => Ok(None),
        Some(Value::String(name)) => Ok(Some(name)),
        Some(_) => Err(Refusal::invalid("executor must be a string")),
    }
}

/// There is one store.
pub(super) fn check_jobstore(jobstore: Option<&Value>) -> Result<(), Refusal> {
    match jobstore {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(name)) if name == "default" => Ok(()),
        Some(other) => {
            let message = format!("No such job store: {}", to_str(other));
            Err(Refusal::invalid(super::python::repr(&message)))
        }
    }
}

/// When the job shall run next.
pub(super) fn next(value: Option<&Value>, moments: Moments) -> Result<Next, Refusal> {
    match value {
        None => Ok(Next::AsTriggered),
        Some(Value::Null) => Ok(Next::Paused),
        Some(value) => {
            dates::strict("next_run_time", value, moments.zone).map(|moment| Next::At(moment.at))
        }
    }
}
