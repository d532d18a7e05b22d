//! Checks a job by the rules of `scheduler-core`, and tells what is wrong at the word that is.

use proc_macro2::Span;
use scheduler_core::trigger::{TriggerError, TriggerSpec};
use scheduler_core::{JobDefaults, JobError, JobSpec};
use serde_json::{Map, Value, json};
use strsim::jaro_winkler;
use syn::{Error, Result};

use crate::entry::{Scheduled, When};

/// The triggers that a function can be declared with; those that are made of others are for code.
const KINDS: [&str; 4] = ["interval", "cron", "date", "calendar_interval"];

/// A job that has been checked.
#[derive(Debug)]
pub(crate) struct CheckedJob {
    /// The task's name.
    pub(crate) task: String,
    /// The job as typed, in JSON.
    pub(crate) json: String,
    /// Whether it has args.
    pub(crate) has_args: bool,
}

/// Checks the job that `function` is declared as.
pub(crate) fn job(scheduled: &Scheduled, function: &str, at: Span) -> Result<CheckedJob> {
    let trigger = trigger(scheduled)?;
    let mut fields = Map::from_iter([
        ("id".to_owned(), json!(function)),
        ("task".to_owned(), json!(function)),
        ("trigger".to_owned(), trigger),
    ]);
    let known = fields_of_jobs();
    let of_job = || {
        let entries = scheduled.entries.iter();
        entries.filter(|entry| known.contains(&entry.key.to_string()))
    };
    for entry in of_job() {
        // One by one, so that it is known which one is wrong.
        let mut alone = fields.clone();
        alone.insert(entry.key.to_string(), entry.value.clone());
        if let Err(error) = serde_json::from_value::<JobSpec>(Value::Object(alone)) {
            return Err(Error::new(entry.at, format!("{}: {error}", entry.key)));
        }
    }
    for entry in of_job() {
        fields.insert(entry.key.to_string(), entry.value.clone());
    }
    let job = Value::Object(fields);
    let spec: JobSpec = serde_json::from_value(job.clone())
        .map_err(|error| Error::new(at, format!("no job: {error}")))?;
    spec.resolve(&JobDefaults::default())
        .map_err(|error| within_job(scheduled, &error, at))?;
    Ok(CheckedJob {
        task: spec.task,
        json: job.to_string(),
        has_args: !spec.args.is_null(),
    })
}

/// The trigger, in JSON.
fn trigger(scheduled: &Scheduled) -> Result<Value> {
    let of_job = fields_of_jobs();
    let of_trigger = || {
        let entries = scheduled.entries.iter();
        entries.filter(|entry| !of_job.contains(&entry.key.to_string()))
    };
    let mut fields = match &scheduled.when {
        When::Kind(kind) => {
            let name = kind.to_string();
            if !KINDS.contains(&name.as_str()) {
                let hint = hint(&name, &KINDS);
                let message = format!(
                    "`{name}` is no trigger{hint}; there are {}, and texts such as \"every 30s\"",
                    shown(&KINDS)
                );
                return Err(Error::new(kind.span(), message));
            }
            Map::from_iter([("type".to_owned(), Value::String(name))])
        }
        When::Text(text) => {
            let spec = TriggerSpec::from_text(&text.value())
                .map_err(|error| Error::new(text.span(), error))?;
            match serde_json::to_value(spec) {
                Ok(Value::Object(fields)) => fields,
                _ => return Err(Error::new(text.span(), "no trigger")),
            }
        }
    };
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or("");
    let known = fields_of(kind);
    let kind = kind.to_owned();
    for entry in of_trigger() {
        let name = entry.key.to_string();
        if !known.contains(&name) {
            let all: Vec<&str> = known.iter().chain(&of_job).map(String::as_str).collect();
            let article = if kind == "interval" { "an" } else { "a" };
            let hint = match hint(&name, &all) {
                hint if hint.is_empty() => format!(
                    "\nthe trigger has {}\nthe job has {}",
                    known.join(", "),
                    of_job.join(", ")
                ),
                hint => hint,
            };
            let message =
                format!("`{name}` is no field of {article} {kind} trigger, nor of a job{hint}");
            return Err(Error::new(entry.key.span(), message));
        }
        fields.insert(name, entry.value.clone());
    }
    let value = Value::Object(fields);
    TriggerSpec::from_value(value.clone())
        .map_err(|error| within_trigger(scheduled, &error, &error.field))?;
    Ok(value)
}

/// What a job has besides its trigger, as its reader tells it.
fn fields_of_jobs() -> Vec<String> {
    let Err(error) = serde_json::from_value::<JobSpec>(json!({ "?": 0 })) else {
        return Vec::new();
    };
    let message = error.to_string();
    // unknown field `?`, expected one of `id`, `name`, ..
    let told = message.split('`').skip(3).step_by(2);
    let fields = told.filter(|field| *field != "trigger");
    fields.map(str::to_owned).collect()
}

/// The fields of a trigger of this kind, as its reader tells them.
fn fields_of(kind: &str) -> Vec<String> {
    let asked = json!({ "type": kind, "?": 0 });
    let Err(error) = TriggerSpec::from_value(asked) else {
        return Vec::new();
    };
    let listed = error.message.rsplit_once("its fields are ");
    let listed = listed.map_or("", |(_, fields)| fields);
    let fields = listed.split(", ").map(|field| field.trim().to_owned());
    fields.filter(|field| field != "type").collect()
}

/// An error of a trigger's field, at its value.
fn within_trigger(scheduled: &Scheduled, error: &TriggerError, field: &str) -> Error {
    let name = field.split(['.', '[']).next().unwrap_or(field);
    let entry = scheduled.entries.iter().find(|entry| entry.key == name);
    let at = match (entry, &scheduled.when) {
        (Some(entry), _) => entry.at,
        (None, When::Kind(kind)) => kind.span(),
        (None, When::Text(text)) => text.span(),
    };
    Error::new(at, error)
}

/// An error of a job's field, at its value.
fn within_job(scheduled: &Scheduled, error: &JobError, at: Span) -> Error {
    if let Some(field) = error.field.strip_prefix("trigger.") {
        let mut error = TriggerError::from(error);
        error.field = field.to_owned();
        return within_trigger(scheduled, &error, field);
    }
    let name = error.field.split(['.', '[']).next().unwrap_or(&error.field);
    let entry = scheduled.entries.iter().find(|entry| entry.key == name);
    Error::new(entry.map_or(at, |entry| entry.at), error)
}

fn shown(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// The name that was probably meant.
fn hint(typed: &str, known: &[&str]) -> String {
    let scored = known.iter().map(|name| (jaro_winkler(typed, name), name));
    let best = scored.filter(|(score, _)| *score > 0.8);
    best.max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| format!(" (did you mean `{name}`?)"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_jobs_are_known() {
        let fields = fields_of_jobs();
        for field in [
            "id",
            "task",
            "args",
            "misfire_grace_time",
            "replace_existing",
        ] {
            assert!(fields.contains(&field.to_owned()), "{field}: {fields:?}");
        }
        assert!(!fields.contains(&"trigger".to_owned()));
    }

    #[test]
    fn the_fields_of_each_trigger_are_known() {
        for kind in KINDS {
            let fields = fields_of(kind);
            assert!(
                fields.contains(&"timezone".to_owned()),
                "{kind}: {fields:?}"
            );
        }
        assert!(fields_of("cron").contains(&"day_of_week".to_owned()));
    }
}
