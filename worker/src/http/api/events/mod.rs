//! What happens, as it happens: Server-Sent Events.
//!
//! ```text
//!   the store's channel ──┐
//!                         ├─ pump ── broadcast ─┬─ listener ── its connection
//!   history, from where ──┘                     └─ listener ── its connection
//!   it was read last
//! ```
//!
//! One `hub` per node listens to the store's channel, however many clients there are, and only while
//! there are any. What is recorded it reads from history, so that it has a position there: that is the
//! event's id, which means the same on every node. A `listener` that begins with such an id reads history
//! from there on before it goes on live. Anything else that happens is told live and has no id.

mod hub;
mod listener;
mod place;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use scheduler_core::{JobId, Store};

use super::asked::{Asked, Params};
use super::problem::Problem;
use crate::http::app::App;
use listener::Listener;
use place::Place;

pub(in crate::http) use hub::Hub;

/// Which events somebody wants to hear.
#[derive(Clone, Debug, Default)]
struct Wanted {
    job: Option<JobId>,
    /// By their words; none of them stands for all.
    only: Vec<String>,
}

/// What listeners may ask for.
const ASKED: [&str; 3] = ["job", "only", "last_event_id"];

pub(super) async fn events<S: Store>(
    State(app): State<App<S>>,
    asked: Asked,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::read(asked, &ASKED)?;
    let only = params.text("only")?.unwrap_or_default();
    let wanted = Wanted {
        job: params.parsed("job")?,
        only: only
            .split(',')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect(),
    };
    let header = headers.get(HeaderName::from_static("last-event-id"));
    let last = match header {
        Some(value) => Some(value.to_str().unwrap_or_default()),
        None => params.text("last_event_id")?,
    };
    let last = last.filter(|text| !text.is_empty()).map(|text| {
        Place::parse(text).ok_or_else(|| {
            let rule = format!("{text:?} is no id of an event");
            Problem::field("Last-Event-ID", rule)
        })
    });
    let Some(seat) = app.hub().seat() else {
        let detail = "as many clients listen as may: try again, or ask another worker";
        let mut response = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
        let soon = HeaderValue::from_static("5");
        response.headers_mut().insert(RETRY_AFTER, soon);
        return Ok(response);
    };
    let listener = Listener::begin(&app, seat, wanted, last.transpose()?).await?;
    let events = stream::unfold(listener, |mut listener| async move {
        let text = listener.next().await?;
        Some((Ok::<_, std::convert::Infallible>(text), listener))
    });
    let head = [
        (CONTENT_TYPE, "text/event-stream"),
        // For proxies that would wait for more.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((head, Body::from_stream(events)).into_response())
}
