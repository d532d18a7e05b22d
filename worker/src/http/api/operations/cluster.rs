//! Workers, numbers, events, and the document itself.

use axum::routing::get;
use scheduler_core::Store;

use super::Table;
use super::operation::{Answer, read};
use super::params::{AUDIT_QUERY, EVENTS_QUERY, SERIES_QUERY};
use crate::http::api::{audit, cluster, events, openapi, page, series};

pub(super) fn table<S: Store>() -> Table<S> {
    vec![
        (
            read(
                "listNamespaces",
                "/namespaces",
                "Namespaces",
                "Lists the namespaces that are served here",
            ),
            get(cluster::namespaces::<S>),
        ),
        (
            read(
                "listDeeds",
                "/audit",
                "DeedsPage",
                "Lists who changed what, the newest first",
            )
            .query(&AUDIT_QUERY)
            .for_operators(),
            get(audit::list::<S>),
        ),
        (
            read("listNodes", "/nodes", "Workers", "Lists the workers"),
            get(cluster::nodes::<S>),
        ),
        (
            read("listLeaders", "/leaders", "Leaders", "Shows who leads"),
            get(cluster::leaders::<S>),
        ),
        (
            read(
                "getStats",
                "/stats",
                "Stats",
                "Shows the namespace in numbers",
            ),
            get(cluster::stats::<S>),
        ),
        (
            read(
                "getSeries",
                "/stats/series",
                "SeriesView",
                "Shows what became of fire times over time, for charts",
            )
            .query(&SERIES_QUERY),
            get(series::series::<S>),
        ),
        (
            read(
                "listen",
                "/events",
                "",
                "Tells what happens, as it happens, as Server-Sent Events",
            )
            .query(&EVENTS_QUERY)
            .answers(Answer::Events),
            get(events::events::<S>),
        ),
        (
            read("getPage", "/docs", "", "The document as a page").answers(Answer::Page),
            get(page::page::<S>),
        ),
        (
            read("getDocument", "/openapi.json", "", "This document").answers(Answer::Object),
            get(openapi::document::<S>),
        ),
    ]
}
