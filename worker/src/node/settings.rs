//! How a node is set up.

use std::sync::Arc;
use std::time::Duration;

use scheduler_core::lease::TakeoverRule;
use scheduler_core::share::Shares;
use scheduler_core::store::NodeInfo;

use crate::node::trace::Tracing;
use crate::task::Secrets;

/// How long things live, and how long a node waits for them. Lives shorter than
/// [`Timing::SHORTEST`] are made that long: below it a node does little but prove that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long the lease lives without being renewed. A standby takes it earlier from a leader
    /// that stands still while something is due. Defaults to 5 s.
    pub lease_ttl: Duration,
    /// How long a node's session, and with it all its claims, lives without a heartbeat. Defaults
    /// to 10 s.
    pub session_ttl: Duration,
    /// How long handlers may go on when the node shuts down. Defaults to 30 s.
    pub shutdown_grace: Duration,
    /// How long a handler may go on after its token was cancelled, before it is dropped at its next
    /// await. Defaults to 1 s.
    pub last_grace: Duration,
    /// When a standby takes the lease early.
    pub takeover: TakeoverRule,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_secs(5),
            session_ttl: Duration::from_secs(10),
            shutdown_grace: Duration::from_secs(30),
            last_grace: Duration::from_secs(1),
            takeover: TakeoverRule::default(),
        }
    }
}

impl Timing {
    /// The shortest life of a lease or a session.
    pub const SHORTEST: Duration = Duration::from_millis(100);

    /// The same, with lives that can be kept.
    pub(crate) fn bounded(self) -> Self {
        Self {
            lease_ttl: self.lease_ttl.max(Self::SHORTEST),
            session_ttl: self.session_ttl.max(Self::SHORTEST),
            ..self
        }
    }
}

/// How long the store remembers what is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How many history records. Defaults to 100,000.
    pub history: u64,
    /// How long history records are kept, if there are fewer. Defaults to however long.
    pub history_for: Option<Duration>,
    /// Answers to clients' requests. Defaults to 10 minutes.
    pub requests: Duration,
    /// Fire times of removed jobs. Defaults to 7 days.
    pub fired: Duration,
    /// How many failed runs. Defaults to 10,000.
    pub failed: u64,
    /// How long each of them. Defaults to 30 days.
    pub failed_for: Duration,
    /// What handlers noted of a run (progress, result, log lines), from when they did last. Defaults
    /// to 7 days.
    pub notes_for: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            history: 100_000,
            history_for: None,
            requests: Duration::from_secs(600),
            fired: Duration::from_secs(7 * 24 * 3600),
            failed: 10_000,
            failed_for: Duration::from_secs(30 * 24 * 3600),
            notes_for: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// What a node does where the store cannot be reached when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtStart {
    /// It tells so, and tries again until the store answers. The default.
    #[default]
    Wait,
    /// It gives up with an error.
    GiveUp,
}

/// A node, as set up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) info: NodeInfo,
    /// How many runs it executes at once.
    pub(crate) slots: usize,
    /// How these are shared.
    pub(crate) shares: Shares,
    pub(crate) timing: Timing,
    pub(crate) retention: Retention,
    pub(crate) at_start: AtStart,
    /// Where the secrets of args are found.
    pub(crate) secrets: Secrets,
    pub(crate) tracing: Arc<Tracing>,
}
