//! Jobs that the code declares: put when the node starts, as those of a configuration file.

use scheduler_core::Store;
use tokio_util::sync::CancellationToken;

use crate::audit::{Author, Via, acting_as};
use crate::jobs::{Jobs, JobsError, Put, PutWish};
use crate::node::shared::Node;
use crate::node::{AtStart, Backoff, NodeError};

/// Puts the declared jobs, as soon as the store answers. Each node may do so at the same moment: a
/// job is put once, and one that did not change keeps its state.
pub(super) async fn put<S: Store>(
    node: &Node,
    store: &S,
    wishes: &[PutWish],
    shutdown: &CancellationToken,
) -> Result<(), NodeError> {
    if wishes.is_empty() {
        return Ok(());
    }
    let fired = node.settings.retention.fired;
    let jobs = Jobs::new(store.clone()).put_repeatedly(fired);
    let mut backoff = Backoff::new();
    while !shutdown.is_cancelled() {
        let author = Author::new(node.settings.info.node.as_str(), Via::Config);
        match acting_as(author, jobs.put_all(wishes)).await {
            Ok(outcomes) => {
                tell(wishes, &outcomes);
                return Ok(());
            }
            Err(JobsError::Store(error))
                if error.is_transient() && node.settings.at_start == AtStart::Wait =>
            {
                tracing::warn!(%error, "could not put the declared jobs; trying again");
                let pause = tokio::time::sleep(backoff.next());
                let _ = shutdown.run_until_cancelled(pause).await;
            }
            Err(error) => return Err(NodeError::jobs(error)),
        }
    }
    Ok(())
}

fn tell(wishes: &[PutWish], outcomes: &[Put]) {
    for (wish, outcome) in wishes.iter().zip(outcomes) {
        let job = wish.job.id();
        match outcome {
            Put::Unreadable(why) => {
                tracing::warn!(%job, "left as it is, and it cannot be read: {why}");
            }
            Put::Over(why) => tracing::info!(%job, "not put: {why}"),
            done => tracing::debug!(%job, ?done, "put"),
        }
    }
}
