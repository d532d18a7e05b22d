//! `carillon job add`: a job as flags, or jobs as a document.

use std::cell::OnceCell;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use carillon::config::{ConfiguredJob, JobDocument};
use carillon::core::shard::ShardCount;
use carillon::core::{JobDefaults, Timestamp};
use carillon::jobs::{OnConflict, Put, PutAll, PutWish, new_id_beside};
use clap::{ArgGroup, Args};
use serde_json::{Map, Value};

use super::fields::{FieldFlags, WhenFlags};
use super::lines::{Lines, are_lines};
use super::unique::{UniqueFlags, refusal};
use super::{Desk, Failure, output};
use crate::cli::failure::HINT;

const HELP: &str = "\
Examples:
  carillon job add --id hello --every 10s --task log --args '{\"message\": \"hello\"}'
  carillon job add --id report --cron '30 8 * * mon-fri' --timezone Europe/Berlin \\
      --task http --args '{\"url\": \"https://example.org/report\", \"method\": \"POST\"}'
  carillon job add --id once --at 2026-12-24T18:00:00+01:00 --task stream --args '{\"stream\": \"gifts\"}'
  carillon job add --now --task log --args '{\"message\": \"hello\"}'
  carillon job add --after 10m --task http --args '{\"url\": \"https://example.org/remind\"}'
  carillon job add --now --task log --args '{\"message\": \"bill 7\"}' --unique bill-7 --unique-for 1h
  carillon job add --file jobs.toml --replace
  carillon job add --file ten-thousand.jsonl
  generate-jobs | carillon job add --file -

A job that runs once gets an id where it has none, of its task and the time. It leaves the store after its
run, unless it is to be kept (--keep); its history stays.

A file holds jobs as [[jobs]] of the configuration file, or the same as JSON: one job, a list of
jobs, or {\"jobs\": [...]}. A job whose id is there already is refused, unless --replace is given or
the job says replace_existing = true. [job_defaults] and timezone of --config apply.

Or it holds one job a line, as JSON (.jsonl, --lines, or seen so on standard input). All jobs of a file
are checked, and looked up, before the first is added: if one breaks a rule or would be refused, none is
added (with --partial, the others are). Up to 10,000 are added in one step; more, and
those of --partial, in steps of 200: whatever interrupts that, the same command with --replace
completes it.";

/// `carillon job add`.
#[derive(Args, Debug)]
#[command(
    after_help = HELP,
    group(ArgGroup::new("timing").args(["every", "cron", "at", "after", "now", "trigger", "after_job"]).multiple(true)),
    group(ArgGroup::new("what").args(["id", "file", "now", "after", "at"]).multiple(true).required(true)),
)]
pub(in crate::cli) struct AddArgs {
    /// File with jobs (TOML or JSON, or JSON lines: .jsonl); - for standard input
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["id", "FieldFlags", "WhenFlags", "UniqueFlags"])]
    file: Option<PathBuf>,
    /// The file holds one job a line, as JSON
    #[arg(long, requires = "file")]
    lines: bool,
    /// Add the jobs of the file that can be added, though others are refused
    #[arg(long, requires = "file")]
    partial: bool,
    /// Tell on standard error how far it is, also where that is no terminal
    #[arg(long, requires = "file")]
    progress: bool,
    /// The job's id [default: one is made for jobs that run once]
    #[arg(long, value_name = "ID", requires_all = ["task", "timing"])]
    id: Option<String>,
    #[command(flatten)]
    fields: FieldFlags,
    #[command(flatten)]
    when: WhenFlags,
    #[command(flatten)]
    unique: UniqueFlags,
    /// Take the place of a job with the same id
    #[arg(long)]
    replace: bool,
    #[arg(skip)]
    read: OnceCell<(String, String)>,
}

impl AddArgs {
    /// The jobs to put.
    ///
    /// `now` is the store's clock, where the job asks for it.
    pub(super) fn wishes(
        &self,
        defaults: &JobDefaults,
        now: Timestamp,
        shards: ShardCount,
    ) -> Result<Vec<PutWish>, Failure> {
        let document = match &self.file {
            Some(file) => {
                let (name, text) = self.text(file)?;
                JobDocument::parse(name, text)?.of_nobody()?
            }
            None => JobDocument::of_value("job add", self.job(now, shards)?)?,
        };
        let jobs = document.check(defaults)?;
        Ok(jobs.into_iter().map(|job| self.wish(job)).collect())
    }

    /// Whether the jobs depend on the store's clock.
    pub(super) const fn asks_for_now(&self) -> bool {
        self.file.is_none() && (self.id.is_none() || self.when.asks_for_now())
    }

    /// The jobs of the file, if they stand there one a line.
    pub(super) fn lines(&self, defaults: &JobDefaults) -> Result<Option<Lines>, Failure> {
        let Some(file) = self.file.as_deref() else {
            return Ok(None);
        };
        let extension = file.extension().and_then(|extension| extension.to_str());
        let said = self.lines || matches!(extension, Some("jsonl" | "ndjson"));
        let (name, text) = self.text(file)?;
        if said || (extension.is_none() && are_lines(text)) {
            return Lines::read(name, text, self, defaults).map(Some);
        }
        Ok(None)
    }

    /// What the file is called, and what stands in it: read once.
    fn text(&self, file: &Path) -> Result<(&str, &str), Failure> {
        let (name, text) = match self.read.get() {
            Some(read) => read,
            None => {
                let read = read_text(file)?;
                self.read.get_or_init(|| read)
            }
        };
        Ok((name, text))
    }

    pub(super) const fn is_partial(&self) -> bool {
        self.partial
    }

    pub(super) const fn shows_progress(&self) -> bool {
        self.progress
    }

    pub(super) fn wish(&self, configured: ConfiguredJob) -> PutWish {
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
    fn job(&self, now: Timestamp, shards: ShardCount) -> Result<Value, Failure> {
        let mut job = Map::new();
        self.fields.fill(&mut job)?;
        self.when.fill_at(now, &mut job)?;
        self.unique.fill(&mut job);
        let task = job.get("task").and_then(Value::as_str).unwrap_or("job");
        let id = self.id.clone();
        let unique = job.get("unique").and_then(|unique| unique.get("key"));
        let unique = unique.and_then(Value::as_str);
        let id = id.unwrap_or_else(|| new_id_beside(shards, unique, task, now));
        job.insert("id".to_owned(), id.into());
        Ok(Value::Object(job))
    }
}

/// The text of a file or of standard input, and what to call it.
pub(in crate::cli) fn read_text(file: &Path) -> Result<(String, String), Failure> {
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
    Ok((name, text))
}

/// Why none of several jobs was put.
fn none_added(wishes: &[PutWish], refused: &[(usize, Put)]) -> Failure {
    let reasons = refused.iter();
    let reasons = reasons.filter_map(|(at, why)| refusal(wishes[*at].job.id().as_str(), why));
    let mut reasons: Vec<_> = reasons.collect();
    if wishes.len() > 1 {
        reasons.push(format!(
            "{HINT}nothing was added: with --partial, the others would be"
        ));
    }
    Failure::Refused(reasons.join("\n"))
}

impl Desk {
    /// Puts the jobs, and tells what became of each.
    pub(super) async fn add(&self, wishes: &[PutWish], partial: bool) -> Result<(), Failure> {
        let outcomes = match self.office.put(wishes, partial, |_| ()).await? {
            PutAll::Done(outcomes) => outcomes,
            PutAll::Refused(refused) => return Err(none_added(wishes, &refused)),
        };
        let mut refused = Vec::new();
        for (wish, outcome) in wishes.iter().zip(outcomes) {
            let id = wish.job.id();
            let told = match &outcome {
                Put::Added => format!("added {id}"),
                Put::Replaced => format!("replaced {id}"),
                Put::Superseded(by) => format!("added {id} in place of {by}"),
                Put::Ignored(by) => format!("ignored: {by} holds the unique key"),
                Put::Unchanged | Put::Kept => format!("{id} is as it was"),
                _ => {
                    refused.extend(refusal(id.as_str(), &outcome));
                    continue;
                }
            };
            output::line(&told)?;
        }
        if refused.is_empty() {
            Ok(())
        } else {
            Err(Failure::Refused(refused.join("\n")))
        }
    }
}
