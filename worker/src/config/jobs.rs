//! Jobs as typed, checked: those of a configuration file, and those of a document of jobs.

use std::collections::HashMap;

use scheduler_core::{Job, JobDefaults, JobPatch, JobSpec};
use serde_json::Value;

use super::ConfigError;
use super::document::Document;
use super::error::Problem;
use crate::mistake::{join, without_passwords};
use crate::task::builtin;

/// A job that somebody wrote down, ready to be put.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfiguredJob {
    /// The job.
    pub job: Job,
    /// Whether it takes the place of a stored one with the same id; none where nothing was said.
    pub replace_existing: Option<bool>,
}

/// The field of a document that says whose jobs they are.
const OWNER: &str = "owner";

/// Jobs in a text of their own: TOML (`[[jobs]]` tables, or one job), or JSON (one job, a list of
/// jobs, or `{"jobs": [...]}`).
#[derive(Debug)]
pub struct JobDocument {
    document: Document,
    owner: Option<String>,
    specs: Vec<(String, JobSpec)>,
}

impl JobDocument {
    /// Reads `text`; `name` is what messages call it. A name that ends in `.toml` or `.json` says
    /// which of the two it is; otherwise the text's beginning does.
    ///
    /// # Errors
    ///
    /// What is no such document, with line and field.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        Self::read(Document::parse(name, text)?)
    }

    /// Reads jobs that are a value already; `name` is what messages call it.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn of_value(name: &str, value: Value) -> Result<Self, ConfigError> {
        Self::read(Document::of_value(name, value))
    }

    fn read(document: Document) -> Result<Self, ConfigError> {
        let mut specs = Vec::new();
        for (path, part) in parts(&document)? {
            let spec = document.read_part(&path, part)?;
            specs.push((path, spec));
        }
        let owner = match document.root().get(OWNER) {
            None => None,
            Some(Value::String(owner)) if !owner.trim().is_empty() => Some(owner.clone()),
            Some(_) => return Err(document.problem(OWNER, "must be a name").into()),
        };
        Ok(Self {
            document,
            owner,
            specs,
        })
    }

    /// Who declares the jobs, if the document says so.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// A document that does not say whose jobs they are.
    ///
    /// # Errors
    ///
    /// One that does, with its line.
    pub fn of_nobody(self) -> Result<Self, ConfigError> {
        match self.owner {
            None => Ok(self),
            Some(_) => {
                let message = "only `carillon apply` puts jobs of an owner";
                Err(self.document.problem(OWNER, message).into())
            }
        }
    }

    /// Checks each job and fills in the defaults.
    ///
    /// # Errors
    ///
    /// All broken rules, each with line and field.
    pub fn check(&self, defaults: &JobDefaults) -> Result<Vec<ConfiguredJob>, ConfigError> {
        let specs = self.specs.iter().map(|(path, spec)| (path.clone(), spec));
        let mut problems = Vec::new();
        let jobs = check_all(&self.document, specs, defaults, &mut problems);
        ConfigError::unless_empty(problems, jobs)
    }
}

/// Reads a partial change of a job; `name` is what messages call it.
///
/// # Errors
///
/// What is no such change, with the field.
pub fn read_patch(name: &str, value: Value) -> Result<JobPatch, ConfigError> {
    Ok(Document::of_value(name, value).read()?)
}

/// Reads a value as a `T`; `name` is what messages call it.
#[cfg(feature = "http")]
pub(crate) fn read_value<T: serde::de::DeserializeOwned>(
    name: &str,
    value: Value,
) -> Result<T, ConfigError> {
    Ok(Document::of_value(name, value).read()?)
}

/// Each job of the document, with its path.
fn parts(document: &Document) -> Result<Vec<(String, &Value)>, Problem> {
    match document.root() {
        Value::Array(jobs) => Ok(numbered("", jobs)),
        Value::Object(map) => match map.get("jobs") {
            Some(Value::Array(jobs)) => match map
                .keys()
                .find(|key| !["jobs", OWNER].contains(&key.as_str()))
            {
                Some(key) => {
                    let message = "a document of jobs holds nothing but jobs and owner";
                    Err(document.problem(key, message))
                }
                None => Ok(numbered("jobs", jobs)),
            },
            Some(_) => Err(document.problem("jobs", "must be a list of jobs")),
            None => Ok(vec![(String::new(), document.root())]),
        },
        _ => Err(document.problem("", "must be a job, or a list of jobs")),
    }
}

fn numbered<'a>(path: &str, jobs: &'a [Value]) -> Vec<(String, &'a Value)> {
    let number = |(index, job)| (format!("{path}[{index}]"), job);
    jobs.iter().enumerate().map(number).collect()
}

/// Checks jobs that stand at these paths of the document.
pub(super) fn check_all<'a>(
    document: &Document,
    specs: impl Iterator<Item = (String, &'a JobSpec)>,
    defaults: &JobDefaults,
    problems: &mut Vec<Problem>,
) -> Vec<ConfiguredJob> {
    let mut jobs: Vec<ConfiguredJob> = Vec::new();
    let mut first_of_id: HashMap<String, String> = HashMap::new();
    for (path, spec) in specs {
        if let Some(first) = first_of_id.get(&spec.id) {
            let message = format!("{:?} is the id of {first}, too", spec.id);
            problems.push(document.problem(&join(&path, "id"), message));
            continue;
        }
        first_of_id.insert(spec.id.clone(), path.clone());
        match check(spec, defaults) {
            Ok(job) => jobs.push(ConfiguredJob {
                job,
                replace_existing: spec.replace_existing,
            }),
            Err((field, message)) => {
                problems.push(document.problem(&join(&path, &field), message));
            }
        }
    }
    jobs
}

/// One job; or the field that breaks a rule, and the rule.
fn check(spec: &JobSpec, defaults: &JobDefaults) -> Result<Job, (String, String)> {
    let job = spec.resolve(defaults).map_err(|error| {
        // As it is shown, and so with the character that it points at.
        let shown = error.to_string();
        let said = shown.strip_prefix(&format!("{}: ", error.field));
        let said = without_passwords(said.unwrap_or(&shown));
        (error.field, said)
    })?;
    // Other tasks are known to their workers alone.
    builtin::check_args(job.task(), job.args())
        .map_err(|error| (join("args", &error.field), error.message))?;
    Ok(job)
}
