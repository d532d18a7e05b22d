//! The native API, under `/api/v1`.
//!
//! `operations` is the table of what may be asked; routes and the OpenAPI document are both made from
//! it. `asked` reads requests, [`wire`](crate::wire) has the types of requests and answers, `problem` is
//! what is refused (RFC 9457). The handlers go by subject: `jobs` one at a time, `many` at once,
//! `schedule` for what a job did and will do, `runs` and `failed`, `queues`, `cluster` and `series`; `events` tells
//! what happens, as it happens; `keyed` stands before what may be sent twice.

mod asked;
mod audit;
mod cluster;
mod events;
mod failed;
mod jobs;
mod keyed;
mod many;
mod openapi;
mod operations;
mod page;
mod problem;
mod queues;
mod runs;
mod schedule;
mod series;

pub(super) use events::Hub;
pub(super) use keyed::keyed;
pub(super) use operations::routes;
pub(super) use problem::refuse;

/// How the paths begin.
pub(super) const PREFIX: &str = "/api/v1";
