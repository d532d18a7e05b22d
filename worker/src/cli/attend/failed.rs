//! Failed runs: shown, run again, forgotten.

use carillon::Jobs;
use carillon::core::store::{FailedQuery, FailedRun};
use carillon::core::{JobId, RunId, Store};
use carillon::jobs::RunAgain;
use carillon::wire::FailedView;
use chrono_tz::Tz;

use super::{Choice, FailedArgs};
use crate::cli::failure::Failure;
use crate::cli::output::{self, Table, local};

/// How many failed runs are read at once.
const PAGE: usize = 500;

/// How much of a detail stands in a table, in characters. JSON shows all of it.
const SHOWN_DETAIL: usize = 80;

pub(super) async fn show(
    store: &impl Store,
    job: Option<JobId>,
    args: &FailedArgs,
    zone: Tz,
) -> Result<(), Failure> {
    let query = FailedQuery {
        job,
        after: None,
        limit: usize::try_from(args.limit).unwrap_or(usize::MAX),
    };
    let page = Jobs::new(store.clone()).failed(&query).await;
    let runs = page.map_err(|error| failure(store, &error))?.runs;
    if args.json {
        let views: Vec<FailedView> = runs.iter().map(FailedView::new).collect();
        return Ok(output::json(&views)?);
    }
    let mut table = Table::new(&["FAILED", "RUN", "OUTCOME", "ATTEMPT", "NODE", "DETAIL"]);
    for run in &runs {
        let record = &run.record;
        let detail = record.detail.as_deref().unwrap_or_default();
        table.push(&[
            local(run.failed_at, zone),
            record.run.to_string(),
            record.outcome.to_string(),
            record.attempt.to_string(),
            record.node.clone(),
            detail.chars().take(SHOWN_DETAIL).collect(),
        ]);
    }
    Ok(output::table(&mut table, "no run has failed for good")?)
}

pub(super) async fn rerun(store: &impl Store, choice: &Choice) -> Result<(), Failure> {
    let jobs = Jobs::new(store.clone());
    let mut refused = Vec::new();
    let chosen = chosen(store, choice, &mut refused).await?;
    let outcomes = jobs.run_again(&chosen).await;
    let outcomes = outcomes.map_err(|error| failure(store, &error))?;
    for (failed, outcome) in chosen.iter().zip(outcomes) {
        let run = &failed.record.run;
        match outcome {
            RunAgain::Made(again) => output::line(&format!("{run} runs again as {again}"))?,
            RunAgain::NotFound => refused.push(missing(run)),
            RunAgain::Full { in_flight } => refused.push(format!(
                "run \"{run}\": its job has {in_flight} run(s) in flight, as many as it allows"
            )),
            RunAgain::Unreadable => refused.push(format!(
                "run \"{run}\": its definition cannot be read by this version"
            )),
        }
    }
    told(&refused)
}

pub(super) async fn purge(store: &impl Store, choice: &Choice) -> Result<(), Failure> {
    let mut refused = Vec::new();
    let chosen = chosen(store, choice, &mut refused).await?;
    let runs: Vec<_> = chosen
        .iter()
        .map(|failed| failed.record.run.clone())
        .collect();
    let purged = Jobs::new(store.clone()).purge(&runs).await;
    purged.map_err(|error| failure(store, &error))?;
    output::line(&format!("purged {}", runs.len()))?;
    told(&refused)
}

/// The failed runs that were chosen; `refused` is told of those that are none.
async fn chosen(
    store: &impl Store,
    choice: &Choice,
    refused: &mut Vec<String>,
) -> Result<Vec<FailedRun>, Failure> {
    match choice {
        Choice::All => all(store, None).await,
        Choice::Job(job) => all(store, Some(job)).await,
        Choice::Runs(runs) => {
            let mut chosen = Vec::new();
            for run in runs {
                let of_job = all(store, Some(&run.job)).await?;
                match of_job.into_iter().find(|failed| failed.record.run == *run) {
                    Some(failed) => chosen.push(failed),
                    None => refused.push(missing(run)),
                }
            }
            Ok(chosen)
        }
    }
}

async fn all(store: &impl Store, job: Option<&JobId>) -> Result<Vec<FailedRun>, Failure> {
    let jobs = Jobs::new(store.clone());
    let mut query = FailedQuery {
        job: job.cloned(),
        after: None,
        limit: PAGE,
    };
    let mut runs = Vec::new();
    loop {
        let page = jobs.failed(&query).await;
        let page = page.map_err(|error| failure(store, &error))?;
        runs.extend(page.runs);
        query.after = page.next;
        if query.after.is_none() {
            return Ok(runs);
        }
    }
}

fn missing(run: &RunId) -> String {
    format!("there is no failed run \"{run}\"")
}

fn told(refused: &[String]) -> Result<(), Failure> {
    if refused.is_empty() {
        Ok(())
    } else {
        Err(Failure::Refused(refused.join("\n")))
    }
}

fn failure(store: &impl Store, error: &carillon::jobs::JobsError) -> Failure {
    Failure::of_jobs(&store.describe(), error)
}
