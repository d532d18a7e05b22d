//! What a job did, and what it will do.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono_tz::Tz;
use scheduler_core::trigger::{Trigger, TriggerSpec, read_moment};
use scheduler_core::{JobSpec, Store, Timestamp, duration};
use serde_json::Value;

use super::asked::{Asked, Body, Params, Segment, instant, job_id, json, name, typed, within};
use super::jobs::{Key, described, found, put_new};
use super::problem::Problem;
use crate::http::app::App;
use crate::jobs::{BackfillPlan, BackfillWish, RunRequested, fitting, new_id_beside};
use crate::preview::{Schedule, Stretch, begin};
use crate::wire::{
    Backfill, Backfilled, Explained, JobChecked, MadeUp, PreviewView, TriggerRequest,
};

/// How many fire times are shown, and how many may be.
const COUNT: (usize, usize) = (5, 1000);

/// How many fire times of a stretch are counted at most where they have to be walked.
const COUNTED: u64 = 1_000_000;

/// How many fire times are made up for, and how many may be.
const MADE_UP: (usize, usize) = (1_000, 10_000);

/// How many runs one request makes.
const MADE_AT_ONCE: usize = 500;

pub(super) async fn explain<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
    asked: Asked,
) -> Result<Json<Explained>, Problem> {
    let id = job_id(path)?;
    let at = Params::read(asked, &["at"])?.parsed("at")?;
    let zone = app.job_defaults().timezone;
    Ok(Json(app.jobs().explain(&id, at, zone).await?))
}

/// The next fire times of a trigger.
fn upcoming(
    trigger: &Trigger,
    from: Timestamp,
    to: Option<Timestamp>,
    count: usize,
) -> PreviewView {
    let most = u32::try_from(count).unwrap_or(u32::MAX);
    let schedule = Schedule::walk(trigger, Stretch { from, to }, most, COUNTED);
    PreviewView::new(trigger, &schedule)
}

/// When a stored job runs next.
pub(super) async fn preview_job<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
    asked: Asked,
) -> Result<Json<PreviewView>, Problem> {
    let id = job_id(path)?;
    let params = Params::read(asked, &["count", "from"])?;
    let count = params.number("count", COUNT)?;
    let stored = found(&app, &id).await?;
    let from = match params.instant("from")? {
        Some(from) => from,
        None => app.jobs().now().await?,
    };
    let trigger = stored.job.trigger();
    let anchor = stored.next_fire.filter(|next| *next >= from);
    let from = match anchor {
        // An interval goes on from there.
        Some(next) if begin(trigger, from) == Some(next) => from,
        Some(next) => next,
        None => from,
    };
    Ok(Json(upcoming(trigger, from, None, count)))
}

/// Checks a job as it would be added, and says when it would run.
pub(super) async fn preview_new<S: Store>(
    State(app): State<App<S>>,
    body: Body,
) -> Result<Json<JobChecked>, Problem> {
    let job = described(&app, &json(body)?)?.job;
    let now = app.jobs().now().await?;
    Ok(Json(JobChecked {
        job: serde_json::to_value(JobSpec::from(&job)).unwrap_or_default(),
        preview: upcoming(job.trigger(), now, None, COUNT.0),
    }))
}

/// Says what a trigger is, or what is wrong with it, and when it fires.
pub(super) async fn preview_trigger<S: Store>(
    State(app): State<App<S>>,
    body: Body,
) -> Result<Json<PreviewView>, Problem> {
    let asked: TriggerRequest = typed(body)?;
    let trigger = trigger(&asked, app.job_defaults().timezone)?;
    let zone = trigger.timezone();
    let moment = |field: &str, text: &str| {
        let read = read_moment(field, text, zone);
        read.map_err(|error| Problem::field(error.field, error.message))
    };
    let (from, to) = match (&asked.between, &asked.now) {
        (Some(_), Some(_)) => {
            return Err(Problem::field("now", "is not said together with between"));
        }
        (Some(between), None) => {
            let from = moment("between.from", &between.from)?;
            let to = moment("between.to", &between.to)?;
            if to < from {
                return Err(Problem::field(
                    "between.to",
                    format!("{to} lies before {from}"),
                ));
            }
            (from, Some(to))
        }
        (None, Some(now)) => (moment("now", now)?, None),
        (None, None) => (app.jobs().now().await?, None),
    };
    let count = match asked.count {
        None => COUNT.0,
        Some(count) => within("count", &count.to_string(), Some(count), COUNT.1)?,
    };
    // Walking takes the processor, not the store.
    let walked = tokio::task::spawn_blocking(move || upcoming(&trigger, from, to, count)).await;
    let walked = walked
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the walk was broken off"))?;
    Ok(Json(walked))
}

fn trigger(asked: &TriggerRequest, default: Tz) -> Result<Trigger, Problem> {
    let zone = match &asked.timezone {
        None => default,
        Some(name) => name
            .parse()
            .map_err(|_| Problem::field("timezone", format!("{name:?} is no time zone")))?,
    };
    let spec = match &asked.trigger {
        Value::String(text) => TriggerSpec::from_text(text)?,
        other => TriggerSpec::from_value(other.clone())?,
    };
    Ok(spec.resolve(zone)?)
}

/// Makes runs for fire times of the past, as long as the job has room for them.
pub(super) async fn backfill<S: Store>(
    State(app): State<App<S>>,
    path: Segment,
    body: Body,
) -> Result<Json<Backfilled>, Problem> {
    let asked: Backfill = typed(body)?;
    let wish = wish(job_id(path)?, &asked)?;
    let jobs = app.jobs();
    let (fires, left) = match jobs.plan_backfill(&wish).await? {
        BackfillPlan::Fires(fires, left) => (fires, left),
        BackfillPlan::NotFound => return Err(Problem::no_such("job", wish.job.as_str())),
        BackfillPlan::InFuture => {
            let rule = format!("{} lies in the future: its time will come", wish.to);
            return Err(Problem::field("to", rule));
        }
    };
    let mut items = Vec::new();
    for fire in &fires {
        let run = if asked.dry_run {
            None
        } else if items.len() == MADE_AT_ONCE {
            break;
        } else {
            match jobs
                .make_up_for(&wish.job, *fire, wish.queue.as_ref())
                .await?
            {
                RunRequested::Made(run) => Some(run.to_string()),
                RunRequested::Full { .. } => break,
                RunRequested::NotFound => {
                    return Err(Problem::no_such("job", wish.job.as_str()));
                }
                RunRequested::TooEarly => {
                    return Err(Problem::field("from", "lies before 1970"));
                }
            }
        };
        items.push(MadeUp {
            fire_time: fire.to_string(),
            run,
        });
    }
    let next = fires.get(items.len()).copied().or(left);
    Ok(Json(Backfilled {
        waiting: fires.len() - items.len(),
        next: next.map(|at| at.to_string()),
        items,
    }))
}

fn wish(job: scheduler_core::JobId, asked: &Backfill) -> Result<BackfillWish, Problem> {
    let (from, to) = (instant("from", &asked.from)?, instant("to", &asked.to)?);
    if to < from {
        return Err(Problem::field(
            "to",
            format!("{to} lies before from, {from}"),
        ));
    }
    if from < Timestamp::EPOCH {
        return Err(Problem::field("from", format!("{from} lies before 1970")));
    }
    let max = asked.max.unwrap_or(MADE_UP.0);
    let queue = asked.queue.as_deref().map(|text| name("queue", text));
    Ok(BackfillWish {
        job,
        from,
        to,
        max: within("max", &max.to_string(), Some(max), MADE_UP.1)?,
        queue: queue.transpose()?,
    })
}

/// Adds a job that runs once, under an id that is made for it.
pub(super) async fn once<S: Store>(
    State(app): State<App<S>>,
    key: Key,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let mut body = json(body)?;
    let now = match &key {
        Some(key) => key.since,
        None => app.jobs().now().await?,
    };
    let fields = body
        .as_object_mut()
        .ok_or_else(|| Problem::field("", "the body must be an object"))?;
    for field in ["id", "trigger", "after"] {
        if fields.contains_key(field) {
            return Err(Problem::field(field, "is not for a job that runs once"));
        }
    }
    let text = |field: &str, value: Option<Value>| match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::field(field, "must be text")),
    };
    let at = text("at", fields.remove("at"))?;
    let delay = text("delay", fields.remove("delay"))?;
    let at = match (at, delay) {
        (Some(_), Some(_)) => return Err(Problem::field("delay", "is not said together with at")),
        (Some(at), None) => read_moment("at", &at, app.job_defaults().timezone)
            .map_err(|error| Problem::field(error.field, error.message))?,
        (None, Some(delay)) => {
            let delay = duration::parse(&delay).map_err(|rule| Problem::field("delay", rule))?;
            now.after(delay)
        }
        (None, None) => now,
    };
    let task = fields.get("task").and_then(Value::as_str).unwrap_or("job");
    // Where that is not settled by the client's key, it is beside its unique key.
    let unique = fields.get("unique").and_then(|unique| unique.get("key"));
    let unique = unique.and_then(Value::as_str);
    let shards = app.store().shard_count();
    let id = match &key {
        Some(key) => {
            let id = format!("{task}-{}", key.id());
            let more = (1..).map(|number| format!("{id}-{number}"));
            fitting(shards, unique, std::iter::once(id.clone()).chain(more)).unwrap_or(id)
        }
        None => new_id_beside(shards, unique, task, now),
    };
    fields.insert("id".to_owned(), id.into());
    let date = serde_json::json!({"type": "date", "run_date": at.to_string()});
    fields.insert("trigger".to_owned(), date);
    let wish = described(&app, &body)?;
    put_new(&app, wish, key, &headers).await
}
