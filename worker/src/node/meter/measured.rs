//! Counters and histograms.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use scheduler_core::history::RunRecord;
use scheduler_core::plan::{Skip, SkipReason};
use scheduler_core::store::{DispatchItem, StoreErrorKind};
use scheduler_core::{RunId, StoreError, Timestamp};

use super::LeaseChange;
use super::labels::{LabelledJobs, QueueLabels, RunLabels, TaskLabels};

/// Measures. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<Measured>);

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Debug)]
struct Measured {
    jobs: LabelledJobs,
    runs: Family<RunLabels, Counter>,
    lateness: Histograms<QueueLabels>,
    duration: Histograms<TaskLabels>,
    dispatched: Counter,
    skipped: Family<SkipLabels, Counter>,
    lease_changes: Family<LeaseLabels, Counter>,
    leads: Gauge,
    /// Which shards.
    led: Mutex<BTreeSet<usize>>,
    calls: Histograms<CallLabels>,
    call_errors: Family<ErrorLabels, Counter>,
    #[cfg(feature = "otlp")]
    spans: crate::otlp::Spans,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SkipLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LeaseLabels {
    change: LeaseChange,
}

impl EncodeLabelValue for LeaseChange {
    fn encode(&self, to: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let word = match self {
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Released => "released",
        };
        EncodeLabelValue::encode(&word, to)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    operation: &'static str,
    kind: &'static str,
}

/// Seconds, from what is punctual to what nobody wants.
fn lateness() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0,
    ])
}

/// Seconds, from a handler that does little to one that works for hours.
fn duration() -> Histogram {
    Histogram::new([
        0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0,
    ])
}

/// Seconds, of a call to a store nearby.
fn call() -> Histogram {
    Histogram::new([
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
    ])
}

/// What measures runs that are alike.
struct Kind {
    runs: Counter,
    /// Where they were begun.
    lateness: Option<Histogram>,
    /// Where they have ended, too.
    duration: Option<Histogram>,
}

/// Whether the same measures both.
fn is_alike(one: &RunRecord, other: &RunRecord) -> bool {
    one.outcome == other.outcome
        && one.queue == other.queue
        && one.task == other.task
        && one.started_at.is_some() == other.started_at.is_some()
        && one.ended_at.is_some() == other.ended_at.is_some()
}

impl Default for Measured {
    fn default() -> Self {
        let measured = Self {
            jobs: LabelledJobs::default(),
            runs: Family::default(),
            lateness: Family::new_with_constructor(lateness),
            duration: Family::new_with_constructor(duration),
            dispatched: Counter::default(),
            skipped: Family::default(),
            lease_changes: Family::default(),
            leads: Gauge::default(),
            led: Mutex::default(),
            calls: Family::new_with_constructor(call),
            call_errors: Family::default(),
            #[cfg(feature = "otlp")]
            spans: crate::otlp::Spans::default(),
        };
        measured.begin_at_zero();
        measured
    }
}

impl Measured {
    fn kind(&self, record: &RunRecord) -> Kind {
        let queue = record.queue.to_string();
        let task = record
            .task
            .as_ref()
            .map_or_else(String::new, ToString::to_string);
        let job = self.jobs.of(&record.run.job);
        let begun = record.started_at;
        let lateness = begun.map(|_| {
            let labels = QueueLabels {
                queue: queue.clone(),
                job: job.clone(),
            };
            self.lateness.get_or_create(&labels).clone()
        });
        let duration = begun.and(record.ended_at).map(|_| {
            let labels = TaskLabels {
                task: task.clone(),
                job: job.clone(),
            };
            self.duration.get_or_create(&labels).clone()
        });
        let outcome = record.outcome.as_str();
        let labels = RunLabels {
            task,
            queue,
            outcome,
            job,
        };
        Kind {
            runs: self.runs.get_or_create(&labels).clone(),
            lateness,
            duration,
        }
    }

    /// What nobody wants to see is there from the beginning: a counter that appears with its first
    /// trouble has no rise that could be seen.
    fn begin_at_zero(&self) {
        for change in [LeaseChange::Won, LeaseChange::Lost, LeaseChange::Released] {
            let _ = self.lease_changes.get_or_create(&LeaseLabels { change });
        }
        let reason = SkipReason::Misfired.as_str();
        let _ = self.skipped.get_or_create(&SkipLabels { reason });
        let labels = ErrorLabels {
            operation: "peek",
            kind: "unreachable",
        };
        let _ = self.call_errors.get_or_create(&labels);
    }
}

impl Meter {
    /// From now on, so many jobs have a label of their own.
    pub(crate) fn label_jobs(&self, most: usize) {
        self.0.jobs.allow(most);
    }

    /// Attempts of runs have ended, and the store knows.
    ///
    /// Those of one batch are mostly of one kind: what measures them is looked up once.
    pub(crate) fn ended<'r>(&self, records: impl Iterator<Item = &'r RunRecord>) {
        let mut kind: Option<(&RunRecord, Kind)> = None;
        for record in records {
            let kind = match &mut kind {
                Some((like, kind))
                    if is_alike(like, record) && !self.0.jobs.tell_apart(like, record) =>
                {
                    kind
                }
                kind => &kind.insert((record, self.0.kind(record))).1,
            };
            kind.runs.inc();
            #[cfg(feature = "otlp")]
            self.0.spans.ended(record);
            if let (Some(lateness), Some(started)) = (&kind.lateness, record.started_at) {
                let late = started.since(record.run.scheduled_at());
                lateness.observe(late.as_secs_f64());
                if let (Some(duration), Some(ended)) = (&kind.duration, record.ended_at) {
                    duration.observe(ended.since(started).as_secs_f64());
                }
            }
        }
    }

    /// Fire times of a job became runs.
    pub(crate) fn dispatched(&self, item: &DispatchItem, at: Timestamp) {
        let runs = item.plan.runs.len();
        self.0
            .dispatched
            .inc_by(u64::try_from(runs).unwrap_or(u64::MAX));
        for fire in &item.plan.runs {
            let run = RunId::fire(item.job.clone(), *fire);
            tracing::trace!(%run, "dispatched");
            #[cfg(feature = "otlp")]
            self.0.spans.dispatched(&run, item.queue.as_str(), at);
        }
        #[cfg(not(feature = "otlp"))]
        let _ = at;
    }

    /// What became of runs, for whoever sends it on.
    #[cfg(feature = "otlp")]
    pub(crate) fn spans(&self) -> &crate::otlp::Spans {
        &self.0.spans
    }

    /// Fire times were skipped.
    pub(crate) fn skipped(&self, skip: &Skip) {
        let reason = skip.reason.as_str();
        let labels = SkipLabels { reason };
        self.0.skipped.get_or_create(&labels).inc_by(skip.count);
    }

    /// The right to dispatch has come or gone.
    pub(crate) fn lease(&self, shard: usize, change: LeaseChange) {
        let mut led = self.0.led.lock().unwrap_or_else(PoisonError::into_inner);
        if change == LeaseChange::Won {
            led.insert(shard);
        } else {
            led.remove(&shard);
        }
        self.0
            .leads
            .set(i64::try_from(led.len()).unwrap_or(i64::MAX));
        drop(led);
        self.0
            .lease_changes
            .get_or_create(&LeaseLabels { change })
            .inc();
    }

    /// The store was asked, and answered or did not.
    pub(crate) fn asked(
        &self,
        operation: &'static str,
        took: Duration,
        error: Option<&StoreError>,
    ) {
        let labels = CallLabels { operation };
        self.0
            .calls
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
        if let Some(error) = error {
            let kind = match error.kind() {
                StoreErrorKind::Unreachable => "unreachable",
                StoreErrorKind::Mismatch => "mismatch",
                StoreErrorKind::Refused => "refused",
                StoreErrorKind::Unknown => "unknown",
                StoreErrorKind::Corrupt => "corrupt",
            };
            let labels = ErrorLabels { operation, kind };
            self.0.call_errors.get_or_create(&labels).inc();
        }
    }

    /// Shows everything that is measured.
    pub(crate) fn register(&self, to: &mut Registry) {
        let Measured {
            runs,
            lateness,
            duration,
            dispatched,
            skipped,
            lease_changes,
            leads,
            calls,
            call_errors,
            ..
        } = &*self.0;
        let of_node = |what: &str| format!("{what}, on this node");
        to.register(
            "runs",
            of_node("Attempts that ended, by what became of them"),
            runs.clone(),
        );
        let help = of_node("How long after it was due a run was begun");
        to.register_with_unit("run_lateness", help, Unit::Seconds, lateness.clone());
        let help = of_node("How long an attempt took");
        to.register_with_unit("run_duration", help, Unit::Seconds, duration.clone());
        let help = "Fire times that this node made runs of, as leader";
        to.register("fires_dispatched", help, dispatched.clone());
        let help = "Fire times that this node recorded as skipped, as leader, by the reason";
        to.register("fires_skipped", help, skipped.clone());
        let help = "How often this node's right to dispatch came or went";
        to.register("lease_changes", help, lease_changes.clone());
        to.register("lease_held", "Whether this node leads", leads.clone());
        let help = "How long the store took to answer this node, by operation";
        to.register_with_unit("store_call", help, Unit::Seconds, calls.clone());
        let help = "Calls of this node that the store did not answer, by operation";
        to.register("store_call_errors", help, call_errors.clone());
    }
}

/// A counter of this value.
pub(crate) fn counted(value: u64) -> Counter {
    let counter: Counter<u64, AtomicU64> = Counter::default();
    counter.inc_by(value);
    counter
}
