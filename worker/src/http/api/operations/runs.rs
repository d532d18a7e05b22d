//! Runs, and what became of them.

use axum::routing::{get, post};
use scheduler_core::Store;

use super::Table;
use super::operation::{change, read};
use super::params::{FAILED_QUERY, RUN_QUERY};
use crate::http::api::{failed, runs};

pub(super) fn table<S: Store>() -> Table<S> {
    vec![
        (
            read(
                "listRuns",
                "/runs",
                "RunsPage",
                "Lists what became of fire times, the newest first",
            )
            .query(&RUN_QUERY),
            get(runs::list::<S>),
        ),
        (
            read(
                "getRun",
                "/runs/{run}",
                "ReportView",
                "Shows all that is known about a run: where it is, its attempts, what its handler noted",
            ),
            get(runs::get::<S>),
        ),
        (
            read(
                "getLog",
                "/runs/{run}/log",
                "LogView",
                "Shows the lines that a run's handlers told",
            ),
            get(runs::log::<S>),
        ),
        (
            change(
                "cancelRun",
                ("POST", "/runs/{run}/cancel"),
                (200, "Cancelled"),
                "Cancels a run that waits or is executed",
            )
            .maybe("CancelRequest"),
            post(runs::cancel::<S>),
        ),
        (
            change(
                "rerun",
                ("POST", "/runs/{run}/rerun"),
                (202, "RunMade"),
                "Runs a failed run again",
            )
            .keyed(),
            post(failed::rerun::<S>),
        ),
        (
            read(
                "listFailed",
                "/failed",
                "FailedPage",
                "Lists runs that have failed for good, the newest first",
            )
            .query(&FAILED_QUERY),
            get(failed::list::<S>),
        ),
        (
            change(
                "rerunFailed",
                ("POST", "/failed/rerun"),
                (200, "RerunDone"),
                "Runs failed runs again, up to 1000 at once",
            )
            .body("Chosen")
            .keyed(),
            post(failed::rerun_all::<S>),
        ),
        (
            change(
                "purgeFailed",
                ("POST", "/failed/purge"),
                (200, "PurgeDone"),
                "Forgets failed runs, up to 1000 at once",
            )
            .body("Chosen"),
            post(failed::purge::<S>),
        ),
    ]
}
