//! The native API, under `/api/v1`.
//!
//! `operations` is the table of what may be asked; routes and the OpenAPI document are both made from
//! it. `views` are the answers, `problem` what is refused (RFC 9457), `jobs`, `runs`, `triggers` and
//! `cluster` the handlers.

mod audit;
mod cluster;
mod jobs;
mod openapi;
mod operations;
mod problem;
mod runs;
mod triggers;
mod views;

pub(super) use operations::routes;
pub(super) use problem::refuse;

/// How the paths begin.
pub(super) const PREFIX: &str = "/api/v1";
