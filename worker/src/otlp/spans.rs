//! What became of runs, as spans.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use scheduler_core::history::RunRecord;
use scheduler_core::run::Outcome;
use scheduler_core::{RunId, Timestamp};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::attributes;
use crate::node::trace::{Caller, SpanId, TraceId, Tracing};

/// How many spans wait to be sent; those beyond that are dropped, and counted.
const WAITING: usize = 20_000;

/// OTLP's kinds and statuses.
const INTERNAL: u8 = 1;
const PRODUCER: u8 = 4;
const FAILED: u8 = 2;

/// Where spans go, once somebody sends them.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    outlet: OnceLock<Outlet>,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct Outlet {
    tracing: Tracing,
    node: String,
    sender: mpsc::Sender<Value>,
}

impl Spans {
    /// Begins to collect spans; none where somebody does so already.
    pub(super) fn begin(&self, tracing: Tracing, node: String) -> Option<mpsc::Receiver<Value>> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let outlet = Outlet {
            tracing,
            node,
            sender,
        };
        self.outlet.set(outlet).ok().map(|()| receiver)
    }

    /// How many spans were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// A leader made a run of a fire time.
    pub(crate) fn dispatched(&self, run: &RunId, queue: &str, at: Timestamp) {
        self.put(run, |outlet| {
            let root = outlet.tracing.root(run)?;
            let attributes = outlet.common(run, [("carillon.queue", queue.into())]);
            Some(json!({
                "spanId": root.to_string(),
                "name": "dispatch",
                "kind": PRODUCER,
                "startTimeUnixNano": nanos(run.scheduled_at().min(at)),
                "endTimeUnixNano": nanos(at),
                "attributes": attributes,
            }))
        });
    }

    /// A run was made for somebody who is traced: each trace tells of the other.
    ///
    /// A run's trace is made of its id alone, so that each node knows it: it cannot be the caller's.
    pub(crate) fn asked(&self, caller: &Caller, run: &RunId, at: Timestamp) {
        let Some(outlet) = self.outlet.get() else {
            return;
        };
        let tracing = &outlet.tracing;
        let trace = tracing.trace(run);
        if !tracing.is_sampled(trace) {
            return;
        }
        let asked = tracing.asked(run);
        let span = |trace: TraceId, span: SpanId, (to, of): (TraceId, SpanId)| {
            json!({
                "traceId": trace.to_string(),
                "spanId": span.to_string(),
                "name": "ask",
                "kind": PRODUCER,
                "startTimeUnixNano": nanos(at),
                "endTimeUnixNano": nanos(at),
                "attributes": outlet.common(run, []),
                "links": [{ "traceId": to.to_string(), "spanId": of.to_string() }],
            })
        };
        self.send(outlet, span(trace, asked, (caller.trace, caller.span)));
        if caller.is_sampled {
            let asking = tracing.asking(run, caller);
            let mut span = span(caller.trace, asking, (trace, asked));
            span["parentSpanId"] = caller.span.to_string().into();
            self.send(outlet, span);
        }
    }

    /// An attempt of a run has ended.
    pub(crate) fn ended(&self, record: &RunRecord) {
        let (Some(started), Some(ended)) = (record.started_at, record.ended_at) else {
            return;
        };
        self.put(&record.run, |outlet| {
            let tracing = &outlet.tracing;
            let task = record.task.as_ref().map(ToString::to_string);
            let attributes = outlet.common(
                &record.run,
                [
                    ("carillon.task", task.clone().unwrap_or_default().into()),
                    ("carillon.queue", record.queue.as_str().into()),
                    ("carillon.attempt", record.attempt.into()),
                    ("carillon.fence", record.fence.0.into()),
                    ("carillon.outcome", record.outcome.as_str().into()),
                ],
            );
            let mut span = json!({
                "spanId": tracing.attempt(&record.run, record.fence).to_string(),
                "name": format!("run {}", task.as_deref().unwrap_or("-")),
                "kind": INTERNAL,
                "startTimeUnixNano": nanos(started),
                "endTimeUnixNano": nanos(ended.max(started)),
                "attributes": attributes,
            });
            if let Some(root) = tracing.root(&record.run) {
                span["parentSpanId"] = root.to_string().into();
            }
            if record.outcome != Outcome::Succeeded {
                let message = record.detail.clone().unwrap_or_default();
                span["status"] = json!({ "code": FAILED, "message": message });
            }
            Some(span)
        });
    }

    fn put(&self, run: &RunId, span: impl FnOnce(&Outlet) -> Option<Value>) {
        let Some(outlet) = self.outlet.get() else {
            return;
        };
        let trace = outlet.tracing.trace(run);
        if !outlet.tracing.is_sampled(trace) {
            return;
        }
        if let Some(mut span) = span(outlet) {
            span["traceId"] = trace.to_string().into();
            self.send(outlet, span);
        }
    }

    fn send(&self, outlet: &Outlet, span: Value) {
        if outlet.sender.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Outlet {
    fn common<const N: usize>(&self, run: &RunId, more: [(&str, Value); N]) -> Value {
        let common = [
            ("carillon.run", run.to_string().into()),
            ("carillon.job", run.job.as_str().into()),
            ("carillon.node", self.node.as_str().into()),
        ];
        attributes(common.into_iter().chain(more))
    }
}

fn nanos(at: Timestamp) -> String {
    (i128::from(at.as_ms()).max(0) * 1_000_000).to_string()
}
