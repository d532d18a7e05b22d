//! Streams of others, on the same Redis.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use redis::cmd;
use scheduler_core::store::{StoreError, StoreErrorKind, StoreResult};

use super::RedisStore;
use crate::connect::Link;
use crate::server::Server;

/// How many streams of a cluster have a connection that is kept. Beyond, all are made anew.
const MOST_KEPT: usize = 64;

/// Connections to streams of a cluster: each may be on another server.
#[derive(Default)]
pub(super) struct Streams(Mutex<HashMap<String, Link>>);

impl RedisStore {
    /// Appends an entry of these fields, names and values, to a stream of this Redis. Answers with the
    /// entry's id.
    ///
    /// Sent once: where the outcome is unknown, the entry may be there.
    ///
    /// # Errors
    ///
    /// A server that refuses, cannot be reached or does not answer.
    pub async fn append_to_stream(
        &self,
        stream: &str,
        fields: &[(&str, &str)],
    ) -> StoreResult<String> {
        let mut append = cmd("XADD");
        append.arg(stream).arg("*").arg(fields);
        self.stream_link(stream)?.query("append", &append).await
    }

    /// The connection to where this stream is.
    fn stream_link(&self, stream: &str) -> StoreResult<Link> {
        let streams = &self.shared.streams.0;
        let mut kept = streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = kept.get(stream) {
            return Ok(link.clone());
        }
        let Some(server) = Server::elsewhere(self.config(), stream.to_owned()) else {
            return Ok(self.shared.link.clone());
        };
        let server = server.map_err(|error| {
            let kind = StoreErrorKind::Unreachable;
            StoreError::new(kind, "append", error.to_string())
        })?;
        // It is sent commands only, which need no greeting.
        let link = Link::elsewhere(server, Arc::clone(&self.shared.greeting));
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(stream.to_owned(), link.clone());
        Ok(link)
    }
}
