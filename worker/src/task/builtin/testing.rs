//! Contexts for tests of built-in tasks.

use std::sync::Arc;

use scheduler_core::{Fence, Job, JobDefaults, JobSpec, NodeName, RunId, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::clock::StoreClock;
use crate::node::scribe::Desk;
use crate::task::Context;

/// The second attempt of a run of a job of this id.
pub(super) fn context(id: &str) -> Context {
    let spec = json!({
        "id": id,
        "task": "test",
        "trigger": { "type": "interval", "seconds": 10 },
    });
    let spec: JobSpec = serde_json::from_value(spec).unwrap();
    let job: Job = spec.resolve(&JobDefaults::default()).unwrap();
    let at = Timestamp::from_ms(1_766_595_600_123);
    let run = RunId::fire(job.id().clone(), at);
    Context {
        notebook: Desk::default().notebook(&run, 2, Fence(77)),
        clock: Arc::new(StoreClock::new()),
        run,
        followed: None,
        job: Arc::new(job),
        attempt: 2,
        fence: Fence(77),
        node: NodeName::new("node-1").unwrap(),
        started_at: Timestamp::from_ms(1_766_595_600_456),
        cancellation: CancellationToken::new(),
        states: crate::task::States::default(),
        tracing: Arc::default(),
    }
}

/// The same, of a run that follows one that failed.
pub(super) fn following(id: &str) -> Context {
    let ended = json!({ "run": "first@1766595600000", "outcome": "failed", "attempt": 1, "queue": "default" });
    Context {
        followed: Some(Arc::new(serde_json::from_value(ended).unwrap())),
        ..context(id)
    }
}

pub(super) fn args<A: DeserializeOwned>(args: Value) -> A {
    serde_json::from_value(args).unwrap()
}
