//! Failed runs: shown, run again, forgotten.

use carillon::core::{JobId, Timestamp};
use chrono_tz::Tz;

use super::FailedArgs;
use crate::cli::failure::Failure;
use crate::cli::office::{Choice, Office};
use crate::cli::output::{self, Table, local};

/// How much of a detail stands in a table, in characters. JSON shows all of it.
const SHOWN_DETAIL: usize = 80;

pub(super) async fn show(
    office: &Office,
    job: Option<&JobId>,
    args: &FailedArgs,
    zone: Tz,
) -> Result<(), Failure> {
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let runs = office.failed_runs(job, limit).await?.items;
    if args.json {
        return Ok(output::json(&runs)?);
    }
    let mut table = Table::new(&["FAILED", "RUN", "OUTCOME", "ATTEMPT", "NODE", "DETAIL"]);
    for run in &runs {
        let failed_at = run.failed_at.parse::<Timestamp>();
        let detail = run.detail.as_deref().unwrap_or_default();
        table.push(&[
            failed_at.map(|at| local(at, zone)).unwrap_or_default(),
            run.run.clone(),
            run.outcome.clone(),
            run.attempt.to_string(),
            run.node.clone(),
            detail.chars().take(SHOWN_DETAIL).collect(),
        ]);
    }
    Ok(output::table(&mut table, "no run has failed for good")?)
}

pub(super) async fn rerun(office: &Office, choice: &Choice) -> Result<(), Failure> {
    let mut refused = Vec::new();
    for view in office.rerun(choice).await? {
        let (run, why) = (view.run, view.why.unwrap_or_default());
        match view.made {
            Some(again) => output::line(&format!("{run} runs again as {again}"))?,
            // It says itself which run there is none of.
            None if why.starts_with("there is no") => refused.push(why),
            None => refused.push(format!("run \"{run}\": {why}")),
        }
    }
    told(&refused)
}

pub(super) async fn purge(office: &Office, choice: &Choice) -> Result<(), Failure> {
    let done = office.purge(choice).await?;
    output::line(&format!("purged {}", done.purged))?;
    let missing = done.missing.iter();
    let missing = missing.map(|run| format!("there is no failed run \"{run}\""));
    told(&missing.collect::<Vec<_>>())
}

fn told(refused: &[String]) -> Result<(), Failure> {
    if refused.is_empty() {
        Ok(())
    } else {
        Err(Failure::Refused(refused.join("\n")))
    }
}
