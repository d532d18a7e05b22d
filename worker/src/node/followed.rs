//! Which run a run follows: found in history, for runs that follow one only.

use std::sync::Arc;

use scheduler_core::after;
use scheduler_core::history::RunRecord;
use scheduler_core::store::HistoryQuery;
use scheduler_core::{RunId, Shard};

use crate::node::shared::Shared;

/// How many pages of history are read back, at most. Who follows does so soon, as a rule.
const PAGES: usize = 10;

/// How many records of the instant in question are looked at in one page.
const PAGE: usize = 500;

/// How the run ended that `run` follows; none where it follows none, and where history does not tell.
pub(super) async fn followed<S: Shard>(shared: &Shared<S>, run: &RunId) -> Option<Arc<RunRecord>> {
    if !run.cause.follows() {
        return None;
    }
    let ended_at = Some(run.scheduled_at());
    let mut query = HistoryQuery {
        since: ended_at,
        until: ended_at,
        limit: PAGE,
        ..HistoryQuery::default()
    };
    let link = &shared.link;
    for _ in 0..PAGES {
        let page = match link.ask("history", link.store.history(&query)).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%run, %error, "which run it follows could not be read");
                return None;
            }
        };
        if let Some(ended) = after::followed(run, &page.entries) {
            return Some(Arc::new(ended.clone()));
        }
        query.before = Some(page.older?);
    }
    None
}
