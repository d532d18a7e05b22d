//! What each route does.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use scheduler_core::change;
use scheduler_core::{JobId, Store};
use serde_json::{Value, json};

use super::addition::Addition;
use super::callables::Callables;
use super::modification::{Modification, found};
use super::refusal::{Refusal, answer};
use super::show::{Shown, is_there};
use super::whole::{Stage, Started, Whole};
use super::{page, run, schedule};
use crate::config::Role;
use crate::http::app::App;
use crate::http::routes::{Route, Style};
use crate::jobs::{Decided, JobsError, Removed};

/// The routes under `prefix`.
pub(in crate::http) fn routes<S: Store>(prefix: &str) -> Vec<Route<S>> {
    let read = |path: &str, handler| {
        Route::new(format!("{prefix}{path}"), "GET", Role::Viewer, handler).styled(Style::Flask)
    };
    let change = |method, path: &str, handler| {
        let path = format!("{prefix}{path}");
        Route::new(path, method, Role::Operator, handler).styled(Style::Flask)
    };
    vec![
        read("", get(info::<S>)),
        change("POST", "/start", post(start::<S>)),
        change("POST", "/pause", post(pause_all::<S>)),
        change("POST", "/resume", post(resume_all::<S>)),
        change("POST", "/shutdown", post(shut_down::<S>)),
        read("/jobs", get(list::<S>)),
        change("POST", "/jobs", post(add::<S>)),
        read("/jobs/{id}", get(show::<S>)),
        change("PATCH", "/jobs/{id}", patch(modify::<S>)),
        change("DELETE", "/jobs/{id}", delete(remove::<S>)),
        change("POST", "/jobs/{id}/pause", post(pause::<S>)),
        change("POST", "/jobs/{id}/resume", post(resume::<S>)),
        change("POST", "/jobs/{id}/run", post(run_now::<S>)),
    ]
}

/// What is asked that is nowhere.
pub(in crate::http) fn not_found() -> Response {
    page::not_found()
}

/// A method that a path has no handler for.
pub(in crate::http) fn other_method(request: &Request, allow: &str) -> Response {
    if request.method() == Method::OPTIONS {
        page::options(allow)
    } else {
        page::method_not_allowed(allow)
    }
}

/// A request that is refused before a handler sees it.
pub(in crate::http) fn refuse(status: StatusCode, message: &str) -> Response {
    match status {
        StatusCode::UNAUTHORIZED => page::unauthorized(),
        _ => Refusal::new(status, message).into_response(),
    }
}

/// Why a request is not answered with what it asked for.
pub(super) enum Failure {
    /// What the API says.
    Refusal(Refusal),
    /// What is said before the API is asked.
    Page(Box<Response>),
}

impl<T: Into<Refusal>> From<T> for Failure {
    fn from(refusal: T) -> Self {
        Self::Refusal(refusal.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Refusal(refusal) => refusal.into_response(),
            Self::Page(page) => *page,
        }
    }
}

type Answer = Result<Response, Failure>;
type Body = Result<Bytes, BytesRejection>;

/// The id in a path. One with a slash cannot be reached, as in the original.
struct Id(String);

impl<T: Send + Sync> FromRequestParts<T> for Id {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &T) -> Result<Self, Response> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) if !id.contains('/') => Ok(Self(id)),
            Ok(_) | Err(_) => Err(page::not_found()),
        }
    }
}

impl Id {
    /// The id, if any job can have it.
    fn checked(self) -> Result<JobId, Refusal> {
        JobId::new(&self.0).map_err(|_| Refusal::no_such_job(&self.0))
    }
}

/// JSON, whatever type it is said to have.
fn json(body: Body) -> Result<Value, Failure> {
    let body = body.map_err(|error| {
        Failure::Page(Box::new(match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => page::too_large(),
            _ => page::bad_request(),
        }))
    })?;
    serde_json::from_slice(&body).map_err(|_| Failure::Page(Box::new(page::bad_request())))
}

fn shown(job: &Shown) -> Response {
    answer(StatusCode::OK, &job.json())
}

async fn info<S: Store>(State(app): State<App<S>>) -> Answer {
    let info = json!({
        // Paused is running, for the original.
        "running": Whole::of(&app).stage().await? != Stage::Stopped,
        "current_host": app.host(),
        // Any machine may run it: that is what the cluster is for.
        "allowed_hosts": ["*"],
    });
    Ok(answer(StatusCode::OK, &info))
}

async fn start<S: Store>(State(app): State<App<S>>) -> Answer {
    match Whole::of(&app).start().await? {
        Started::Done => Ok(page::empty(StatusCode::NO_CONTENT)),
        Started::Already => {
            let refusal = Refusal::new(StatusCode::BAD_REQUEST, "Scheduler is already running");
            Err(refusal.into())
        }
    }
}

async fn pause_all<S: Store>(State(app): State<App<S>>) -> Answer {
    Whole::of(&app).pause().await?;
    Ok(page::empty(StatusCode::NO_CONTENT))
}

async fn resume_all<S: Store>(State(app): State<App<S>>) -> Answer {
    Whole::of(&app).resume().await?;
    Ok(page::empty(StatusCode::NO_CONTENT))
}

/// Whether the body asks to wait makes no difference: runs that have begun go on on their nodes.
async fn shut_down<S: Store>(State(app): State<App<S>>) -> Answer {
    Whole::of(&app).shut_down().await?;
    Ok(page::empty(StatusCode::NO_CONTENT))
}

async fn list<S: Store>(State(app): State<App<S>>) -> Answer {
    let stored = app.jobs().list().await?.jobs;
    let mut jobs: Vec<Shown> = stored
        .iter()
        .filter(|job| is_there(job))
        .map(Shown::of)
        .collect();
    jobs.sort_by(|a, b| a.order().cmp(&b.order()));
    let jobs: Vec<Value> = jobs.iter().map(Shown::json).collect();
    Ok(answer(StatusCode::OK, &Value::Array(jobs)))
}

async fn add<S: Store>(State(app): State<App<S>>, body: Body) -> Answer {
    let addition = Addition::read(json(body)?)?;
    let callables = Callables::of(&app);
    let defaults = app.flask_defaults();
    let decide = |read: &_| addition.decide(read, &callables, defaults);
    let added = app
        .jobs()
        .decided::<_, Refusal>(&addition.id, decide)
        .await?;
    Ok(shown(&added))
}

async fn show<S: Store>(State(app): State<App<S>>, id: Id) -> Answer {
    let id = id.checked()?;
    let stored = app.jobs().get(&id).await?.filter(is_there);
    let stored = stored.ok_or_else(|| Refusal::no_such_job(id.as_str()))?;
    Ok(shown(&Shown::of(&stored)))
}

async fn modify<S: Store>(State(app): State<App<S>>, id: Id, body: Body) -> Answer {
    let modification = Modification::read(json(body)?)?;
    let id = id.checked()?;
    let callables = Callables::of(&app);
    let defaults = app.flask_defaults();
    let decide = |read: &_| modification.decide(&id, read, &callables, defaults);
    let modified = app.jobs().decided::<_, Refusal>(&id, decide).await?;
    Ok(shown(&modified))
}

async fn remove<S: Store>(State(app): State<App<S>>, id: Id) -> Answer {
    let id = id.checked()?;
    let jobs = app.jobs();
    // One that cannot be read can be removed all the same.
    match jobs.get(&id).await {
        Ok(Some(stored)) if is_there(&stored) => {}
        Err(JobsError::Unreadable { .. }) => {}
        Ok(_) => return Err(Refusal::no_such_job(id.as_str()).into()),
        Err(error) => return Err(error.into()),
    }
    match jobs.remove(&id).await? {
        Removed::Done => Ok(page::empty(StatusCode::NO_CONTENT)),
        Removed::NotFound => Err(Refusal::no_such_job(id.as_str()).into()),
    }
}

async fn pause<S: Store>(State(app): State<App<S>>, id: Id) -> Answer {
    let id = id.checked()?;
    let decide = |read: &_| {
        let stored = found(&id, read)?;
        Ok(match change::pause(stored) {
            Some(change) => {
                let paused = Shown::new(change.job.clone(), change.next_fire);
                Decided::Write(Box::new(change), paused)
            }
            None => Decided::Done(Shown::of(stored)),
        })
    };
    let paused = app.jobs().decided::<_, Refusal>(&id, decide).await?;
    Ok(shown(&paused))
}

async fn resume<S: Store>(State(app): State<App<S>>, id: Id) -> Answer {
    let id = id.checked()?;
    let decide = |read: &scheduler_core::store::JobWrite| {
        let stored = found(&id, read)?;
        Ok(match schedule::resume(stored, read.now) {
            Some(change) => {
                let resumed = Shown::new(change.job.clone(), change.next_fire);
                Decided::Write(Box::new(change), Some(resumed))
            }
            None => Decided::Done(None),
        })
    };
    match app.jobs().decided::<_, Refusal>(&id, decide).await? {
        Some(resumed) => Ok(shown(&resumed)),
        // Its schedule is over: it goes.
        None => {
            app.jobs().remove(&id).await?;
            Ok(answer(StatusCode::OK, &Value::Null))
        }
    }
}

async fn run_now<S: Store>(State(app): State<App<S>>, id: Id, headers: HeaderMap) -> Answer {
    let id = id.checked()?;
    let stored = app.jobs().get(&id).await?.filter(is_there);
    let stored = stored.ok_or_else(|| Refusal::no_such_job(id.as_str()))?;
    Whole::of(&app).must_run().await?;
    run::run(&app, &id, &headers).await?;
    Ok(shown(&Shown::of(&stored)))
}
