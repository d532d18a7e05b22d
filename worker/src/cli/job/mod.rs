//! `carillon job ...`: adding, showing and changing jobs.

mod add;
mod backfill;
mod change;
mod fields;
mod modify;
mod show;

use clap::{Args, Subcommand};

use carillon::Jobs;
use carillon::core::{JobId, Store, Version};
use scheduler_redis::RedisStore;

use super::args::Global;
use super::failure::Failure;
use super::{output, store};

pub(super) use add::AddArgs;
pub(super) use backfill::BackfillArgs;
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
    /// List all jobs
    List(ListArgs),
    /// Show one job
    Show(ShowArgs),
    /// Change some fields of a job; the others stay
    Modify(Box<ModifyArgs>),
    /// Give a job another schedule, which begins now
    Reschedule(RescheduleArgs),
    /// Stop firing jobs until they are resumed
    Pause(Ids),
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
With --json, a job is an object with id, name, task, args, trigger, timezone, queue, tags, owner,
coalesce, misfire_grace_time (seconds, or \"none\"), max_catch_up, max_instances, overlap, retry,
timeout (seconds, or null), delivery, on_lost, max_lost, priority, spread (seconds, or null), keep,
state (\"active\", \"paused\" or \"parked\"), next_run_time, last_fire_time (RFC 3339 in UTC, or
null), running and version.
`job list --json` is a list of them, by id.";

/// `carillon job list`.
#[derive(Args, Debug)]
#[command(after_help = JSON_HELP)]
pub(super) struct ListArgs {
    /// Show them as JSON
    #[arg(long)]
    json: bool,
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

/// Jobs by id.
#[derive(Args, Debug)]
pub(super) struct Ids {
    /// The jobs
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
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
    fn check(&self) -> Result<(Vec<JobId>, Option<Version>), Failure> {
        let ids = self.ids.iter().map(JobId::new);
        Ok((ids.collect::<Result<_, _>>()?, self.expect.version()))
    }
}

pub(super) fn run(global: &Global, command: JobCommand) -> Result<(), Failure> {
    let settings = global.settings()?;
    // What was typed is checked before any store is asked for.
    match command {
        JobCommand::Add(args) => {
            let wishes = args.wishes(&settings.job_defaults)?;
            on_store(&settings, async |desk| desk.add(&wishes).await)
        }
        JobCommand::List(args) => on_store(&settings, async |desk| desk.list(args.json).await),
        JobCommand::Show(args) => {
            let id = JobId::new(&args.id)?;
            on_store(&settings, async |desk| desk.show(&id, args.json).await)
        }
        JobCommand::Modify(args) => {
            let (id, patch) = args.check()?;
            let (expected, defaults) = (args.expect.version(), &settings.job_defaults);
            on_store(&settings, async |desk| {
                desk.expecting(expected).modify(&id, &patch, defaults).await
            })
        }
        JobCommand::Reschedule(args) => {
            let (id, patch) = args.check()?;
            let (expected, defaults) = (args.expect.version(), &settings.job_defaults);
            on_store(&settings, async |desk| {
                desk.expecting(expected).modify(&id, &patch, defaults).await
            })
        }
        JobCommand::Pause(args) => {
            let (ids, expected) = args.check()?;
            on_store(&settings, async |desk| {
                desk.expecting(expected).pause(&ids).await
            })
        }
        JobCommand::Resume(args) => {
            let (ids, expected) = args.check()?;
            on_store(&settings, async |desk| {
                desk.expecting(expected).resume(&ids).await
            })
        }
        JobCommand::Run(args) => {
            let ((ids, expected), given) = (args.ids.check()?, args.given()?);
            on_store(&settings, async |desk| {
                desk.expecting(expected).run_now(&ids, given.as_ref()).await
            })
        }
        JobCommand::Backfill(args) => {
            let wish = args.check()?;
            on_store(&settings, async |desk| desk.backfill(&wish).await)
        }
        JobCommand::Remove(args) => {
            let (ids, expected) = args.check()?;
            on_store(&settings, async |desk| {
                desk.expecting(expected).remove(&ids).await
            })
        }
    }
}

fn on_store(
    settings: &carillon::config::Settings,
    act: impl AsyncFnOnce(Desk<RedisStore>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let store = store::shared(settings)?;
    let desk = Desk {
        jobs: Jobs::new(store.clone()),
        store,
    };
    store::runtime()?.block_on(act(desk))
}

/// The jobs of a store, and how to speak of them.
struct Desk<S> {
    store: S,
    jobs: Jobs<S>,
}

impl<S: Store> Desk<S> {
    /// The same, refusing whatever has another version than this, if one is expected.
    fn expecting(self, version: Option<Version>) -> Self {
        match version {
            None => self,
            Some(version) => Self {
                jobs: self.jobs.expecting(version),
                ..self
            },
        }
    }

    fn failed(&self, error: &carillon::jobs::JobsError) -> Failure {
        Failure::of_jobs(&self.store.describe(), error)
    }

    fn not_found(id: &JobId) -> Failure {
        Failure::Refused(format!("there is no job {:?}", id.as_str()))
    }
}
