//! From how an attempt ended to what the store is told about it.

use scheduler_core::history::{Record, RunRecord, clip};
use scheduler_core::run::{Claim, Ending, Outcome, Verdict, settle};
use scheduler_core::store::Settled;
use scheduler_core::{Job, Policy, Timestamp};

use crate::node::chance::draw;

/// Whether an attempt that is to be made again is worth a record of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// It is.
    Record,
    /// It was told before, or means nothing.
    Silent,
}

/// When an attempt was begun and ended, by the store's clock as this node knows it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
}

/// What the store is told about a claim whose attempt ended so. `node` is whose claim it was;
/// `job` is none where its definition could not be had.
pub(crate) fn settled(
    claim: Claim,
    job: Option<&Job>,
    node: &str,
    ending: &Ending,
    span: Span,
    telling: Telling,
) -> Settled {
    let default = Policy::default();
    let policy = job.map_or(&default, Job::policy);
    let verdict = settle(policy, &claim, ending, draw());
    let outcome = match verdict {
        Verdict::End(outcome) => Some(outcome),
        Verdict::Again { .. } | Verdict::Defer { .. } if telling == Telling::Record => {
            Some(Outcome::Retrying)
        }
        Verdict::Again { .. } | Verdict::Defer { .. } | Verdict::GiveBack => None,
    };
    let record = outcome.map(|outcome| {
        Record::Run(RunRecord {
            run: claim.run.clone(),
            outcome,
            attempt: claim.attempt,
            fence: claim.fence,
            node: node.to_owned(),
            task: job.map(|job| job.task().clone()),
            queue: claim.queue.clone(),
            started_at: span.started_at,
            ended_at: span.ended_at,
            next_at: next_at(verdict, span.ended_at),
            detail: ending.detail().map(clip),
        })
    });
    let failed = matches!(verdict, Verdict::End(outcome) if outcome.is_failure());
    Settled {
        claim,
        verdict,
        record,
        definition: job.filter(|_| failed).cloned(),
    }
}

/// When the next attempt is to be made at the earliest.
fn next_at(verdict: Verdict, ended_at: Option<Timestamp>) -> Option<Timestamp> {
    match verdict {
        Verdict::Again { after, .. } if !after.is_zero() => ended_at.map(|at| at.after(after)),
        _ => None,
    }
}
