//! Runs that have failed for good.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use scheduler_core::store::{FailedQuery, FailedRun};
use scheduler_core::{JobId, RunId, Store};
use uuid::Uuid;

use super::asked::{Asked, Body, Params, Segment, name, run_id, typed};
use super::jobs::Key;
use super::keyed::Keyed;
use super::problem::Problem;
use crate::http::app::App;
use crate::jobs::{RunAgain, rerun_of};
use crate::wire::{
    Chosen, FailedPage, FailedView, PurgeDone, RefusalKind, RerunDone, RerunView, RunMade,
};

/// How many runs a page has, and how many it may have.
const PAGE: (usize, usize) = (100, 1000);

/// How many runs one request runs again, or forgets.
const AT_ONCE: usize = 1_000;

/// How many failed runs are read in one step.
const STEP: usize = 500;

/// What a list of failed runs may be asked for.
pub(super) const LISTED: [&str; 3] = ["job", "limit", "after"];

pub(super) async fn list<S: Store>(
    State(app): State<App<S>>,
    asked: Asked,
) -> Result<Json<FailedPage>, Problem> {
    let params = Params::read(asked, &LISTED)?;
    let query = FailedQuery {
        job: params.parsed("job")?,
        after: params.text("after")?.map(str::to_owned),
        limit: params.number("limit", PAGE)?,
    };
    let page = app.jobs().failed(&query).await;
    let page = page.map_err(|error| Problem::of_position("after", error))?;
    Ok(Json(FailedPage {
        items: page.runs.iter().map(FailedView::new).collect(),
        next: page.next,
    }))
}

/// The failed runs that were chosen.
#[derive(Default)]
struct Found {
    runs: Vec<FailedRun>,
    /// Those of which there is none.
    missing: Vec<RunId>,
    next: Option<String>,
}

async fn chosen<S: Store>(app: &App<S>, chosen: Chosen) -> Result<Found, Problem> {
    let ways = [!chosen.runs.is_empty(), chosen.job.is_some(), chosen.all];
    if ways.into_iter().filter(|way| *way).count() != 1 {
        let rule = "exactly one of runs, job and all must be said";
        return Err(Problem::field("", rule));
    }
    if chosen.runs.is_empty() {
        let job = chosen.job.as_deref().map(|text| name("job", text));
        let query = FailedQuery {
            job: job.transpose()?,
            after: chosen.after,
            limit: AT_ONCE,
        };
        let page = app.jobs().failed(&query).await;
        let page = page.map_err(|error| Problem::of_position("after", error))?;
        return Ok(Found {
            runs: page.runs,
            next: page.next,
            ..Found::default()
        });
    }
    if chosen.runs.len() > AT_ONCE {
        let rule = format!("{} are too many: at most {AT_ONCE}", chosen.runs.len());
        return Err(Problem::field("runs", rule));
    }
    let numbered = chosen.runs.iter().enumerate();
    let runs = numbered.map(|(index, text)| name(&format!("runs[{index}]"), text));
    these(app, runs.collect::<Result<_, _>>()?).await
}

/// The failed runs of these ids.
async fn these<S: Store>(app: &App<S>, runs: Vec<RunId>) -> Result<Found, Problem> {
    let mut of_job: BTreeMap<JobId, Vec<RunId>> = BTreeMap::new();
    for run in runs {
        of_job.entry(run.job.clone()).or_default().push(run);
    }
    let mut found = Found::default();
    for (job, mut wanted) in of_job {
        let mut query = FailedQuery {
            job: Some(job),
            after: None,
            limit: STEP,
        };
        while !wanted.is_empty() {
            let page = app.jobs().failed(&query).await?;
            for failed in page.runs {
                if let Some(at) = wanted.iter().position(|run| *run == failed.record.run) {
                    wanted.swap_remove(at);
                    found.runs.push(failed);
                }
            }
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        found.missing.extend(wanted);
    }
    Ok(found)
}

/// Runs failed runs again, and tells what became of each. Under a key that was used before, those of
/// which nothing is there any more may have become other runs then.
async fn again<S: Store>(
    app: &App<S>,
    found: Found,
    key: Option<&Keyed>,
) -> Result<Vec<(RunId, RunAgain)>, Problem> {
    let name = |run: &RunId| match key {
        Some(key) => key.id_for(&run.to_string()),
        None => Uuid::now_v7(),
    };
    let outcomes = app.jobs().run_again_as(&found.runs, name).await?;
    let runs = found.runs.into_iter().map(|failed| failed.record.run);
    let mut items: Vec<_> = runs.zip(outcomes).collect();
    for run in found.missing {
        let mut became = RunAgain::NotFound;
        if let Some(key) = key.filter(|key| key.is_again) {
            let made = rerun_of(&run, key.id_for(&run.to_string()));
            let report = app.jobs().report(&made).await?;
            if report.is_known() {
                became = RunAgain::Made(made);
            }
        }
        items.push((run, became));
    }
    Ok(items)
}

pub(super) async fn rerun_all<S: Store>(
    State(app): State<App<S>>,
    key: Key,
    body: Body,
) -> Result<Json<RerunDone>, Problem> {
    let mut found = chosen(&app, typed(body)?).await?;
    let next = found.next.take();
    let items = again(&app, found, key.as_deref()).await?;
    let items = items.iter();
    let items = items.map(|(run, became)| RerunView::new(run.to_string(), became));
    Ok(Json(RerunDone {
        items: items.collect(),
        next,
    }))
}

pub(super) async fn rerun<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
    key: Key,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let run = run_id(path)?;
    let found = these(&app, vec![run.clone()]).await?;
    let became = again(&app, found, key.as_deref()).await?.pop();
    let became = became.map_or(RunAgain::NotFound, |(_, became)| became);
    let why = RerunView::new(run.to_string(), &became).why;
    match became {
        RunAgain::Made(made) => {
            app.link(&headers, &made);
            let run = made.to_string();
            Ok((StatusCode::ACCEPTED, Json(RunMade { run })).into_response())
        }
        RunAgain::NotFound => Err(Problem::no_such("failed run", &run.to_string())),
        RunAgain::Full { .. } => {
            let problem = Problem::conflict(why.unwrap_or_default());
            Err(problem.of_kind(RefusalKind::Full))
        }
        RunAgain::Unreadable => {
            let problem = Problem::conflict(why.unwrap_or_default());
            Err(problem.of_kind(RefusalKind::Unreadable))
        }
    }
}

pub(super) async fn purge<S: Store>(
    State(app): State<App<S>>,
    body: Body,
) -> Result<Json<PurgeDone>, Problem> {
    let found = chosen(&app, typed(body)?).await?;
    let runs = found.runs.into_iter().map(|failed| failed.record.run);
    let runs: Vec<RunId> = runs.collect();
    app.jobs().purge(&runs).await?;
    Ok(Json(PurgeDone {
        purged: runs.len(),
        missing: found.missing.iter().map(ToString::to_string).collect(),
        next: found.next,
    }))
}
