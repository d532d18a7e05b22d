//! All that a store shows at one moment.

use std::collections::BTreeMap;

use scheduler_core::history::Record;
use scheduler_core::lease::LeaseToken;
use scheduler_core::run::{Claim, Outcome};
use scheduler_core::session::SessionSample;
use scheduler_core::store::{HistoryEntry, HistoryQuery, NodeView, StoreResult};
use scheduler_core::{JobId, QueueName, SessionId, Shard, StoredJob, Timestamp};

/// More than any test makes of anything.
const ALL: usize = 100_000;

/// All that a store shows at one moment, in an order of its own, so that two sights can be compared
/// as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// Jobs by id.
    pub jobs: BTreeMap<JobId, StoredJob>,
    /// Runs in flight.
    pub busy: u64,
    /// How many runs wait in each queue in which any do.
    pub ready: BTreeMap<QueueName, u64>,
    /// Runs that are lined up behind others of their job.
    pub lined_up: u64,
    /// Runs that wait for their next attempt.
    pub retries: u64,
    /// Runs that live sessions hold: those in flight that are nowhere else.
    pub held: u64,
    /// Runs that dead sessions hold.
    pub dead: BTreeMap<SessionId, Vec<Claim>>,
    /// Nodes by session.
    pub nodes: BTreeMap<SessionId, NodeView>,
    /// Live sessions, as a sweeper samples them.
    pub samples: BTreeMap<SessionId, SessionSample>,
    /// Today's leader.
    pub leader: Option<LeaseToken>,
    /// History, the oldest first.
    pub history: Vec<HistoryEntry>,
}

impl Sight {
    /// Looks at everything, and checks what must hold at any moment.
    ///
    /// # Errors
    ///
    /// Whatever keeps the store from answering.
    pub async fn of<S: Shard>(store: &S) -> StoreResult<Self> {
        let overview = store.overview().await?;
        assert_eq!(store.clock().await?, overview.now, "the clock");
        let page = store.job_page(None, ALL).await?;
        assert_eq!((page.unreadable, page.next), (Vec::new(), None));
        let mut history = store.history(&whole_history()).await?.entries;
        history.reverse();
        history.iter_mut().for_each(simplify);
        let mut dead: BTreeMap<_, _> = store.dead_claims(ALL).await?.into_iter().collect();
        for claims in dead.values_mut() {
            claims.sort_by_key(|claim| claim.fence);
        }
        let by_session = |sample: SessionSample| (sample.session.clone(), sample);
        let samples = store.sessions().await?.into_iter().map(by_session);
        let nodes = store.nodes().await?.into_iter();
        let queues = overview.queues.iter().filter(|view| view.ready > 0);
        let ready: BTreeMap<_, _> = queues.map(|v| (v.queue.clone(), v.ready)).collect();
        let jobs = page.jobs.into_iter();
        let mut sight = Self {
            jobs: jobs
                .map(|stored| (stored.job.id().clone(), stored))
                .collect(),
            busy: overview.busy,
            ready,
            lined_up: overview.lined_up,
            retries: overview.retries,
            held: 0,
            dead,
            nodes: nodes.map(|node| (node.session.clone(), node)).collect(),
            samples: samples.collect(),
            leader: overview.leader().cloned(),
            history,
        };
        sight.held = sight.count_held();
        assert_eq!(overview.jobs, sight.jobs.len() as u64, "jobs counted");
        assert_eq!(overview.scheduled, sight.count_due(None), "scheduled jobs");
        assert_eq!(
            overview.due,
            sight.count_due(Some(overview.now)),
            "due jobs"
        );
        sight.check();
        Ok(sight)
    }

    /// The same, but for what `change` does to it.
    #[must_use]
    pub fn but(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut other = self.clone();
        change(&mut other);
        other.held = other.count_held();
        other
    }

    /// A node, to say what changes about it.
    pub fn node_mut(&mut self, session: &SessionId) -> &mut NodeView {
        self.nodes.get_mut(session).expect("a known session")
    }

    /// A job, to say what changes about it.
    pub fn job_mut(&mut self, id: &str) -> &mut StoredJob {
        self.jobs
            .get_mut(&super::name::<JobId>(id))
            .expect("a known job")
    }

    /// Adds a run that waits in the default queue.
    pub fn add_waiting(&mut self, id: &str) {
        self.busy += 1;
        *self.ready.entry(QueueName::default_queue()).or_default() += 1;
        self.job_mut(id).in_flight += 1;
    }

    /// Adds a run that is lined up.
    pub fn add_lined_up(&mut self, id: &str) {
        self.busy += 1;
        self.lined_up += 1;
        self.job_mut(id).in_flight += 1;
    }

    /// Takes a run out of the default queue.
    pub fn take_waiting(&mut self) {
        let ready = self.ready.get_mut(&QueueName::default_queue());
        *ready.expect("a run that waits") -= 1;
        self.ready.retain(|_, waiting| *waiting > 0);
    }

    /// Adds a record that is written at `at`.
    pub fn add_record(&mut self, at: Timestamp, record: Record) {
        self.history.push(HistoryEntry {
            position: String::new(),
            at,
            record,
        });
    }

    /// How many runs wait in all queues together.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.ready.values().sum()
    }

    /// The records of history without their times, the oldest first.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let records = self.history.iter().map(|entry| entry.record.clone());
        records.collect()
    }

    /// Demands another sight, and shows only the lines in which they differ.
    pub(super) fn assert_is(&self, expected: &Self, step: &str) {
        if self != expected {
            let difference = difference(&format!("{self:#?}"), &format!("{expected:#?}"));
            panic!("after {step} the store shows another world:\n{difference}");
        }
    }

    fn count_held(&self) -> u64 {
        let dead: usize = self.dead.values().map(Vec::len).sum();
        let elsewhere = self.waiting() + self.lined_up + self.retries + dead as u64;
        let held = self.busy.checked_sub(elsewhere);
        held.unwrap_or_else(|| panic!("runs in two places at once: {self:#?}"))
    }

    fn count_due(&self, until: Option<Timestamp>) -> u64 {
        let times = self.jobs.values().filter_map(|stored| stored.next_fire);
        times
            .filter(|at| until.is_none_or(|until| *at <= until))
            .count() as u64
    }

    fn check(&self) {
        for stored in self.jobs.values() {
            if let (Some(next), Some(fired)) = (stored.next_fire, stored.fired) {
                assert!(next > fired, "due again: {stored:#?}");
            }
        }
        let in_flight: usize = self.jobs.values().map(|stored| stored.in_flight).sum();
        assert!(
            self.busy >= in_flight as u64,
            "more runs than there are: {self:#?}"
        );
        let live = self.nodes.values().filter(|node| !node.dead);
        let live: Vec<_> = live.map(|node| &node.session).collect();
        assert_eq!(
            live,
            self.samples.keys().collect::<Vec<_>>(),
            "live sessions"
        );
    }
}

/// The query for everything, the newest first.
fn whole_history() -> HistoryQuery {
    HistoryQuery {
        limit: ALL,
        ..HistoryQuery::default()
    }
}

/// What a store says of a run that it ended itself is its own choice of words, and so is where records
/// stand.
fn simplify(entry: &mut HistoryEntry) {
    entry.position.clear();
    if let Record::Run(record) = &mut entry.record
        && record.outcome == Outcome::Removed
    {
        record.ended_at = None;
        record.detail = None;
    }
}

/// Lines of one text that the other does not have, from where they part to where they meet again.
fn difference(seen: &str, expected: &str) -> String {
    let (seen, expected): (Vec<_>, Vec<_>) = (seen.lines().collect(), expected.lines().collect());
    let head = seen
        .iter()
        .zip(&expected)
        .take_while(|(a, b)| a == b)
        .count();
    let tails = seen[head..].iter().rev().zip(expected[head..].iter().rev());
    let tail = tails.take_while(|(a, b)| a == b).count();
    let show = |mark: &str, lines: &[&str]| {
        let lines = lines[head.saturating_sub(6)..lines.len() - tail].iter();
        lines
            .map(|line| format!("{mark} {line}\n"))
            .collect::<String>()
    };
    format!("{}{}", show("seen    ", &seen), show("expected", &expected))
}
