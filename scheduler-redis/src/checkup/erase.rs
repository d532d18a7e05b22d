//! Leaves nothing behind of a namespace that was made for a trial.

use redis::{Cmd, cmd};
use scheduler_core::store::StoreResult;
use scheduler_core::{JobId, Priority, QueueName, Store as _};

use crate::RedisStore;

impl RedisStore {
    /// Deletes all keys of this namespace, where it has no other jobs and queues than these: for
    /// namespaces that were made for a trial. The keyspace is not searched.
    ///
    /// # Errors
    ///
    /// What keeps the server from answering.
    pub async fn erase(&self, jobs: &[JobId], queues: &[QueueName]) -> StoreResult<()> {
        let sessions = self.nodes().await?;
        let mut unlink: Cmd = cmd("UNLINK");
        for script in self.scripts().all() {
            for name in script.fixed_keys() {
                unlink.arg(self.keys().named(name, None));
                for node in &sessions {
                    unlink.arg(self.keys().named(name, Some(&node.session)));
                }
            }
        }
        for job in jobs {
            unlink.arg(self.keys().job(job));
        }
        for queue in queues {
            unlink.arg(self.keys().wake(queue));
            for priority in Priority::ALL {
                unlink.arg(self.keys().ready(queue, priority));
            }
        }
        self.query("erase", &unlink).await
    }
}
