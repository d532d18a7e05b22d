//! `carillon audit`: who changed what.

use carillon::core::Store;
use carillon::core::audit::{AuditEntry, AuditQuery};
use chrono_tz::Tz;
use clap::Args;
use serde::Serialize;

use super::args::Global;
use super::failure::Failure;
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
    let store = store::shared(&settings)?;
    let zone = settings.job_defaults.timezone;
    store::runtime()?.block_on(show(&store, args, zone))
}

async fn show(store: &impl Store, args: &AuditArgs, zone: Tz) -> Result<(), Failure> {
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
        let page = store.audited(&query).await;
        let page = page.map_err(|error| Failure::of_store(&store.describe(), &error))?;
        found.extend(page.entries);
        match page.older.filter(|_| found.len() < most) {
            Some(older) => query.before = Some(older),
            None => break,
        }
    }
    if args.json {
        let views: Vec<View<'_>> = found.iter().map(View::new).collect();
        return Ok(output::json(&views)?);
    }
    let mut table = Table::new(&["TIME", "BY", "VIA", "DID", "OBJECT", "OUTCOME", "DETAIL"]);
    for AuditEntry { at, deed } in &found {
        let author = &deed.author;
        let by = match (&author.role, &author.address) {
            (Some(role), Some(address)) => format!("{} ({role}, {address})", author.by),
            (None, Some(address)) => format!("{} ({address})", author.by),
            _ => author.by.clone(),
        };
        let object = deed.objects.first().cloned().unwrap_or_default();
        table.push(&[
            local(*at, zone),
            by,
            author.via.as_str().to_owned(),
            deed.did.clone(),
            match deed.count {
                0 | 1 => object,
                more => format!("{object} and {} more", more - 1),
            },
            deed.outcome.as_str().to_owned(),
            deed.detail.clone().unwrap_or_default(),
        ]);
    }
    Ok(output::table(
        &mut table,
        "nobody has changed anything yet",
    )?)
}

/// A deed, as `--json` shows it.
#[derive(Debug, Serialize)]
struct View<'a> {
    time: String,
    by: &'a str,
    via: &'static str,
    role: Option<&'a str>,
    address: Option<&'a str>,
    did: &'a str,
    objects: &'a [String],
    count: u64,
    outcome: &'static str,
    detail: Option<&'a str>,
}

impl<'a> View<'a> {
    fn new(AuditEntry { at, deed }: &'a AuditEntry) -> Self {
        Self {
            time: at.to_string(),
            by: &deed.author.by,
            via: deed.author.via.as_str(),
            role: deed.author.role.as_deref(),
            address: deed.author.address.as_deref(),
            did: &deed.did,
            objects: &deed.objects,
            count: deed.count,
            outcome: deed.outcome.as_str(),
            detail: deed.detail.as_deref(),
        }
    }
}
