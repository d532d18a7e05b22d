//! Runs, and what became of fire times.

use axum::Json;
use axum::extract::State;
use scheduler_core::history::Became;
use scheduler_core::shard::MAX_SHARDS;
use scheduler_core::store::{CancelAnswer, HistoryQuery};
use scheduler_core::{RunId, Store};

use super::asked::{Asked, Body, Params, Segment, run_id, typed_if_any};
use super::problem::Problem;
use crate::http::app::App;
use crate::jobs::RunReport;
use crate::wire::{CancelRequest, Cancelled, EntryView, LogView, ReportView, RunsPage};

/// How many records a page has, and how many it may have.
const PAGE: (usize, usize) = (100, 1000);

/// What a list of runs may be asked for.
pub(super) const LISTED: [&str; 8] = [
    "job", "outcome", "node", "since", "until", "limit", "before", "after",
];

pub(super) async fn list<S: Store>(
    State(app): State<App<S>>,
    asked: Asked,
) -> Result<Json<RunsPage>, Problem> {
    let params = Params::read(asked, &LISTED)?;
    let query = HistoryQuery {
        job: params.parsed("job")?,
        outcome: params.parsed::<Became>("outcome")?,
        node: params.text("node")?.map(str::to_owned),
        since: params.instant("since")?,
        until: params.instant("until")?,
        before: position(&params, "before")?,
        after: position(&params, "after")?,
        limit: params.number("limit", PAGE)?,
        ..HistoryQuery::default()
    };
    if query.before.is_some() && query.after.is_some() {
        return Err(Problem::field("after", "is not said together with before"));
    }
    let named = if query.after.is_some() {
        "after"
    } else {
        "before"
    };
    let page = app.store().history(&query).await;
    let mut page = page.map_err(|error| Problem::of_position(named, error.into()))?;
    // Onward, whole batches are told, which may hold more than was asked for: so that the position
    // lies between two of them.
    if query.after.is_none() {
        page.entries.truncate(query.limit);
    }
    Ok(Json(RunsPage {
        items: page.entries.iter().map(EntryView::new).collect(),
        next: page.older,
        position: page.position,
    }))
}

/// Where an earlier page ended: the store knows its own positions.
fn position(params: &Params, name: &str) -> Result<Option<String>, Problem> {
    let Some(text) = params.text(name)? else {
        return Ok(None);
    };
    let is_position = text.len() <= 100 * usize::from(MAX_SHARDS)
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_position {
        Ok(Some(text.to_owned()))
    } else {
        let rule = format!("{text:?} is not what an earlier page gave");
        Err(Problem::field(name, rule))
    }
}

async fn report<S: Store>(app: &App<S>, run: &RunId) -> Result<RunReport, Problem> {
    let report = app.jobs().report(run).await?;
    if report.is_known() {
        Ok(report)
    } else {
        Err(Problem::no_such("run", &run.to_string()))
    }
}

pub(super) async fn get<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
) -> Result<Json<ReportView>, Problem> {
    Ok(Json(ReportView::new(&report(&app, &run_id(path)?).await?)))
}

pub(super) async fn log<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
) -> Result<Json<LogView>, Problem> {
    Ok(Json(LogView::new(&report(&app, &run_id(path)?).await?)))
}

pub(super) async fn cancel<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
    body: Body,
) -> Result<Json<Cancelled>, Problem> {
    let run = run_id(path)?;
    let CancelRequest { by, why } = typed_if_any(body)?;
    let jobs = app.jobs();
    let ended = match jobs.cancel(&run, by.as_deref(), why.as_deref()).await? {
        CancelAnswer::Ended => true,
        CancelAnswer::Marked => false,
        CancelAnswer::NotInFlight => {
            let known = report(&app, &run).await?;
            let detail = format!("run \"{run}\" is over: {}", known.state());
            return Err(Problem::conflict(detail));
        }
    };
    let run = run.to_string();
    Ok(Json(Cancelled { run, ended }))
}
