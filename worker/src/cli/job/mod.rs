//! `carillon job ...`: adding, showing and changing jobs.

mod add;
mod attempts;
mod change;
mod show;

use clap::{Args, Subcommand};

use carillon::Jobs;
use carillon::core::{JobId, Store};
use scheduler_redis::RedisStore;

use super::args::Global;
use super::failure::Failure;
use super::{output, store};

pub(super) use add::AddArgs;

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
    /// Stop firing jobs until they are resumed
    Pause(Ids),
    /// Fire paused or parked jobs again; what passed in a pause is recorded as skipped
    Resume(Ids),
    /// Run jobs once, now, beside their schedule
    Run(Ids),
    /// Remove jobs; runs that have begun go on
    Remove(Ids),
}

const JSON_HELP: &str = "\
With --json, a job is an object with id, name, task, args, trigger, timezone, queue, coalesce,
misfire_grace_time (seconds, or \"none\"), max_catch_up, max_instances, on_lost, max_lost, retry
(max_attempts, backoff, base, max, jitter; seconds), timeout (seconds, or null), state
(\"active\", \"paused\" or \"parked\"), next_run_time, last_fire_time (RFC 3339 in UTC, or null),
running and version.
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
}

impl Ids {
    fn check(&self) -> Result<Vec<JobId>, Failure> {
        let ids = self.ids.iter().map(JobId::new);
        Ok(ids.collect::<Result<_, _>>()?)
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
        JobCommand::Pause(args) => {
            let ids = args.check()?;
            on_store(&settings, async |desk| desk.pause(&ids).await)
        }
        JobCommand::Resume(args) => {
            let ids = args.check()?;
            on_store(&settings, async |desk| desk.resume(&ids).await)
        }
        JobCommand::Run(args) => {
            let ids = args.check()?;
            on_store(&settings, async |desk| desk.run_now(&ids).await)
        }
        JobCommand::Remove(args) => {
            let ids = args.check()?;
            on_store(&settings, async |desk| desk.remove(&ids).await)
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
    fn failed(&self, error: &carillon::jobs::JobsError) -> Failure {
        Failure::of_jobs(&self.store.describe(), error)
    }

    fn not_found(id: &JobId) -> Failure {
        Failure::Refused(format!("there is no job {:?}", id.as_str()))
    }
}
