//! Claimed runs that are handed in, as scripts take them.

use scheduler_core::QueueName;
use scheduler_core::run::{Claim, Verdict};
use scheduler_core::store::Settled;

use super::{Call, Queues, ms};
use crate::codec;

/// The queues that settled runs came from, and go back to.
pub(super) fn queues_of(settled: &[Settled]) -> impl Iterator<Item = &QueueName> {
    settled.iter().map(|s| &s.claim.queue)
}

/// What must be the same of a stored claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The fence: no two claims have the same.
    Fence,
    /// All that was read of it.
    Claim,
}

/// Adds the 8 args of each item; `_settle.lua` says what they mean.
pub(super) fn add_args<'a>(
    call: &mut Call<'_>,
    settled: &'a [Settled],
    known: Known,
    queues: &mut Queues<'a>,
) {
    for item in settled {
        let Claim { run, fence, .. } = &item.claim;
        call.arg(run.to_string());
        match known {
            Known::Fence => call.arg(fence.0),
            Known::Claim => call.arg(codec::claim_start(&item.claim)),
        };
        call.arg(run.job.as_str());
        let list = queues.list(&item.claim.queue, item.claim.priority);
        match item.verdict {
            Verdict::End(_) => call.arg("E").arg(list).arg(""),
            Verdict::GiveBack => {
                let text =
                    codec::ready_text(&item.claim.waiting(item.claim.attempt, item.claim.losses));
                call.arg("G").arg(list).arg(text)
            }
            Verdict::Again {
                after,
                attempt,
                losses,
            } if after.is_zero() => {
                let text = codec::ready_text(&item.claim.waiting(attempt, losses));
                call.arg("R").arg(list).arg(text)
            }
            Verdict::Again {
                after,
                attempt,
                losses,
            } => {
                let text =
                    codec::retry_text(&item.claim.queue, &item.claim.waiting(attempt, losses));
                call.arg(format!("A{}", ms(after))).arg(list).arg(text)
            }
            Verdict::Defer { after } => {
                let text = codec::retry_text(&item.claim.queue, &item.claim.deferred());
                call.arg(format!("A{}", ms(after))).arg(list).arg(text)
            }
        };
        call.arg(
            item.record
                .as_ref()
                .map_or_else(String::new, |record| record.to_line()),
        );
        let definition = item.definition.as_ref();
        // One that cannot be written is not kept: the run has ended all the same.
        call.arg(
            definition
                .and_then(|job| codec::job_to_record(job).ok())
                .unwrap_or_default(),
        );
    }
}
