//! One attempt: from the call of a handler to how it ended.
//!
//! ```text
//!   call --------------------------------------> it answers
//!     |  timeout, cancelled, or the node must stop
//!     v
//!   its token fires ---- it answers in time ---> success counts as such, an error as the reason
//!     |  the grace ends                          why it was stopped
//!     v
//!   it is dropped at its await
//! ```

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use scheduler_core::Timestamp;
use scheduler_core::run::Ending;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::node::cancelling::Cancelling;
use crate::task::{BoxError, Call, Follows, Handler, TaskError, TaskResult};

/// How long a handler may go on after its token fired for its own sake. Where the node itself must
/// stop, it has less.
const OWN_GRACE: Duration = Duration::from_secs(5);

/// Why a handler was told to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The node must stop it.
    Stopped,
    /// Somebody cancelled its run, for this reason.
    Cancelled(String),
    /// It took longer than its job allows.
    TimedOut(Duration),
}

/// How a call ended.
pub(super) enum Called {
    /// The handler answered, by itself or after it was told to stop.
    Answered(TaskResult, Option<Cut>),
    /// It panicked, with this message.
    Panicked(String),
    /// It did not stop when told to, and was dropped.
    Dropped(Cut),
}

/// What bounds a call.
pub(super) struct Bounds<'a> {
    /// Cancelled when the node must stop the handler.
    pub(super) stop: &'a CancellationToken,
    /// Whether somebody cancels the run.
    pub(super) cancelling: &'a Cancelling,
    /// How long the handler may go on when it is stopped.
    pub(super) last_grace: Duration,
    /// How long the attempt may take.
    pub(super) timeout: Option<Duration>,
}

/// Calls a handler until it ends or is stopped. The context's token is what tells it to.
pub(super) async fn call(handler: &dyn Handler, call: Call, bounds: Bounds<'_>) -> Called {
    let token = call.context().cancellation().clone();
    // The call stands inside: a handler may panic before it has returned a future. What it
    // leaves behind in what it shares with others is for its author to think of.
    let call = AssertUnwindSafe(async move { handler.call(call).await });
    let mut call = std::pin::pin!(call.catch_unwind());
    // In this order: one that answers at once has registered nowhere to be told to stop.
    let (answer, cut) = tokio::select! {
        biased;
        answer = &mut call => (Some(answer), None),
        cut = cut(&bounds) => {
            token.cancel();
            let answer = tokio::select! {
                answer = timeout(OWN_GRACE, &mut call) => answer.ok(),
                () = last_grace(&bounds) => None,
            };
            (answer, Some(cut))
        }
    };
    match (answer, cut) {
        (Some(Ok(answer)), cut) => Called::Answered(answer, cut),
        (Some(Err(panic)), _) => Called::Panicked(panic_message(panic.as_ref())),
        (None, cut) => Called::Dropped(cut.unwrap_or(Cut::Stopped)),
    }
}

/// Waits for a reason to stop the handler.
async fn cut(bounds: &Bounds<'_>) -> Cut {
    let time_over = async {
        match bounds.timeout {
            Some(limit) => {
                sleep(limit).await;
                limit
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = bounds.stop.cancelled() => Cut::Stopped,
        reason = bounds.cancelling.cancelled() => Cut::Cancelled(reason),
        limit = time_over => Cut::TimedOut(limit),
    }
}

async fn last_grace(bounds: &Bounds<'_>) {
    bounds.stop.cancelled().await;
    sleep(bounds.last_grace).await;
}

/// How an attempt ended whose handler returned this error by itself. `now` is the store's clock.
pub(super) fn failed(error: &BoxError, now: Timestamp) -> Ending {
    let text = error_chain(error);
    let told = TaskError::find(error.as_ref());
    let snoozed = |after| Ending::Snoozed {
        after,
        why: told
            .is_some_and(TaskError::has_reason)
            .then(|| text.clone()),
    };
    match told.map_or(Follows::Policy, TaskError::follows) {
        Follows::Policy => Ending::Failed(text),
        Follows::Nothing => Ending::FailedForGood(text),
        Follows::RetryAfter(after) => Ending::RetryAfter { error: text, after },
        Follows::SnoozeFor(after) => snoozed(after),
        Follows::SnoozeUntil(until) => snoozed(until.since(now)),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

/// An error and its causes, in one line.
pub(super) fn error_chain(error: &BoxError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // Some errors show their cause themselves.
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
