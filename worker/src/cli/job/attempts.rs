//! Flags of `carillon job add` about a run's attempts.

use clap::Args;
use serde_json::{Map, Value};

/// How often, how long and after which pauses a run is tried.
#[derive(Args, Debug)]
#[command(next_help_heading = "Policy")]
pub(super) struct AttemptFlags {
    /// How many attempts a run has whose handler fails [default: 1]
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// How the pauses between attempts grow: fixed, linear, exponential [default: exponential]
    #[arg(long, value_name = "HOW")]
    backoff: Option<String>,
    /// The first pause [default: 1s]
    #[arg(long, value_name = "TIME")]
    retry_base: Option<String>,
    /// The longest pause [default: 1h]
    #[arg(long, value_name = "TIME")]
    retry_max: Option<String>,
    /// How long one attempt may take [default: however long]
    #[arg(long, value_name = "TIME")]
    pub(super) timeout: Option<String>,
}

impl AttemptFlags {
    /// The field `retry` of a job, if any flag says something about it.
    pub(super) fn retry(&self) -> Option<Value> {
        let text = |text: &Option<String>| text.clone().map(Value::String);
        let fields = [
            ("max_attempts", self.max_attempts.map(Value::from)),
            ("backoff", text(&self.backoff)),
            ("base", text(&self.retry_base)),
            ("max", text(&self.retry_max)),
        ];
        let fields = fields.into_iter();
        let set: Map<_, _> = fields
            .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)))
            .collect();
        (!set.is_empty()).then_some(Value::Object(set))
    }
}
