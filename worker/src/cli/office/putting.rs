//! Putting jobs over HTTP.

use carillon::core::JobSpec;
use carillon::jobs::{OnConflict, Put, PutAll, PutWish};
use carillon::wire::{self, BulkDone};
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
            let refused = conflict.errors.iter().map(|(field, why)| {
                let index = field
                    .strip_prefix("jobs[")?
                    .strip_suffix(']')?
                    .parse()
                    .ok()?;
                Some((index, refusal(why)?))
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
            let why = refused
                .next()
                .map(|refused| refused.why)
                .unwrap_or_default();
            refusal(&why).ok_or_else(|| Failure::Refused(format!("job {:?}: {why}", became.id)))
        }
    });
    Ok(PutAll::Done(outcomes.collect::<Result<_, _>>()?))
}

/// Why a job was refused, from how the API says it; none where that is a matter of its schedule.
fn refusal(why: &str) -> Option<Put> {
    let quoted = |text: &str| serde_json::from_str::<String>(text).ok();
    if let Some(by) = why.strip_prefix("its unique key is held by job ") {
        return quoted(by)?.parse().ok().map(Put::KeyTaken);
    }
    if let Some((_, why)) = why.split_once(" is there, and cannot be read: ") {
        return Some(Put::Unreadable(why.to_owned()));
    }
    (why.starts_with("there is a job ") && why.ends_with(" already")).then_some(Put::Exists)
}
