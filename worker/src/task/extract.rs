//! What a handler's parameters are taken from.

use std::future::Future;
use std::sync::Arc;

use scheduler_core::Job;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::task::{BoxError, Call, Context, StateType, TaskError};

/// A parameter of a handler: something that can be had from the run that it is called for.
///
/// | parameter | is |
/// |---|---|
/// | [`Context`] | the run: its id, fire time, attempt, fence, and the token that stops it |
/// | [`Args<T>`] | the job's args, read by serde |
/// | [`State<T>`] | what the scheduler was given with [`state`](crate::SchedulerBuilder::state) |
/// | `Arc<Job>` | the job's definition, as it was when the run was first begun |
/// | [`Value`] | the args, as they are stored |
/// | `()` | nothing |
///
/// Services implement it for what is theirs:
///
/// ```
/// use carillon::task::{BoxError, Call, FromRun};
///
/// /// The tenant that a run is for: what stands before the first `/` of its job's id.
/// struct Tenant(String);
///
/// impl FromRun for Tenant {
///     async fn from_run(call: &Call) -> Result<Self, BoxError> {
///         let id = call.context().job_id().as_str();
///         match id.split_once('/') {
///             Some((tenant, _)) => Ok(Self(tenant.to_owned())),
///             None => Err(format!("job {id:?} names no tenant").into()),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a handler",
    label = "no extractor",
    note = "parameters are `Context`, `Args<T>` (the job's args, `T: serde::Deserialize`), `State<T>` \
            (what `.state(..)` was given), `Arc<Job>`, or types of yours that implement `FromRun`"
)]
pub trait FromRun: Sized + Send {
    /// Takes it from what the handler is called with. Where that fails, the attempt fails with this
    /// error, and the handler is not called.
    fn from_run(call: &Call) -> impl Future<Output = Result<Self, BoxError>> + Send;

    /// Whether it can be had from these args of a job, as far as that can be told before a run:
    /// for those who write a job down. Defaults to yes.
    ///
    /// # Errors
    ///
    /// What does not fit.
    fn check(_args: &Value) -> Result<(), String> {
        Ok(())
    }

    /// What it cannot be had without: a scheduler that was not given these is refused when it is
    /// built. Defaults to nothing.
    #[must_use]
    fn state_types() -> Vec<StateType> {
        Vec::new()
    }
}

impl FromRun for Context {
    async fn from_run(call: &Call) -> Result<Self, BoxError> {
        Ok(call.context().clone())
    }
}

impl FromRun for Arc<Job> {
    async fn from_run(call: &Call) -> Result<Self, BoxError> {
        Ok(Self::clone(&call.context().job))
    }
}

impl FromRun for Value {
    async fn from_run(call: &Call) -> Result<Self, BoxError> {
        Ok(call.args().clone())
    }
}

impl FromRun for () {
    async fn from_run(_: &Call) -> Result<Self, BoxError> {
        Ok(())
    }
}

/// The job's args, read as a `T`. Args that do not fit fail the run for good, with the field that
/// is wrong.
///
/// ```
/// use carillon::Args;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Report {
///     recipient: String,
/// }
///
/// async fn send_report(Args(report): Args<Report>) {
///     println!("to {}", report.recipient);
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Args<T>(pub T);

impl<T: DeserializeOwned + Send> FromRun for Args<T> {
    async fn from_run(call: &Call) -> Result<Self, BoxError> {
        T::deserialize(call.args()).map(Self).map_err(|error| {
            let task = call.context().job().task().as_str();
            TaskError::fatal(format!("args do not fit task {task:?}: {error}")).into()
        })
    }

    fn check(args: &Value) -> Result<(), String> {
        let read = T::deserialize(args);
        read.map(drop).map_err(|error| error.to_string())
    }
}

/// What the scheduler was given with [`state`](crate::SchedulerBuilder::state): a pool of
/// connections, a client, settings. Cloned for each attempt, so make it cheap to clone.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use carillon::{Scheduler, State};
///
/// type Counter = Arc<AtomicU64>;
///
/// async fn count(State(counter): State<Counter>) {
///     counter.fetch_add(1, Ordering::Relaxed);
/// }
///
/// # fn main() -> Result<(), carillon::BuildError> {
/// let scheduler = Scheduler::in_memory()
///     .state(Counter::default())
///     .task("count", count)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State<T>(pub T);

impl<T: Clone + Send + Sync + 'static> FromRun for State<T> {
    async fn from_run(call: &Call) -> Result<Self, BoxError> {
        let state = call.context().state::<T>().cloned().map(Self);
        state.ok_or_else(|| {
            let wanted = StateType::of::<T>();
            format!("the scheduler was given no state of type {}", wanted.name()).into()
        })
    }

    fn state_types() -> Vec<StateType> {
        vec![StateType::of::<T>()]
    }
}
