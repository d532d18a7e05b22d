//! Which handler stands behind which task name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use scheduler_core::{NameError, TaskName};
use serde_json::Value;

use crate::task::function::{Blocking, FunctionHandler, Polled};
use crate::task::layer::{Layered, Layers};
use crate::task::{BlockingFunction, BoxFuture, Call, Parameters, StateType, TaskFunction};

/// Any error that a handler may return.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What comes of an attempt: what is kept of it in history, or why it failed.
pub type TaskResult = Result<Option<String>, BoxError>;

/// Executes the runs of one task. Mostly an async function, see [`Tasks::register`].
pub trait Handler: Send + Sync + 'static {
    /// Executes one attempt of a run.
    fn call(&self, call: Call) -> BoxFuture<'static, TaskResult>;

    /// Whether it takes these args, as far as that can be told before a run. Defaults to yes.
    ///
    /// # Errors
    ///
    /// What does not fit.
    fn check(&self, _args: &Value) -> Result<(), String> {
        Ok(())
    }

    /// The shared states that it cannot do without. Defaults to none.
    fn state_types(&self) -> Vec<StateType> {
        Vec::new()
    }
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

    /// Registers an async function under `name`, in place of an earlier one. Its parameters are
    /// extractors: see [`FromRun`](crate::task::FromRun). An error fails the attempt;
    /// [`TaskError`](crate::TaskError) says what is to follow.
    ///
    /// # Errors
    ///
    /// A name that breaks the rule for task names.
    pub fn register<Parts: Parameters>(
        &mut self,
        name: &str,
        function: impl TaskFunction<Parts>,
    ) -> Result<(), NameError> {
        let handler = FunctionHandler::<_, Parts, Polled>::new(function);
        self.insert(TaskName::new(name)?, Arc::new(handler));
        Ok(())
    }

    /// Registers a function that blocks its thread under `name`, in place of an earlier one. It is
    /// called on a thread of its own, so that it holds up nothing else of the node.
    ///
    /// Nothing can stop it from outside: one that takes long looks at its token
    /// ([`Context::cancellation`](crate::Context::cancellation)) now and then.
    ///
    /// # Errors
    ///
    /// A name that breaks the rule for task names.
    pub fn register_blocking<Parts: Parameters>(
        &mut self,
        name: &str,
        function: impl BlockingFunction<Parts>,
    ) -> Result<(), NameError> {
        let handler = FunctionHandler::<_, Parts, Blocking>::new(function);
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

    /// The same tasks, with these layers around each of them.
    pub(crate) fn layered(&mut self, layers: &Layers) {
        if layers.is_empty() {
            return;
        }
        for handler in self.handlers.values_mut() {
            *handler = Arc::new(Layered {
                layers: Arc::clone(layers),
                handler: Arc::clone(handler),
            });
        }
    }

    /// The tasks with their handlers, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TaskName, &Arc<dyn Handler>)> {
        self.handlers.iter()
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
