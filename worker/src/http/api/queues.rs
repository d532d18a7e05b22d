//! Queues, and the pause of the namespace.

use axum::Json;
use axum::extract::State;
use scheduler_core::queue::{HoldNote, QueueLimits, QueueState, Rate};
use scheduler_core::{QueueName, Store};

use super::asked::{Body, Segment, segment, typed, typed_if_any};
use super::problem::Problem;
use crate::Queues;
use crate::http::app::App;
use crate::wire::{Board, LimitsRequest, PauseRequest, QueueView, SteeredView};

type Steered = Result<Json<SteeredView>, Problem>;

fn queues<S: Store>(app: &App<S>) -> Queues<S> {
    Queues::new(app.store().clone())
}

/// The queue that a path names.
fn queue_name(path: Segment) -> Result<QueueName, Problem> {
    let text = segment(path)?;
    QueueName::new(&text).map_err(|_| Problem::no_such("queue", &text))
}

async fn state<S: Store>(app: &App<S>, queue: &QueueName) -> Result<QueueState, Problem> {
    let state = queues(app).get(queue).await?;
    state.ok_or_else(|| Problem::no_such("queue", queue.as_str()))
}

/// Who pauses, and why. Only a job's pause ends by itself.
fn note(body: Body) -> Result<HoldNote, Problem> {
    let PauseRequest {
        by,
        reason,
        until,
        duration,
    } = typed_if_any(body)?;
    for (field, given) in [("until", until), ("for", duration)] {
        if given.is_some() {
            return Err(Problem::field(field, "only a job's pause ends by itself"));
        }
    }
    Ok(HoldNote { by, reason })
}

pub(super) async fn list<S: Store>(State(app): State<App<S>>) -> Result<Json<Board>, Problem> {
    Ok(Json(Board::new(&queues(&app).list().await?)))
}

pub(super) async fn get<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
) -> Result<Json<QueueView>, Problem> {
    Ok(Json(QueueView::new(
        &state(&app, &queue_name(path)?).await?,
    )))
}

pub(super) async fn limit<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
    body: Body,
) -> Result<Json<QueueView>, Problem> {
    let queue = queue_name(path)?;
    let wish: LimitsRequest = typed(body)?;
    let rate = wish.rate.map(|rate| {
        let parse = |text: String| {
            text.parse::<Rate>()
                .map_err(|rule| Problem::field("rate", rule))
        };
        rate.map(parse).transpose()
    });
    let rate = rate.transpose()?;
    let before = queues(&app).get(&queue).await?;
    let before = before.map(|state| state.limits).unwrap_or_default();
    let limits = QueueLimits {
        concurrency: wish.concurrency.unwrap_or(before.concurrency),
        rate: rate.unwrap_or(before.rate),
    };
    queues(&app).limit(&queue, limits).await?;
    Ok(Json(QueueView::new(&state(&app, &queue).await?)))
}

pub(super) async fn reset<S: Store>(State(app): State<App<S>>, path: Segment) -> Steered {
    let steered = queues(&app).unlimit(&queue_name(path)?).await?;
    Ok(Json(steered.into()))
}

pub(super) async fn pause<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
    body: Body,
) -> Steered {
    let queue = queue_name(path)?;
    let steered = queues(&app).pause(&queue, note(body)?).await?;
    Ok(Json(steered.into()))
}

pub(super) async fn resume<S: Store>(State(app): State<App<S>>, path: Segment) -> Steered {
    let steered = queues(&app).resume(&queue_name(path)?).await?;
    Ok(Json(steered.into()))
}

pub(super) async fn pause_all<S: Store>(State(app): State<App<S>>, body: Body) -> Steered {
    let steered = queues(&app).pause_all(note(body)?).await?;
    Ok(Json(steered.into()))
}

pub(super) async fn resume_all<S: Store>(State(app): State<App<S>>) -> Steered {
    Ok(Json(queues(&app).resume_all().await?.into()))
}
