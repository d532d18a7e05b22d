//! `carillon job add`: a job as flags, or jobs as a document.

use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;

use carillon::config::{ConfiguredJob, JobDocument};
use carillon::core::{JobDefaults, Store, duration};
use carillon::jobs::{OnConflict, Put, PutWish};
use clap::{ArgGroup, Args};
use serde_json::{Map, Value, json};

use super::{Desk, Failure, output};

const HELP: &str = "\
Examples:
  carillon job add --id hello --every 10s --task log --args '{\"message\": \"hello\"}'
  carillon job add --id report --cron '30 8 * * mon-fri' --timezone Europe/Berlin \\
      --task http --args '{\"url\": \"https://example.org/report\", \"method\": \"POST\"}'
  carillon job add --id once --at 2026-12-24T18:00:00+01:00 --task stream --args '{\"stream\": \"gifts\"}'
  carillon job add --file jobs.toml --replace
  generate-jobs | carillon job add --file -

A file holds jobs as [[jobs]] of the configuration file, or the same as JSON: one job, a list of
jobs, or {\"jobs\": [...]}. A job whose id is there already is refused, unless --replace is given or
the job says replace_existing = true. [job_defaults] and timezone of --config apply.";

/// `carillon job add`.
#[derive(Args, Debug)]
#[command(
    after_help = HELP,
    group(ArgGroup::new("when").args(["every", "cron", "at", "trigger"])),
    group(ArgGroup::new("what").args(["id", "file"]).required(true)),
)]
pub(in crate::cli) struct AddArgs {
    /// File with jobs (TOML or JSON); - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = FLAGS)]
    file: Option<PathBuf>,
    /// The job's id
    #[arg(long, value_name = "ID", requires_all = ["task", "when"])]
    id: Option<String>,
    /// A name for people [default: the id]
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// What it runs: log, http, shell, stream, or a task of your own workers
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// What the task gets, as JSON
    #[arg(long, value_name = "JSON")]
    args: Option<String>,
    /// Fire every so often: 10s, 15m, 1h 30m
    #[arg(long, value_name = "TIME", help_heading = "When")]
    every: Option<String>,
    /// Fire whenever a cron expression matches: '*/5 * * * *'
    #[arg(long, value_name = "EXPRESSION", help_heading = "When")]
    cron: Option<String>,
    /// Fire once: 2026-12-24T18:00:00+01:00
    #[arg(long, value_name = "TIME", help_heading = "When")]
    at: Option<String>,
    /// Fire by any trigger, as JSON: '{"type": "cron", "hour": 8, "jitter": 60}'
    #[arg(long, value_name = "JSON", help_heading = "When")]
    trigger: Option<String>,
    /// Whose wall clock [default: that of --config, or UTC]
    #[arg(long, value_name = "ZONE", help_heading = "When")]
    timezone: Option<String>,
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
    /// Which of its queue's runs go first: high, normal, low [default: normal]
    #[arg(long, value_name = "WHICH", help_heading = "Policy")]
    priority: Option<String>,
    /// What becomes of a run whose worker died: retry, fail [default: retry]
    #[arg(long, value_name = "WHAT", help_heading = "Policy")]
    on_lost: Option<String>,
    /// How many of a run's attempts may be lost before it is given up [default: 3]
    #[arg(long, value_name = "N", help_heading = "Policy")]
    max_lost: Option<u32>,
    /// Take the place of a job with the same id
    #[arg(long)]
    replace: bool,
}

/// All flags that describe a job, and that a file takes the place of.
const FLAGS: [&str; 16] = [
    "name",
    "task",
    "args",
    "every",
    "cron",
    "at",
    "trigger",
    "timezone",
    "queue",
    "coalesce",
    "misfire_grace_time",
    "max_catch_up",
    "max_instances",
    "priority",
    "on_lost",
    "max_lost",
];

impl AddArgs {
    /// The jobs to put.
    pub(super) fn wishes(&self, defaults: &JobDefaults) -> Result<Vec<PutWish>, Failure> {
        let document = match &self.file {
            Some(file) => read(file)?,
            None => JobDocument::of_value("job add", self.job()?)?,
        };
        let jobs = document.check(defaults)?;
        Ok(jobs.into_iter().map(|job| self.wish(job)).collect())
    }

    fn wish(&self, configured: ConfiguredJob) -> PutWish {
        let replace = self.replace || configured.replace_existing == Some(true);
        PutWish {
            job: configured.job,
            on_conflict: if replace {
                OnConflict::Replace
            } else {
                OnConflict::Refuse
            },
        }
    }

    /// The job of the flags, as a document would hold it.
    fn job(&self) -> Result<Value, Failure> {
        let mut job = Map::new();
        let mut set = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                job.insert(field.to_owned(), value);
            }
        };
        let text = |text: &Option<String>| text.clone().map(Value::String);
        set("id", text(&self.id));
        set("name", text(&self.name));
        set("task", text(&self.task));
        set(
            "args",
            self.args
                .as_deref()
                .map(|text| from_json("--args", text))
                .transpose()?,
        );
        set("trigger", Some(self.trigger()?));
        set("queue", text(&self.queue));
        set("coalesce", text(&self.coalesce));
        set("misfire_grace_time", text(&self.misfire_grace_time));
        set("max_catch_up", self.max_catch_up.map(Value::from));
        set("max_instances", self.max_instances.map(Value::from));
        set("priority", text(&self.priority));
        set("on_lost", text(&self.on_lost));
        set("max_lost", self.max_lost.map(Value::from));
        Ok(Value::Object(job))
    }

    fn trigger(&self) -> Result<Value, Failure> {
        let mut trigger = match (&self.every, &self.cron, &self.at, &self.trigger) {
            (Some(every), ..) => {
                let every = duration::parse(every)
                    .map_err(|message| Failure::Usage(format!("--every: {message}")))?;
                json!({ "type": "interval", "seconds": every.as_secs_f64() })
            }
            (_, Some(cron), ..) => json!({ "type": "cron", "expression": cron }),
            (_, _, Some(at), _) => json!({ "type": "date", "run_date": at }),
            (_, _, _, Some(trigger)) => from_json("--trigger", trigger)?,
            // The command line does not let it come to this.
            (None, None, None, None) => Value::Null,
        };
        if let (Some(zone), Some(trigger)) = (&self.timezone, trigger.as_object_mut()) {
            trigger.insert("timezone".to_owned(), Value::String(zone.clone()));
        }
        Ok(trigger)
    }
}

fn from_json(flag: &str, text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::Usage(format!("{flag}: no JSON: {error}")))
}

fn read(file: &PathBuf) -> Result<JobDocument, Failure> {
    let mut text = String::new();
    let (name, read) = if file.as_os_str() == "-" {
        (
            "standard input".to_owned(),
            io::stdin().read_to_string(&mut text).map(drop),
        )
    } else {
        let read = fs::read_to_string(file).map(|read| text = read);
        (file.display().to_string(), read)
    };
    read.map_err(|error| Failure::Usage(format!("{name}: cannot be read: {error}")))?;
    Ok(JobDocument::parse(&name, &text)?)
}

impl<S: Store> Desk<S> {
    /// Puts the jobs, and tells what became of each.
    pub(super) async fn add(&self, wishes: &[PutWish]) -> Result<(), Failure> {
        let outcomes = self
            .jobs
            .put_all(wishes)
            .await
            .map_err(|e| self.failed(&e))?;
        let mut refused = Vec::new();
        for (wish, outcome) in wishes.iter().zip(outcomes) {
            let id = wish.job.id();
            match outcome {
                Put::Added => output::line(&format!("added {id}"))?,
                Put::Replaced => output::line(&format!("replaced {id}"))?,
                Put::Unchanged | Put::Kept => output::line(&format!("{id} is as it was"))?,
                Put::Exists => refused.push(format!(
                    "there is a job {:?} already: replace it with --replace",
                    id.as_str()
                )),
                Put::Unreadable(why) => refused.push(format!(
                    "job {:?} is there, cannot be read and is left as it is: {why}",
                    id.as_str()
                )),
                Put::Over(why) => refused.push(format!("job {:?}: {why}", id.as_str())),
            }
        }
        if refused.is_empty() {
            Ok(())
        } else {
            Err(Failure::Refused(refused.join("\n")))
        }
    }
}
