//! Many jobs at once: all or none, as code, and as lines that were exported.

use std::collections::HashSet;

use axum::Json;
use axum::body::Body as Answered;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use scheduler_core::change::Saved;
use scheduler_core::{JobId, Store};
use serde_json::{Value, json};

use super::asked::{Asked, Body, Params, bytes, typed};
use super::jobs::{Key, check_task, wish};
use super::problem::{FieldProblem, Problem};
use crate::config::{ConfiguredJob, JobDocument};
use crate::http::app::App;
use crate::jobs::{
    Foreign, JobQuery, Jobs, JobsError, Manifest, OnConflict, Page, Put, PutAll, PutWish, SavedJob,
    Unlisted,
};
use crate::wire::{
    self, ApplyRequest, BecameView, BulkDone, Counts, ImportDone, ItemRefused, PlanView, Refusal,
};

/// How many jobs one request may hold.
const MOST: usize = 10_000;

/// How many jobs an export reads in one step.
const STEP: usize = 500;

/// How many refused jobs are told one by one.
const MOST_TOLD: usize = 100;

const LINES: &str = "application/x-ndjson";

/// The jobs of a list, checked.
fn checked<S: Store>(app: &App<S>, jobs: Vec<Value>) -> Result<Vec<ConfiguredJob>, Problem> {
    if jobs.len() > MOST {
        let rule = format!("{} are too many: at most {MOST}", jobs.len());
        return Err(Problem::field("jobs", rule));
    }
    let body = Value::Object(
        [("jobs".to_owned(), Value::Array(jobs))]
            .into_iter()
            .collect(),
    );
    let check = || JobDocument::of_value("body", body.clone())?.check(app.job_defaults());
    let jobs = check().map_err(|error| Problem::from(error).with_values(&body))?;
    for (index, configured) in jobs.iter().enumerate() {
        let task = configured.job.task().as_str();
        let within = |problem: Problem| problem.within(&format!("jobs[{index}]"));
        check_task(app, task).map_err(|problem| within(problem).with_values(&body))?;
    }
    Ok(jobs)
}

/// Adds many jobs: all, or none where any would be refused.
pub(super) async fn create<S: Store>(
    State(app): State<App<S>>,
    asked: Asked,
    key: Key,
    body: Body,
) -> Result<Response, Problem> {
    let params = Params::read(asked, &["replace", "partial"])?;
    let (replace, partial) = (params.flag("replace")?, params.flag("partial")?);
    let wire::Jobs { jobs } = typed(body)?;
    let mut wishes: Vec<PutWish> = checked(&app, jobs)?.into_iter().map(wish).collect();
    if replace {
        for wish in &mut wishes {
            wish.on_conflict = OnConflict::Replace;
        }
    }
    if key.is_some_and(|key| key.is_again) {
        // It was sent before, by whoever died then: what was added stays, and the rest is.
        for wish in &mut wishes {
            let stored = app.jobs().get(wish.job.id()).await?;
            if stored.is_some_and(|stored| stored.job == wish.job) {
                wish.on_conflict = OnConflict::Keep;
            }
        }
    }
    let outcomes = if partial {
        app.jobs().put_all(&wishes).await?
    } else {
        match app.jobs().put_all_or_none(&wishes, |_| ()).await? {
            PutAll::Done(outcomes) => outcomes,
            PutAll::Refused(refused) => return Err(none_put(&wishes, &refused)),
        }
    };
    let (mut counts, mut refused) = (Counts::default(), Vec::new());
    let mut jobs = Vec::with_capacity(wishes.len());
    for (index, (wish, outcome)) in wishes.iter().zip(&outcomes).enumerate() {
        let id = wish.job.id().as_str();
        jobs.push(BecameView::new(id, outcome));
        if let Some(refusal) = counts.count_put(id, outcome) {
            let id = id.to_owned();
            refused.push(ItemRefused { index, id, refusal });
        }
    }
    Ok((
        StatusCode::OK,
        Json(BulkDone {
            counts,
            refused,
            jobs,
        }),
    )
        .into_response())
}

/// Why none of several jobs was put.
fn none_put(wishes: &[PutWish], refused: &[(usize, Put)]) -> Problem {
    let told = refused
        .iter()
        .take(MOST_TOLD)
        .filter_map(|(index, outcome)| {
            let refusal = Refusal::of_put(wishes[*index].job.id().as_str(), outcome)?;
            Some(FieldProblem::refused(format!("jobs[{index}]"), refusal))
        });
    let errors = told.collect();
    let detail = format!(
        "{} of {} jobs would be refused, and none was added",
        refused.len(),
        wishes.len()
    );
    Problem::new(StatusCode::CONFLICT, detail).with_errors(errors)
}

/// Makes the store equal to what is declared, or tells what that would change.
pub(super) async fn apply<S: Store>(
    State(app): State<App<S>>,
    body: Body,
) -> Result<Json<PlanView>, Problem> {
    let asked: ApplyRequest = typed(body)?;
    if asked.owner.trim().is_empty() {
        return Err(Problem::field("owner", "must be a name"));
    }
    let jobs = checked(&app, asked.jobs)?;
    let manifest = Manifest {
        owner: asked.owner,
        jobs: jobs.into_iter().map(|configured| configured.job).collect(),
        unlisted: if asked.prune {
            Unlisted::Prune
        } else {
            Unlisted::Keep
        },
        foreign: if asked.adopt {
            Foreign::Adopt
        } else {
            Foreign::Refuse
        },
    };
    let jobs = app.jobs();
    let plan = jobs.plan(&manifest).await?;
    if asked.dry_run || plan.is_refused() {
        return Ok(Json(PlanView::new(&plan, None)));
    }
    let applied = jobs.apply(&plan).await?;
    Ok(Json(PlanView::new(&plan, Some(&applied))))
}

/// All jobs, one a line, as they are read.
pub(super) async fn export<S: Store>(State(app): State<App<S>>) -> Result<Response, Problem> {
    let jobs = app.jobs();
    // Before anything is answered: whether the store is there.
    let query = JobQuery::default();
    let first = jobs.page(&query, None, STEP).await?;
    let walk = Walk {
        jobs,
        page: Some(first),
        seen: HashSet::new(),
    };
    let lines = stream::try_unfold(walk, |mut walk| async move {
        let lines = walk.next().await?;
        Ok::<_, JobsError>(lines.map(|lines| (lines, walk)))
    });
    let body = Answered::from_stream(lines);
    Ok(([(CONTENT_TYPE, LINES)], body).into_response())
}

/// An export on its way.
struct Walk<S> {
    jobs: Jobs<S>,
    page: Option<Page>,
    /// What was written: a page may show again what an earlier one showed.
    seen: HashSet<String>,
}

impl<S: Store> Walk<S> {
    /// The lines of the next page.
    async fn next(&mut self) -> Result<Option<String>, JobsError> {
        let Some(page) = self.page.take() else {
            return Ok(None);
        };
        let mut lines = String::new();
        for stored in &page.jobs {
            if self.seen.insert(stored.job.id().to_string()) {
                let line = serde_json::to_string(&SavedJob::from(stored));
                lines.push_str(&line.unwrap_or_default());
                lines.push('\n');
            }
        }
        for (id, why) in page.unreadable {
            if self.seen.insert(id.clone()) {
                // An import refuses this line: nothing is left out in silence.
                let line = json!({ "unreadable": { "id": id, "why": why } });
                lines.push_str(&line.to_string());
                lines.push('\n');
            }
        }
        if let Some(next) = &page.next {
            let query = JobQuery::default();
            self.page = Some(self.jobs.page(&query, Some(next), STEP).await?);
        }
        Ok(Some(lines))
    }
}

/// Brings back jobs that were exported.
pub(super) async fn import<S: Store>(
    State(app): State<App<S>>,
    asked: Asked,
    body: Body,
) -> Result<Json<ImportDone>, Problem> {
    let params = Params::read(asked, &["on_conflict", "dry_run"])?;
    let on_conflict = match params.text("on_conflict")? {
        None | Some("refuse") => OnConflict::Refuse,
        Some("keep") => OnConflict::Keep,
        Some("replace") => OnConflict::Replace,
        Some(other) => {
            let rule = format!("{other:?} is unknown: refuse, keep or replace");
            return Err(Problem::field("on_conflict", rule));
        }
    };
    let dry_run = params.flag("dry_run")?;
    let saved = saved(&app, &bytes(body)?)?;
    let outcomes = if dry_run {
        app.jobs().foresee_restore(&saved, on_conflict).await?
    } else {
        app.jobs().restore_all(&saved, on_conflict, |_| ()).await?
    };
    let (mut counts, mut refused) = (Counts::default(), Vec::new());
    for (index, (saved, outcome)) in saved.iter().zip(&outcomes).enumerate() {
        let id = saved.job.id().as_str();
        if let Some(refusal) = counts.count_restored(id, outcome) {
            let id = id.to_owned();
            refused.push(ItemRefused { index, id, refusal });
        }
    }
    Ok(Json(ImportDone {
        counts,
        refused,
        dry_run,
    }))
}

/// The jobs of an export; a line that breaks a rule keeps all of them from being imported.
fn saved<S: Store>(app: &App<S>, body: &[u8]) -> Result<Vec<Saved>, Problem> {
    let wrong = |index: usize, field: &str, why: String| {
        let field = crate::mistake::join(&format!("[{index}]"), field);
        Problem::field(field, why)
    };
    let text = std::str::from_utf8(body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("the body: {error}")))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let (mut all, mut seen) = (Vec::new(), HashSet::new());
    for (index, line) in lines.enumerate() {
        if index == MOST {
            return Err(Problem::field(
                "",
                format!("more than {MOST} lines are too many"),
            ));
        }
        let read: SavedJob = serde_json::from_str(line)
            .map_err(|error| wrong(index, "", format!("no line of an export: {error}")))?;
        let saved = read
            .resolve()
            .map_err(|error| wrong(index, &error.field, error.message))?;
        check_task(app, saved.job.task().as_str())
            .map_err(|problem| problem.within(&format!("[{index}].job")))?;
        let id: JobId = saved.job.id().clone();
        if !seen.insert(id.clone()) {
            return Err(wrong(
                index,
                "job.id",
                format!("{:?} is there twice", id.as_str()),
            ));
        }
        all.push(saved);
    }
    Ok(all)
}
