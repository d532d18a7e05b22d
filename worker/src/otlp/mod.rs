//! Traces and metrics for a collector of OpenTelemetry's, by OTLP over HTTP, as JSON.
//!
//! `spans` collects what became of runs and writes it as spans, `numbers` writes the page of `/metrics`
//! as OTLP's metrics, `text` reads that page, and `exporter` sends both now and then. All of it is
//! beside the node's work: a collector that is slow or away costs spans, and nothing else.

mod exporter;
mod numbers;
mod spans;
mod text;

use serde_json::{Value, json};

pub use exporter::Exporter;
pub(crate) use spans::Spans;

/// Attributes, as OTLP writes them.
fn attributes<'a>(pairs: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let attribute = |(key, value): (&str, Value)| {
        let value = match value {
            Value::Number(number) if number.is_i64() || number.is_u64() => {
                json!({ "intValue": number.to_string() })
            }
            Value::Number(number) => json!({ "doubleValue": number }),
            Value::String(text) => json!({ "stringValue": text }),
            other => json!({ "stringValue": other.to_string() }),
        };
        json!({ "key": key, "value": value })
    };
    pairs.into_iter().map(attribute).collect()
}

/// Who tells it.
fn scope() -> Value {
    json!({ "name": "carillon", "version": env!("CARGO_PKG_VERSION") })
}
