//! What became of fire times.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use scheduler_core::history::Record;
use scheduler_core::store::HistoryQuery;
use scheduler_core::{JobId, RunId, Store};
use serde::Deserialize;

use super::jobs::{limit, query};
use super::problem::Problem;
use super::views::{EntryView, RunHistory, RunsPage};
use crate::http::app::App;

/// How many records a page has, and how many it may have.
const PAGE: (usize, usize) = (100, 1000);

/// How many records of its job are looked through for one run.
const LOOKED_THROUGH: usize = 10_000;

/// Which runs to list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Wanted {
    job: Option<String>,
    node: Option<String>,
    limit: Option<usize>,
    before: Option<String>,
}

pub(super) async fn list<S: Store>(
    State(app): State<App<S>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<RunsPage>, Problem> {
    let wanted = query(wanted)?;
    let job = wanted.job.map(JobId::new).transpose();
    let query = HistoryQuery {
        job: job.map_err(|error| Problem::field("job", error.to_string()))?,
        node: wanted.node,
        before: wanted.before.map(checked_position).transpose()?,
        limit: limit(wanted.limit, PAGE)?,
        ..HistoryQuery::default()
    };
    let page = app.store().history(&query).await?;
    Ok(Json(RunsPage {
        items: page.entries.iter().map(EntryView::new).collect(),
        next: page.older,
    }))
}

/// Where an earlier page ended: numbers with a dash between.
fn checked_position(text: String) -> Result<String, Problem> {
    let is_position = text.len() <= 60
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b':');
    if is_position {
        Ok(text)
    } else {
        Err(Problem::field(
            "before",
            "is not what an earlier page gave as next",
        ))
    }
}

pub(super) async fn get<S: Store>(
    State(app): State<App<S>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(text) =
        path.map_err(|error| Problem::new(StatusCode::NOT_FOUND, error.body_text()))?;
    let run: RunId = text.parse().map_err(|_| Problem::no_such("run", &text))?;
    let mut query = HistoryQuery {
        job: Some(run.job.clone()),
        limit: PAGE.1,
        ..HistoryQuery::default()
    };
    let (mut attempts, mut seen) = (Vec::new(), 0);
    while seen < LOOKED_THROUGH {
        let page = app.store().history(&query).await?;
        seen += page.entries.len().max(1);
        let of_run = page.entries.iter().filter(|entry| match &entry.record {
            Record::Run(record) => record.run == run,
            Record::Skip(_) => false,
        });
        attempts.extend(of_run.map(EntryView::new));
        query.before = page.older;
        if query.before.is_none() {
            break;
        }
    }
    if attempts.is_empty() {
        return Err(Problem::no_such("run", &text));
    }
    attempts.reverse();
    let run = run.to_string();
    Ok(Json(RunHistory { run, attempts }).into_response())
}
