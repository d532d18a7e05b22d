//! The API that clients of Flask-APScheduler know: the same routes, fields, answers and texts.
//!
//! Measured against captures of the original (`tests/data/flask`, replayed by `tests/tests/flask.rs`);
//! every difference is listed, with its reason, in `docs/flask.md`, and the test reads that list.
//!
//! Read in this order: `handlers` (what each route does), `addition` and `modification` (what a body
//! asks for), `trigger` with `cron` and `dates` (from flat fields to a trigger), `schedule` (what
//! that means for the stored job), `show` (the job as JSON), `whole` (the scheduler: running, paused or shut
//! down). `python` and `page` know how Python
//! writes values and Werkzeug its error pages.

mod addition;
mod arguments;
mod callables;
mod cron;
mod dates;
mod handlers;
mod modification;
mod page;
mod policy;
mod python;
mod refusal;
mod run;
mod schedule;
mod show;
#[cfg(test)]
mod tests;
mod trigger;
mod whole;

pub(super) use handlers::{not_found, other_method, refuse, routes};
