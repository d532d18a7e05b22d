//! The task `stream`: the bridge to consumers in any language.

use std::collections::BTreeMap;
use std::sync::Arc;

use scheduler_core::store::StoreResult;
use scheduler_redis::RedisStore;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::task::{BoxFuture, Context};

/// The fields that each entry begins with.
/// The fields of a run that follows another, besides.
const FOLLOWED_FIELDS: [&str; 2] = ["followed_run", "followed_outcome"];

const OWN_FIELDS: [&str; 7] = [
    "run_id",
    "job_id",
    "scheduled_at_ms",
    "attempt",
    "node",
    "fence",
    "started_at_ms",
];

/// Where the task `stream` writes to.
pub trait Streams: Send + Sync + 'static {
    /// Appends an entry of these fields, names and values, to a stream. Answers with its id.
    ///
    /// Sent once: where no answer comes, the entry may be there.
    fn append<'a>(
        &'a self,
        stream: &'a str,
        fields: &'a [(&'a str, &'a str)],
    ) -> BoxFuture<'a, StoreResult<String>>;
}

impl Streams for RedisStore {
    fn append<'a>(
        &'a self,
        stream: &'a str,
        fields: &'a [(&'a str, &'a str)],
    ) -> BoxFuture<'a, StoreResult<String>> {
        Box::pin(self.append_to_stream(stream, fields))
    }
}

/// Args of the task `stream`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `stream`")]
pub(super) struct StreamArgs {
    /// The stream's key.
    #[serde(deserialize_with = "stream")]
    stream: String,
    /// Fields besides the run's own. Text is written as it is, anything else as JSON. Defaults to
    /// none.
    #[serde(default, deserialize_with = "fields")]
    fields: BTreeMap<String, String>,
}

fn stream<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let key = String::deserialize(from)?;
    if key.is_empty() {
        return Err(de::Error::custom("a stream must have a name"));
    }
    if key.starts_with("carillon:") {
        let message = format!("{key:?} is refused: keys in carillon: are Carillon's own");
        return Err(de::Error::custom(message));
    }
    Ok(key)
}

fn fields<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let mut fields = BTreeMap::new();
    for (name, value) in BTreeMap::<String, Value>::deserialize(from)? {
        if OWN_FIELDS.contains(&&*name) || FOLLOWED_FIELDS.contains(&&*name) {
            let message = format!("{name:?} is one of the run's own fields");
            return Err(de::Error::custom(message));
        }
        let value = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        fields.insert(name, value);
    }
    Ok(fields)
}

/// Appends the entries of all runs.
#[derive(Clone)]
pub(super) struct Writer {
    streams: Option<Arc<dyn Streams>>,
}

impl Writer {
    pub(super) fn new(streams: Option<Arc<dyn Streams>>) -> Self {
        Self { streams }
    }

    pub(super) async fn run(self, context: Context, args: StreamArgs) -> Result<String, String> {
        let Some(streams) = self.streams else {
            return Err(format!(
                "stream {:?} needs Redis: this node has the embedded store (give --store redis://...)",
                args.stream
            ));
        };
        let own = own_fields(&context);
        let own = OWN_FIELDS.iter().zip(&own);
        let own = own.map(|(name, value)| (*name, value.as_str()));
        let wished = args.fields.iter();
        let wished = wished.map(|(name, value)| (name.as_str(), value.as_str()));
        let followed = context.followed();
        let followed = followed.map(|ended| [ended.run.to_string(), ended.outcome.to_string()]);
        let followed = FOLLOWED_FIELDS.iter().zip(followed.iter().flatten());
        let followed = followed.map(|(name, value)| (*name, value.as_str()));
        let fields: Vec<_> = own.chain(followed).chain(wished).collect();
        // Not tried again where no answer comes: the job's own policy decides about another attempt, and
        // the fence tells the two entries apart.
        let append = async {
            let appended = streams.append(&args.stream, &fields).await;
            appended.map_err(|error| error.to_string())
        };
        let appended = tokio::select! {
            appended = append => appended,
            () = context.cancellation().cancelled() => Err("cancelled".to_owned()),
        };
        appended
            .map(|id| format!("{} {id}", args.stream))
            .map_err(|error| format!("stream {:?}: {error}", args.stream))
    }
}

fn own_fields(context: &Context) -> [String; OWN_FIELDS.len()] {
    [
        context.run_id().to_string(),
        context.job_id().to_string(),
        context.scheduled_at().as_ms().to_string(),
        context.attempt().to_string(),
        context.node().to_string(),
        context.fence().to_string(),
        context.started_at().as_ms().to_string(),
    ]
}

#[cfg(test)]
#[cfg(feature = "cli")]
#[path = "stream_tests.rs"]
mod tests;
