//! `carillon runs show|cancel|failed|rerun|purge`: looking after runs.

mod failed;
mod show;

use carillon::core::store::CancelAnswer;
use carillon::core::{JobId, RunId};
use clap::{ArgGroup, Args, Subcommand};

use super::args::Global;
use super::failure::Failure;
use super::office::{Choice, Office};
use super::{output, store};

/// What to do with runs.
#[derive(Debug, Subcommand)]
pub(super) enum RunsCommand {
    /// Show all that is known about one run
    Show(ShowArgs),
    /// Cancel runs that wait or are executed
    Cancel(CancelArgs),
    /// Show runs that have failed for good, the newest first
    Failed(FailedArgs),
    /// Run failed runs again
    Rerun(Chosen),
    /// Forget failed runs
    Purge(Chosen),
}

const SHOW_HELP: &str = "\
Examples:
  carillon runs show report@1795372342170
  carillon runs show report@1795372342170 --watch

Shows where the run is or how it ended, each of its attempts, and what its handler tells: how far it
is, its result, its log lines (of each attempt the last 200, of 16 KiB in all). A handler's words
show within a second, and are kept for 7 days unless set otherwise.

With --watch: what is new, line by line, until the run is over. With --json: an object with run, job,
scheduled_at, state (running, waiting, lined_up, or how it ended), node, attempt, fence, before, and
attempts: a list of objects with attempt, outcome, node, fence, started_at, ended_at,
next_attempt_at, detail, progress (fraction, text, at), result, log (at, text) and dropped_lines;
with --watch too, one object a line whenever it has changed.";

/// `carillon runs show`.
#[derive(Args, Debug)]
#[command(after_help = SHOW_HELP)]
pub(super) struct ShowArgs {
    /// The run, as `carillon runs` shows it
    #[arg(value_name = "RUN")]
    run: String,
    /// Go on until it is over
    #[arg(long, short)]
    watch: bool,
    /// Show it as JSON
    #[arg(long)]
    json: bool,
}

const CANCEL_HELP: &str = "\
Examples:
  carillon runs cancel hello@1795372342170
  carillon runs cancel hello@1795372342170 --why 'wrong file'

A run that waits for its next attempt ends at once, one in a queue when a worker comes to it. Of one
that is executed the worker hears with its next heartbeat (each quarter of session_ttl: 2.5 s); then
its handler is told to stop, a command gets TERM and 3 s later KILL. The outcome is \"cancelled\". A
handler that ends well all the same has succeeded.";

/// `carillon runs cancel`.
#[derive(Args, Debug)]
#[command(after_help = CANCEL_HELP)]
pub(super) struct CancelArgs {
    /// The runs, as `carillon runs` shows them
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<String>,
    /// Why, for people: kept in history
    #[arg(long, visible_alias = "reason", value_name = "TEXT")]
    why: Option<String>,
    /// Who, for people [default: the name of the user]
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    by: Option<String>,
}

const FAILED_HELP: &str = "\
Examples:
  carillon runs failed
  carillon runs failed --job hello --json

A run is kept here when its last attempt failed, timed out or was lost, until it is run again or
purged; 30 days at most, and 10,000 of them. With --json: a list of objects with run, job, task,
args, outcome, attempt, node, failed_at (RFC 3339 in UTC) and detail.";

/// `carillon runs failed`.
#[derive(Args, Debug)]
#[command(after_help = FAILED_HELP)]
pub(super) struct FailedArgs {
    /// Only of this job
    #[arg(long, value_name = "ID")]
    job: Option<String>,
    /// How many to show at most, the newest
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Show them as JSON
    #[arg(long)]
    json: bool,
}

const CHOSEN_HELP: &str = "\
Examples:
  carillon runs rerun hello@1795372342170
  carillon runs rerun --job hello
  carillon runs purge --all

A run that is run again is another run, with an id of its own and the definition that the failed one
had, whatever has become of the job since; its id is shown. It counts as in flight: where the job
(max_instances) has as many as it allows, it is refused, and the failed run is kept.";

/// Some failed runs, or all.
#[derive(Args, Debug)]
#[command(after_help = CHOSEN_HELP, group(ArgGroup::new("which").args(["runs", "job", "all"]).required(true)))]
pub(super) struct Chosen {
    /// The runs, as `carillon runs failed` shows them
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// All of this job
    #[arg(long, value_name = "ID")]
    job: Option<String>,
    /// All there are
    #[arg(long)]
    all: bool,
}

pub(super) fn run(global: &Global, command: RunsCommand) -> Result<(), Failure> {
    let settings = global.settings()?;
    let zone = settings.job_defaults.timezone;
    let office = || Office::of(global, &settings);
    match command {
        RunsCommand::Show(args) => {
            let run = args.run.parse()?;
            let office = office()?;
            store::runtime()?.block_on(show::show(&office, &run, &args, zone))
        }
        RunsCommand::Cancel(args) => {
            let runs = read(&args.runs)?;
            let office = office()?;
            store::runtime()?.block_on(cancel(&office, &runs, &args))
        }
        RunsCommand::Failed(args) => {
            let job = args.job.as_deref().map(JobId::new).transpose()?;
            let office = office()?;
            store::runtime()?.block_on(failed::show(&office, job.as_ref(), &args, zone))
        }
        RunsCommand::Rerun(chosen) => {
            let chosen = chosen.check()?;
            let office = office()?;
            store::runtime()?.block_on(failed::rerun(&office, &chosen))
        }
        RunsCommand::Purge(chosen) => {
            let chosen = chosen.check()?;
            let office = office()?;
            store::runtime()?.block_on(failed::purge(&office, &chosen))
        }
    }
}

impl Chosen {
    fn check(&self) -> Result<Choice, Failure> {
        match &self.job {
            Some(job) => Ok(Choice::Job(JobId::new(job)?)),
            None if self.all => Ok(Choice::All),
            None => Ok(Choice::Runs(read(&self.runs)?)),
        }
    }
}

fn read(runs: &[String]) -> Result<Vec<RunId>, Failure> {
    let runs = runs.iter().map(|run| run.parse());
    Ok(runs.collect::<Result<_, _>>()?)
}

async fn cancel(office: &Office, runs: &[RunId], args: &CancelArgs) -> Result<(), Failure> {
    let mut refused = Vec::new();
    for run in runs {
        let answer = office.cancel(run, args.by.as_deref(), args.why.as_deref());
        match answer.await? {
            CancelAnswer::Ended => output::line(&format!("cancelled {run}"))?,
            CancelAnswer::Marked => output::line(&format!("{run} ends as soon as it hears of it"))?,
            CancelAnswer::NotInFlight => {
                refused.push(format!(
                    "run \"{run}\" is not in flight: it is over, or never was"
                ));
            }
        }
    }
    if refused.is_empty() {
        Ok(())
    } else {
        Err(Failure::Refused(refused.join("\n")))
    }
}
