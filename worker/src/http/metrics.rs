//! `GET /metrics`: what this node measured, and what the store holds at this moment.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use scheduler_core::Store;
use scheduler_core::store::Overview;

use super::app::App;
use crate::node::meter::counted;
use crate::{Counts, Readiness};

/// How long the store has to answer; without it, the node's own measures are shown all the same.
const STORE_WITHIN: Duration = Duration::from_secs(2);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    queue: String,
}

pub(super) async fn metrics<S: Store>(State(app): State<App<S>>) -> Response {
    match app.page_of_metrics().await {
        Some(page) => ([(CONTENT_TYPE, OPEN_METRICS)], page).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl<S: Store> App<S> {
    /// What this node measured and what the store holds, as OpenMetrics text; none where it cannot be
    /// written.
    pub(crate) async fn page_of_metrics(&self) -> Option<String> {
        let mut registry = Registry::with_prefix("carillon");
        let version = env!("CARGO_PKG_VERSION");
        registry.register(
            "build",
            "What this node is",
            Info::new(vec![("version", version)]),
        );
        self.meter().register(&mut registry);
        register_counts(&mut registry, self.counts());
        let is_ready = self.status().readiness() == Readiness::Ready;
        add(
            &mut registry,
            "node_ready",
            "Whether this node takes part",
            u64::from(is_ready),
        );
        let overview = tokio::time::timeout(STORE_WITHIN, self.overview()).await;
        let overview = overview.ok().and_then(Result::ok);
        let is_reachable = u64::from(overview.is_some());
        add(
            &mut registry,
            "store_up",
            "Whether the store answers",
            is_reachable,
        );
        if let Some(overview) = &overview {
            register_overview(&mut registry, overview);
        }
        let mut text = String::new();
        encode(&mut text, &registry).ok().map(|()| text)
    }
}

fn register_counts(registry: &mut Registry, counts: Counts) {
    for (name, help, value) in [
        (
            "claims_stale",
            "Runs that this node handed in under a claim that had passed on",
            counts.stale,
        ),
        (
            "trust_lost",
            "How often this node could no longer trust its session",
            counts.trust_lost,
        ),
        (
            "handler_overruns",
            "Handlers that went on after they were told to stop, and were dropped",
            counts.overruns,
        ),
    ] {
        registry.register(name, help, counted(value));
    }
}

/// The same on all nodes of a namespace.
fn register_overview(registry: &mut Registry, overview: &Overview) {
    for (name, help, value) in [
        ("jobs", "Stored jobs, in the cluster", overview.jobs),
        (
            "jobs_scheduled",
            "Jobs that have a due time, in the cluster",
            overview.scheduled,
        ),
        (
            "jobs_due",
            "Jobs that are due and not dispatched yet, in the cluster",
            overview.due,
        ),
        (
            "runs_in_flight",
            "Runs that are waiting or executed, in the cluster",
            overview.busy,
        ),
        (
            "retries_waiting",
            "Runs that wait for their next attempt, in the cluster",
            overview.retries,
        ),
        (
            "leader_elected",
            "Whether the cluster has a leader; with several shards, how many have one",
            overview.leaders.iter().flatten().count() as u64,
        ),
    ] {
        add(registry, name, help, value);
    }
    let queues: Family<QueueLabels, Gauge> = Family::default();
    for queue in &overview.queues {
        let labels = QueueLabels {
            queue: queue.queue.to_string(),
        };
        queues.get_or_create(&labels).set(whole(queue.ready));
    }
    let help = "Runs that wait for a node, by queue, in the cluster";
    registry.register("queue_ready", help, queues);
    let oldest: Family<QueueLabels, Gauge<f64, AtomicU64>> = Family::default();
    for queue in &overview.queues {
        let labels = QueueLabels {
            queue: queue.queue.to_string(),
        };
        let waits = queue
            .oldest
            .map_or(Duration::ZERO, |at| overview.now.since(at));
        oldest.get_or_create(&labels).set(waits.as_secs_f64());
    }
    let help = "How long ago the run should have run that waits longest, by queue, in the cluster";
    registry.register_with_unit("queue_oldest", help, Unit::Seconds, oldest);
}

fn add(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(whole(value));
    registry.register(name, help, gauge);
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
