//! Traces of those who ask.

use axum::http::HeaderMap;
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::{Job, RunId, Store, Timestamp};

use super::app::App;
use crate::preview::begin;

impl<S: Store> App<S> {
    /// Links the trace of a run with that of whoever asked for it, if they are traced.
    #[cfg(feature = "otlp")]
    pub(super) fn link(&self, headers: &HeaderMap, run: &RunId) {
        use scheduler_core::Clock as _;

        use crate::SystemClock;
        use crate::node::trace::Caller;

        let caller = headers.get("traceparent");
        let caller = caller.and_then(|value| Caller::read(value.to_str().ok()?));
        if let Some(caller) = caller {
            self.meter().spans().asked(&caller, run, SystemClock.now());
        }
    }

    /// Nobody is told of traces.
    #[cfg(not(feature = "otlp"))]
    pub(super) fn link(&self, _: &HeaderMap, _: &RunId) {}

    /// The same, for the run that a job will have that runs once.
    pub(super) fn link_job(&self, headers: &HeaderMap, job: &Job) {
        let trigger = job.trigger();
        if matches!(trigger.spec(), TriggerSpec::Date(_))
            && let Some(at) = begin(trigger, Timestamp::EPOCH)
        {
            self.link(headers, &RunId::fire(job.id().clone(), at));
        }
    }
}
