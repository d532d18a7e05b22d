//! Putting jobs over HTTP.

use carillon::core::JobSpec;
use carillon::jobs::{OnConflict, Put, PutAll, PutWish};
use carillon::wire::{self, BulkDone, Refusal};
use reqwest::Method;
use serde_json::json;

use super::client::{Answered, Api};
use crate::cli::failure::Failure;

/// Puts jobs: all or none, or those that can be put.
pub(super) async fn put(api: &Api, wishes: &[PutWish], partial: bool) -> Result<PutAll, Failure> {
    let jobs = wishes.iter().map(|wish| {
        let mut job = json!(JobSpec::from(&wish.job));
        if wish.on_conflict != OnConflict::Refuse {
            job["replace_existing"] = true.into();
        }
        job
    });
    let body = json!(wire::Jobs {
        jobs: jobs.collect()
    });
    let path = if partial {
        "/bulk/jobs?partial=true"
    } else {
        "/bulk/jobs"
    };
    let done: BulkDone = match api.change(Method::POST, path, Some(&body), None).await? {
        Answered::Done(done) => done,
        Answered::NotFound(why) => return Err(Failure::Refused(why)),
        Answered::Conflict(conflict) => {
            let refused = conflict.refused.iter().map(|(field, refusal)| {
                let index = field.strip_prefix("jobs[")?.strip_suffix(']')?;
                Some((index.parse().ok()?, refusal.put()?))
            });
            let refused: Option<Vec<(usize, Put)>> = refused.collect();
            let told = refused.filter(|refused| {
                !refused.is_empty() && refused.iter().all(|(index, _)| *index < wishes.len())
            });
            return told
                .map(PutAll::Refused)
                .ok_or_else(|| Failure::Refused(conflict.to_string()));
        }
    };
    let mut refused = done.refused.into_iter();
    let outcomes = done.jobs.iter().map(|became| match became.outcome() {
        Some(outcome) => Ok(outcome),
        None => {
            let refused = refused.next().map(|refused| refused.refusal);
            let why = refused
                .as_ref()
                .map_or("it was refused", |refused| &refused.why);
            let outcome = refused.as_ref().and_then(Refusal::put);
            outcome.ok_or_else(|| Failure::Refused(format!("job {:?}: {why}", became.id)))
        }
    });
    Ok(PutAll::Done(outcomes.collect::<Result<_, _>>()?))
}
