//! Workers, who leads, and the namespace in numbers.

use axum::Json;
use axum::extract::State;
use scheduler_core::Store;

use super::problem::Problem;
use super::views::{LeaderView, Stats, WorkerView, Workers};
use crate::http::app::App;

pub(super) async fn nodes<S: Store>(State(app): State<App<S>>) -> Result<Json<Workers>, Problem> {
    let views = app.store().nodes().await?;
    let now = app.store().overview().await?.now;
    let items = views
        .iter()
        .map(|view| WorkerView::new(view, now))
        .collect();
    Ok(Json(Workers { items }))
}

pub(super) async fn leader<S: Store>(
    State(app): State<App<S>>,
) -> Result<Json<LeaderView>, Problem> {
    Ok(Json(LeaderView::new(&app.store().overview().await?)))
}

pub(super) async fn stats<S: Store>(State(app): State<App<S>>) -> Result<Json<Stats>, Problem> {
    Ok(Json(Stats::new(&app.store().overview().await?)))
}
