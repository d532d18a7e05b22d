//! Streams of others, on the same Redis.

use redis::cmd;
use scheduler_core::store::StoreResult;

use super::RedisStore;

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
        self.shared.link.query("append", &append).await
    }
}
