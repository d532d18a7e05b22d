//! What tests are made of: names, jobs, requests, records.

use std::str::FromStr;
use std::time::Duration;

use scheduler_core::history::{Record, RunRecord};
use scheduler_core::lease::LeaseToken;
use scheduler_core::run::{Claim, Ending, Outcome, Verdict};
use scheduler_core::store::{Peek, RequestId, Settled, StoreResult};
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::{Fence, Job, JobBuilder, JobDefaults, NameError, QueueName, RunId, Timestamp};
use uuid::Uuid;

/// When each test begins: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_ms(1_767_225_600_000);

/// How long a lease lives in tests that are not about that: longer than they take.
pub const LEASE: Duration = Duration::from_secs(3600);

/// How long a session lives.
pub const SESSION: Duration = Duration::from_secs(10);

/// How often the job of [`job`] is due.
pub const EVERY: Duration = Duration::from_secs(10);

/// A name of any kind.
///
/// # Panics
///
/// If it breaks the rule of its kind.
#[must_use]
pub fn name<N: FromStr<Err = NameError>>(text: &str) -> N {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// A job that is due every ten seconds.
pub fn job(id: &str) -> JobBuilder {
    let spec = serde_json::json!({ "type": "interval", "seconds": EVERY.as_secs() });
    let spec: TriggerSpec = serde_json::from_value(spec).expect("an interval");
    let trigger = spec.resolve(JobDefaults::default().timezone);
    Job::builder(name(id), name("task"), trigger.expect("an interval"))
}

/// What a store answered, where it must answer.
#[track_caller]
pub fn done<T>(answer: StoreResult<T>) -> T {
    answer.unwrap_or_else(|error| panic!("{error}"))
}

/// A new request.
#[must_use]
pub fn request() -> RequestId {
    RequestId(Uuid::now_v7())
}

/// The look of a leader at up to a hundred due jobs.
#[must_use]
pub fn peek(token: &LeaseToken) -> Peek {
    Peek {
        token: token.clone(),
        ttl: LEASE,
        ahead: Duration::ZERO,
        limit: 100,
        queues: vec![QueueName::default_queue()],
    }
}

/// A settled claim with a record of it.
#[must_use]
pub fn settled_as(claim: &Claim, verdict: Verdict, ending: &Ending) -> Settled {
    let outcome = match verdict {
        Verdict::End(outcome) => outcome,
        Verdict::Again { .. } | Verdict::Defer { .. } | Verdict::GiveBack => Outcome::Retrying,
    };
    let record = RunRecord {
        run: claim.run.clone(),
        outcome,
        attempt: claim.attempt,
        fence: claim.fence,
        node: "node".to_owned(),
        task: Some(name("task")),
        queue: claim.queue.clone(),
        started_at: Some(START),
        ended_at: Some(START),
        next_at: None,
        detail: ending.detail(),
    };
    Settled {
        claim: claim.clone(),
        verdict,
        record: Some(Record::Run(record)),
        definition: None,
    }
}

/// The record that a store writes of a waiting run whose job was removed.
#[must_use]
pub fn removed_record(run: RunId) -> Record {
    Record::Run(RunRecord {
        run,
        outcome: Outcome::Removed,
        attempt: 1,
        fence: Fence::default(),
        node: String::new(),
        task: None,
        queue: QueueName::default_queue(),
        started_at: None,
        ended_at: None,
        next_at: None,
        detail: None,
    })
}
