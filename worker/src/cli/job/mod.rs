//! `carillon job ...`: adding, showing and changing jobs.

mod add;
mod backfill;
mod change;
mod fields;
mod lines;
mod modify;
mod show;
mod unique;

use std::collections::HashSet;

use clap::{Args, Subcommand, ValueEnum};

use carillon::core::{JobId, QueueName, Standing, Tag, TaskName, Timestamp, Version};
use carillon::jobs::{JobOrder, JobQuery};

use super::args::Global;
use super::failure::Failure;
use super::office::{Office, Patch};
use super::{output, store};

pub(super) use add::{AddArgs, read_text};
pub(super) use backfill::BackfillArgs;
pub(super) use change::PauseArgs;
pub(super) use modify::{ModifyArgs, RescheduleArgs};

/// `carillon job`.
#[derive(Args, Debug)]
pub(super) struct JobArgs {
    #[command(subcommand)]
    pub(super) command: JobCommand,
}

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub(super) enum JobCommand {
    /// Add a job, or the jobs of a file
    Add(Box<AddArgs>),
    /// List jobs, all or those that are looked for
    List(ListArgs),
    /// Show one job
    Show(ShowArgs),
    /// Change some fields of a job; the others stay
    Modify(Box<ModifyArgs>),
    /// Give a job another schedule, which begins now
    Reschedule(RescheduleArgs),
    /// Stop firing jobs, until they are resumed or for a time
    Pause(PauseArgs),
    /// Fire paused or parked jobs again; what passed in a pause is recorded as skipped
    Resume(Ids),
    /// Run jobs once, now, beside their schedule
    Run(RunNowArgs),
    /// Run a job for fire times of the past
    Backfill(BackfillArgs),
    /// Remove jobs; runs that have begun go on
    Remove(Ids),
}

const JSON_HELP: &str = "\
With --json, a job is an object with id, name, task, args, trigger, description (the same in
words), timezone, after (null, or job and on), queue, tags, owner, coalesce, misfire_grace_time (seconds, or \"none\"), max_catch_up, max_instances, overlap, retry,
timeout (seconds, or null), delivery, on_lost, max_lost, priority, spread (seconds, or null), keep, history,
unique (null, or key, ttl in seconds and on_conflict),
state (\"active\", \"paused\", \"parked\" or \"finished\"), pause (null, or since, until, by and reason),
next_run_time, last_fire_time (RFC 3339 in UTC, or null), running and version.
`job list --json` is a list of them; `job show --json` has runs besides, those in flight: run, state
(\"running\", \"waiting\" or \"lined_up\"), node, attempt, and before: how many go before it.";

const LIST_HELP: &str = "\
Examples:
  carillon job list --tag finance --state paused
  carillon job list --search report --sort next --limit 10
";

/// `carillon job list`.
#[derive(Args, Debug)]
#[command(after_help = format!("{LIST_HELP}\n{JSON_HELP}"))]
pub(super) struct ListArgs {
    /// Only jobs with this tag; give it again for those that have all of them
    #[arg(long = "tag", value_name = "WORD")]
    tags: Vec<String>,
    /// Only jobs that run this task
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Only jobs whose runs wait in this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Only jobs that stand so
    #[arg(long, value_name = "STATE", value_parser = ["active", "paused", "parked", "finished"])]
    state: Option<String>,
    /// Only jobs with this text in their id, name, task or a tag
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// By id, or by when they run next
    #[arg(long, value_name = "ORDER", value_enum, default_value_t)]
    sort: SortArg,
    /// How many to show at most [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Show them as JSON
    #[arg(long)]
    json: bool,
}

/// In which order jobs are listed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum SortArg {
    /// By id.
    #[default]
    Id,
    /// By when they run next.
    Next,
}

impl ListArgs {
    fn query(&self) -> Result<JobQuery, Failure> {
        let state = self.state.as_deref();
        let standing = Standing::ALL
            .into_iter()
            .find(|s| Some(s.as_str()) == state);
        Ok(JobQuery {
            tags: self.tags.iter().map(Tag::new).collect::<Result<_, _>>()?,
            task: self.task.as_ref().map(TaskName::new).transpose()?,
            queue: self.queue.as_ref().map(QueueName::new).transpose()?,
            standing,
            text: self.search.clone(),
            order: match self.sort {
                SortArg::Id => JobOrder::Id,
                SortArg::Next => JobOrder::Next,
            },
            limit: self.limit,
            ..JobQuery::default()
        })
    }
}

/// `carillon job show`.
#[derive(Args, Debug)]
#[command(after_help = JSON_HELP)]
pub(super) struct ShowArgs {
    /// The job
    #[arg(value_name = "ID")]
    id: String,
    /// Show it as JSON
    #[arg(long)]
    json: bool,
}

/// Jobs by id, or by tag.
#[derive(Args, Debug)]
pub(super) struct Ids {
    /// The jobs
    #[arg(value_name = "ID", required_unless_present = "tags")]
    ids: Vec<String>,
    /// All jobs with this tag; give it again for those that have all of them
    #[arg(long = "tag", value_name = "WORD")]
    tags: Vec<String>,
    #[command(flatten)]
    expect: Expect,
}

/// For who decided on a job as it was seen.
#[derive(Args, Debug)]
pub(super) struct Expect {
    /// Refuse if the job has another version, because somebody changed it since `job show`
    #[arg(long, value_name = "N")]
    expect_version: Option<u64>,
}

impl Expect {
    fn version(&self) -> Option<Version> {
        self.expect_version.map(Version)
    }
}

/// Jobs that a command is about.
struct Chosen {
    ids: Vec<JobId>,
    tags: Vec<Tag>,
    expected: Option<Version>,
}

/// `carillon job run`.
#[derive(Args, Debug)]
pub(super) struct RunNowArgs {
    #[command(flatten)]
    ids: Ids,
    /// What the task gets this time in place of the job's args, as JSON
    #[arg(long, value_name = "JSON")]
    args: Option<String>,
}

impl RunNowArgs {
    fn given(&self) -> Result<Option<serde_json::Value>, Failure> {
        let args = self.args.as_deref();
        args.map(|text| fields::from_json("--args", text))
            .transpose()
    }
}

impl Ids {
    fn check(&self) -> Result<Chosen, Failure> {
        Ok(Chosen {
            ids: self.ids.iter().map(JobId::new).collect::<Result<_, _>>()?,
            tags: self.tags.iter().map(Tag::new).collect::<Result<_, _>>()?,
            expected: self.expect.version(),
        })
    }
}

pub(super) fn run(global: &Global, command: JobCommand) -> Result<(), Failure> {
    let settings = global.settings()?;
    let office = || Office::of(global, &settings);
    // What was typed is checked before any store is asked for.
    match command {
        JobCommand::Add(args) => {
            let defaults = &settings.job_defaults;
            if let Some(lines) = args.lines(defaults)? {
                return at(office, async |desk| desk.add_lines(&args, &lines).await);
            }
            let shards = settings.store.shards();
            let mut wishes = args.wishes(defaults, Timestamp::EPOCH, shards)?;
            at(office, async |desk| {
                if args.asks_for_now() {
                    wishes = args.wishes(defaults, desk.office.now().await?, shards)?;
                }
                desk.add(&wishes, args.is_partial()).await
            })
        }
        JobCommand::List(args) => {
            let query = args.query()?;
            at(office, async |desk| desk.list(&query, args.json).await)
        }
        JobCommand::Show(args) => {
            let id = JobId::new(&args.id)?;
            at(office, async |desk| desk.show(&id, args.json).await)
        }
        JobCommand::Modify(args) => {
            args.check(Timestamp::EPOCH)?;
            let (expected, defaults) = (args.expect.version(), &settings.job_defaults);
            at(office, async |desk| {
                let (id, patch, typed) = args.check(desk.office.now().await?)?;
                let patch = Patch {
                    patch: &patch,
                    typed: &typed,
                    defaults,
                };
                desk.expecting(expected).modify(&id, &patch).await
            })
        }
        JobCommand::Reschedule(args) => {
            args.check(Timestamp::EPOCH)?;
            let (expected, defaults) = (args.expect.version(), &settings.job_defaults);
            at(office, async |desk| {
                let (id, patch, typed) = args.check(desk.office.now().await?)?;
                let patch = Patch {
                    patch: &patch,
                    typed: &typed,
                    defaults,
                };
                desk.expecting(expected).modify(&id, &patch).await
            })
        }
        JobCommand::Pause(args) => {
            let (chosen, wish) = args.check(settings.job_defaults.timezone)?;
            at(office, async |desk| {
                desk.choosing(&chosen).await?.pause(&wish).await
            })
        }
        JobCommand::Resume(args) => {
            let chosen = args.check()?;
            at(office, async |desk| {
                desk.choosing(&chosen).await?.resume().await
            })
        }
        JobCommand::Run(args) => {
            let (chosen, given) = (args.ids.check()?, args.given()?);
            at(office, async |desk| {
                desk.choosing(&chosen).await?.run_now(given.as_ref()).await
            })
        }
        JobCommand::Backfill(args) => {
            let wish = args.check()?;
            at(office, async |desk| desk.backfill(&wish).await)
        }
        JobCommand::Remove(args) => {
            let chosen = args.check()?;
            at(office, async |desk| {
                desk.choosing(&chosen).await?.remove().await
            })
        }
    }
}

fn at(
    office: impl FnOnce() -> Result<Office, Failure>,
    act: impl AsyncFnOnce(Desk) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let desk = Desk {
        office: office()?,
        expected: None,
    };
    // Boxed: what the commands wait for is nested deep, and its type with it.
    store::runtime()?.block_on(Box::pin(act(desk)))
}

/// The jobs, and how to speak of them.
struct Desk {
    office: Office,
    /// The version that a job must have to be changed, if one is expected.
    expected: Option<Version>,
}

/// Jobs that a command is about.
struct Selection {
    desk: Desk,
    ids: Vec<JobId>,
}

impl Desk {
    /// The same, refusing whatever has another version than this, if one is expected.
    fn expecting(self, expected: Option<Version>) -> Self {
        Self { expected, ..self }
    }

    /// The jobs that a command is about, those that have the tags among them.
    async fn choosing(self, chosen: &Chosen) -> Result<Selection, Failure> {
        let mut ids = chosen.ids.clone();
        if !chosen.tags.is_empty() {
            let query = JobQuery {
                tags: chosen.tags.clone(),
                ..JobQuery::default()
            };
            let found = self.office.search(&query).await?;
            if found.jobs.is_empty() {
                let tags: Vec<&str> = chosen.tags.iter().map(Tag::as_str).collect();
                let message = format!("there is no job with the tag {}", tags.join(" and "));
                return Err(Failure::Refused(message));
            }
            let found = found.jobs.iter().map(|stored| stored.job.id().clone());
            ids.extend(found);
        }
        let mut seen = HashSet::new();
        ids.retain(|id| seen.insert(id.clone()));
        let desk = self.expecting(chosen.expected);
        Ok(Selection { desk, ids })
    }

    fn not_found(id: &JobId) -> Failure {
        Failure::Refused(format!("there is no job {:?}", id.as_str()))
    }
}
