//! What may be asked about jobs.

use carillon::core::store::RunInFlight;
use carillon::core::{JobDefaults, JobId, JobPatch, JobSpec, StoredJob, Timestamp, Version};
use carillon::jobs::{
    Foreign, JobList, JobOrder, JobQuery, Manifest, Modified, PauseEnd, PauseWish, PutAll, PutWish,
    Removed, RunRequested, Switched, Unlisted,
};
use carillon::wire::{
    ApplyRequest, Explained, InFlight, JobView, JobsPage, PauseRequest, PlanView, RefusalKind,
    RunMade, Stats,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Answered, Api, encoded};
use super::{Office, as_seen, jobs_of, putting, told, views};
use crate::cli::failure::Failure;

/// How many jobs a page of the API has.
const PAGE: usize = 1_000;

/// A change of a job, decided on the version that was seen, if one was.
pub(in crate::cli) struct Patch<'a> {
    pub(in crate::cli) patch: &'a JobPatch,
    /// The same, as it was typed.
    pub(in crate::cli) typed: &'a Value,
    pub(in crate::cli) defaults: &'a JobDefaults,
}

fn path(id: &JobId, what: &str) -> String {
    format!("/jobs/{}{what}", encoded(id.as_str()))
}

impl Office {
    /// The store's clock.
    pub(in crate::cli) async fn now(&self) -> Result<Timestamp, Failure> {
        match self {
            Self::Store(store) => told(store, jobs_of(store).now().await),
            Self::Api(api) => {
                let stats: Stats = api.get("/stats", &[]).await?.done()?;
                views::instant(&stats.now)
            }
        }
    }

    /// The jobs that a query asks for.
    pub(in crate::cli) async fn search(&self, query: &JobQuery) -> Result<JobList, Failure> {
        match self {
            Self::Store(store) => told(store, jobs_of(store).search(query).await),
            Self::Api(api) => search(api, query).await,
        }
    }

    /// The job of this id.
    pub(in crate::cli) async fn job(&self, id: &JobId) -> Result<Option<StoredJob>, Failure> {
        match self {
            Self::Store(store) => told(store, jobs_of(store).get(id).await),
            Self::Api(api) => view(api, id).await?.as_ref().map(views::stored).transpose(),
        }
    }

    /// The runs of a job that are in flight.
    pub(in crate::cli) async fn in_flight(&self, id: &JobId) -> Result<Vec<RunInFlight>, Failure> {
        match self {
            Self::Store(store) => told(store, jobs_of(store).in_flight(id).await),
            Self::Api(api) => {
                let runs = api
                    .get::<InFlight>(&path(id, "/runs"), &[])
                    .await?
                    .found()?;
                let runs = runs.map(|runs| runs.items).unwrap_or_default();
                runs.iter().map(views::in_flight).collect()
            }
        }
    }

    /// Puts jobs: all or none, or those that can be put.
    pub(in crate::cli) async fn put(
        &self,
        wishes: &[PutWish],
        partial: bool,
        progress: impl FnMut(usize) + Send,
    ) -> Result<PutAll, Failure> {
        match self {
            Self::Store(store) => {
                let jobs = jobs_of(store);
                let put = if partial {
                    jobs.put_all_telling(wishes, progress)
                        .await
                        .map(PutAll::Done)
                } else {
                    jobs.put_all_or_none(wishes, progress).await
                };
                told(store, put)
            }
            Self::Api(api) => putting::put(api, wishes, partial).await,
        }
    }

    /// Changes some fields of a job.
    pub(in crate::cli) async fn modify(
        &self,
        id: &JobId,
        change: &Patch<'_>,
        expected: Option<Version>,
    ) -> Result<Modified, Failure> {
        match self {
            Self::Store(store) => told(
                store,
                as_seen(store, expected)
                    .modify(id, change.patch, change.defaults)
                    .await,
            ),
            Self::Api(api) => {
                let Some(before) = view(api, id).await? else {
                    return Ok(Modified::NotFound);
                };
                let path = path(id, "");
                let body = Some(change.typed);
                let version = expected.map(|version| version.0);
                match api.change(Method::PATCH, &path, body, version).await? {
                    Answered::NotFound(_) => Ok(Modified::NotFound),
                    Answered::Conflict(why) => {
                        Err(Failure::Refused(format!("job {:?}: {why}", id.as_str())))
                    }
                    Answered::Done(after) => {
                        let after: JobView = after;
                        let version = Version(after.version);
                        Ok(if after.version == before.version {
                            Modified::Unchanged(version)
                        } else {
                            Modified::Done(version)
                        })
                    }
                }
            }
        }
    }

    /// Pauses a job.
    pub(in crate::cli) async fn pause(
        &self,
        id: &JobId,
        wish: &PauseWish,
        expected: Option<Version>,
    ) -> Result<Switched, Failure> {
        match self {
            Self::Store(store) => told(store, as_seen(store, expected).pause_with(id, wish).await),
            Self::Api(api) => {
                let request = PauseRequest {
                    by: wish.by.clone(),
                    reason: wish.reason.clone(),
                    until: match wish.end {
                        Some(PauseEnd::Until(until)) => Some(until.to_string()),
                        _ => None,
                    },
                    duration: match wish.end {
                        Some(PauseEnd::For(time)) => {
                            Some(humantime::format_duration(time).to_string())
                        }
                        _ => None,
                    },
                };
                switch(api, id, "/pause", Some(json!(request)), expected).await
            }
        }
    }

    /// Resumes a job.
    pub(in crate::cli) async fn resume(
        &self,
        id: &JobId,
        expected: Option<Version>,
    ) -> Result<Switched, Failure> {
        match self {
            Self::Store(store) => told(store, as_seen(store, expected).resume(id).await),
            Self::Api(api) => switch(api, id, "/resume", None, expected).await,
        }
    }

    /// Removes a job.
    pub(in crate::cli) async fn remove(
        &self,
        id: &JobId,
        expected: Option<Version>,
    ) -> Result<Removed, Failure> {
        match self {
            Self::Store(store) => told(store, as_seen(store, expected).remove(id).await),
            Self::Api(api) => {
                let version = expected.map(|version| version.0);
                let path = path(id, "");
                let gone = api.change::<Value>(Method::DELETE, &path, None, version);
                Ok(match gone.await?.found()? {
                    Some(_) => Removed::Done,
                    None => Removed::NotFound,
                })
            }
        }
    }

    /// Makes a run of a job now, with other args where some are given.
    pub(in crate::cli) async fn run_now(
        &self,
        id: &JobId,
        args: Option<&Value>,
        expected: Option<Version>,
    ) -> Result<RunRequested, Failure> {
        match self {
            Self::Store(store) => {
                let jobs = as_seen(store, expected);
                let asked = match args {
                    Some(args) => jobs.run_now_with(id, args).await,
                    None => jobs.run_now(id).await,
                };
                told(store, asked)
            }
            Self::Api(api) => {
                let body = args.map(|args| json!({ "args": args }));
                let version = expected.map(|version| version.0);
                let path = path(id, "/run");
                match api
                    .change(Method::POST, &path, body.as_ref(), version)
                    .await?
                {
                    Answered::Done(made) => made_run(&made),
                    Answered::NotFound(_) => Ok(RunRequested::NotFound),
                    Answered::Conflict(why) => match view(api, id).await? {
                        Some(job) if why.kind == Some(RefusalKind::Full) => {
                            Ok(RunRequested::Full {
                                in_flight: job.running,
                            })
                        }
                        _ => Err(Failure::Refused(why.to_string())),
                    },
                }
            }
        }
    }

    /// What became of a fire time.
    pub(in crate::cli) async fn explain(
        &self,
        id: &JobId,
        asked: Option<(carillon::jobs::Asked, &str)>,
        zone: chrono_tz::Tz,
    ) -> Result<Explained, Failure> {
        match self {
            Self::Store(store) => {
                let asked = asked.map(|(asked, _)| asked);
                told(store, jobs_of(store).explain(id, asked, zone).await)
            }
            Self::Api(api) => {
                let query = asked.map(|(_, text)| ("at", text.to_owned()));
                let query = Vec::from_iter(query);
                api.get(&path(id, "/explain"), &query).await?.done()
            }
        }
    }

    /// Makes the store equal to what is declared, or tells what that would change.
    pub(in crate::cli) async fn apply(
        &self,
        manifest: &Manifest,
        dry_run: bool,
    ) -> Result<PlanView, Failure> {
        match self {
            Self::Store(store) => {
                let jobs = jobs_of(store);
                let plan = told(store, jobs.plan(manifest).await)?;
                if dry_run || plan.is_refused() {
                    return Ok(PlanView::new(&plan, None));
                }
                let applied = told(store, jobs.apply(&plan).await)?;
                Ok(PlanView::new(&plan, Some(&applied)))
            }
            Self::Api(api) => {
                let jobs = manifest.jobs.iter().map(|job| json!(JobSpec::from(job)));
                let request = ApplyRequest {
                    owner: manifest.owner.clone(),
                    jobs: jobs.collect(),
                    prune: manifest.unlisted == Unlisted::Prune,
                    adopt: manifest.foreign == Foreign::Adopt,
                    dry_run,
                };
                let body = json!(request);
                api.change(Method::POST, "/apply", Some(&body), None)
                    .await?
                    .done()
            }
        }
    }
}

/// The job as the API shows it.
async fn view(api: &Api, id: &JobId) -> Result<Option<JobView>, Failure> {
    api.get(&path(id, ""), &[]).await?.found()
}

fn made_run(made: &RunMade) -> Result<RunRequested, Failure> {
    let run = made.run.parse();
    run.map(RunRequested::Made)
        .map_err(|_| Failure::Refused(format!("{:?} is no run", made.run)))
}

async fn search(api: &Api, query: &JobQuery) -> Result<JobList, Failure> {
    let order = match query.order {
        JobOrder::Id => "id",
        JobOrder::Next => "next",
    };
    let mut asked = vec![("sort", order.to_owned())];
    asked.extend(query.tags.iter().map(|tag| ("tag", tag.to_string())));
    let fields = [
        ("task", query.task.as_ref().map(ToString::to_string)),
        ("queue", query.queue.as_ref().map(ToString::to_string)),
        (
            "state",
            query.standing.map(|standing| standing.as_str().to_owned()),
        ),
        ("owner", query.owner.clone()),
        ("search", query.text.clone()),
    ];
    asked.extend(
        fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let most = query.limit.unwrap_or(usize::MAX);
    let mut list = JobList::default();
    let mut cursor: Option<String> = None;
    while list.jobs.len() < most {
        let mut asked = asked.clone();
        asked.push(("limit", PAGE.min(most - list.jobs.len()).to_string()));
        asked.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let page: JobsPage = api.get("/jobs", &asked).await?.done()?;
        for view in &page.items {
            list.jobs.push(views::stored(view)?);
        }
        for unreadable in page.unreadable {
            let told = (unreadable.id, unreadable.why);
            if !list.unreadable.contains(&told) {
                list.unreadable.push(told);
            }
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    Ok(list)
}

async fn switch(
    api: &Api,
    id: &JobId,
    what: &str,
    body: Option<Value>,
    expected: Option<Version>,
) -> Result<Switched, Failure> {
    let Some(before) = view(api, id).await? else {
        return Ok(Switched::NotFound);
    };
    let version = expected.map(|version| version.0);
    let path = path(id, what);
    let switched = api.change::<JobView>(Method::POST, &path, body.as_ref(), version);
    Ok(match switched.await?.found()? {
        Some(after) if after.version == before.version => Switched::Already,
        Some(_) => Switched::Done,
        None => Switched::NotFound,
    })
}
