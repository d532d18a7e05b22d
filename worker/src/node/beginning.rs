//! Writing down that runs begin, before they do: for jobs that run at most once.

use scheduler_core::run::Claim;
use scheduler_core::store::{Begin, BeginAnswer};
use scheduler_core::{RunId, Shard};
use tokio_util::sync::CancellationToken;

use crate::node::link::{Backoff, Link};
use crate::node::session::Session;

/// How many claims one request marks at most.
const BATCH: usize = 500;

/// What it takes to write that down.
pub(crate) struct Beginning<'a, S> {
    pub(crate) link: &'a Link<S>,
    pub(crate) session: &'a Session,
    /// Cancelled when the node stops to begin runs.
    pub(crate) stopping: &'a CancellationToken,
}

impl<S: Shard> Beginning<'_, S> {
    /// Which of these claims may be acted on: those whose mark was acknowledged. Where the node is
    /// told to stop before there is an answer, none: what was not begun goes back.
    pub(crate) async fn begin(&self, claims: impl Iterator<Item = &Claim>) -> Vec<bool> {
        let claims: Vec<_> = claims.map(|c| (c.run.clone(), c.fence, c.begun)).collect();
        let mut may_begin = Vec::with_capacity(claims.len());
        for chunk in claims.chunks(BATCH) {
            let named = chunk.iter().map(|(run, fence, _)| (run.clone(), *fence));
            let request = Begin {
                session: self.session.id.clone(),
                claims: named.collect(),
                generation: self.session.generation(),
            };
            let asking = self.stopping.run_until_cancelled(self.ask(request));
            let stale = asking.await.flatten();
            // One that was marked when this node first saw it may have been begun.
            let may = |run: &RunId, begun: bool| {
                !begun && stale.as_ref().is_some_and(|stale| !stale.contains(run))
            };
            may_begin.extend(chunk.iter().map(|(run, _, begun)| may(run, *begun)));
        }
        may_begin
    }

    /// The claims that are not held, however often it takes to learn that; none where the session is
    /// over.
    async fn ask(&self, mut request: Begin) -> Option<Vec<RunId>> {
        let mut backoff = Backoff::new();
        loop {
            let answer = self.link.store.begin(&request);
            match self.link.ask("begin", answer).await {
                Ok(BeginAnswer::Begun { stale }) => return Some(stale),
                Ok(BeginAnswer::Gone) => {
                    self.session.end();
                    return None;
                }
                Ok(BeginAnswer::Behind) => {
                    self.session.is_behind(request.generation);
                    tokio::time::sleep(backoff.next()).await;
                    request.generation = self.session.generation();
                }
                Err(_) => tokio::time::sleep(backoff.next()).await,
            }
        }
    }
}
