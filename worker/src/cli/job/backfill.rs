//! `carillon job backfill`: runs for fire times of the past.

use carillon::core::{JobId, QueueName, Timestamp};
use carillon::jobs::BackfillWish;
use clap::Args;

use super::{Desk, Failure, output};
use crate::cli::output::local;

const HELP: &str = "\
Examples:
  carillon job backfill report --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z
  carillon job backfill report --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z \\
      --max 50 --queue slow --dry-run

Makes a run for each fire time of the job's trigger, as it is today, from --from to --to, the earliest
first. Those that ran already and succeeded are left out, also those of an earlier backfill: so that
one that was interrupted goes on where it was when it is asked for again. As many runs are in flight
at once as the job allows (max_instances), those of its schedule included: the command waits for a
place, shows each run that it makes, and ends when the last is made.";

/// `carillon job backfill`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(in crate::cli) struct BackfillArgs {
    /// The job
    #[arg(value_name = "ID")]
    id: String,
    /// The first instant: 2026-11-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    from: String,
    /// The last instant, not in the future
    #[arg(long, value_name = "TIME")]
    to: String,
    /// How many runs to make at most; the others are left for another time
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max: u32,
    /// Queue in which the runs wait [default: the job's]
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Only show for which fire times it would make runs
    #[arg(long)]
    dry_run: bool,
}

/// What is to be made up for.
pub(super) struct Backfill {
    wish: BackfillWish,
    is_dry: bool,
}

impl BackfillArgs {
    pub(super) fn check(&self) -> Result<Backfill, Failure> {
        let instant = |flag: &str, text: &str| {
            text.parse::<Timestamp>().map_err(|_| {
                let hint = "give an instant such as 2026-11-01T00:00:00Z";
                Failure::Usage(format!("{flag}: {text:?} is no instant: {hint}"))
            })
        };
        let (from, to) = (instant("--from", &self.from)?, instant("--to", &self.to)?);
        if to < from {
            return Err(Failure::Usage(format!(
                "--to: {to} lies before --from, {from}"
            )));
        }
        if from < Timestamp::EPOCH {
            return Err(Failure::Usage(format!("--from: {from} lies before 1970")));
        }
        let wish = BackfillWish {
            job: JobId::new(&self.id)?,
            from,
            to,
            max: usize::try_from(self.max).unwrap_or(usize::MAX),
            queue: self.queue.as_deref().map(QueueName::new).transpose()?,
        };
        Ok(Backfill {
            wish,
            is_dry: self.dry_run,
        })
    }
}

impl Desk {
    pub(super) async fn backfill(&self, backfill: &Backfill) -> Result<(), Failure> {
        let wish = &backfill.wish;
        let stored = self.office.job(&wish.job).await?;
        let stored = stored.ok_or_else(|| Self::not_found(&wish.job))?;
        let zone = stored.job.trigger().timezone();
        let mut making = self.office.make_up_for(wish, backfill.is_dry).await?;
        let all = making.all();
        let mut number = 0;
        while let Some((fire, run)) = making.next().await? {
            number += 1;
            let at = local(fire, zone);
            let run = run.map(|run| format!(" {run}")).unwrap_or_default();
            output::line(&format!("{number}/{all} {at}{run}"))?;
        }
        if let Some(next) = making.left() {
            output::line(&format!("more are left: go on with --from {next}"))?;
        } else if all == 0 {
            eprintln!("nothing to make up for");
        }
        Ok(())
    }
}
