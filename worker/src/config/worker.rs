//! One node, as configured.

use std::num::NonZeroUsize;
use std::time::Duration;

use scheduler_core::{NodeName, QueueName, duration};

use super::Overrides;
use super::check::Check;
use super::typed::WorkerTable;

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Its name; none where the node shall name itself.
    pub node: Option<NodeName>,
    /// How many runs it executes at once.
    pub concurrency: NonZeroUsize,
    /// The queues that it serves, the first first.
    pub queues: Vec<QueueName>,
    /// How long the right to dispatch lives without being renewed.
    pub lease_ttl: Duration,
    /// How long the node counts as alive without a sign of life.
    pub session_ttl: Duration,
    /// How long handlers may go on after the node was told to stop.
    pub shutdown_grace: Duration,
}

const DEFAULT_CONCURRENCY: u32 = 64;
const MAX_CONCURRENCY: u32 = 10_000;
const DEFAULT_LEASE_TTL: Duration = Duration::from_secs(5);
const DEFAULT_SESSION_TTL: Duration = Duration::from_secs(10);
const DEFAULT_SHUTDOWN_GRACE: Duration = Duration::from_secs(30);
/// Shorter ones would pass by in an ordinary pause of a machine or a network.
const MIN_TTL: Duration = Duration::from_millis(500);
/// Longer ones would leave the runs of a dead node alone for too long to be meant.
const MAX_TTL: Duration = Duration::from_secs(3600);

impl WorkerSettings {
    pub(super) fn check(check: &mut Check<'_>, overrides: &Overrides, table: &WorkerTable) -> Self {
        Self {
            node: check.name(
                ("--node (CARILLON_NODE)", &overrides.node),
                ("worker.node", &table.node),
            ),
            concurrency: concurrency(check, overrides, table),
            queues: queues(check, overrides, table),
            lease_ttl: ttl(
                check,
                "worker.lease_ttl",
                table.lease_ttl,
                DEFAULT_LEASE_TTL,
            ),
            session_ttl: ttl(
                check,
                "worker.session_ttl",
                table.session_ttl,
                DEFAULT_SESSION_TTL,
            ),
            shutdown_grace: shutdown_grace(check, overrides, table),
        }
    }
}

fn concurrency(check: &mut Check<'_>, overrides: &Overrides, table: &WorkerTable) -> NonZeroUsize {
    let in_range = |number: u32| {
        let number = (number <= MAX_CONCURRENCY).then_some(number)?;
        NonZeroUsize::new(usize::try_from(number).ok()?)
    };
    let rule = format!("is not between 1 and {MAX_CONCURRENCY}");
    if let Some(text) = &overrides.concurrency {
        return text.parse().ok().and_then(in_range).unwrap_or_else(|| {
            let flag = "--concurrency (CARILLON_CONCURRENCY)";
            check.refuse_flag(flag, format!("{text:?} {rule}"));
            NonZeroUsize::MIN
        });
    }
    let number = table.concurrency.unwrap_or(DEFAULT_CONCURRENCY);
    in_range(number).unwrap_or_else(|| {
        check.refuse("worker.concurrency", format!("{number} {rule}"));
        NonZeroUsize::MIN
    })
}

fn queues(check: &mut Check<'_>, overrides: &Overrides, table: &WorkerTable) -> Vec<QueueName> {
    let flagged = !overrides.queues.is_empty();
    let typed = match &table.queues {
        _ if flagged => &overrides.queues,
        Some(typed) => typed,
        None => return vec![QueueName::default_queue()],
    };
    let mut refuse = |field: &str, message: String| {
        if flagged {
            check.refuse_flag("--queue (CARILLON_QUEUES)", message);
        } else {
            check.refuse(field, message);
        }
    };
    if typed.is_empty() {
        let message = "a node must serve at least one queue";
        refuse("worker.queues", message.to_owned());
    }
    let mut queues = Vec::with_capacity(typed.len());
    for (index, name) in typed.iter().enumerate() {
        let field = format!("worker.queues[{index}]");
        match QueueName::new(name) {
            Ok(queue) if queues.contains(&queue) => {
                refuse(&field, format!("queue {name:?} is named twice"));
            }
            Ok(queue) => queues.push(queue),
            Err(error) => refuse(&field, error.to_string()),
        }
    }
    queues
}

fn ttl(check: &mut Check<'_>, field: &str, typed: Option<Duration>, default: Duration) -> Duration {
    let ttl = typed.unwrap_or(default);
    if !(MIN_TTL..=MAX_TTL).contains(&ttl) {
        let message = format!("{ttl:?} is not between {MIN_TTL:?} and {MAX_TTL:?}");
        check.refuse(field, message);
    }
    ttl
}

fn shutdown_grace(check: &mut Check<'_>, overrides: &Overrides, table: &WorkerTable) -> Duration {
    let Some(text) = &overrides.shutdown_grace else {
        return table.shutdown_grace.unwrap_or(DEFAULT_SHUTDOWN_GRACE);
    };
    duration::parse(text).unwrap_or_else(|message| {
        check.refuse_flag("--shutdown-grace (CARILLON_SHUTDOWN_GRACE)", message);
        DEFAULT_SHUTDOWN_GRACE
    })
}
