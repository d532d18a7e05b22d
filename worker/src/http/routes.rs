//! What may be asked.

use axum::Router;
use axum::routing::get;
use scheduler_core::Store;

use super::app::App;
use super::health;

/// All routes of a node.
pub fn router<S: Store>(app: App<S>) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz::<S>))
        .with_state(app)
}
