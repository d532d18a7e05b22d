//! `carillon runs`: history.

use std::time::Duration;

use carillon::SystemClock;
use carillon::core::history::{Record, SkipRecord};
use carillon::core::store::{HistoryEntry, HistoryQuery};
use carillon::core::{Clock as _, JobId, RunId, Timestamp, duration};
use carillon::wire::EntryView;
use chrono_tz::Tz;
use tokio::time::sleep;

use super::args::{Global, RunsArgs};
use super::failure::Failure;
use super::office::Office;
use super::output::{self, Table, brief, local};
use super::store;

/// How often `--follow` looks for more.
const FOLLOW: Duration = Duration::from_millis(250);

/// How many records `--follow` reads at once.
const PAGE: usize = 500;

/// How much of a detail stands in a table, in characters. JSON shows all of it.
const SHOWN_DETAIL: usize = 80;

pub(super) fn run(global: &Global, args: &RunsArgs) -> Result<(), Failure> {
    let settings = global.settings()?;
    let office = Office::of(global, &settings)?;
    let now = SystemClock.now();
    let time = |flag, text: &Option<String>| {
        let text = text.as_deref();
        text.map(|text| instant(flag, text, now)).transpose()
    };
    let query = HistoryQuery {
        job: args.job.as_deref().map(JobId::new).transpose()?,
        outcome: args.outcome.as_deref().map(str::parse).transpose()?,
        node: args.node.clone(),
        since: time("--since", &args.since)?,
        until: time("--until", &args.until)?,
        limit: usize::try_from(args.limit).unwrap_or(usize::MAX),
        ..HistoryQuery::default()
    };
    let zone = settings.job_defaults.timezone;
    let runtime = store::runtime()?;
    if args.follow {
        runtime.block_on(follow(&office, query, args.json, zone))
    } else {
        runtime.block_on(list(&office, &query, args.json, zone))
    }
}

async fn list(office: &Office, query: &HistoryQuery, json: bool, zone: Tz) -> Result<(), Failure> {
    let mut found = Vec::new();
    let mut query = query.clone();
    let most = query.limit;
    // A page may hold fewer than were asked for, or none, and not be the last.
    loop {
        query.limit = most - found.len();
        let page = office.history(&query).await?;
        found.extend(page.entries);
        match page.older.filter(|_| found.len() < most) {
            Some(older) => query.before = Some(older),
            None => break,
        }
    }
    if json {
        let entries: Vec<EntryView> = found.iter().map(EntryView::new).collect();
        return Ok(output::json(&entries)?);
    }
    let mut table = new_table();
    found.iter().for_each(|entry| table.push(&row(entry, zone)));
    Ok(output::table(&mut table, "nothing has happened yet")?)
}

/// An instant, or how long ago that was.
fn instant(flag: &str, text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    duration::parse(text).map(|ago| now.before(ago)).map_err(|_| {
        Failure::Usage(format!(
            "{flag}: {text:?} is neither an instant (2026-12-24T18:00:00Z) nor how long ago (2h)"
        ))
    })
}

/// Shows what is there, and then what is added, until it is ended from outside.
async fn follow(
    office: &Office,
    mut query: HistoryQuery,
    json: bool,
    zone: Tz,
) -> Result<(), Failure> {
    let mut table = new_table();
    let mut is_first = true;
    loop {
        let mut page = office.history(&query).await?;
        if is_first {
            // The newest come first, and are to be read last.
            page.entries.reverse();
        }
        if json {
            for entry in &page.entries {
                output::json_line(&EntryView::new(entry))?;
            }
        } else {
            let rows = page.entries.iter().map(|entry| row(entry, zone));
            rows.for_each(|row| table.push(&row));
            if is_first {
                output::line(&table.header())?;
            }
            for row in table.take_rows() {
                output::line(&row)?;
            }
        }
        if page.entries.len() < query.limit {
            sleep(FOLLOW).await;
        }
        query.after = Some(page.position);
        query.before = None;
        query.limit = PAGE;
        is_first = false;
    }
}

fn new_table() -> Table {
    Table::new(&[
        "TIME", "RUN", "OUTCOME", "ATTEMPT", "NODE", "LATE", "TOOK", "DETAIL",
    ])
}

fn row(entry: &HistoryEntry, zone: Tz) -> Vec<String> {
    let time = local(entry.at, zone);
    match &entry.record {
        Record::Run(run) => {
            let duration = |duration: Option<Duration>| duration.map(brief).unwrap_or_default();
            vec![
                time,
                run.run.to_string(),
                run.outcome.to_string(),
                run.attempt.to_string(),
                run.node.clone(),
                duration(run.late()),
                duration(run.took()),
                shortened(run.detail.as_deref().unwrap_or_default()),
            ]
        }
        Record::Skip(skip) => {
            let mut row = vec![
                time,
                RunId::fire(skip.job.clone(), skip.first).to_string(),
                format!("skipped: {} x{}", skip.skipped.as_str(), skip.count),
            ];
            row.extend(["", "", "", ""].map(str::to_owned));
            row.push(shortened(&skip_detail(skip, zone)));
            row
        }
    }
}

fn skip_detail(skip: &SkipRecord, zone: Tz) -> String {
    if let Some(detail) = &skip.detail {
        return detail.clone();
    }
    let first = local(skip.first, zone);
    if skip.first == skip.last {
        format!("due {first}")
    } else {
        format!("due {first} to {}", local(skip.last, zone))
    }
}

fn shortened(detail: &str) -> String {
    match detail.char_indices().nth(SHOWN_DETAIL) {
        Some((end, _)) => format!("{} ...", &detail[..end]),
        None => detail.to_owned(),
    }
}
