//! Probes: whether this process lives, and whether it takes part.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use scheduler_core::Store;
use serde_json::json;

use super::app::App;
use crate::Readiness;

/// How long the store has to answer a probe.
const STORE_WITHIN: Duration = Duration::from_secs(2);

/// `GET /healthz`: the process lives, whatever the store does. To restart it where it does not.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the node takes part. To send requests elsewhere, and to hold up a rollout, where
/// it does not.
pub(super) async fn readyz<S: Store>(State(app): State<App<S>>) -> Response {
    let node = app.status().readiness();
    let why = match &node {
        Readiness::Ready => None,
        Readiness::Unregistered => Some("the node has no session yet"),
        Readiness::Silent => Some("the node's heartbeats are not answered"),
        Readiness::Draining => Some("the node is shutting down"),
        Readiness::Ended => Some("the node has ended"),
    };
    let why = match why {
        Some(why) => Some(why.to_owned()),
        None => store_trouble(&app).await,
    };
    match why {
        None => (StatusCode::OK, "ready\n").into_response(),
        Some(why) => {
            let answer = json!({ "ready": false, "reason": why });
            (StatusCode::SERVICE_UNAVAILABLE, axum::Json(answer)).into_response()
        }
    }
}

/// Why the store does not answer, if it does not.
async fn store_trouble<S: Store>(app: &App<S>) -> Option<String> {
    match tokio::time::timeout(STORE_WITHIN, app.jobs().now()).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("the store did not answer within {STORE_WITHIN:?}")),
    }
}
