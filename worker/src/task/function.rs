//! Functions as handlers.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::task::{BoxError, BoxFuture, Call, FromRun, Handler, IntoOutput, StateType, TaskResult};

/// What a handler returns: nothing, or a `Result` with what is kept in history, and any error.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    note = "handlers return `()` or `Result<T, E>`, where `T` is `()` or text, and `E` is any error"
)]
pub trait IntoTaskResult {
    /// The result.
    ///
    /// # Errors
    ///
    /// Whatever the handler failed with.
    fn into_task_result(self) -> TaskResult;
}

impl IntoTaskResult for () {
    fn into_task_result(self) -> TaskResult {
        Ok(None)
    }
}

impl<T: IntoOutput, E: Into<BoxError>> IntoTaskResult for Result<T, E> {
    fn into_task_result(self) -> TaskResult {
        self.map(IntoOutput::into_output).map_err(Into::into)
    }
}

/// The parameters of a handler: a tuple of up to eight, each of which implements [`FromRun`].
pub trait Parameters: Sized + Send + 'static {
    /// Takes them from what the handler is called with, one after the other.
    fn from_run(call: &Call) -> impl Future<Output = Result<Self, BoxError>> + Send;

    /// Whether they can be had from these args.
    ///
    /// # Errors
    ///
    /// What does not fit.
    fn check(args: &Value) -> Result<(), String>;

    /// What they cannot be had without.
    fn state_types() -> Vec<StateType>;
}

/// An async function of up to eight parameters, each of which implements [`FromRun`].
///
/// `Parts` only tells functions of different parameters apart: it is always inferred.
#[diagnostic::on_unimplemented(
    message = "this is no function that can handle runs",
    label = "no handler",
    note = "handlers are `async fn`s (for blocking ones there is `blocking_task`) whose parameters are \
            `Context`, `Args<T>`, `State<T>` or others that implement `FromRun`, that return `()` or \
            `Result<T, E>`, and whose future is `Send`"
)]
pub trait TaskFunction<Parts>: Send + Sync + 'static {
    /// Calls it.
    fn call(&self, parts: Parts) -> impl Future<Output = TaskResult> + Send;
}

/// A function that blocks its thread, with parameters as a [`TaskFunction`] has them.
#[diagnostic::on_unimplemented(
    message = "this is no function that can handle runs on a blocking thread",
    label = "no blocking handler",
    note = "blocking handlers are plain `fn`s whose parameters are `Context`, `Args<T>`, `State<T>` or \
            others that implement `FromRun`, and that return `()` or `Result<T, E>`"
)]
pub trait BlockingFunction<Parts>: Send + Sync + 'static {
    /// Calls it, and blocks the thread until it returns.
    fn call(&self, parts: Parts) -> TaskResult;
}

macro_rules! functions {
    ($($part:ident)*) => {
        #[allow(unused_variables, reason = "some handlers take nothing")]
        impl<$($part: FromRun + 'static,)*> Parameters for ($($part,)*) {
            async fn from_run(call: &Call) -> Result<Self, BoxError> {
                Ok(($($part::from_run(call).await?,)*))
            }

            fn check(args: &Value) -> Result<(), String> {
                $($part::check(args)?;)*
                Ok(())
            }

            fn state_types() -> Vec<StateType> {
                let types: &[Vec<StateType>] = &[$($part::state_types(),)*];
                types.concat()
            }
        }

        #[allow(non_snake_case, reason = "parts are named after their types")]
        impl<F, Fut, $($part,)*> TaskFunction<($($part,)*)> for F
        where
            F: Fn($($part,)*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output: IntoTaskResult> + Send,
            $($part: FromRun,)*
        {
            fn call(&self, ($($part,)*): ($($part,)*)) -> impl Future<Output = TaskResult> + Send {
                let called = self($($part,)*);
                async { called.await.into_task_result() }
            }
        }

        #[allow(non_snake_case, reason = "parts are named after their types")]
        impl<F, R, $($part,)*> BlockingFunction<($($part,)*)> for F
        where
            F: Fn($($part,)*) -> R + Send + Sync + 'static,
            R: IntoTaskResult,
            $($part: FromRun,)*
        {
            fn call(&self, ($($part,)*): ($($part,)*)) -> TaskResult {
                self($($part,)*).into_task_result()
            }
        }
    };
}

functions!();
functions!(A);
functions!(A B);
functions!(A B C);
functions!(A B C D);
functions!(A B C D E);
functions!(A B C D E G);
functions!(A B C D E G H);
functions!(A B C D E G H I);

/// How many blocking handlers the node calls at once.
#[derive(Clone, Debug)]
pub(crate) struct BlockingSlots(Arc<Semaphore>);

impl BlockingSlots {
    pub(crate) fn new(slots: usize) -> Self {
        Self(Arc::new(Semaphore::new(
            slots.clamp(1, Semaphore::MAX_PERMITS),
        )))
    }
}

async fn on_blocking_thread(
    call: Call,
    function: impl FnOnce() -> TaskResult + Send + 'static,
) -> TaskResult {
    let slot = match call.context().state::<BlockingSlots>() {
        Some(slots) => Some(Arc::clone(&slots.0).acquire_owned().await?),
        None => None,
    };
    let called = tokio::task::spawn_blocking(move || {
        // Taken along: where the run is given up, its thread goes on, and is still one of so many.
        let _slot = slot;
        function()
    });
    match called.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            // The executor tells a panic from an error.
            Ok(panic) => resume_unwind(panic),
            Err(_) => Err("the process ends, and calls no more blocking handlers".into()),
        },
    }
}

/// How a function is called.
pub(crate) trait Calling<F, Parts>: 'static {
    fn call(function: Arc<F>, call: Call, parts: Parts) -> impl Future<Output = TaskResult> + Send;
}

/// Where the executor polls it.
pub(crate) struct Polled;

impl<Parts: Parameters, F: TaskFunction<Parts>> Calling<F, Parts> for Polled {
    async fn call(function: Arc<F>, _: Call, parts: Parts) -> TaskResult {
        function.call(parts).await
    }
}

/// On a thread that may be blocked.
pub(crate) struct Blocking;

impl<Parts: Parameters, F: BlockingFunction<Parts>> Calling<F, Parts> for Blocking {
    async fn call(function: Arc<F>, call: Call, parts: Parts) -> TaskResult {
        on_blocking_thread(call, move || function.call(parts)).await
    }
}

/// A function, as a handler.
pub(crate) struct FunctionHandler<F, Parts, How>(Arc<F>, PhantomData<fn(Parts, How)>);

impl<F, Parts, How> FunctionHandler<F, Parts, How> {
    pub(crate) fn new(function: F) -> Self {
        Self(Arc::new(function), PhantomData)
    }
}

impl<F, Parts, How> Handler for FunctionHandler<F, Parts, How>
where
    F: Send + Sync + 'static,
    Parts: Parameters,
    How: Calling<F, Parts>,
{
    fn call(&self, call: Call) -> BoxFuture<'static, TaskResult> {
        let function = Arc::clone(&self.0);
        Box::pin(async move {
            let parts = Parts::from_run(&call).await?;
            How::call(function, call, parts).await
        })
    }

    fn state_types(&self) -> Vec<StateType> {
        Parts::state_types()
    }

    fn check(&self, args: &Value) -> Result<(), String> {
        Parts::check(args)
    }
}
