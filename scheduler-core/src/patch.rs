//! Partial changes of jobs: some fields get another value, the others stay.
//!
//! A patch is what a command, a request or a program says of a stored job. It is decided on the job
//! as it is stored at that moment, as a whole or not at all.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::change::{self, Change, ChangeError, Pause, StoredJob};
use crate::duration;
use crate::id::{JobId, UniqueKey};
use crate::job::{AfterSpec, Job, JobDefaults, JobError, JobSpec};
use crate::policy::{Coalesce, Delivery, Grace, OnLost, Overlap, Policy, Priority, Retry};
use crate::retention::HistoryPolicy;
use crate::time::Timestamp;
use crate::trigger::{TriggerError, TriggerSpec};
use crate::unique::Unique;

/// What becomes of one field. Read from a value (set to it) or null (back to its default); a field
/// that is absent stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edit<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It gets its default again.
    Reset,
    /// It gets this value.
    To(T),
}

impl<T> Edit<T> {
    /// Whether the field stays as it is.
    #[must_use]
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    fn of(value: Option<T>) -> Self {
        value.map_or(Self::Reset, Self::To)
    }

    /// The new value of a field that is otherwise `kept`, or by default `reset`.
    fn over(self, kept: T, reset: T) -> T {
        match self {
            Self::Keep => kept,
            Self::Reset => reset,
            Self::To(value) => value,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Edit<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Option::deserialize(from).map(Self::of)
    }
}

impl<T: Serialize> Serialize for Edit<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep | Self::Reset => to.serialize_none(),
            Self::To(value) => value.serialize(to),
        }
    }
}

/// Reads and writes a duration as jobs do.
mod edited_duration {
    use super::{Deserializer, Duration, Edit, Serializer, duration};

    pub(super) fn serialize<S: Serializer>(
        edit: &Edit<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match edit {
            Edit::Keep | Edit::Reset => to.serialize_none(),
            Edit::To(value) => duration::serialize(value, to),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Edit<Duration>, D::Error> {
        duration::option::deserialize(from).map(Edit::of)
    }
}

/// A partial change of a job, as typed: the fields of a [`JobSpec`], each of which may be absent (it
/// stays), null (it gets its default again) or a value.
///
/// ```
/// use scheduler_core::patch::JobPatch;
///
/// let patch: JobPatch = serde_json::from_str(r#"{"queue": "mail", "timeout": null}"#)?;
/// assert!(!patch.is_empty());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobPatch {
    /// A name for people. By default the id.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub name: Edit<String>,
    /// The task that it runs. It has no default.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub task: Edit<String>,
    /// What the task's handler gets, as a whole. By default nothing.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub args: Edit<Value>,
    /// When it runs: a schedule that begins anew, in the job's zone where it names none. By default
    /// never, which is something for a job that follows another only.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub trigger: Edit<TriggerSpec>,
    /// The job whose runs it follows, as a whole. By default none.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub after: Edit<AfterSpec>,
    /// When it runs next: the schedule goes on from there, and a paused job is resumed. Null pauses
    /// the job, as in APScheduler.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub next_run_time: Edit<String>,
    /// Where its runs wait. By default in the queue `default`.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub queue: Edit<String>,
    /// Which of several due fire times become runs.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub coalesce: Edit<Coalesce>,
    /// How late a fire time may still become a run.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub misfire_grace_time: Edit<Grace>,
    /// How many runs may be in flight at once.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub max_instances: Edit<NonZeroU32>,
    /// What becomes of a run whose node died.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub on_lost: Edit<OnLost>,
    /// How many of a run's attempts may be lost.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub max_lost: Edit<NonZeroU32>,
    /// How many fire times that are due at once may become runs.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub max_catch_up: Edit<NonZeroU32>,
    /// What becomes of a fire time beyond `max_instances`.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub overlap: Edit<Overlap>,
    /// What becomes of a run whose handler failed, as a whole.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub retry: Edit<Retry>,
    /// How long one attempt may take.
    #[serde(with = "edited_duration", skip_serializing_if = "Edit::is_keep")]
    pub timeout: Edit<Duration>,
    /// How often a run may be begun.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub delivery: Edit<Delivery>,
    /// Which of its queue's runs go first.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub priority: Edit<Priority>,
    /// Over how long the fire times of many jobs are spread.
    #[serde(with = "edited_duration", skip_serializing_if = "Edit::is_keep")]
    pub spread: Edit<Duration>,
    /// Whether the job stays stored when its schedule is over.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub keep: Edit<bool>,
    /// How much of its history is kept, as a whole.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub history: Edit<HistoryPolicy>,
    /// What people sort and find it by, as a whole. By default nothing.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub tags: Edit<Vec<String>>,
    /// A key that no other live job may have, as a whole. By default none. A key that the job has stays
    /// held for as long as it was taken for.
    #[serde(skip_serializing_if = "Edit::is_keep")]
    pub unique: Edit<Unique>,
}

/// A patch that cannot be applied to a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// A field breaks a rule.
    #[error(transparent)]
    Field(#[from] JobError),
    /// The change would make no sense.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// Another job has the unique key.
    #[error("unique.key: {key:?} is held by job {by:?}", key = key.as_str(), by = by.as_str())]
    KeyTaken {
        /// The key.
        key: UniqueKey,
        /// Who holds it.
        by: JobId,
    },
}

impl JobPatch {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The definition with these fields changed. What is put back takes its value from `defaults`,
    /// and a new trigger without a zone is in the job's.
    ///
    /// # Errors
    ///
    /// Names the first field that breaks a rule, its value and the rule.
    pub fn apply(&self, job: &Job, defaults: &JobDefaults) -> Result<Job, JobError> {
        let required = |field: &str| JobError {
            field: field.to_owned(),
            message: "null: a job cannot be without it".to_owned(),
            pointer: None,
        };
        let text = |edit: &Edit<String>, kept: &str| match edit {
            Edit::Keep => Some(kept.to_owned()),
            Edit::Reset => None,
            Edit::To(text) => Some(text.clone()),
        };
        let trigger = match &self.trigger {
            Edit::Keep => job.trigger().spec().clone(),
            // A job that follows another needs none.
            Edit::Reset => TriggerSpec::never(),
            Edit::To(trigger) => trigger.clone(),
        };
        let after = match &self.after {
            Edit::Keep => job.after().map(AfterSpec::from),
            Edit::Reset => None,
            Edit::To(after) => Some(after.clone()),
        };
        if self.trigger == Edit::Reset && after.is_none() {
            return Err(required("trigger"));
        }
        let kept_tags = job.tags().iter().map(ToString::to_string).collect();
        let spec = JobSpec {
            name: match &self.name {
                Edit::Keep => job.given_name().map(str::to_owned),
                edit => text(edit, ""),
            },
            after,
            args: self.args.clone().over(job.args().clone(), Value::Null),
            queue: text(&self.queue, job.queue().as_str()),
            tags: self.tags.clone().over(kept_tags, Vec::new()),
            unique: self.unique_of(job)?,
            ..JobSpec::new(
                job.id().as_str(),
                text(&self.task, job.task().as_str()).ok_or_else(|| required("task"))?,
                trigger,
            )
        };
        let base = JobDefaults {
            timezone: job.trigger().timezone(),
            policy: self.policy(job.policy(), &defaults.policy),
        };
        let changed = spec.resolve(&base)?;
        let owner = job.owner().map(str::to_owned);
        Ok(changed.into_builder().owner(owner).build())
    }

    /// The job's unique key from now on. When it is free again was settled when it was taken.
    fn unique_of(&self, job: &Job) -> Result<Option<Unique>, JobError> {
        let had = job.unique();
        match &self.unique {
            Edit::Keep => Ok(had.cloned()),
            Edit::Reset => Ok(None),
            Edit::To(unique)
                if had.is_some_and(|had| had.key == unique.key && had.ttl != unique.ttl) =>
            {
                Err(JobError {
                    field: "unique.ttl".to_owned(),
                    message: format!(
                        "the job has the key {:?} already, for as long as it took it: give another key, or none",
                        unique.key.as_str()
                    ),
                    pointer: None,
                })
            }
            Edit::To(unique) => Ok(Some(unique.clone())),
        }
    }

    fn policy(&self, kept: &Policy, reset: &Policy) -> Policy {
        let optional = |edit: Edit<Duration>, kept, reset| match edit {
            Edit::Keep => kept,
            Edit::Reset => reset,
            Edit::To(value) => Some(value),
        };
        Policy {
            coalesce: self.coalesce.over(kept.coalesce, reset.coalesce),
            misfire_grace_time: self
                .misfire_grace_time
                .over(kept.misfire_grace_time, reset.misfire_grace_time),
            max_catch_up: self
                .max_catch_up
                .over(kept.max_catch_up, reset.max_catch_up),
            max_instances: self
                .max_instances
                .over(kept.max_instances, reset.max_instances),
            overlap: self.overlap.over(kept.overlap, reset.overlap),
            retry: self.retry.over(kept.retry, reset.retry),
            timeout: optional(self.timeout, kept.timeout, reset.timeout),
            delivery: self.delivery.over(kept.delivery, reset.delivery),
            on_lost: self.on_lost.over(kept.on_lost, reset.on_lost),
            max_lost: self.max_lost.over(kept.max_lost, reset.max_lost),
            priority: self.priority.over(kept.priority, reset.priority),
            spread: optional(self.spread, kept.spread, reset.spread),
            keep: self.keep.over(kept.keep, reset.keep),
            history: self.history.over(kept.history, reset.history),
        }
    }

    /// What the patch does to a stored job; none where that leaves everything as it is.
    ///
    /// # Errors
    ///
    /// A field that breaks a rule, a new schedule without any fire time left, and a next run time
    /// that would lose a fire time or repeat one.
    pub fn change(
        &self,
        stored: &StoredJob,
        defaults: &JobDefaults,
        now: Timestamp,
    ) -> Result<Option<Change>, PatchError> {
        let job = self.apply(&stored.job, defaults)?;
        if let Edit::To(text) = &self.next_run_time {
            let at = job.trigger().moment("next_run_time", text);
            let at = at.map_err(
                |TriggerError {
                     field,
                     message,
                     pointer,
                 }| JobError {
                    field,
                    message,
                    pointer,
                },
            )?;
            return Ok(Some(change::run_next_at(stored, job, at, now)?));
        }
        let begins_anew = !self.trigger.is_keep();
        let pauses = self.next_run_time == Edit::Reset && !stored.state.is_paused();
        if !begins_anew && !pauses && job == stored.job {
            return Ok(None);
        }
        let changed = if begins_anew {
            change::reschedule(stored, job, now)?
        } else {
            change::replace(stored, job, now)?
        };
        let pause = Pause {
            since: Some(now),
            ..Pause::default()
        };
        Ok(Some(if pauses {
            changed.paused(pause)
        } else {
            changed
        }))
    }
}
