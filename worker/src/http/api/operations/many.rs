//! Many jobs at once.

use axum::routing::{get, post};
use scheduler_core::Store;

use super::Table;
use super::operation::{Answer, change, read};
use super::params::{BULK_QUERY, IMPORT_QUERY};
use crate::http::api::many;

pub(super) fn table<S: Store>() -> Table<S> {
    vec![
        (
            change(
                "createJobs",
                ("POST", "/bulk/jobs"),
                (200, "BulkDone"),
                "Adds up to 10,000 jobs: all, or none where any would be refused",
            )
            .body("Jobs")
            .query(&BULK_QUERY)
            .large()
            .keyed(),
            post(many::create::<S>),
        ),
        (
            change(
                "apply",
                ("POST", "/apply"),
                (200, "PlanView"),
                "Makes the store equal to what a file declares, or tells what that would change",
            )
            .body("ApplyRequest")
            .large()
            .keyed(),
            post(many::apply::<S>),
        ),
        (
            read(
                "exportJobs",
                "/export",
                "",
                "Tells all jobs as lines of JSON",
            )
            .answers(Answer::Lines),
            get(many::export::<S>),
        ),
        (
            change(
                "importJobs",
                ("POST", "/import"),
                (200, "ImportDone"),
                "Brings back up to 10,000 jobs that were exported",
            )
            .lines()
            .query(&IMPORT_QUERY)
            .keyed(),
            post(many::import::<S>),
        ),
    ]
}
