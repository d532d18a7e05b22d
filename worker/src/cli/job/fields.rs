//! Flags that describe a job, for who adds one and for who changes one.

use carillon::core::{Timestamp, duration};
use clap::Args;
use serde_json::{Map, Value, json};

use super::Failure;

/// What a job is and how it behaves: each flag is a field of the same name.
#[derive(Args, Debug)]
pub(super) struct FieldFlags {
    /// A name for people [default: the id]
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// What it runs: log, http, shell, stream, or a task of your own workers
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// What the task gets, as JSON
    #[arg(long, value_name = "JSON")]
    args: Option<String>,
    /// Word to find it by; give it again for more
    #[arg(long = "tag", value_name = "WORD")]
    tags: Vec<String>,
    /// Job whose runs it follows, whether it has a schedule of its own or not
    #[arg(long, value_name = "ID", help_heading = "When")]
    after_job: Option<String>,
    /// Which of these runs it follows: success, failure, any [default: success]
    #[arg(
        long,
        value_name = "WHICH",
        requires = "after_job",
        help_heading = "When"
    )]
    after_on: Option<String>,
    /// Queue in which its runs wait [default: default]
    #[arg(long, value_name = "NAME", help_heading = "Policy")]
    queue: Option<String>,
    /// Which of several due fire times run: latest, earliest, all [default: latest]
    #[arg(long, value_name = "WHICH", help_heading = "Policy")]
    coalesce: Option<String>,
    /// How late it may still run: 15m, or none for no limit [default: none]
    #[arg(long, value_name = "TIME", help_heading = "Policy")]
    misfire_grace_time: Option<String>,
    /// With --coalesce all: how many due fire times run at most, the latest [default: 100]
    #[arg(long, value_name = "N", help_heading = "Policy")]
    max_catch_up: Option<u32>,
    /// How many runs of it may be in flight at once [default: 1]
    #[arg(long, value_name = "N", help_heading = "Policy")]
    max_instances: Option<u32>,
    /// What becomes of a fire time beyond max_instances: skip; or queue, where its run goes when
    /// another one has ended, in order [default: skip]
    #[arg(long, value_name = "WHAT", help_heading = "Policy")]
    overlap: Option<String>,
    /// How often a run is begun at most, or all of retry as JSON: 5, '{"max_attempts": 5, "base":
    /// "10s"}' [default: 1]
    #[arg(long, value_name = "N|JSON", help_heading = "Policy")]
    retry: Option<String>,
    /// How long an attempt may take: 30s, 5m [default: however long]
    #[arg(long, value_name = "TIME", help_heading = "Policy")]
    timeout: Option<String>,
    /// How often a run may be begun if workers die: at_least_once, at_most_once [default:
    /// at_least_once]
    #[arg(long, value_name = "HOW", help_heading = "Policy")]
    delivery: Option<String>,
    /// What becomes of a run whose worker died: retry, fail [default: retry]
    #[arg(long, value_name = "WHAT", help_heading = "Policy")]
    on_lost: Option<String>,
    /// How many of a run's attempts may be lost before it is given up [default: 3]
    #[arg(long, value_name = "N", help_heading = "Policy")]
    max_lost: Option<u32>,
    /// Which of the queue's runs go first: high, normal, low [default: normal]
    #[arg(long, value_name = "WHICH", help_heading = "Policy")]
    priority: Option<String>,
    /// Over how long fire times are spread, by the job's id: 30s [default: not at all]
    #[arg(long, value_name = "TIME", help_heading = "Policy")]
    spread: Option<String>,
    /// Keep the job when its schedule is over [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true",
        help_heading = "Policy"
    )]
    keep: Option<bool>,
    /// How many of its records history keeps, or all of history as JSON: 100, '{"keep": 100,
    /// "keep_for": "90d"}' [default: as many as of all jobs]
    #[arg(long, value_name = "N|JSON", help_heading = "Policy")]
    history: Option<String>,
}

impl FieldFlags {
    /// Puts what was given into a job as typed.
    pub(super) fn fill(&self, job: &mut Map<String, Value>) -> Result<(), Failure> {
        let mut set = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                job.insert(field.to_owned(), value);
            }
        };
        let args = self.args.as_deref();
        set(
            "args",
            args.map(|text| from_json("--args", text)).transpose()?,
        );
        let retry = self.retry.as_deref().map(|text| from_json("--retry", text));
        set(
            "retry",
            retry.transpose()?.map(|retry| match retry {
                Value::Number(attempts) => json!({ "max_attempts": attempts }),
                other => other,
            }),
        );
        let history = self.history.as_deref();
        let history = history.map(|text| from_json("--history", text));
        set(
            "history",
            history.transpose()?.map(|history| match history {
                Value::Number(records) => json!({ "keep": records }),
                other => other,
            }),
        );
        let texts = [
            ("name", &self.name),
            ("task", &self.task),
            ("queue", &self.queue),
            ("coalesce", &self.coalesce),
            ("misfire_grace_time", &self.misfire_grace_time),
            ("overlap", &self.overlap),
            ("timeout", &self.timeout),
            ("delivery", &self.delivery),
            ("on_lost", &self.on_lost),
            ("priority", &self.priority),
            ("spread", &self.spread),
        ];
        for (field, text) in texts {
            set(field, text.clone().map(Value::String));
        }
        let after = self.after_job.as_ref().map(|job| match &self.after_on {
            Some(on) => json!({ "job": job, "on": on }),
            None => json!({ "job": job }),
        });
        set("after", after);
        set("max_catch_up", self.max_catch_up.map(Value::from));
        set("max_instances", self.max_instances.map(Value::from));
        set("max_lost", self.max_lost.map(Value::from));
        set("keep", self.keep.map(Value::from));
        let tags = (!self.tags.is_empty()).then(|| self.tags.clone().into());
        set("tags", tags);
        Ok(())
    }
}

/// When a job runs.
#[derive(Args, Debug)]
#[command(next_help_heading = "When")]
pub(super) struct WhenFlags {
    /// Fire every so often: 10s, 15m, 1h 30m
    #[arg(long, value_name = "TIME", group = "when")]
    every: Option<String>,
    /// Fire whenever a cron expression matches: '*/5 * * * *'
    #[arg(long, value_name = "EXPRESSION", group = "when")]
    cron: Option<String>,
    /// Fire once: 2026-12-24T18:00:00+01:00
    #[arg(long, value_name = "TIME", group = "when")]
    at: Option<String>,
    /// Fire once, so long from now: 10m
    #[arg(long, visible_alias = "in", value_name = "TIME", group = "when")]
    after: Option<String>,
    /// Fire once, now
    #[arg(long, group = "when")]
    now: bool,
    /// Fire by any trigger, as JSON: '{"type": "cron", "hour": 8, "jitter": 60}'
    #[arg(long, value_name = "JSON", group = "when")]
    trigger: Option<String>,
    /// Whose wall clock [default: that of the job, of --config, or UTC]
    #[arg(long, value_name = "ZONE", requires = "when")]
    timezone: Option<String>,
}

impl WhenFlags {
    /// Whether the trigger depends on the store's clock.
    pub(super) const fn asks_for_now(&self) -> bool {
        self.after.is_some() || self.now
    }

    /// Puts the trigger that was given, if one was, into a job as typed; `now` is the store's clock.
    pub(super) fn fill_at(
        &self,
        now: Timestamp,
        job: &mut Map<String, Value>,
    ) -> Result<(), Failure> {
        let at = match &self.after {
            None => now,
            Some(after) => {
                let after = duration::parse(after)
                    .map_err(|message| Failure::Usage(format!("--after: {message}")))?;
                now.after(after)
            }
        };
        if self.asks_for_now() {
            let at = at.to_string();
            job.insert(
                "trigger".to_owned(),
                json!({ "type": "date", "run_date": at }),
            );
            return Ok(());
        }
        let mut trigger = match (&self.every, &self.cron, &self.at, &self.trigger) {
            (Some(every), ..) => {
                let every = duration::parse(every)
                    .map_err(|message| Failure::Usage(format!("--every: {message}")))?;
                json!({ "type": "interval", "seconds": every.as_secs_f64() })
            }
            (_, Some(cron), ..) => json!({ "type": "cron", "expression": cron }),
            (_, _, Some(at), _) => json!({ "type": "date", "run_date": at }),
            (_, _, _, Some(trigger)) => from_json("--trigger", trigger)?,
            (None, None, None, None) => return Ok(()),
        };
        if let (Some(zone), Some(trigger)) = (&self.timezone, trigger.as_object_mut()) {
            trigger.insert("timezone".to_owned(), Value::String(zone.clone()));
        }
        job.insert("trigger".to_owned(), trigger);
        Ok(())
    }
}

pub(super) fn from_json(flag: &str, text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::Usage(format!("{flag}: no JSON: {error}")))
}
