//! Workers, who leads, and the namespace in numbers.

use axum::Json;
use axum::extract::State;
use scheduler_core::store::Overview;
use scheduler_core::{Store, UniqueKey};

use super::asked::{Segment, name, segment};
use super::problem::Problem;
use crate::Queues;
use crate::http::app::App;
use crate::wire::{HoldView, HolderView, Leaders, NamespaceView, Namespaces, Stats, Workers};

pub(super) async fn nodes<S: Store>(State(app): State<App<S>>) -> Result<Json<Workers>, Problem> {
    let views = app.store().nodes().await?;
    let now = app.jobs().now().await?;
    Ok(Json(Workers::new(&views, now)))
}

pub(super) async fn leaders<S: Store>(State(app): State<App<S>>) -> Result<Json<Leaders>, Problem> {
    Ok(Json(Leaders::new(&app.overview().await?)))
}

pub(super) async fn namespaces<S: Store>(
    State(app): State<App<S>>,
) -> Result<Json<Namespaces>, Problem> {
    let board = Queues::new(app.store().clone()).list().await?;
    let hold = HoldView::new(board.hold.as_ref());
    let items = vec![NamespaceView::new(app.namespace(), hold)];
    Ok(Json(Namespaces { items }))
}

pub(super) async fn stats<S: Store>(State(app): State<App<S>>) -> Result<Json<Stats>, Problem> {
    let overview = app.overview().await?;
    // Clients take it for the store's clock, which has gone on since those were counted.
    let now = app.jobs().now().await?;
    Ok(Json(Stats::new(&Overview { now, ..overview })))
}

/// Who holds a unique key.
pub(super) async fn holder<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
) -> Result<Json<HolderView>, Problem> {
    let text = segment(path)?;
    let key: UniqueKey = name("key", &text)?;
    let holder = app.jobs().holder(&key).await?;
    let holder = holder.ok_or_else(|| Problem::no_such("holder of the key", &text))?;
    Ok(Json(HolderView::new(&key, &holder)))
}
