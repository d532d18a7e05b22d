//! Jobs that APScheduler 3.11 has exported (`BaseScheduler.export_jobs`).
//!
//! An export is one JSON document; what JSON cannot say (dates, zones, the fields of cron) stands in
//! it as Python pickles. They are read as what they say, and never executed.
//!
//! | APScheduler | here |
//! |---|---|
//! | `func`, `"tasks:send"` | the task of that very name, or the one that [`Names`] says |
//! | `args`, `kwargs` | `args`: neither is null, `args` alone the list, `kwargs` alone the object, both `{"args": [...], "kwargs": {...}}` |
//! | `executor` | the queue of that name, or the one that [`Names`] says |
//! | `next_run_time` | when it runs next; none: it is paused |
//! | `trigger`, `name`, `misfire_grace_time`, `coalesce`, `max_instances` | the same |

mod pickle;
mod trigger;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use scheduler_core::change::{JobState, Pause, Saved};
use scheduler_core::policy::{Coalesce, Grace};
use scheduler_core::{JobDefaults, JobSpec, QueueName, TaskName};
use serde_json::{Map, Value, json};

use self::trigger::Unmapped;

/// An export.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    jobs: Vec<Value>,
}

/// What becomes of names, where they are not to stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Tasks, by references to functions: `"tasks:send"`.
    pub tasks: BTreeMap<String, TaskName>,
    /// Queues, by executors.
    pub queues: BTreeMap<String, QueueName>,
}

/// A job of an export.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    /// Its id, as it stands there.
    pub id: String,
    /// The job as it stood, or all that could not be mapped: the field and why, as one line each.
    pub job: Result<Box<Saved>, Vec<String>>,
}

impl Export {
    /// Whether a text looks like an export.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        let head: String = text.trim_start().chars().take(200).collect();
        head.starts_with('{') && head.contains("\"scheduler_version\"")
    }

    /// Reads an export.
    ///
    /// # Errors
    ///
    /// What is none, and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut document: Value =
            serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
        match document["version"].as_u64() {
            Some(1) => {}
            _ => {
                let version = &document["version"];
                return Err(format!("version: {version} is unknown: 1 is read here"));
            }
        }
        match document["jobs"].take() {
            Value::Array(jobs) => Ok(Self { jobs }),
            _ => Err("jobs: must be a list".to_owned()),
        }
    }

    /// The jobs, in their order there.
    #[must_use]
    pub fn map(&self, names: &Names) -> Vec<Mapped> {
        self.jobs.iter().map(|job| mapped(job, names)).collect()
    }
}

fn mapped(job: &Value, names: &Names) -> Mapped {
    let mut problems = Vec::new();
    let saved = saved(job, names, &mut problems);
    let id = match &job["id"] {
        Value::String(id) => id.clone(),
        other => other.to_string(),
    };
    let told = |(field, why): Unmapped| format!("{field}: {why}");
    Mapped {
        id,
        job: match saved {
            Some(saved) if problems.is_empty() => Ok(Box::new(saved)),
            _ => Err(problems.into_iter().map(told).collect()),
        },
    }
}

/// Takes the value, or notes what is wrong.
fn note<T>(found: Result<T, Unmapped>, problems: &mut Vec<Unmapped>) -> Option<T> {
    found.map_err(|problem| problems.push(problem)).ok()
}

fn saved(job: &Value, names: &Names, problems: &mut Vec<Unmapped>) -> Option<Saved> {
    let field = |field: &str, why: &str| (field.to_owned(), why.to_owned());
    if job["version"] != json!(1) {
        problems.push(field("version", "is another than 1"));
        return None;
    }
    let text = |name: &str| {
        job[name]
            .as_str()
            .ok_or_else(|| field(name, "must be a text"))
    };
    let id = note(text("id"), problems);
    let func = note(text("func"), problems);
    let task = func.map(|func| {
        let given = names.tasks.get(func);
        given.map_or_else(|| func.to_owned(), ToString::to_string)
    });
    let executor = note(text("executor"), problems);
    let queue = executor.map(|executor| {
        let given = names.queues.get(executor);
        given.map_or_else(|| executor.to_owned(), ToString::to_string)
    });
    let args = arguments(job, problems);
    let trigger = note(trigger::trigger(&job["trigger"]), problems);
    let next = values::optional_instant(&job["next_run_time"]);
    let next = note(
        next.map_err(|why| ("next_run_time".to_owned(), why)),
        problems,
    );
    let (trigger, next) = (trigger?, next?);
    let mut spec = JobSpec::new(id?, task?, trigger);
    spec.name = job["name"].as_str().map(str::to_owned);
    spec.args = args?;
    spec.queue = queue;
    let policies = policies(job, &mut spec);
    note(policies, problems)?;
    let resolved = spec.resolve(&JobDefaults::default());
    let job = note(
        resolved.map_err(|error| {
            let name = match error.field.as_str() {
                "task" => "func (give its task with --task)".to_owned(),
                "queue" => "executor (give its queue with --executor)".to_owned(),
                _ => error.field.clone(),
            };
            let shown = error.to_string();
            let why = shown.strip_prefix(&format!("{}: ", error.field));
            (name, why.unwrap_or(&shown).to_owned())
        }),
        problems,
    )?;
    let is_paused = next.is_none();
    let pause = Pause {
        reason: Some("paused in APScheduler".to_owned()),
        ..Pause::default()
    };
    Some(Saved {
        job,
        state: if is_paused {
            JobState::Paused { from: None, pause }
        } else {
            JobState::Active
        },
        next_fire: next,
        // When a paused job would run next it does not say.
        begins_anew: is_paused,
    })
}

fn policies(job: &Value, spec: &mut JobSpec) -> Result<(), Unmapped> {
    let wrong = |field: &str, rule: &str| (field.to_owned(), format!("{} {rule}", job[field]));
    spec.misfire_grace_time = Some(match &job["misfire_grace_time"] {
        Value::Null => Grace::Unlimited,
        grace => {
            let seconds = grace.as_u64();
            let rule = "is no number of seconds, nor null";
            let seconds = seconds.ok_or_else(|| wrong("misfire_grace_time", rule))?;
            Grace::Within(Duration::from_secs(seconds))
        }
    });
    let coalesce = job["coalesce"].as_bool();
    spec.coalesce = Some(match coalesce {
        Some(true) => Coalesce::Latest,
        Some(false) => Coalesce::All,
        None => return Err(wrong("coalesce", "is neither true nor false")),
    });
    let limit = job["max_instances"].as_u64();
    let limit = limit.and_then(|limit| u32::try_from(limit).ok()?.try_into().ok());
    spec.max_instances = Some(limit.ok_or_else(|| wrong("max_instances", "is no number from 1"))?);
    Ok(())
}

/// What the task gets of Python's two kinds of arguments.
fn arguments(job: &Value, problems: &mut Vec<Unmapped>) -> Option<Value> {
    let before = problems.len();
    let empty = (Vec::new(), Map::new());
    let args = job["args"].as_array().unwrap_or(&empty.0);
    let kwargs = job["kwargs"].as_object().unwrap_or(&empty.1);
    for (number, value) in args.iter().enumerate() {
        find_pickles(&format!("args[{number}]"), value, problems);
    }
    for (name, value) in kwargs {
        find_pickles(&format!("kwargs.{name}"), value, problems);
    }
    let looks_like_both =
        kwargs.len() == 2 && kwargs.contains_key("args") && kwargs.contains_key("kwargs");
    (problems.len() == before).then(|| match (args.is_empty(), kwargs.is_empty()) {
        (true, true) => Value::Null,
        (false, true) => Value::Array(args.clone()),
        (true, false) if !looks_like_both => Value::Object(kwargs.clone()),
        _ => json!({ "args": args, "kwargs": kwargs }),
    })
}

/// Notes each value that is no JSON.
fn find_pickles(path: &str, value: &Value, problems: &mut Vec<Unmapped>) {
    if let Some(pickle) = values::pickled(value) {
        let what = match &pickle {
            Ok(pickle) => pickle.root().describe(),
            Err(why) => why.clone(),
        };
        let why = format!("{what} is no JSON: give the task a text or number in its place");
        problems.push((path.to_owned(), why));
        return;
    }
    match value {
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                find_pickles(&format!("{path}[{number}]"), item, problems);
            }
        }
        Value::Object(map) if map.contains_key("__apscheduler_class__") => {
            let class = map["__apscheduler_class__"].as_str().unwrap_or("object");
            problems.push((path.to_owned(), format!("a {class} is no JSON")));
        }
        Value::Object(map) => {
            for (name, item) in map {
                find_pickles(&format!("{path}.{name}"), item, problems);
            }
        }
        _ => {}
    }
}
