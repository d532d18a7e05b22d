//! Carillon rings every scheduled job on time, on exactly one of many identical worker processes.

pub mod task;

pub use scheduler_core as core;
pub use task::{Context, Tasks};
