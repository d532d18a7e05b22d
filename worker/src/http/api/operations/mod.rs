//! What may be asked: the table that routes and document are made from.
//!
//! `operation` is a row of it, `params` what queries may hold; the rows go by subject, as their handlers do.

mod cluster;
mod jobs;
mod many;
mod operation;
mod params;
mod queues;
mod runs;

use axum::routing::MethodRouter;
use scheduler_core::Store;

use super::PREFIX;
use crate::http::app::App;
use crate::http::routes::{Route, Style};

pub(super) use operation::{Answer, Body, Operation};
pub(super) use params::{Kind, Param};

type Table<S> = Vec<(Operation, MethodRouter<App<S>>)>;

/// All operations, each with its handler.
pub(super) fn operations<S: Store>() -> Table<S> {
    let groups = [
        ("Jobs", jobs::table()),
        ("Many jobs at once", many::table()),
        ("Runs", runs::table()),
        ("Queues and the namespace", queues::table()),
        ("The cluster", cluster::table()),
    ];
    let operations = groups.into_iter().flat_map(|(group, table)| {
        let in_group = move |(operation, handler)| (Operation { group, ..operation }, handler);
        table.into_iter().map(in_group)
    });
    operations.collect()
}

/// The routes.
pub(in crate::http) fn routes<S: Store>() -> Vec<Route<S>> {
    let route = |(operation, handler): (Operation, MethodRouter<App<S>>)| {
        let path = format!("{PREFIX}{}", operation.path);
        let route = Route::new(path, operation.method, operation.role, handler);
        let route = route.styled(Style::Native);
        let route = if operation.keyed {
            route.keyed()
        } else {
            route
        };
        if operation.large {
            route.large()
        } else {
            route
        }
    };
    operations().into_iter().map(route).collect()
}
