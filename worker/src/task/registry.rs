//! Which handler stands behind which task name.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use scheduler_core::{NameError, TaskName};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::task::Context;

/// Any error that a handler may return.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Executes the runs of one task.
pub trait Handler: Send + Sync + 'static {
    /// Executes one attempt of a run. What it answers with is kept in history.
    fn call(
        &self,
        context: Context,
        args: Value,
    ) -> BoxFuture<'static, Result<Option<String>, BoxError>>;
}

/// What a handler may answer with, kept in history.
pub trait IntoOutput {
    /// The answer as text, if there is something to keep.
    fn into_output(self) -> Option<String>;
}

impl IntoOutput for () {
    fn into_output(self) -> Option<String> {
        None
    }
}

impl IntoOutput for String {
    fn into_output(self) -> Option<String> {
        Some(self)
    }
}

impl IntoOutput for &'static str {
    fn into_output(self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl IntoOutput for Option<String> {
    fn into_output(self) -> Option<String> {
        self
    }
}

/// The tasks of a node, by name.
#[derive(Clone, Default)]
pub struct Tasks {
    handlers: BTreeMap<TaskName, Arc<dyn Handler>>,
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers an async function of typed args under `name`, in place of an earlier one.
    ///
    /// Args that do not fit the type fail the run, with the field that is wrong.
    ///
    /// # Errors
    ///
    /// A name that breaks the rule for task names.
    pub fn register<A, F, Fut, T, E>(&mut self, name: &str, function: F) -> Result<(), NameError>
    where
        A: DeserializeOwned + Send + 'static,
        F: Fn(Context, A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: IntoOutput + 'static,
        E: Into<BoxError> + 'static,
    {
        let handler = FunctionHandler {
            function,
            args: std::marker::PhantomData::<fn(A)>,
        };
        self.insert(TaskName::new(name)?, Arc::new(handler));
        Ok(())
    }

    /// Registers a handler under `name`, in place of an earlier one.
    pub fn insert(&mut self, name: TaskName, handler: Arc<dyn Handler>) {
        self.handlers.insert(name, handler);
    }

    /// The handler of this task.
    #[must_use]
    pub fn get(&self, name: &TaskName) -> Option<&Arc<dyn Handler>> {
        self.handlers.get(name)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &TaskName> {
        self.handlers.keys()
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

struct FunctionHandler<A, F> {
    function: F,
    args: std::marker::PhantomData<fn(A)>,
}

impl<A, F, Fut, T, E> Handler for FunctionHandler<A, F>
where
    A: DeserializeOwned + Send + 'static,
    F: Fn(Context, A) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: IntoOutput + 'static,
    E: Into<BoxError> + 'static,
{
    fn call(
        &self,
        context: Context,
        args: Value,
    ) -> BoxFuture<'static, Result<Option<String>, BoxError>> {
        let args = match serde_json::from_value::<A>(args) {
            Ok(args) => args,
            Err(error) => {
                let error = format!(
                    "args do not fit task {:?}: {error}",
                    context.job().task().as_str()
                );
                return Box::pin(async move { Err(error.into()) });
            }
        };
        let call = (self.function)(context, args);
        Box::pin(async move { call.await.map(IntoOutput::into_output).map_err(Into::into) })
    }
}
