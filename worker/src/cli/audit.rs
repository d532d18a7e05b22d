//! `carillon audit`: who changed what.

use carillon::core::Timestamp;
use carillon::core::audit::AuditQuery;
use chrono_tz::Tz;
use clap::Args;

use super::args::Global;
use super::failure::Failure;
use super::office::Office;
use super::output::{self, Table, local};
use super::store;

const HELP: &str = "\
Examples:
  carillon audit
  carillon audit --object report
  carillon audit --by ops --limit 100 --json

Shows what people did to jobs, runs and queues, over HTTP or on a command line, what configurations
changed when workers started, and what was refused for want of a role; the newest first. The last 10,000
are kept. What programs change by the library is here if they say in whose name.

With --json: a list of objects with time (RFC 3339 in UTC), by, via (http, cli, library or config), role,
address, did (job_added, job_modified, job_paused, job_resumed, job_removed, run_submitted, run_cancelled,
runs_purged, queue_limited, queue_unlimited, queue_paused, queue_resumed, scheduler_paused,
scheduler_resumed, or the request that was refused), objects (at most 20), count, outcome (done, refused
or unknown) and detail.";

/// `carillon audit`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct AuditArgs {
    /// Only what this name did
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Only what was done to this job, run or queue
    #[arg(long, value_name = "ID")]
    object: Option<String>,
    /// How many to show at most, the newest
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Show them as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(global: &Global, args: &AuditArgs) -> Result<(), Failure> {
    let settings = global.settings()?;
    let office = Office::of(global, &settings)?;
    let zone = settings.job_defaults.timezone;
    store::runtime()?.block_on(show(&office, args, zone))
}

async fn show(office: &Office, args: &AuditArgs, zone: Tz) -> Result<(), Failure> {
    let most = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let mut query = AuditQuery {
        by: args.by.clone(),
        object: args.object.clone(),
        ..AuditQuery::default()
    };
    let mut found = Vec::new();
    // A page may hold fewer than were asked for, or none, and not be the last.
    loop {
        query.limit = most - found.len();
        let page = office.audited(&query).await?;
        found.extend(page.items);
        match page.next.filter(|_| found.len() < most) {
            Some(next) => query.before = Some(next),
            None => break,
        }
    }
    if args.json {
        return Ok(output::json(&found)?);
    }
    let mut table = Table::new(&["TIME", "BY", "VIA", "DID", "OBJECT", "OUTCOME", "DETAIL"]);
    for deed in &found {
        let by = match (&deed.role, &deed.address) {
            (Some(role), Some(address)) => format!("{} ({role}, {address})", deed.by),
            (None, Some(address)) => format!("{} ({address})", deed.by),
            _ => deed.by.clone(),
        };
        let object = deed.objects.first().cloned().unwrap_or_default();
        let time = deed.time.parse::<Timestamp>();
        table.push(&[
            time.map(|at| local(at, zone)).unwrap_or_default(),
            by,
            deed.via.clone(),
            deed.did.clone(),
            match deed.count {
                0 | 1 => object,
                more => format!("{object} and {} more", more - 1),
            },
            deed.outcome.clone(),
            deed.detail.clone().unwrap_or_default(),
        ]);
    }
    Ok(output::table(
        &mut table,
        "nobody has changed anything yet",
    )?)
}
