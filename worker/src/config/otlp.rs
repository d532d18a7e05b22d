//! Traces and metrics for a collector, as configured.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::Overrides;
use super::check::Check;
use super::typed::OtlpTable;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

/// Where traces and metrics go, by OTLP over HTTP.
#[derive(Clone, PartialEq)]
pub struct OtlpSettings {
    /// The collector, `http://host:4318`; without a slash at its end.
    pub endpoint: String,
    /// What is said with each request. May hold keys, and is never shown.
    pub headers: HashMap<String, String>,
    /// What the node is called among services.
    pub service_name: String,
    /// How often metrics are sent.
    pub interval: Duration,
}

impl fmt::Debug for OtlpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpSettings")
            .field("service_name", &self.service_name)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

impl OtlpSettings {
    pub(super) fn check(
        check: &mut Check<'_>,
        overrides: &Overrides,
        table: &OtlpTable,
    ) -> Option<Self> {
        if cfg!(not(feature = "otlp")) {
            if *table != OtlpTable::default() {
                let message = "this program was built without the feature `otlp`";
                check.refuse("otlp", message);
            }
            return None;
        }
        let by_variable = overrides.otlp_endpoint.as_ref();
        let Some(endpoint) = by_variable.or(table.endpoint.as_ref()) else {
            if *table != OtlpTable::default() {
                check.refuse("otlp", "means nothing without an endpoint".to_owned());
            }
            return None;
        };
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            // Not shown: it may hold a key.
            let message =
                "is no address of a collector: give one such as \"http://localhost:4318\"";
            match by_variable {
                Some(_) => check.refuse_flag("OTEL_EXPORTER_OTLP_ENDPOINT", message.to_owned()),
                None => check.refuse("otlp.endpoint", message),
            }
        }
        let mut headers = table.headers.clone();
        let typed = overrides.otlp_headers.as_deref().unwrap_or_default();
        let pairs = typed.split(',').filter_map(|pair| pair.split_once('='));
        headers
            .extend(pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())));
        let interval = table.interval.unwrap_or(DEFAULT_INTERVAL);
        if interval < Duration::from_secs(1) {
            check.refuse(
                "otlp.interval",
                format!("{interval:?} is less than a second"),
            );
        }
        let name = overrides
            .otlp_service
            .clone()
            .or(table.service_name.clone());
        Some(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            headers,
            service_name: name.unwrap_or_else(|| "carillon".to_owned()),
            interval,
        })
    }
}

/// Which part of all runs is traced.
pub(super) fn sample(check: &mut Check<'_>, table: &OtlpTable) -> f64 {
    let sample = table.sample.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&sample) {
        check.refuse("otlp.sample", format!("{sample} is no part: give 0 to 1"));
    }
    sample
}
