//! How every key is called. No other module puts a key together.
//!
//! All keys of one shard share a hash tag, and so a slot: `carillon:{default/0}:due`.

use scheduler_core::shard::ShardNumber;
use scheduler_core::{JobId, Namespace, Priority, QueueName, RunId, SessionId};

/// The keys of one shard.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(crate) fn new(namespace: &Namespace, shard: ShardNumber) -> Self {
        Self {
            prefix: format!("carillon:{{{namespace}/{shard}}}:"),
        }
    }

    /// A key that the shard has one of, or a key of a session.
    ///
    /// The names are those in the scripts' headers.
    pub(crate) fn named(&self, name: &str, session: Option<&SessionId>) -> String {
        match (name, session) {
            ("session" | "claims", Some(session)) => self.of(name, session.as_str()),
            _ => format!("{}{name}", self.prefix),
        }
    }

    pub(crate) fn job(&self, id: &JobId) -> String {
        self.of("job", id.as_str())
    }

    /// What handlers told of a run.
    pub(crate) fn notes(&self, run: &RunId) -> String {
        self.of("notes", &run.to_string())
    }

    /// The list of a queue's waiting runs of one priority. A queue's name may hold `:`, so the
    /// priority stands before it.
    pub(crate) fn ready(&self, queue: &QueueName, priority: Priority) -> String {
        let name = match priority {
            Priority::High => "ready-high",
            Priority::Normal => "ready",
            Priority::Low => "ready-low",
        };
        self.of(name, queue.as_str())
    }

    pub(crate) fn wake(&self, queue: &QueueName) -> String {
        self.of("wake", queue.as_str())
    }

    fn of(&self, name: &str, which: &str) -> String {
        format!("{}{name}:{which}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_readable_and_share_a_slot() {
        let keys = Keys::new(&Namespace::default_namespace(), ShardNumber(0));
        let session = SessionId::new("web~00000000000000000000000000000001").unwrap();
        assert_eq!(keys.named("due", None), "carillon:{default/0}:due");
        assert_eq!(
            keys.named("claims", Some(&session)),
            "carillon:{default/0}:claims:web~00000000000000000000000000000001"
        );
        assert_eq!(
            keys.job(&JobId::new("a b").unwrap()),
            "carillon:{default/0}:job:a b"
        );
        assert_eq!(
            keys.ready(&QueueName::default_queue(), Priority::Normal),
            "carillon:{default/0}:ready:default"
        );
        assert_eq!(
            keys.ready(&QueueName::new("a:high").unwrap(), Priority::Low),
            "carillon:{default/0}:ready-low:a:high"
        );
    }

    #[test]
    fn a_queue_may_be_called_as_anything_that_a_shard_has_one_of() {
        let keys = Keys::new(&Namespace::default_namespace(), ShardNumber(0));
        for name in ["leader", "lease"] {
            let queue = QueueName::new(name).unwrap();
            assert_ne!(keys.wake(&queue), keys.named(&format!("wake-{name}"), None));
        }
    }
}
