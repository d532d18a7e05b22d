//! `POST /jobs/<id>/run`: a run now, and how it ended.
//!
//! The original calls the function in the request. Here a run is made, which any node executes, and
//! its end is waited for.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use scheduler_core::history::Record;
use scheduler_core::run::Outcome;
use scheduler_core::store::HistoryQuery;
use scheduler_core::{JobId, RunId, Store};
use tokio::time::{Instant, sleep};

use super::refusal::Refusal;
use crate::http::app::App;
use crate::jobs::{JobsError, RunRequested};

/// How long a run's end is waited for.
const WITHIN: Duration = Duration::from_secs(60);

/// How long to wait between two looks: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// How many records are looked through at a time.
const RECORDS: usize = 500;

/// Runs a job now, and waits for the end of the run.
pub(super) async fn run<S: Store>(
    app: &App<S>,
    id: &JobId,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    let position = newest(app.store()).await?;
    match app.jobs().run_now(id).await? {
        RunRequested::Made(run) => {
            app.link(headers, &run);
            ended(app.store(), &run, position).await
        }
        RunRequested::Full { in_flight } => Err(Refusal::conflict(format!(
            "Job {id} has {in_flight} runs in flight, as many as its max_instances allows"
        ))),
        // No fire time was asked for.
        RunRequested::TooEarly => Err(Refusal::conflict("the run would be too early")),
        RunRequested::NotFound => Err(Refusal::no_such_job(id.as_str())),
    }
}

/// Where history ends at this moment.
async fn newest<S: Store>(store: &S) -> Result<String, Refusal> {
    let query = HistoryQuery {
        limit: 1,
        ..HistoryQuery::default()
    };
    let page = store.history(&query).await;
    Ok(page.map_err(JobsError::from)?.position)
}

async fn ended<S: Store>(store: &S, run: &RunId, mut position: String) -> Result<(), Refusal> {
    let deadline = Instant::now() + WITHIN;
    let (mut pause, longest) = PAUSE;
    while Instant::now() < deadline {
        let query = HistoryQuery {
            job: Some(run.job.clone()),
            after: Some(position.clone()),
            limit: RECORDS,
            ..HistoryQuery::default()
        };
        let page = store.history(&query).await.map_err(JobsError::from)?;
        for entry in page.entries {
            match entry.record {
                Record::Run(record) if record.run == *run => match record.outcome {
                    Outcome::Succeeded => return Ok(()),
                    Outcome::Retrying => {}
                    other => {
                        let why = record.detail.unwrap_or_else(|| other.to_string());
                        return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why));
                    }
                },
                _ => {}
            }
        }
        position = page.position;
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
    Err(Refusal::new(
        StatusCode::GATEWAY_TIMEOUT,
        format!("run {run} has not ended within {WITHIN:?}; it goes on"),
    ))
}
