//! Runs that have failed for good.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use scheduler_core::store::{FailedQuery, FailedRun};
use scheduler_core::{JobId, RunId, Store};

use super::asked::{Asked, Body, Params, Segment, name, run_id, typed};
use super::problem::Problem;
use crate::http::app::App;
use crate::jobs::RunAgain;
use crate::wire::{Chosen, FailedPage, FailedView, PurgeDone, RerunDone, RerunView, RunMade};

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

pub(super) async fn rerun_all<S: Store>(
    State(app): State<App<S>>,
    body: Body,
) -> Result<Json<RerunDone>, Problem> {
    let Found {
        runs,
        missing,
        next,
    } = chosen(&app, typed(body)?).await?;
    let outcomes = app.jobs().run_again(&runs).await?;
    let done = runs.iter().zip(&outcomes);
    let done = done.map(|(failed, became)| RerunView::new(failed.record.run.to_string(), became));
    let missing = missing.into_iter();
    let missing = missing.map(|run| RerunView::new(run.to_string(), &RunAgain::NotFound));
    let items = done.chain(missing).collect();
    Ok(Json(RerunDone { items, next }))
}

pub(super) async fn rerun<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
) -> Result<Response, Problem> {
    let run = run_id(path)?;
    let found = these(&app, vec![run.clone()]).await?;
    let outcomes = app.jobs().run_again(&found.runs).await?;
    let run = run.to_string();
    let became = outcomes.first().unwrap_or(&RunAgain::NotFound);
    match (became, RerunView::new(run.clone(), became)) {
        (RunAgain::NotFound, _) => Err(Problem::no_such("failed run", &run)),
        (
            _,
            RerunView {
                made: Some(run), ..
            },
        ) => Ok((StatusCode::ACCEPTED, Json(RunMade { run })).into_response()),
        (_, RerunView { why, .. }) => Err(Problem::conflict(why.unwrap_or_default())),
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
