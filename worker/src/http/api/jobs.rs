//! Jobs.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use scheduler_core::{Job, JobId, RunId, Store, StoredJob, Version};
use serde::Deserialize;
use serde_json::Value;

use super::PREFIX;
use super::problem::Problem;
use super::views::{JobView, JobsPage, RunMade, UnreadableView, state};
use crate::config::{JobDocument, read_patch};
use crate::http::app::App;
use crate::jobs::{Jobs, Modified, OnConflict, Put, Removed, RunRequested, Switched};

type Answer = Result<Response, Problem>;
type Body = Result<Bytes, BytesRejection>;
type Id = Result<Path<String>, PathRejection>;

/// How many jobs a page has, and how many it may have.
const PAGE: (usize, usize) = (100, 1000);

/// Which jobs to list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Wanted {
    task: Option<String>,
    queue: Option<String>,
    tag: Option<String>,
    state: Option<String>,
    search: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

impl Wanted {
    fn matches(&self, stored: &StoredJob) -> bool {
        let job = &stored.job;
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|w| w == found);
        let has_tag = |tag: &String| job.tags().iter().any(|found| found.as_str() == tag);
        let has_text = |text: &String| {
            let text = text.to_lowercase();
            let found = |field: &str| field.to_lowercase().contains(&text);
            found(job.id().as_str()) || found(job.name())
        };
        is(&self.task, job.task().as_str())
            && is(&self.queue, job.queue().as_str())
            && is(&self.state, state(stored))
            && self.tag.as_ref().is_none_or(has_tag)
            && self.search.as_ref().is_none_or(has_text)
            && self
                .cursor
                .as_deref()
                .is_none_or(|cursor| job.id().as_str() > cursor)
    }
}

/// What a query holds, checked.
pub(super) fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query
        .map(|Query(query)| query)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))
}

/// How many are asked for, within what is allowed.
pub(super) fn limit(
    asked: Option<usize>,
    (default, most): (usize, usize),
) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(default);
    if (1..=most).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::field(
        "limit",
        format!("{limit} is out of range: allowed are 1 to {most}"),
    ))
}

/// A body of JSON.
pub(super) fn json(body: Body) -> Result<Value, Problem> {
    let body = body.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    serde_json::from_slice(&body).map_err(|error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("the body is no JSON: {error}"),
        )
    })
}

fn id(path: Id) -> Result<JobId, Problem> {
    let Path(id) = path.map_err(|error| Problem::new(StatusCode::NOT_FOUND, error.body_text()))?;
    JobId::new(&id).map_err(|_| Problem::no_such("job", &id))
}

/// The version that the client has seen, from `If-Match: "12"`.
fn expected(headers: &HeaderMap) -> Result<Option<Version>, Problem> {
    let Some(text) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let text = text.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let number = number.and_then(|number| number.parse().ok());
    number.map(|number| Some(Version(number))).ok_or_else(|| {
        let detail = format!("If-Match: {text} is no ETag of a job: give one such as \"12\"");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })
}

fn jobs_as_seen<S: Store>(app: &App<S>, version: Option<Version>) -> Jobs<S> {
    match version {
        Some(version) => app.jobs().expecting(version),
        None => app.jobs(),
    }
}

/// The job, with its version as ETag.
fn with_etag(status: StatusCode, stored: &StoredJob) -> Response {
    let mut response = (status, Json(JobView::new(stored))).into_response();
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", stored.version.0)) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}

async fn found<S: Store>(app: &App<S>, id: &JobId) -> Result<StoredJob, Problem> {
    let stored = app.jobs().get(id).await?;
    stored.ok_or_else(|| Problem::no_such("job", id.as_str()))
}

/// Commands are not scheduled over HTTP unless that is allowed.
fn check_task<S: Store>(app: &App<S>, task: &str) -> Result<(), Problem> {
    if task == "shell" && !app.allows_shell() {
        let rule = "jobs that run commands are not made over HTTP: see [http] allow_shell";
        return Err(Problem::field("task", rule));
    }
    Ok(())
}

pub(super) async fn list<S: Store>(
    State(app): State<App<S>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Answer {
    let wanted = query(wanted)?;
    let limit = limit(wanted.limit, PAGE)?;
    let list = app.jobs().list().await?;
    let mut matching = list.jobs.iter().filter(|stored| wanted.matches(stored));
    let items: Vec<JobView> = matching.by_ref().take(limit).map(JobView::new).collect();
    let last = || {
        list.jobs
            .iter()
            .filter(|stored| wanted.matches(stored))
            .nth(limit - 1)
    };
    let next = matching
        .next()
        .and_then(|_| last())
        .map(|stored| stored.job.id().to_string());
    let unreadable = list.unreadable.into_iter();
    let unreadable = unreadable
        .map(|(id, why)| UnreadableView { id, why })
        .collect();
    let page = JobsPage {
        items,
        next,
        unreadable,
    };
    Ok(Json(page).into_response())
}

pub(super) async fn get<S: Store>(State(app): State<App<S>>, path: Id) -> Answer {
    let stored = found(&app, &id(path)?).await?;
    Ok(with_etag(StatusCode::OK, &stored))
}

/// The one job that a body describes.
fn described<S: Store>(app: &App<S>, body: Value) -> Result<Job, Problem> {
    if !body.is_object() || body.get("jobs").is_some() {
        return Err(Problem::field("", "the body must be one job"));
    }
    let document = JobDocument::of_value("body", body)?;
    let mut jobs = document.check(app.job_defaults())?;
    let job = jobs
        .pop()
        .ok_or_else(|| Problem::field("", "the body must be one job"))?
        .job;
    check_task(app, job.task().as_str())?;
    Ok(job)
}

pub(super) async fn create<S: Store>(State(app): State<App<S>>, body: Body) -> Answer {
    let job = described(&app, json(body)?)?;
    let id = job.id().clone();
    match app.jobs().put(job, OnConflict::Refuse).await? {
        Put::Added | Put::Superseded(_) => {
            let mut response = with_etag(StatusCode::CREATED, &found(&app, &id).await?);
            let place = format!("{PREFIX}/jobs/{}", encoded(id.as_str()));
            if let Ok(place) = HeaderValue::from_str(&place) {
                response.headers_mut().insert(LOCATION, place);
            }
            Ok(response)
        }
        Put::Over(why) => Err(Problem::field("trigger", why.to_string())),
        Put::Ignored(by) => match app.jobs().get(&by).await? {
            Some(stored) => Ok(with_etag(StatusCode::OK, &stored)),
            None => Err(Problem::conflict(key_taken(&by))),
        },
        Put::KeyTaken(by) => Err(Problem::conflict(key_taken(&by))),
        _ => Err(Problem::conflict(format!(
            "there is a job {:?} already",
            id.as_str()
        ))),
    }
}

fn key_taken(by: &JobId) -> String {
    format!("its unique key is held by job {:?}", by.as_str())
}

/// An id as one segment of a path.
fn encoded(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@:".contains(&byte);
    let one = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    id.bytes().map(one).collect()
}

pub(super) async fn replace<S: Store>(
    State(app): State<App<S>>,
    path: Id,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let id = id(path)?;
    let mut body = json(body)?;
    if let Some(body) = body.as_object_mut() {
        body.entry("id").or_insert_with(|| Value::from(id.as_str()));
    }
    let job = described(&app, body)?;
    if *job.id() != id {
        return Err(Problem::field(
            "id",
            format!("{:?} is not the id in the path", job.id().as_str()),
        ));
    }
    let version = expected(&headers)?;
    let must_be_there = headers.contains_key(IF_MATCH);
    let must_be_new = headers.get(IF_NONE_MATCH).is_some_and(|value| value == "*");
    if must_be_there && app.jobs().get(&id).await?.is_none() {
        return Err(Problem::new(
            StatusCode::PRECONDITION_FAILED,
            format!("there is no job {id:?}"),
        ));
    }
    let conflict = if must_be_new {
        OnConflict::Refuse
    } else {
        OnConflict::Replace
    };
    let status = match jobs_as_seen(&app, version).put(job, conflict).await? {
        Put::Added | Put::Superseded(_) => StatusCode::CREATED,
        Put::Ignored(by) | Put::KeyTaken(by) => return Err(Problem::conflict(key_taken(&by))),
        Put::Replaced | Put::Unchanged | Put::Kept => StatusCode::OK,
        Put::Exists => {
            let detail = format!("there is a job {:?} already", id.as_str());
            return Err(Problem::new(StatusCode::PRECONDITION_FAILED, detail));
        }
        Put::ChangedMeanwhile => {
            let detail = format!("job {:?} has changed meanwhile", id.as_str());
            return Err(Problem::new(StatusCode::PRECONDITION_FAILED, detail));
        }
        Put::Unreadable(why) => return Err(Problem::conflict(why)),
        Put::Over(why) => return Err(Problem::field("trigger", why.to_string())),
    };
    Ok(with_etag(status, &found(&app, &id).await?))
}

pub(super) async fn modify<S: Store>(
    State(app): State<App<S>>,
    path: Id,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let id = id(path)?;
    let body = json(body)?;
    let seen = expected(&headers)?;
    let stored = found(&app, &id).await?;
    // Of the job as it is checked here, and of no other.
    let version = seen.unwrap_or(stored.version);
    let task = body.get("task").and_then(Value::as_str);
    check_task(&app, task.unwrap_or(stored.job.task().as_str()))?;
    let patch = read_patch("body", body)?;
    let jobs = jobs_as_seen(&app, Some(version));
    match jobs.modify(&id, &patch, app.job_defaults()).await? {
        Modified::Done(_) | Modified::Unchanged(_) => {
            Ok(with_etag(StatusCode::OK, &found(&app, &id).await?))
        }
        Modified::NotFound => Err(Problem::no_such("job", id.as_str())),
        Modified::Refused(error) => Err(error.into()),
    }
}

pub(super) async fn remove<S: Store>(
    State(app): State<App<S>>,
    path: Id,
    headers: HeaderMap,
) -> Answer {
    let id = id(path)?;
    match jobs_as_seen(&app, expected(&headers)?).remove(&id).await? {
        Removed::Done => Ok(StatusCode::NO_CONTENT.into_response()),
        Removed::NotFound => Err(Problem::no_such("job", id.as_str())),
    }
}

pub(super) async fn pause<S: Store>(
    State(app): State<App<S>>,
    path: Id,
    headers: HeaderMap,
) -> Answer {
    let id = id(path)?;
    let switched = jobs_as_seen(&app, expected(&headers)?).pause(&id).await?;
    switched_job(&app, &id, switched).await
}

pub(super) async fn resume<S: Store>(
    State(app): State<App<S>>,
    path: Id,
    headers: HeaderMap,
) -> Answer {
    let id = id(path)?;
    let switched = jobs_as_seen(&app, expected(&headers)?).resume(&id).await?;
    switched_job(&app, &id, switched).await
}

async fn switched_job<S: Store>(app: &App<S>, id: &JobId, switched: Switched) -> Answer {
    match switched {
        Switched::Done | Switched::Already => Ok(with_etag(StatusCode::OK, &found(app, id).await?)),
        // No end was asked for.
        Switched::Ended => Err(Problem::conflict("the pause would have ended already")),
        Switched::NotFound => Err(Problem::no_such("job", id.as_str())),
    }
}

pub(super) async fn run<S: Store>(State(app): State<App<S>>, path: Id) -> Answer {
    let id = id(path)?;
    match app.jobs().run_now(&id).await? {
        RunRequested::Made(run) => Ok(made(&run)),
        RunRequested::Full { in_flight } => Err(Problem::conflict(format!(
            "job {:?} has {in_flight} runs in flight, as many as its max_instances allows",
            id.as_str()
        ))),
        // No fire time was asked for.
        RunRequested::TooEarly => Err(Problem::conflict("the run would be too early")),
        RunRequested::NotFound => Err(Problem::no_such("job", id.as_str())),
    }
}

fn made(run: &RunId) -> Response {
    let made = RunMade {
        run: run.to_string(),
    };
    (StatusCode::ACCEPTED, Json(made)).into_response()
}
