//! What is computed for a request, without sending it: for Carillon's own measuring.

use scheduler_core::Job;
use scheduler_core::store::{Dispatch, Exchange, Exchanged, StoreResult};

use super::{RedisStore, working};
use crate::codec;

/// No part of the public API.
#[doc(hidden)]
impl RedisStore {
    /// What is sent for a dispatch.
    #[must_use]
    pub fn dispatch_as_sent(&self, request: &Dispatch) -> Vec<u8> {
        self.dispatch_call(request, None)
            .call
            .cmd
            .get_packed_command()
    }

    /// What is sent for an exchange.
    #[must_use]
    pub fn exchange_as_sent(&self, request: &Exchange) -> Vec<u8> {
        self.exchange_call(request).cmd.get_packed_command()
    }

    /// What an exchange's answer says.
    #[must_use]
    pub fn exchange_as_read(answer: &str) -> Option<Exchanged> {
        working::exchanged(answer)
    }

    /// A job's record.
    ///
    /// # Errors
    ///
    /// Why it cannot be written.
    pub fn job_as_stored(job: &Job) -> StoreResult<Vec<u8>> {
        codec::job_to_record(job)
    }

    /// The job of a record.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub fn job_as_read(record: &[u8]) -> Result<Job, String> {
        codec::job_from_record(record)
    }
}
