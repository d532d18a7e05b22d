//! Jobs: stored definitions of what runs when, and how.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod compact;

use crate::after::{After, On};
use crate::duration;
use crate::id::{JobId, NameError, QueueName, Tag, TaskName};
use crate::policy::{
    Coalesce, Delivery, Grace, MAX_CATCH_UP, MAX_INSTANCES, OnLost, Overlap, Policy, Priority,
    Retry,
};
use crate::retention::HistoryPolicy;
use crate::trigger::{Pointer, Trigger, TriggerError, TriggerSpec};
use crate::unique::Unique;

/// A job: which task runs with which args, when, and under which policies.
///
/// Made by [`Job::builder`], or from a [`JobSpec`] as typed. Valid by construction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    id: JobId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    task: TaskName,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    args: Value,
    trigger: Trigger,
    #[serde(default = "QueueName::default_queue")]
    queue: QueueName,
    #[serde(default)]
    policy: Policy,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    tags: BTreeSet<Tag>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unique: Option<Unique>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<After>,
}

/// How many tags a job has at most.
pub const MAX_TAGS: usize = 32;

impl Job {
    /// Starts a job of `id` that runs `task` at the times that `trigger` yields.
    pub fn builder(id: JobId, task: TaskName, trigger: Trigger) -> JobBuilder {
        JobBuilder(Self {
            id,
            name: None,
            task,
            args: Value::Null,
            trigger,
            queue: QueueName::default_queue(),
            policy: Policy::default(),
            tags: BTreeSet::new(),
            owner: None,
            unique: None,
            after: None,
        })
    }

    /// The same job under another id.
    #[must_use]
    pub fn with_id(mut self, id: JobId) -> Self {
        self.id = id;
        self
    }

    /// The same job with other args.
    #[must_use]
    pub fn with_args(mut self, args: Value) -> Self {
        self.args = args;
        self
    }

    /// The same job with its runs in another queue.
    #[must_use]
    pub fn in_queue(mut self, queue: QueueName) -> Self {
        self.queue = queue;
        self
    }

    /// The job's id.
    #[must_use]
    pub const fn id(&self) -> &JobId {
        &self.id
    }

    /// The job's name for people: its id where it was given none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.id.as_str())
    }

    /// The name that it was given, if it was given one.
    #[must_use]
    pub fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The job, to be built on: everything that is not said anew stays.
    pub const fn into_builder(self) -> JobBuilder {
        JobBuilder(self)
    }

    /// The task that it runs.
    #[must_use]
    pub const fn task(&self) -> &TaskName {
        &self.task
    }

    /// What the task's handler gets: null, a list, or an object.
    #[must_use]
    pub const fn args(&self) -> &Value {
        &self.args
    }

    /// When it runs.
    #[must_use]
    pub const fn trigger(&self) -> &Trigger {
        &self.trigger
    }

    /// The job whose runs it follows, if it follows one.
    #[must_use]
    pub const fn after(&self) -> Option<&After> {
        self.after.as_ref()
    }

    /// Where its runs wait for a node.
    #[must_use]
    pub const fn queue(&self) -> &QueueName {
        &self.queue
    }

    /// Its policies.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What people sort and find it by.
    #[must_use]
    pub const fn tags(&self) -> &BTreeSet<Tag> {
        &self.tags
    }

    /// The file or service that declares it, and that alone may prune it; none where somebody put
    /// it by hand.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// The key that no other live job may have, if it has one.
    #[must_use]
    pub const fn unique(&self) -> Option<&Unique> {
        self.unique.as_ref()
    }
}

/// Builds a [`Job`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct JobBuilder(Job);

impl JobBuilder {
    /// A name for people. Defaults to the id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.name = Some(name.into());
        self
    }

    /// What the handler gets. Defaults to null.
    pub fn args(mut self, args: impl Into<Value>) -> Self {
        self.0.args = args.into();
        self
    }

    /// Where the runs wait for a node. Defaults to the queue `default`.
    pub fn queue(mut self, queue: QueueName) -> Self {
        self.0.queue = queue;
        self
    }

    /// All policies at once.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.0.policy = policy;
        self.max_instances(policy.max_instances)
            .max_catch_up(policy.max_catch_up)
            .history(policy.history)
    }

    /// How many runs may be in flight at once. Defaults to 1; more than [`MAX_INSTANCES`] are taken
    /// for so many.
    pub fn max_instances(mut self, limit: NonZeroU32) -> Self {
        self.0.policy.max_instances = limit.min(MAX_INSTANCES);
        self
    }

    /// How late a fire time may still become a run. Defaults to however late.
    pub const fn misfire_grace_time(mut self, grace: Grace) -> Self {
        self.0.policy.misfire_grace_time = grace;
        self
    }

    /// Which of several due fire times become runs. Defaults to the latest.
    pub const fn coalesce(mut self, coalesce: Coalesce) -> Self {
        self.0.policy.coalesce = coalesce;
        self
    }

    /// How many fire times that are due at once become runs, where each does. Defaults to 100; more
    /// than [`MAX_CATCH_UP`] are taken for so many.
    pub fn max_catch_up(mut self, limit: NonZeroU32) -> Self {
        self.0.policy.max_catch_up = limit.min(MAX_CATCH_UP);
        self
    }

    /// How much of its history is kept, besides what is kept of all jobs. Defaults to no more; what is
    /// out of bounds is taken for the bound.
    pub fn history(mut self, history: HistoryPolicy) -> Self {
        self.0.policy.history = history.bounded();
        self
    }

    /// Which of its queue's runs go first. Defaults to normal.
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.0.policy.priority = priority;
        self
    }

    /// What becomes of a run whose node died. Defaults to another attempt.
    pub const fn on_lost(mut self, on_lost: OnLost) -> Self {
        self.0.policy.on_lost = on_lost;
        self
    }

    /// How often a run may be begun. Defaults to at least once; at most once leaves one attempt.
    pub const fn delivery(mut self, delivery: Delivery) -> Self {
        self.0.policy.delivery = delivery;
        self
    }

    /// What people sort and find it by. Defaults to nothing; past [`MAX_TAGS`] the others are left
    /// out.
    pub fn tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.0.tags = tags.into_iter().take(MAX_TAGS).collect();
        self
    }

    /// Who declares it. Defaults to nobody.
    pub fn owner(mut self, owner: Option<String>) -> Self {
        self.0.owner = owner;
        self
    }

    /// A key that no other live job may have, for jobs that run once; see [`crate::unique`]. Defaults
    /// to none.
    pub fn unique(mut self, unique: Option<Unique>) -> Self {
        self.0.unique = unique;
        self
    }

    /// The job whose runs it follows, besides its trigger. Defaults to none. Such a job is kept when its
    /// schedule is over: others may have it run still.
    pub fn after(mut self, after: Option<After>) -> Self {
        self.0.after = after;
        self
    }

    /// The job.
    #[must_use]
    pub fn build(mut self) -> Job {
        self.0.policy.keep |= self.0.after.is_some();
        self.0
    }
}

/// What jobs take where their specs are silent.
#[derive(Clone, Debug, PartialEq)]
pub struct JobDefaults {
    /// The zone of triggers that name none. Defaults to UTC.
    pub timezone: Tz,
    /// Policies.
    pub policy: Policy,
}

impl Default for JobDefaults {
    fn default() -> Self {
        Self {
            timezone: Tz::UTC,
            policy: Policy::default(),
        }
    }
}

/// Whom a job follows, as typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `job` and `on`")]
pub struct AfterSpec {
    /// The job whose runs it follows.
    pub job: String,
    /// Which of them: `success`, `failure` or `any`. Defaults to `success`.
    #[serde(default)]
    pub on: On,
}

impl AfterSpec {
    fn check(&self, id: &JobId) -> Result<After, JobError> {
        let job = JobId::new(&self.job).map_err(|e| JobError::name("after.job", &e))?;
        if job == *id {
            return Err(JobError {
                field: "after.job".to_owned(),
                message: format!("{:?} cannot follow itself", id.as_str()),
                pointer: None,
            });
        }
        Ok(After { job, on: self.on })
    }
}

impl From<&After> for AfterSpec {
    fn from(after: &After) -> Self {
        Self {
            job: after.job.to_string(),
            on: after.on,
        }
    }
}

/// A job as typed, in a file, a request or a command: nothing has been checked yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// The job's id.
    pub id: String,
    /// A name for people. Defaults to the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The task that it runs.
    pub task: String,
    /// What the task's handler gets. Defaults to nothing.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub args: Value,
    /// When it runs. Defaults to never, for a job that runs after another.
    #[serde(
        default = "TriggerSpec::never",
        skip_serializing_if = "TriggerSpec::is_never"
    )]
    pub trigger: TriggerSpec,
    /// The job whose runs it follows. Defaults to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<AfterSpec>,
    /// Where its runs wait for a node. Defaults to `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Defaults to the job defaults' value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coalesce: Option<Coalesce>,
    /// Defaults to the job defaults' value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misfire_grace_time: Option<Grace>,
    /// Defaults to the job defaults' value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_instances: Option<NonZeroU32>,
    /// Defaults to the job defaults' value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_lost: Option<OnLost>,
    /// Defaults to the job defaults' value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lost: Option<NonZeroU32>,
    /// Defaults to the job defaults' value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_catch_up: Option<NonZeroU32>,
    /// Defaults to the job defaults' value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// Defaults to the job defaults' value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Defaults to the job defaults' value.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub timeout: Option<Duration>,
    /// Defaults to the job defaults' value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// Defaults to the job defaults' value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Defaults to the job defaults' value.
    #[serde(
        default,
        with = "duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub spread: Option<Duration>,
    /// Defaults to the job defaults' value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<bool>,
    /// Defaults to the job defaults' value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryPolicy>,
    /// What people sort and find it by. Defaults to nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// A key that no other live job may have, for jobs that run once. Defaults to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<Unique>,
    /// Whether the job takes the place of a stored one with the same id. Defaults to what the
    /// reader of the spec says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace_existing: Option<bool>,
}

/// The job as somebody would write it who leaves nothing to defaults; its owner is not part of it.
impl From<&Job> for JobSpec {
    fn from(job: &Job) -> Self {
        let policy = job.policy();
        Self {
            name: job.given_name().map(str::to_owned),
            args: job.args().clone(),
            after: job.after().map(AfterSpec::from),
            queue: Some(job.queue().to_string()),
            coalesce: Some(policy.coalesce),
            misfire_grace_time: Some(policy.misfire_grace_time),
            max_instances: Some(policy.max_instances),
            on_lost: Some(policy.on_lost),
            max_lost: Some(policy.max_lost),
            max_catch_up: Some(policy.max_catch_up),
            overlap: Some(policy.overlap),
            retry: Some(policy.retry),
            timeout: policy.timeout,
            delivery: Some(policy.delivery),
            priority: Some(policy.priority),
            spread: policy.spread,
            keep: Some(policy.keep),
            history: Some(policy.history),
            tags: job.tags().iter().map(ToString::to_string).collect(),
            unique: job.unique().cloned(),
            ..Self::new(
                job.id().as_str(),
                job.task().as_str(),
                job.trigger().spec().clone(),
            )
        }
    }
}

/// A job spec that breaks a rule. Shown as a [`TriggerError`] is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", TriggerError::from(self))]
pub struct JobError {
    /// The field, from the job inwards: `"id"`, `"trigger.minute"`.
    pub field: String,
    /// The value, and the rule that it breaks; one line.
    pub message: String,
    /// Where in the value the reading stopped, if it is a text that was read by the character.
    pub pointer: Option<Pointer>,
}

impl JobError {
    fn name(field: &str, error: &NameError) -> Self {
        Self {
            field: field.to_owned(),
            message: error.to_string(),
            pointer: None,
        }
    }

    fn trigger(error: TriggerError) -> Self {
        Self {
            field: format!("trigger.{}", error.field),
            message: error.message,
            pointer: error.pointer,
        }
    }
}

impl From<&JobError> for TriggerError {
    fn from(error: &JobError) -> Self {
        Self {
            field: error.field.clone(),
            message: error.message.clone(),
            pointer: error.pointer.clone(),
        }
    }
}

impl JobSpec {
    /// A job that says no more than it must.
    #[must_use]
    pub fn new(id: impl Into<String>, task: impl Into<String>, trigger: TriggerSpec) -> Self {
        Self {
            id: id.into(),
            name: None,
            task: task.into(),
            args: Value::Null,
            trigger,
            after: None,
            queue: None,
            coalesce: None,
            misfire_grace_time: None,
            max_instances: None,
            on_lost: None,
            max_lost: None,
            max_catch_up: None,
            overlap: None,
            retry: None,
            timeout: None,
            delivery: None,
            priority: None,
            spread: None,
            keep: None,
            history: None,
            tags: Vec::new(),
            unique: None,
            replace_existing: None,
        }
    }

    /// Checks each field and fills in the defaults.
    ///
    /// # Errors
    ///
    /// Names the first field that breaks a rule, its value and the rule.
    pub fn resolve(&self, defaults: &JobDefaults) -> Result<Job, JobError> {
        let id = JobId::new(&self.id).map_err(|e| JobError::name("id", &e))?;
        let task = TaskName::new(&self.task).map_err(|e| JobError::name("task", &e))?;
        let queue = match &self.queue {
            Some(queue) => QueueName::new(queue).map_err(|e| JobError::name("queue", &e))?,
            None => QueueName::default_queue(),
        };
        if let Some(name) = &self.name
            && (name.trim().is_empty() || name.len() > 255)
        {
            let message = format!("{name:?} must have 1 to 255 bytes, not only blanks");
            return Err(JobError {
                field: "name".to_owned(),
                message,
                pointer: None,
            });
        }
        let after = self
            .after
            .as_ref()
            .map(|after| after.check(&id))
            .transpose()?;
        if after.is_none() && self.trigger.is_never() {
            return Err(JobError {
                field: "trigger".to_owned(),
                message: "is missing: say when the job runs, or after which other job".to_owned(),
                pointer: None,
            });
        }
        let trigger = self
            .trigger
            .resolve(defaults.timezone)
            .map_err(JobError::trigger)?;
        let policy = self.policy(&defaults.policy);
        policy.check().map_err(|(field, message)| JobError {
            field,
            message,
            pointer: None,
        })?;
        let tags = self.checked_tags()?;
        let unique = self.checked_unique()?;
        let name = self.name.clone();
        let job = Job {
            id,
            name,
            task,
            args: self.args.clone(),
            trigger,
            queue,
            policy,
            tags,
            owner: None,
            unique,
            after,
        };
        Ok(job.into_builder().build())
    }

    fn checked_unique(&self) -> Result<Option<Unique>, JobError> {
        let Some(unique) = &self.unique else {
            return Ok(None);
        };
        let wrong = |field: String, message: String| JobError {
            field,
            message,
            pointer: None,
        };
        if !matches!(self.trigger, TriggerSpec::Date(_)) {
            let message = "is for jobs that run once: their trigger is a date".to_owned();
            return Err(wrong("unique".to_owned(), message));
        }
        unique
            .check()
            .map_err(|(field, message)| wrong(format!("unique.{field}"), message))?;
        Ok(Some(unique.clone()))
    }

    fn policy(&self, defaults: &Policy) -> Policy {
        Policy {
            coalesce: self.coalesce.unwrap_or(defaults.coalesce),
            misfire_grace_time: self
                .misfire_grace_time
                .unwrap_or(defaults.misfire_grace_time),
            max_catch_up: self.max_catch_up.unwrap_or(defaults.max_catch_up),
            max_instances: self.max_instances.unwrap_or(defaults.max_instances),
            overlap: self.overlap.unwrap_or(defaults.overlap),
            retry: self.retry.unwrap_or(defaults.retry),
            timeout: self.timeout.or(defaults.timeout),
            delivery: self.delivery.unwrap_or(defaults.delivery),
            on_lost: self.on_lost.unwrap_or(defaults.on_lost),
            max_lost: self.max_lost.unwrap_or(defaults.max_lost),
            priority: self.priority.unwrap_or(defaults.priority),
            spread: self.spread.or(defaults.spread),
            keep: self.keep.unwrap_or(defaults.keep),
            history: self.history.unwrap_or(defaults.history),
        }
    }

    fn checked_tags(&self) -> Result<BTreeSet<Tag>, JobError> {
        if self.tags.len() > MAX_TAGS {
            let message = format!("{} tags: at most {MAX_TAGS} are allowed", self.tags.len());
            return Err(JobError {
                field: "tags".to_owned(),
                message,
                pointer: None,
            });
        }
        let tag = |(index, tag): (usize, &String)| {
            Tag::new(tag).map_err(|e| JobError::name(&format!("tags[{index}]"), &e))
        };
        self.tags.iter().enumerate().map(tag).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(max_instances: u32) -> JobSpec {
        serde_json::from_value(serde_json::json!({
            "id": "a",
            "task": "log",
            "trigger": { "type": "interval", "seconds": 10 },
            "max_instances": max_instances,
        }))
        .unwrap()
    }

    #[test]
    fn the_number_of_runs_in_flight_is_bounded() {
        let defaults = JobDefaults::default();
        let job = spec(1000).resolve(&defaults).unwrap();
        assert_eq!(job.policy().max_instances, MAX_INSTANCES);
        let said = spec(1001).resolve(&defaults).unwrap_err().to_string();
        assert_eq!(
            said,
            "max_instances: 1001 is out of range: allowed are 1 to 1000"
        );

        let names = (job.id().clone(), job.task().clone());
        let builder = Job::builder(names.0, names.1, job.trigger().clone());
        let policy = Policy {
            max_instances: NonZeroU32::MAX,
            ..Policy::default()
        };
        let built = [
            builder.clone().max_instances(NonZeroU32::MAX).build(),
            builder.policy(policy).build(),
        ];
        for job in built {
            assert_eq!(job.policy().max_instances, MAX_INSTANCES);
        }
    }
}
