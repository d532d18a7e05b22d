//! `carillon events`: what happens, as it happens.

use carillon::core::JobId;
use clap::Args;

use super::args::Global;
use super::failure::Failure;
use super::office::Office;
use super::{output, store};

const HELP: &str = "\
Examples:
  carillon events
  carillon events --job report
  carillon events --only failed,timed_out,lost
  carillon events | jq -c 'select(.event == \"lease_won\")'

Shows one JSON object a line, until it is ended. What is recorded is shown as its record: a run by
its field \"outcome\" (succeeded, failed, retrying, lost, ...), skipped fire times by \"skipped\"
(misfired, max_instances, coalesced, ...). Anything else has its name in \"event\": scheduler_started,
scheduler_shut_down, scheduler_paused, scheduler_resumed, queue_paused, queue_resumed, job_added,
job_modified, job_paused, job_resumed, job_removed, job_finished, run_submitted, run_started,
run_returned, lease_won, lease_lost, lease_released, registered, trust_lost, trust_resumed,
session_gone, session_fenced, recovered; and unheard, where the connection was cut for a while.

Events are told, not kept: what was done before, look up with `carillon runs`. Over HTTP (--api), who
was cut off is told afterwards what was recorded meanwhile, each record once.";

/// `carillon events`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct EventsArgs {
    /// Only what is about this job
    #[arg(long, value_name = "ID")]
    job: Option<String>,
    /// Only these, by their word: lease_won, failed, misfired, ...
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    only: Vec<String>,
}

pub(super) fn run(global: &Global, args: &EventsArgs) -> Result<(), Failure> {
    let job = args.job.as_deref().map(JobId::new).transpose()?;
    let office = Office::of(global, &global.settings()?)?;
    store::runtime()?.block_on(watch(&office, job.as_ref(), &args.only))
}

async fn watch(office: &Office, job: Option<&JobId>, only: &[String]) -> Result<(), Failure> {
    let mut events = office.listen(job, only).await?;
    eprintln!("listening to {}", office.describe());
    loop {
        let event = events.next().await?;
        let is_wanted = only.is_empty() || only.iter().any(|word| word == event.word());
        if is_wanted && (job.is_none() || event.job() == job) {
            output::line(&event.to_line())?;
        }
    }
}
