//! Hearing what happens: on this node, and in the cluster.

use scheduler_core::{Sharded, StoreError};

use crate::event::{self, ClusterEvents, Event, Events};
use crate::scheduler::{Listener, Scheduler};

impl<S: Sharded> Scheduler<S> {
    /// What happens on this node from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.node.events.listen()
    }

    /// What happens in the whole cluster from now on: on each node that shares the store, and to each
    /// job.
    ///
    /// # Errors
    ///
    /// The store could not be reached. Later trouble is waited out.
    pub async fn cluster_events(&self) -> Result<ClusterEvents<S>, StoreError> {
        event::listen(self.store.clone()).await
    }

    /// Calls `listener` with what happens on this node from now on, until what this returns is
    /// dropped. Told one after the other, on a task of their own: a slow listener holds up nobody,
    /// and misses the oldest events where it lies far behind.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn add_listener(&self, mut listener: impl FnMut(&Event) + Send + 'static) -> Listener {
        let mut events = self.events();
        Listener::new(tokio::spawn(async move {
            while let Some(event) = events.next().await {
                listener(&event);
            }
        }))
    }

    /// Calls `listener` with what happens in the whole cluster from now on, likewise.
    ///
    /// ```
    /// use carillon::event::Event;
    /// use carillon::{NewJob, Scheduler};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let scheduler = Scheduler::in_memory().task("hello", || async {}).build()?;
    /// let listener = scheduler
    ///     .add_cluster_listener(|event| match event {
    ///         Event::JobAdded { job, .. } => println!("{job} is there"),
    ///         Event::Ended(run) => println!("{}: {}", run.run, run.outcome),
    ///         _ => {}
    ///     })
    ///     .await?;
    /// scheduler.add_job(NewJob::new("hello", "hello").cron("0 8 * * *")).await?;
    /// listener.remove();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be reached. Later trouble is waited out, and told as
    /// [`Event::Unheard`].
    pub async fn add_cluster_listener(
        &self,
        mut listener: impl FnMut(&Event) + Send + 'static,
    ) -> Result<Listener, StoreError> {
        let mut events = self.cluster_events().await?;
        Ok(Listener::new(tokio::spawn(async move {
            loop {
                listener(&events.next().await);
            }
        })))
    }
}
