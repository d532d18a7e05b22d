//! Tasks: named handlers, what they are handed, and what stands around them.
//!
//! A handler is an async function whose parameters say what it needs ([`FromRun`]): the run
//! ([`Context`]), the job's args ([`Args`]), what the service shares ([`State`]). It returns nothing
//! or a `Result` with any error; [`TaskError`] says what is to follow. [`Layer`]s stand around all handlers of a scheduler.

pub mod builtin;
mod call;
mod context;
#[cfg(feature = "macros")]
mod declaration;
mod error;
mod extract;
mod function;
mod layer;
mod registry;
pub(crate) mod secrets;
mod state;

use std::future::Future;
use std::pin::Pin;

pub use call::Call;
pub use context::Context;
pub use error::TaskError;
pub use extract::{Args, FromRun, State};
pub use function::{BlockingFunction, IntoTaskResult, Parameters, TaskFunction};
pub use layer::{Layer, Next};
pub use registry::{BoxError, Handler, IntoOutput, TaskResult, Tasks};
pub use secrets::Secrets;
pub use state::StateType;

/// A future behind a pointer, as [`Handler`]s and [`Layer`]s answer with.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[cfg(feature = "macros")]
pub use declaration::Declared;
#[cfg(feature = "macros")]
pub(crate) use declaration::declarations;
pub(crate) use error::Follows;
pub(crate) use function::BlockingSlots;
pub(crate) use layer::Layers;
pub(crate) use state::States;
