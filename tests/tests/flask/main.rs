//! The API of Flask-APScheduler: what the original answered, asked again here.
//!
//! `tests/data/flask/captures.json` holds requests and answers of the real Flask-APScheduler 1.13.1;
//! `steps.json` holds requests that lie between them, whose answers were not kept but whose effects
//! are seen later. The differences that are allowed are those of the table in `docs/flask.md`: a
//! capture that is in it must differ just so, and one that is not must be answered the same.

mod app;
mod capture;
mod compare;
mod differences;
mod replay;
mod rules;
