//! Jobs, one at a time.

use axum::extract::State;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use scheduler_core::change::JobState;
use scheduler_core::trigger::read_moment;
use scheduler_core::{
    Job, JobId, RunId, Standing, Store, StoredJob, TaskName, Timestamp, Version, duration,
};
use serde_json::Value;

use super::PREFIX;
use super::asked::{Asked, Body, Params, Segment, job_id, json, typed_if_any};
use super::keyed::Keyed;
use super::problem::Problem;
use crate::config::{ConfiguredJob, JobDocument, read_patch};
use crate::http::app::App;
use crate::jobs::{
    JobOrder, JobQuery, Jobs, JobsError, Modified, OnConflict, PauseEnd, PauseWish, Put, PutWish,
    Removed, RunRequested, Switched,
};
use crate::mistake::join;
use crate::preview::begin;
use crate::task::builtin;
use crate::wire::{
    InFlight, JobView, JobsPage, PauseRequest, Refusal, RefusalKind, RunMade, RunRequest,
    RunningView, UnreadableView,
};

type Answer = Result<Response, Problem>;
/// The key that a request was sent under, if it was.
pub(super) type Key = Option<Extension<Keyed>>;

/// How many jobs a page has, and how many it may have.
const PAGE: (usize, usize) = (100, 1000);

/// How often a change is decided anew because somebody else came first.
const MAX_ROUNDS: u32 = 50;

/// The version that the client has seen, from `If-Match: "12"`.
fn expected(headers: &HeaderMap) -> Result<Option<Version>, Problem> {
    let Some(text) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let text = text.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    // What no version of a job is called matches none of them.
    let number = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let number = number.and_then(|number| number.parse().ok());
    number.map(|number| Some(Version(number))).ok_or_else(|| {
        let detail = format!("If-Match: {text} is no ETag of a job: give one such as \"12\"");
        Problem::new(StatusCode::PRECONDITION_FAILED, detail)
    })
}

fn jobs_as_seen<S: Store>(app: &App<S>, version: Option<Version>) -> Jobs<S> {
    match version {
        Some(version) => app.jobs().expecting(version),
        None => app.jobs(),
    }
}

/// The job, with its version as ETag.
pub(super) fn with_etag(status: StatusCode, stored: &StoredJob) -> Response {
    let mut response = (status, Json(JobView::new(stored))).into_response();
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", stored.version.0)) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}

/// A job as it is once it was put. One whose only fire time has come meanwhile is over, and gone.
async fn as_put<S: Store>(app: &App<S>, job: Job) -> Result<StoredJob, Problem> {
    let stored = app.jobs().get(job.id()).await?;
    Ok(stored.unwrap_or_else(|| StoredJob {
        version: Version(0),
        state: JobState::Active,
        next_fire: None,
        parked: None,
        fired: begin(job.trigger(), Timestamp::EPOCH),
        in_flight: 0,
        job,
    }))
}

/// The job, and where it is.
fn added(stored: &StoredJob) -> Response {
    let mut response = with_etag(StatusCode::CREATED, stored);
    let place = format!("{PREFIX}/jobs/{}", encoded(stored.job.id().as_str()));
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

pub(super) async fn found<S: Store>(app: &App<S>, id: &JobId) -> Result<StoredJob, Problem> {
    let stored = app.jobs().get(id).await?;
    stored.ok_or_else(|| Problem::no_such("job", id.as_str()))
}

/// Commands are not scheduled over HTTP unless that is allowed.
pub(super) fn check_task<S: Store>(app: &App<S>, task: &str) -> Result<(), Problem> {
    if task == "shell" && !app.allows_shell() {
        let rule = "jobs that run commands are not made over HTTP: see [http] allow_shell";
        return Err(Problem::field("task", rule));
    }
    Ok(())
}

/// What a list of jobs may be asked for.
pub(super) const LISTED: [&str; 9] = [
    "task", "queue", "tag", "state", "owner", "search", "sort", "limit", "cursor",
];

fn wanted(params: &Params) -> Result<JobQuery, Problem> {
    let standing = |text: &str| {
        let mut all = Standing::ALL.into_iter();
        all.find(|standing| standing.as_str() == text)
            .ok_or_else(|| {
                let rule = "is unknown: active, paused, parked or finished";
                Problem::field("state", format!("{text:?} {rule}"))
            })
    };
    let tags = params.all("tag").map(|tag| super::asked::name("tag", tag));
    Ok(JobQuery {
        tags: tags.collect::<Result<_, _>>()?,
        task: params.parsed("task")?,
        queue: params.parsed("queue")?,
        standing: params.text("state")?.map(standing).transpose()?,
        owner: params.text("owner")?.map(str::to_owned),
        text: params.text("search")?.map(str::to_owned),
        ..JobQuery::default()
    })
}

pub(super) async fn list<S: Store>(State(app): State<App<S>>, asked: Asked) -> Answer {
    let params = Params::read(asked, &LISTED)?;
    let query = wanted(&params)?;
    let limit = params.number("limit", PAGE)?;
    let order = match params.text("sort")? {
        None => None,
        Some("id") => Some(JobOrder::Id),
        Some("next") => Some(JobOrder::Next),
        Some(other) => {
            let rule = format!("{other:?} is unknown: id or next");
            return Err(Problem::field("sort", rule));
        }
    };
    let cursor = params.text("cursor")?;
    let jobs = app.jobs();
    let page = match order {
        None => jobs.page(&query, cursor, limit).await,
        Some(order) => {
            let query = JobQuery { order, ..query };
            jobs.sorted_page(&query, cursor, limit).await
        }
    };
    let asked_for = if cursor.is_some() { "cursor" } else { "sort" };
    let page = page.map_err(|error| Problem::of_position(asked_for, error))?;
    let page = JobsPage {
        items: page.jobs.iter().map(JobView::new).collect(),
        next: page.next,
        unreadable: unreadable(page.unreadable),
    };
    Ok(Json(page).into_response())
}

fn unreadable(found: Vec<(String, String)>) -> Vec<UnreadableView> {
    let found = found.into_iter();
    found.map(|(id, why)| UnreadableView { id, why }).collect()
}

pub(super) async fn get<S: Store>(State(app): State<App<S>>, path: Segment) -> Answer {
    let stored = found(&app, &job_id(path)?).await?;
    Ok(with_etag(StatusCode::OK, &stored))
}

pub(super) async fn in_flight<S: Store>(State(app): State<App<S>>, path: Segment) -> Answer {
    let id = job_id(path)?;
    let runs = app.jobs().in_flight(&id).await?;
    if runs.is_empty() {
        found(&app, &id).await?;
    }
    let items = runs.iter().map(RunningView::new).collect();
    Ok(Json(InFlight { items }).into_response())
}

/// The one job that a body describes, and what becomes of one that is there.
pub(super) fn described<S: Store>(app: &App<S>, body: &Value) -> Result<PutWish, Problem> {
    if !body.is_object() || body.get("jobs").is_some() {
        return Err(Problem::field("", "the body must be one job"));
    }
    let check = || {
        let document = JobDocument::of_value("body", body.clone())?;
        document.check(app.job_defaults())
    };
    let mut jobs = check().map_err(|error| Problem::from(error).with_values(body))?;
    let job = jobs
        .pop()
        .ok_or_else(|| Problem::field("", "the body must be one job"))?;
    check_task(app, job.job.task().as_str()).map_err(|problem| problem.with_values(body))?;
    Ok(wish(job))
}

/// A job as it is put: in place of another where it says so itself.
pub(super) fn wish(configured: ConfiguredJob) -> PutWish {
    PutWish {
        job: configured.job,
        on_conflict: match configured.replace_existing {
            Some(true) => OnConflict::Replace,
            Some(false) | None => OnConflict::Refuse,
        },
    }
}

pub(super) async fn create<S: Store>(
    State(app): State<App<S>>,
    key: Key,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let wish = described(&app, &json(body)?)?;
    put_new(&app, wish, key, &headers).await
}

/// Adds a job.
pub(super) async fn put_new<S: Store>(
    app: &App<S>,
    wish: PutWish,
    key: Key,
    headers: &HeaderMap,
) -> Answer {
    let id = wish.job.id().clone();
    let is_again = key.is_some_and(|key| key.is_again);
    let outcome = app.jobs().put(wish.job.clone(), wish.on_conflict).await?;
    if is_again && matches!(outcome, Put::Exists | Put::Over(_)) {
        // It was sent before, by whoever died then: perhaps all was done but answering.
        return match app.jobs().get(&id).await? {
            Some(stored) if stored.job == wish.job => Ok(added(&stored)),
            _ => Err(Problem::conflict(format!(
                "job {id:?} was added before, and has changed or is over"
            ))),
        };
    }
    match outcome {
        Put::Added | Put::Superseded(_) => {
            app.link_job(headers, &wish.job);
            Ok(added(&as_put(app, wish.job).await?))
        }
        Put::Replaced | Put::Unchanged => {
            Ok(with_etag(StatusCode::OK, &as_put(app, wish.job).await?))
        }
        Put::Ignored(by) => match app.jobs().get(&by).await? {
            Some(stored) => Ok(with_etag(StatusCode::OK, &stored)),
            None => Err(not_put(&id, &Put::KeyTaken(by))),
        },
        refused => Err(not_put(&id, &refused)),
    }
}

/// Why a job was not put.
fn not_put(id: &JobId, outcome: &Put) -> Problem {
    match Refusal::of_put(id.as_str(), outcome) {
        Some(refusal) => Problem::refused(refusal),
        None => Problem::conflict(format!("there is a job {:?} already", id.as_str())),
    }
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
    path: Segment,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let id = job_id(path)?;
    let mut body = json(body)?;
    if let Some(body) = body.as_object_mut() {
        body.entry("id").or_insert_with(|| Value::from(id.as_str()));
    }
    if body.get("replace_existing").is_some() {
        let rule =
            "is said by the method: PUT replaces, unless If-None-Match: * stands in the head";
        return Err(Problem::field("replace_existing", rule));
    }
    let job = described(&app, &body)?.job;
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
    let jobs = jobs_as_seen(&app, version);
    let status = match jobs.put(job.clone(), conflict).await? {
        Put::Added | Put::Superseded(_) => StatusCode::CREATED,
        Put::Ignored(by) => return Err(not_put(&id, &Put::KeyTaken(by))),
        Put::Replaced | Put::Unchanged | Put::Kept => StatusCode::OK,
        Put::Exists => {
            let detail = format!("there is a job {:?} already", id.as_str());
            let problem = Problem::new(StatusCode::PRECONDITION_FAILED, detail);
            return Err(problem.of_kind(RefusalKind::Exists));
        }
        Put::ChangedMeanwhile => {
            let detail = format!("job {:?} has changed meanwhile", id.as_str());
            let problem = Problem::new(StatusCode::PRECONDITION_FAILED, detail);
            return Err(problem.of_kind(RefusalKind::ChangedMeanwhile));
        }
        refused @ (Put::KeyTaken(_) | Put::Unreadable(_) | Put::Over(_)) => {
            return Err(not_put(&id, &refused));
        }
    };
    Ok(with_etag(status, &as_put(&app, job).await?))
}

pub(super) async fn modify<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let id = job_id(path)?;
    let body = json(body)?;
    if !body.is_object() {
        return Err(Problem::field("", "the body must be an object"));
    }
    let seen = expected(&headers)?;
    let patch = read_patch("body", body.clone())
        .map_err(|error| Problem::from(error).with_values(&body))?;
    let task = body.get("task").and_then(Value::as_str);
    let mut rounds = 0;
    let modified = loop {
        let stored = found(&app, &id).await?;
        // Of the job as it is checked here, and of no other.
        let version = seen.unwrap_or(stored.version);
        check_task(&app, task.unwrap_or(stored.job.task().as_str()))?;
        let jobs = jobs_as_seen(&app, Some(version));
        let modified = jobs.modify(&id, &patch, app.job_defaults()).await;
        rounds += 1;
        match modified {
            // Somebody else was quicker, which only matters to those who said what they had seen.
            Err(JobsError::ChangedMeanwhile { .. }) if seen.is_none() && rounds < MAX_ROUNDS => {}
            known => break known?,
        }
    };
    match modified {
        Modified::Done(_) | Modified::Unchanged(_) => {
            Ok(with_etag(StatusCode::OK, &found(&app, &id).await?))
        }
        Modified::NotFound => Err(Problem::no_such("job", id.as_str())),
        Modified::Refused(error) => Err(Problem::from(error).with_values(&body)),
    }
}

pub(super) async fn remove<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
    headers: HeaderMap,
) -> Answer {
    let id = job_id(path)?;
    match jobs_as_seen(&app, expected(&headers)?).remove(&id).await? {
        Removed::Done => Ok(StatusCode::NO_CONTENT.into_response()),
        Removed::NotFound => Err(Problem::no_such("job", id.as_str())),
    }
}

pub(super) async fn pause<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let id = job_id(path)?;
    let request: PauseRequest = typed_if_any(body)?;
    let until = request.until.as_deref().map(|text| {
        let until = read_moment("until", text, app.job_defaults().timezone);
        until
            .map(PauseEnd::Until)
            .map_err(|error| Problem::field(error.field, error.message))
    });
    let duration = request.duration.as_deref().map(|text| {
        let read = duration::parse(text).map(PauseEnd::For);
        read.map_err(|rule| Problem::field("for", rule))
    });
    if until.is_some() && duration.is_some() {
        return Err(Problem::field("for", "is not said together with until"));
    }
    let wish = PauseWish {
        end: until.or(duration).transpose()?,
        by: request.by,
        reason: request.reason,
    };
    let jobs = jobs_as_seen(&app, expected(&headers)?);
    let switched = jobs.pause_with(&id, &wish).await?;
    switched_job(&app, &id, switched).await
}

pub(super) async fn resume<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
    headers: HeaderMap,
) -> Answer {
    let id = job_id(path)?;
    let switched = jobs_as_seen(&app, expected(&headers)?).resume(&id).await?;
    switched_job(&app, &id, switched).await
}

async fn switched_job<S: Store>(app: &App<S>, id: &JobId, switched: Switched) -> Answer {
    match switched {
        Switched::Done | Switched::Already => Ok(with_etag(StatusCode::OK, &found(app, id).await?)),
        Switched::Ended => Err(Problem::field(
            "until",
            "has passed: the pause would be over",
        )),
        Switched::NotFound => Err(Problem::no_such("job", id.as_str())),
    }
}

pub(super) async fn run<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
    key: Key,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let id = job_id(path)?;
    let RunRequest { args } = typed_if_any(body)?;
    let jobs = jobs_as_seen(&app, expected(&headers)?);
    if let Some(args) = &args {
        check_args(&app, found(&app, &id).await?.job.task(), args)?;
    }
    let requested = match (key, args) {
        (Some(key), args) => {
            let name = (key.since, key.id());
            jobs.run_now_as(&id, args.as_ref(), name).await?
        }
        (None, None) => jobs.run_now(&id).await?,
        (None, Some(args)) => jobs.run_now_with(&id, &args).await?,
    };
    match requested {
        RunRequested::Made(run) => {
            app.link(&headers, &run);
            Ok(made(&run))
        }
        RunRequested::Full { in_flight } => {
            let detail = format!(
                "job {:?} has {in_flight} runs in flight, as many as it allows",
                id.as_str()
            );
            Err(Problem::conflict(detail).of_kind(RefusalKind::Full))
        }
        // No fire time was asked for.
        RunRequested::TooEarly => Err(Problem::conflict("the run would be too early")),
        RunRequested::NotFound => Err(Problem::no_such("job", id.as_str())),
    }
}

/// What a run may get in place of its job's args. Other args of a command are another command.
fn check_args<S: Store>(app: &App<S>, task: &TaskName, args: &Value) -> Result<(), Problem> {
    check_task(app, task.as_str())?;
    if !(args.is_null() || args.is_array() || args.is_object()) {
        return Err(Problem::field(
            "args",
            "is neither null nor a list nor an object",
        ));
    }
    let checked = builtin::check_args(task, args);
    checked.map_err(|error| Problem::field(join("args", &error.field), error.message))
}

fn made(run: &RunId) -> Response {
    let run = run.to_string();
    (StatusCode::ACCEPTED, Json(RunMade { run })).into_response()
}
