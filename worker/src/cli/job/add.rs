//! `carillon job add`: a job as flags, or jobs as a document.

use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;

use carillon::config::{ConfiguredJob, JobDocument};
use carillon::core::{JobDefaults, Store};
use carillon::jobs::{OnConflict, Put, PutWish};
use clap::{ArgGroup, Args};
use serde_json::{Map, Value};

use super::fields::{FieldFlags, WhenFlags};
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
    group(ArgGroup::new("what").args(["id", "file"]).required(true)),
)]
pub(in crate::cli) struct AddArgs {
    /// File with jobs (TOML or JSON); - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["FieldFlags", "WhenFlags"])]
    file: Option<PathBuf>,
    /// The job's id
    #[arg(long, value_name = "ID", requires_all = ["task", "when"])]
    id: Option<String>,
    #[command(flatten)]
    fields: FieldFlags,
    #[command(flatten)]
    when: WhenFlags,
    /// Take the place of a job with the same id
    #[arg(long)]
    replace: bool,
}

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
        job.insert("id".to_owned(), self.id.clone().into());
        self.fields.fill(&mut job)?;
        self.when.fill(&mut job)?;
        Ok(Value::Object(job))
    }
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
