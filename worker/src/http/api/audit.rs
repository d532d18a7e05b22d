//! Who changed what.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use scheduler_core::Store;
use scheduler_core::audit::{AuditEntry, AuditQuery};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::jobs::{limit, query};
use super::problem::Problem;
use crate::http::app::App;

/// How many deeds a page has, and how many it may have.
const PAGE: (usize, usize) = (100, 1000);

/// Which deeds to list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Wanted {
    by: Option<String>,
    object: Option<String>,
    limit: Option<usize>,
    before: Option<String>,
}

/// What somebody did, or tried to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct DeedView {
    /// When.
    time: String,
    /// Who: the name of a token or user, `user@host`, a node, or what a program calls itself.
    by: String,
    /// Which way it was asked for: `http`, `cli`, `library` or `config`.
    via: &'static str,
    /// What the name is allowed.
    role: Option<String>,
    /// The address that the request came from.
    address: Option<String>,
    /// What: the word of an event, `run_cancelled`, `runs_purged`, `queue_limited`,
    /// `queue_unlimited`; or the request that was refused.
    did: String,
    /// To which jobs, runs or queues: at most 20 of them.
    objects: Vec<String>,
    /// To how many in all.
    count: u64,
    /// `done`, `refused`, or `unknown`.
    outcome: &'static str,
    /// More of it, for people.
    detail: Option<String>,
}

impl From<AuditEntry> for DeedView {
    fn from(AuditEntry { at, deed }: AuditEntry) -> Self {
        Self {
            time: at.to_string(),
            by: deed.author.by,
            via: deed.author.via.as_str(),
            role: deed.author.role,
            address: deed.author.address,
            did: deed.did,
            objects: deed.objects,
            count: deed.count,
            outcome: deed.outcome.as_str(),
            detail: deed.detail,
        }
    }
}

/// A page of deeds, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct DeedsPage {
    items: Vec<DeedView>,
    /// Where to go on, as `before`; none at the end. A page may hold less than was asked for, and not
    /// be the last.
    next: Option<String>,
}

pub(super) async fn list<S: Store>(
    State(app): State<App<S>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<DeedsPage>, Problem> {
    let wanted = query(wanted)?;
    let query = AuditQuery {
        by: wanted.by,
        object: wanted.object,
        limit: limit(wanted.limit, PAGE)?,
        before: wanted.before.map(checked_place).transpose()?,
    };
    let page = app.store().audited(&query).await?;
    Ok(Json(DeedsPage {
        items: page.entries.into_iter().map(DeedView::from).collect(),
        next: page.older,
    }))
}

/// Where an earlier page ended: one number, or two with a dash between.
fn checked_place(text: String) -> Result<String, Problem> {
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    let is_place = match text.split_once('-') {
        None => is_number(&text),
        Some((ms, number)) => is_number(ms) && is_number(number),
    };
    if is_place {
        return Ok(text);
    }
    Err(Problem::field(
        "before",
        "is not what an earlier page gave as next",
    ))
}
