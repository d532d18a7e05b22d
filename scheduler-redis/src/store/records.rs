//! Stored jobs as they stand in `jobs`: a head and a record each.

use scheduler_core::store::StoreResult;
use scheduler_core::{JobId, QueueName, Version};

use super::RedisStore;
use crate::codec::{self, Head};

/// How many are read by one command.
const BATCH: usize = 500;

impl RedisStore {
    /// Heads and records of these jobs, in order; none of a job that is not stored.
    ///
    /// The two stand in one value, so that a record is only ever read with its own version.
    pub(super) async fn read_records(
        &self,
        operation: &'static str,
        ids: impl IntoIterator<Item = &JobId>,
    ) -> StoreResult<Vec<Option<(Head, Vec<u8>)>>> {
        let ids: Vec<&JobId> = ids.into_iter().collect();
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(BATCH) {
            let mut cmd = redis::cmd("HMGET");
            cmd.arg(self.key("jobs"));
            for id in ids {
                cmd.arg(id.as_str());
            }
            let texts: Vec<Option<Vec<u8>>> = self.query(operation, &cmd).await?;
            found.extend(texts.into_iter().map(|text| {
                let text = text?;
                let (head, record) = codec::head_and_record(&text)?;
                Some((head, record.to_vec()))
            }));
        }
        self.fill_in_from_hashes(operation, &ids, &mut found)
            .await?;
        Ok(found)
    }

    /// Reads those that are missing from where they once were kept: in a hash of each job.
    async fn fill_in_from_hashes(
        &self,
        operation: &'static str,
        ids: &[&JobId],
        found: &mut [Option<(Head, Vec<u8>)>],
    ) -> StoreResult<()> {
        type Fields = (Option<u64>, Option<String>, Option<String>, Option<Vec<u8>>);
        let missing: Vec<usize> = (0..ids.len()).filter(|i| found[*i].is_none()).collect();
        for some in missing.chunks(BATCH) {
            let mut pipeline = redis::pipe();
            for i in some {
                let key = self.shared.keys.job(ids[*i]);
                let fields = ["version", "state", "queue", "record"];
                pipeline.cmd("HMGET").arg(key).arg(&fields);
            }
            let fields: Vec<Fields> = self.shared.link.pipeline(operation, &pipeline).await?;
            for (i, fields) in some.iter().zip(fields) {
                if let (Some(version), Some(state), queue, Some(record)) = fields {
                    let default = || QueueName::default_queue().to_string();
                    let head = Head {
                        version: Version(version),
                        state,
                        queue: queue.unwrap_or_else(default),
                    };
                    found[*i] = Some((head, record));
                }
            }
        }
        Ok(())
    }
}
