//! Layers: what stands around each handler.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use serde_json::Value;

use crate::task::{BoxFuture, Call, Handler, StateType, TaskResult};

/// Something that stands around the handlers: measures, traces, refuses, limits, or changes what
/// comes of them.
///
/// Any async function of a [`Call`] and what comes [`Next`] is one:
///
/// ```
/// use std::time::Instant;
/// use carillon::Scheduler;
/// use carillon::task::{Call, Next, TaskResult};
///
/// async fn timed(call: Call, next: Next) -> TaskResult {
///     let task = call.context().job().task().clone();
///     let begun = Instant::now();
///     let result = next.run(call).await;
///     println!("{task} took {:?}", begun.elapsed());
///     result
/// }
///
/// # fn main() -> Result<(), carillon::BuildError> {
/// let scheduler = Scheduler::in_memory()
///     .task("sweep", || async {})
///     .layer(timed)
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// It may be dropped at any await, as a handler may: see [`Context::cancellation`].
///
/// [`Context::cancellation`]: crate::Context::cancellation
pub trait Layer: Send + Sync + 'static {
    /// Does its part, and calls what comes next; or does not, and answers itself.
    fn call(&self, call: Call, next: Next) -> BoxFuture<'static, TaskResult>;
}

impl<F, Fut> Layer for F
where
    F: Fn(Call, Next) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = TaskResult> + Send + 'static,
{
    fn call(&self, call: Call, next: Next) -> BoxFuture<'static, TaskResult> {
        Box::pin(self(call, next))
    }
}

/// The layers within, and the handler.
pub struct Next {
    layers: Layers,
    /// How many layers lie outside.
    outside: usize,
    handler: Arc<dyn Handler>,
}

impl Next {
    /// Calls the next layer, or at last the handler.
    pub fn run(mut self, call: Call) -> BoxFuture<'static, TaskResult> {
        let Some(layer) = self.layers.get(self.outside).cloned() else {
            return self.handler.call(call);
        };
        self.outside += 1;
        layer.call(call, self)
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.layers.len() - self.outside;
        f.debug_struct("Next").field("layers", &left).finish()
    }
}

/// Layers, the outermost first.
pub(crate) type Layers = Arc<[Arc<dyn Layer>]>;

/// A handler with layers around it.
pub(crate) struct Layered {
    pub(crate) layers: Layers,
    pub(crate) handler: Arc<dyn Handler>,
}

impl Handler for Layered {
    fn call(&self, call: Call) -> BoxFuture<'static, TaskResult> {
        let next = Next {
            layers: Arc::clone(&self.layers),
            outside: 0,
            handler: Arc::clone(&self.handler),
        };
        next.run(call)
    }

    fn state_types(&self) -> Vec<StateType> {
        self.handler.state_types()
    }

    fn check(&self, args: &Value) -> Result<(), String> {
        self.handler.check(args)
    }
}
