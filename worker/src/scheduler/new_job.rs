//! A job to add, put together by hand.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::job::AfterSpec;
use scheduler_core::trigger::{CronSpec, DateSpec, IntervalSpec, TriggerSpec};
use scheduler_core::{
    Coalesce, Delivery, Grace, HistoryPolicy, Job, JobDefaults, JobError, JobSpec, On, OnLost,
    Overlap, Priority, Retry,
};
use serde::Serialize;

use crate::jobs::{OnConflict, PutWish};

/// A job to add: what [`Scheduler::add_job`](crate::Scheduler::add_job) and
/// [`SchedulerBuilder::job`](crate::SchedulerBuilder::job) take. Checked as a whole when it is added.
///
/// ```
/// use std::time::Duration;
/// use carillon::NewJob;
///
/// let report = NewJob::new("report", "send_report")
///     .cron("30 8 * * mon-fri")
///     .timezone("Europe/Berlin")
///     .args(["ops@example.org"])
///     .misfire_grace_time(Duration::from_secs(900));
/// ```
///
/// Without a trigger it runs once, at once. A [`Job`] and a [`JobSpec`] can be added as well; of a
/// [`Job`], only what becomes of a stored one can still be said.
#[derive(Clone, Debug)]
#[must_use = "a job does nothing until it is added"]
pub struct NewJob {
    form: Form,
    on_conflict: Option<OnConflict>,
    wrong: Option<JobError>,
}

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "few of them, and short-lived")]
enum Form {
    Ready(Job),
    Typed(JobSpec),
}

impl From<Job> for NewJob {
    fn from(job: Job) -> Self {
        Self {
            form: Form::Ready(job),
            on_conflict: None,
            wrong: None,
        }
    }
}

impl From<JobSpec> for NewJob {
    fn from(spec: JobSpec) -> Self {
        Self {
            form: Form::Typed(spec),
            on_conflict: None,
            wrong: None,
        }
    }
}

impl NewJob {
    /// A job of this id that runs this task.
    pub fn new(id: impl Into<String>, task: impl Into<String>) -> Self {
        Self::from(JobSpec::new(
            id,
            task,
            TriggerSpec::Date(DateSpec::default()),
        ))
    }

    // ----- when -----------------------------------------------------------------------------

    /// The job whose runs it follows, besides its trigger; without one it runs then only.
    ///
    /// ```
    /// use carillon::NewJob;
    /// use carillon::core::On;
    ///
    /// let report = NewJob::new("report", "send_report").after("import", On::Success);
    /// ```
    pub fn after(self, job: impl Into<String>, on: On) -> Self {
        let after = AfterSpec {
            job: job.into(),
            on,
        };
        self.typed(|spec| {
            spec.after = Some(after);
            if spec.trigger == TriggerSpec::Date(DateSpec::default()) {
                spec.trigger = TriggerSpec::never();
            }
        })
    }

    /// When it runs.
    pub fn trigger(self, trigger: TriggerSpec) -> Self {
        self.typed(|spec| spec.trigger = trigger)
    }

    /// It runs every so often.
    pub fn every(self, interval: Duration) -> Self {
        self.trigger(TriggerSpec::Interval(IntervalSpec {
            seconds: Some(interval.as_secs_f64()),
            ..IntervalSpec::default()
        }))
    }

    /// It runs when the wall clock matches this cron expression.
    pub fn cron(self, expression: impl Into<String>) -> Self {
        self.trigger(TriggerSpec::Cron(CronSpec {
            expression: Some(expression.into()),
            ..CronSpec::default()
        }))
    }

    /// It runs once, on this date: `2026-12-24 18:00:00`, with an offset or in its zone.
    pub fn at(self, run_date: impl Into<String>) -> Self {
        self.trigger(TriggerSpec::Date(DateSpec {
            run_date: Some(run_date.into()),
            ..DateSpec::default()
        }))
    }

    /// The zone of its trigger, which must have been given before. Defaults to that of the
    /// scheduler's job defaults.
    pub fn timezone(self, zone: impl Into<String>) -> Self {
        self.typed(|spec| {
            let timezone = match &mut spec.trigger {
                TriggerSpec::Date(date) => &mut date.timezone,
                TriggerSpec::Interval(interval) => &mut interval.timezone,
                TriggerSpec::Cron(cron) => &mut cron.timezone,
                TriggerSpec::CalendarInterval(calendar) => &mut calendar.timezone,
                TriggerSpec::And(combined) | TriggerSpec::Or(combined) => &mut combined.timezone,
            };
            *timezone = Some(zone.into());
        })
    }

    // ----- what -----------------------------------------------------------------------------

    /// What the handler gets. Defaults to nothing.
    pub fn args(mut self, args: impl Serialize) -> Self {
        match serde_json::to_value(args) {
            Ok(args) => self.typed(|spec| spec.args = args),
            Err(error) => {
                self.wrong.get_or_insert(JobError {
                    field: "args".to_owned(),
                    message: format!("cannot be written as JSON: {error}"),
                    pointer: None,
                });
                self
            }
        }
    }

    /// A name for people. Defaults to the id.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.typed(|spec| spec.name = Some(name.into()))
    }

    /// Where its runs wait for a node. Defaults to the queue `default`.
    pub fn queue(self, queue: impl Into<String>) -> Self {
        self.typed(|spec| spec.queue = Some(queue.into()))
    }

    /// What people sort and find it by. Defaults to nothing.
    pub fn tags<T: Into<String>>(self, tags: impl IntoIterator<Item = T>) -> Self {
        self.typed(|spec| spec.tags = tags.into_iter().map(Into::into).collect())
    }

    // ----- policies -------------------------------------------------------------------------

    /// How late a fire time may still become a run. Defaults to the job defaults' value.
    pub fn misfire_grace_time(self, grace: Duration) -> Self {
        self.typed(|spec| spec.misfire_grace_time = Some(Grace::Within(grace)))
    }

    /// Which of several due fire times become runs. Defaults to the job defaults' value.
    pub fn coalesce(self, coalesce: Coalesce) -> Self {
        self.typed(|spec| spec.coalesce = Some(coalesce))
    }

    /// How many fire times at once become runs, where each of them does. Defaults to the job
    /// defaults' value.
    pub fn max_catch_up(self, limit: NonZeroU32) -> Self {
        self.typed(|spec| spec.max_catch_up = Some(limit))
    }

    /// How many of its runs may be in flight at once, in the whole cluster. Defaults to the job
    /// defaults' value.
    pub fn max_instances(self, limit: NonZeroU32) -> Self {
        self.typed(|spec| spec.max_instances = Some(limit))
    }

    /// What becomes of a fire time beyond that. Defaults to the job defaults' value.
    pub fn overlap(self, overlap: Overlap) -> Self {
        self.typed(|spec| spec.overlap = Some(overlap))
    }

    /// What becomes of a run whose handler failed. Defaults to the job defaults' value.
    pub fn retry(self, retry: Retry) -> Self {
        self.typed(|spec| spec.retry = Some(retry))
    }

    /// How long one attempt may take. Defaults to the job defaults' value.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.typed(|spec| spec.timeout = Some(timeout))
    }

    /// How often a run may be begun. Defaults to the job defaults' value.
    pub fn delivery(self, delivery: Delivery) -> Self {
        self.typed(|spec| spec.delivery = Some(delivery))
    }

    /// What becomes of a run whose node died. Defaults to the job defaults' value.
    pub fn on_lost(self, on_lost: OnLost) -> Self {
        self.typed(|spec| spec.on_lost = Some(on_lost))
    }

    /// Which of its queue's runs go first. Defaults to the job defaults' value.
    pub fn priority(self, priority: Priority) -> Self {
        self.typed(|spec| spec.priority = Some(priority))
    }

    /// How much of its history is kept, besides what is kept of all jobs. Defaults to the job defaults'
    /// value.
    pub fn history(self, history: HistoryPolicy) -> Self {
        self.typed(|spec| spec.history = Some(history))
    }

    // ----- where one of its id is stored ----------------------------------------------------

    /// It takes the place of a stored job of its id.
    pub const fn replace_existing(mut self) -> Self {
        self.on_conflict = Some(OnConflict::Replace);
        self
    }

    /// A stored job of its id stays as it is.
    pub const fn keep_existing(mut self) -> Self {
        self.on_conflict = Some(OnConflict::Keep);
        self
    }

    /// Changes what was typed. A [`Job`] has been checked already, and stays as it is.
    fn typed(mut self, change: impl FnOnce(&mut JobSpec)) -> Self {
        match &mut self.form {
            Form::Typed(spec) => change(spec),
            Form::Ready(_) => {
                self.wrong.get_or_insert(JobError {
                    field: "job".to_owned(),
                    message: "was built already: say it to its builder".to_owned(),
                    pointer: None,
                });
            }
        }
        self
    }

    /// The job, checked. `on_conflict` is for a job that does not say.
    pub(super) fn checked(
        self,
        defaults: &JobDefaults,
        on_conflict: OnConflict,
    ) -> Result<PutWish, JobError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let (job, typed) = match self.form {
            Form::Ready(job) => (job, None),
            Form::Typed(spec) => {
                let typed = spec.replace_existing.map(|replace| match replace {
                    true => OnConflict::Replace,
                    false if on_conflict == OnConflict::Refuse => OnConflict::Refuse,
                    false => OnConflict::Keep,
                });
                (spec.resolve(defaults)?, typed)
            }
        };
        let on_conflict = self.on_conflict.or(typed).unwrap_or(on_conflict);
        Ok(PutWish { job, on_conflict })
    }

    /// The id, for people: it may break the rules still.
    pub(super) fn id(&self) -> &str {
        match &self.form {
            Form::Ready(job) => job.id().as_str(),
            Form::Typed(spec) => &spec.id,
        }
    }
}
