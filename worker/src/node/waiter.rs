//! Waiting for a wake-up of the store, next to other things.

use std::time::Duration;

use futures_util::future::BoxFuture;
use scheduler_core::Shard;
use scheduler_core::store::Wake;

use crate::node::link::{Backoff, Link};

/// How often a wait is begun anew, and how long whoever needs to know waits at most.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Waits for one kind of wake-up, again and again.
///
/// A wake-up goes to one waiter of the whole cluster, so that a wait which is given up and begun
/// anew with each passing event could swallow one each time. A wait therefore stays under way until
/// it is over, or until [`Waiter::forget`] gives it up on purpose.
pub(crate) struct Waiter<S> {
    link: Link<S>,
    wake: Wake,
    under_way: Option<BoxFuture<'static, Backoff>>,
    backoff: Option<Backoff>,
}

impl<S: Shard> Waiter<S> {
    pub(crate) fn new(link: Link<S>, wake: Wake) -> Self {
        Self {
            link,
            wake,
            under_way: None,
            backoff: Some(Backoff::new()),
        }
    }

    /// Waits until there may be something to do, however long that takes: callers look now and then
    /// whatever they hear. Cancel-safe: the wait goes on where it was when it is asked for again.
    pub(crate) async fn woken(&mut self) {
        let under_way = self.under_way.get_or_insert_with(|| {
            let link = self.link.clone();
            let wake = self.wake.clone();
            let mut backoff = self.backoff.take().unwrap_or_else(Backoff::new);
            Box::pin(async move {
                loop {
                    // The link calls trouble what takes long; a wait may.
                    let wait = async {
                        tokio::time::timeout(LONGEST_WAIT, link.store.wait(&wake))
                            .await
                            .map_or(Ok(false), |woken| woken.map(|()| true))
                    };
                    match link.ask("wait", wait).await {
                        Ok(false) => continue,
                        Ok(true) => backoff.reset(),
                        Err(_) => tokio::time::sleep(backoff.next()).await,
                    }
                    return backoff;
                }
            })
        });
        self.backoff = Some(under_way.await);
        self.under_way = None;
    }

    /// Gives up the wait under way: this node could do nothing with a wake-up now, and must not
    /// take it from another.
    pub(crate) fn forget(&mut self) {
        self.under_way = None;
    }
}
