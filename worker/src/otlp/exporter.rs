//! Sending spans and metrics, now and then.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use scheduler_core::Store;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{attributes, numbers, scope};
use crate::config::OtlpSettings;
use crate::http::App;
use crate::node::trace::Tracing;

/// How often spans are sent, if there are any.
const SPANS_EVERY: Duration = Duration::from_secs(1);

/// How many spans one request holds.
const SPANS_AT_ONCE: usize = 2_000;

/// How long the collector has to answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// How long the last spans and metrics may take when the node ends.
const LAST_WITHIN: Duration = Duration::from_secs(2);

/// Sends what a node does and measures to a collector.
#[derive(Debug)]
pub struct Exporter<S> {
    app: App<S>,
    settings: OtlpSettings,
    client: Client,
    resource: Value,
    spans: mpsc::Receiver<Value>,
    since: String,
}

impl<S: Store> Exporter<S> {
    /// Exports what `app` serves, as configured.
    ///
    /// # Errors
    ///
    /// A client that cannot be made; a node that is exported already.
    pub fn new(app: App<S>, tracing: Tracing, settings: OtlpSettings) -> std::io::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let headers = HeaderMap::try_from(&settings.headers).map_err(std::io::Error::other)?;
        let client = Client::builder()
            .default_headers(headers)
            .timeout(ANSWERED_WITHIN)
            .build()
            .map_err(std::io::Error::other)?;
        let node = app.node_name();
        let spans = app.meter().spans().begin(tracing, node.clone());
        let spans = spans.ok_or_else(|| std::io::Error::other("this node is exported already"))?;
        let resource = json!({ "attributes": attributes([
            ("service.name", settings.service_name.as_str().into()),
            ("service.namespace", app.namespace().as_str().into()),
            ("service.instance.id", node.into()),
            ("service.version", env!("CARGO_PKG_VERSION").into()),
            ("host.name", app.host().into()),
        ]) });
        Ok(Self {
            app,
            settings,
            client,
            resource,
            spans,
            since: now(),
        })
    }

    /// Exports until `stop`, and then the last of it.
    pub async fn run(mut self, stop: CancellationToken) {
        let (mut next_spans, mut next_metrics) = (Instant::now(), Instant::now());
        let mut trouble = Trouble::default();
        while !stop.is_cancelled() {
            next_spans += SPANS_EVERY;
            let pause = sleep_until(next_spans);
            let _ = stop.run_until_cancelled(pause).await;
            trouble.told(self.send_spans().await);
            if next_metrics <= Instant::now() {
                next_metrics = Instant::now() + self.settings.interval;
                trouble.told(self.send_metrics().await);
            }
            next_spans = next_spans.max(Instant::now());
        }
        let last = async {
            trouble.told(self.send_spans().await);
            trouble.told(self.send_metrics().await);
        };
        let _ = tokio::time::timeout(LAST_WITHIN, last).await;
    }

    async fn send_spans(&mut self) -> Result<(), String> {
        loop {
            let mut spans = Vec::new();
            while spans.len() < SPANS_AT_ONCE
                && let Ok(span) = self.spans.try_recv()
            {
                spans.push(span);
            }
            let is_last = spans.len() < SPANS_AT_ONCE;
            if !spans.is_empty() {
                let body = json!({ "resourceSpans": [{
                    "resource": self.resource,
                    "scopeSpans": [{ "scope": scope(), "spans": spans }],
                }] });
                self.post("traces", &body).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn send_metrics(&self) -> Result<(), String> {
        let Some(page) = self.app.page_of_metrics().await else {
            return Ok(());
        };
        let mut metrics = numbers::metrics(&page, &self.since, &now());
        if let Value::Array(metrics) = &mut metrics {
            let dropped = self.app.meter().spans().dropped();
            metrics.push(json!({
                "name": "carillon_spans_dropped",
                "description": "Spans that could not be sent, on this node",
                "sum": {
                    "dataPoints": [{ "startTimeUnixNano": self.since, "timeUnixNano": now(),
                        "asDouble": dropped }],
                    "aggregationTemporality": 2,
                    "isMonotonic": true,
                },
            }));
        }
        let body = json!({ "resourceMetrics": [{
            "resource": self.resource,
            "scopeMetrics": [{ "scope": scope(), "metrics": metrics }],
        }] });
        self.post("metrics", &body).await
    }

    async fn post(&self, what: &str, body: &Value) -> Result<(), String> {
        let url = format!("{}/v1/{what}", self.settings.endpoint);
        let request = self
            .client
            .post(&url)
            .header(CONTENT_TYPE, "application/json");
        let sent = request.body(body.to_string()).send().await;
        // The address may hold a key.
        let answer = sent.map_err(|error| format!("{what}: {}", error.without_url()))?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(format!("{what}: the collector answers {}", answer.status()))
    }
}

/// Tells of trouble once, and when it is over.
#[derive(Default)]
struct Trouble(bool);

impl Trouble {
    fn told(&mut self, sent: Result<(), String>) {
        match sent {
            Err(why) if !self.0 => {
                tracing::warn!("OTLP: {why}; what is not sent is dropped");
                self.0 = true;
            }
            Ok(()) if self.0 => {
                tracing::info!("OTLP: the collector answers again");
                self.0 = false;
            }
            Ok(()) | Err(_) => {}
        }
    }
}

fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_nanos().to_string()
}
