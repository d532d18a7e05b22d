//! Listening to the whole cluster.

use std::collections::VecDeque;
use std::time::Duration;

use scheduler_core::event::Feed;
use scheduler_core::{Store, StoreError};

use super::Event;
use crate::node::Backoff;

/// Listens to all that happens on this store from now on: on each node, and to each job.
///
/// ```
/// use carillon::core::Store;
/// use carillon::event::{self, Event};
///
/// async fn watch<S: Store>(store: S) -> Result<(), carillon::core::StoreError> {
///     let mut events = event::listen(store).await?;
///     loop {
///         match events.next().await {
///             Event::Ended(run) if run.outcome.is_failure() => println!("{} failed", run.run),
///             Event::Unheard => println!("cut off for a while: look into history"),
///             _ => {}
///         }
///     }
/// }
/// ```
///
/// # Errors
///
/// The store could not be reached. Later trouble is waited out.
pub async fn listen<S: Store>(store: S) -> Result<ClusterEvents<S>, StoreError> {
    let feed = Some(store.listen().await?);
    Ok(ClusterEvents {
        store,
        feed,
        unread: VecDeque::new(),
    })
}

/// The events of a cluster, from the moment this was made.
#[derive(Debug)]
pub struct ClusterEvents<S> {
    store: S,
    feed: Option<Feed>,
    unread: VecDeque<Event>,
}

impl<S: Store> ClusterEvents<S> {
    /// The next event. Where the way to the store is cut, it waits until there is one again, and
    /// tells that as [`Event::Unheard`]. Cancel-safe.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.unread.pop_front() {
                return event;
            }
            match &mut self.feed {
                Some(feed) => match feed.next().await {
                    Some(events) => self.unread.extend(events),
                    None => self.feed = None,
                },
                None => {
                    self.feed = Some(again(&self.store).await);
                    return Event::Unheard;
                }
            }
        }
    }

    /// Waits for the first event that `wanted` makes something of; none where `limit` has passed
    /// before there was one.
    pub async fn find<T>(
        &mut self,
        limit: Duration,
        mut wanted: impl FnMut(&Event) -> Option<T>,
    ) -> Option<T> {
        let search = async {
            loop {
                if let Some(found) = wanted(&self.next().await) {
                    return found;
                }
            }
        };
        tokio::time::timeout(limit, search).await.ok()
    }
}

async fn again(store: &impl Store) -> Feed {
    let mut backoff = Backoff::new();
    loop {
        match store.listen().await {
            Ok(feed) => return feed,
            Err(_) => tokio::time::sleep(backoff.next()).await,
        }
    }
}
