//! One node, as configured.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use scheduler_core::share::{MAX_WEIGHT, QueueOrder, Served};
use scheduler_core::{NodeName, QueueName, duration};

use super::Overrides;
use super::check::Check;
use super::typed::{QueueEntry, WorkerTable};

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Its name; none where the node shall name itself.
    pub node: Option<NodeName>,
    /// How many runs it executes at once.
    pub concurrency: NonZeroUsize,
    /// The queues that it serves.
    pub queues: Vec<Served>,
    /// Which of them goes first.
    pub queue_order: QueueOrder,
    /// How long the right to dispatch lives without being renewed.
    pub lease_ttl: Duration,
    /// How long the node counts as alive without a sign of life.
    pub session_ttl: Duration,
    /// How long handlers may go on after the node was told to stop.
    pub shutdown_grace: Duration,
}

const DEFAULT_CONCURRENCY: u32 = 64;
const MAX_CONCURRENCY: u32 = 10_000;
/// Each claim looks at all of them.
const MAX_QUEUES: usize = 64;
const DEFAULT_LEASE_TTL: Duration = Duration::from_secs(5);
const DEFAULT_SESSION_TTL: Duration = Duration::from_secs(10);
const DEFAULT_SHUTDOWN_GRACE: Duration = Duration::from_secs(30);
/// Shorter ones would pass by in an ordinary pause of a machine or a network.
const MIN_TTL: Duration = Duration::from_millis(500);
/// Longer ones would leave the runs of a dead node alone for too long to be meant.
const MAX_TTL: Duration = Duration::from_secs(3600);

impl WorkerSettings {
    pub(super) fn check(check: &mut Check<'_>, overrides: &Overrides, table: &WorkerTable) -> Self {
        let queue_order = queue_order(check, overrides, table);
        Self {
            node: check.name(
                ("--node (CARILLON_NODE)", &overrides.node),
                ("worker.node", &table.node),
            ),
            concurrency: concurrency(check, overrides, table),
            queues: queues(check, overrides, table, queue_order),
            queue_order,
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

fn queue_order(check: &mut Check<'_>, overrides: &Overrides, table: &WorkerTable) -> QueueOrder {
    let rule = "is no order of queues: allowed are \"weighted\" and \"strict\"";
    let read = |text: &str| match text {
        "weighted" => Some(QueueOrder::Weighted),
        "strict" => Some(QueueOrder::Strict),
        _ => None,
    };
    match (&overrides.queue_order, &table.queue_order) {
        (Some(text), _) => read(text).unwrap_or_else(|| {
            let flag = "--queue-order (CARILLON_QUEUE_ORDER)";
            check.refuse_flag(flag, format!("{text:?} {rule}"));
            QueueOrder::default()
        }),
        (None, Some(text)) => read(text).unwrap_or_else(|| {
            check.refuse("worker.queue_order", format!("{text:?} {rule}"));
            QueueOrder::default()
        }),
        (None, None) => QueueOrder::default(),
    }
}

/// A queue as typed: its field, its name, and its weight.
struct Typed<'a> {
    field: String,
    name: &'a str,
    weight: Option<Result<u32, &'a str>>,
}

impl<'a> Typed<'a> {
    /// `mail`, or `mail=3`.
    fn flag(index: usize, text: &'a str) -> Self {
        let (name, weight) = match text.split_once('=') {
            Some((name, weight)) => (name, Some(weight.parse().map_err(|_| weight))),
            None => (text, None),
        };
        let field = format!("worker.queues[{index}]");
        Self {
            field,
            name,
            weight,
        }
    }

    fn entry(index: usize, entry: &'a QueueEntry) -> Self {
        let (name, weight) = match entry {
            QueueEntry::Name(name) => (name, None),
            QueueEntry::Weighted(queue) => (&queue.name, queue.weight.map(Ok)),
        };
        let field = format!("worker.queues[{index}]");
        Self {
            field,
            name,
            weight,
        }
    }

    /// The queue, or the rule that it breaks.
    fn check(&self, order: QueueOrder) -> Result<Served, String> {
        let name = self.name;
        let mut served = Served::from(QueueName::new(name).map_err(|error| error.to_string())?);
        let refuse = |weight: &str| {
            Err(format!(
                "queue {name:?}: the weight {weight} is out of range: allowed are 1 to {MAX_WEIGHT}"
            ))
        };
        match self.weight {
            None => {}
            Some(_) if order == QueueOrder::Strict => {
                return Err(format!(
                    "queue {name:?} has a weight, which means nothing where the order is strict"
                ));
            }
            Some(Err(text)) => return refuse(&format!("{text:?}")),
            Some(Ok(weight)) => match NonZeroU32::new(weight).filter(|w| *w <= MAX_WEIGHT) {
                Some(weight) => served.weight = weight,
                None => return refuse(&weight.to_string()),
            },
        }
        Ok(served)
    }
}

fn queues(
    check: &mut Check<'_>,
    overrides: &Overrides,
    table: &WorkerTable,
    order: QueueOrder,
) -> Vec<Served> {
    let flagged = !overrides.queues.is_empty();
    let typed: Vec<_> = if flagged {
        let flags = overrides.queues.iter().enumerate();
        flags.map(|(at, text)| Typed::flag(at, text)).collect()
    } else if let Some(entries) = &table.queues {
        let entries = entries.iter().enumerate();
        entries.map(|(at, entry)| Typed::entry(at, entry)).collect()
    } else {
        return vec![QueueName::default_queue().into()];
    };
    let mut refuse = |field: &str, message: String| {
        if flagged {
            check.refuse_flag("--queue (CARILLON_QUEUES)", message);
        } else {
            check.refuse(field, message);
        }
    };
    if typed.is_empty() || typed.len() > MAX_QUEUES {
        let message = format!(
            "{} queues: a node serves 1 to {MAX_QUEUES} of them",
            typed.len()
        );
        refuse("worker.queues", message);
    }
    let mut queues: Vec<Served> = Vec::with_capacity(typed.len());
    for each in &typed {
        match each.check(order) {
            Ok(served) if queues.iter().any(|known| known.queue == served.queue) => {
                refuse(&each.field, format!("queue {:?} is named twice", each.name));
            }
            Ok(served) => queues.push(served),
            Err(message) => refuse(&each.field, message),
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
