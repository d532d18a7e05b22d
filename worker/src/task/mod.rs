//! Tasks: named handlers, and what they are handed.

pub mod builtin;
mod context;
mod registry;

pub use context::Context;
pub use registry::{BoxError, Handler, IntoOutput, Tasks};
