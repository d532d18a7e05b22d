//! What may be asked about runs, and what became of them.

use carillon::core::audit::AuditQuery;
use carillon::core::history::Record;
use carillon::core::store::{CancelAnswer, FailedQuery, HistoryPage, HistoryQuery};
use carillon::core::{JobId, RunId, Store as _};
use carillon::jobs::RunReport;
use carillon::wire::{
    CancelRequest, Cancelled, Chosen, DeedView, DeedsPage, FailedPage, PurgeDone, ReportView,
    RerunDone, RerunView, RunsPage,
};
use reqwest::Method;
use serde_json::json;

use super::client::{Answered, Api, encoded};
use super::{Office, jobs_of, read, told, views};
use crate::cli::failure::Failure;
use crate::cli::store::RedisShards;

/// How many records a page of the API has.
const PAGE: usize = 1_000;

/// How many failed runs are read at once.
const FAILED: usize = 500;

/// How many records of its job are looked through for those of one run.
const LOOKED_THROUGH: usize = 10_000;

/// Which failed runs a command is about.
pub(in crate::cli) enum Choice {
    Runs(Vec<RunId>),
    Job(JobId),
    All,
}

impl Office {
    /// A page of history.
    pub(in crate::cli) async fn history(
        &self,
        query: &HistoryQuery,
    ) -> Result<HistoryPage, Failure> {
        match self {
            Self::Store(store) => read(store, store.history(query).await),
            Self::Api(api) => history(api, query).await,
        }
    }

    /// All that is known about a run.
    pub(in crate::cli) async fn report(&self, run: &RunId) -> Result<RunReport, Failure> {
        match self {
            Self::Store(store) => told(store, jobs_of(store).report(run).await),
            Self::Api(api) => self.remote_report(api, run).await,
        }
    }

    async fn remote_report(&self, api: &Api, run: &RunId) -> Result<RunReport, Failure> {
        let mut report = RunReport {
            run: run.clone(),
            place: None,
            records: Vec::new(),
            notes: Vec::new(),
            now: self.now().await?,
        };
        let path = format!("/runs/{}", encoded(&run.to_string()));
        match api.get::<ReportView>(&path, &[]).await? {
            Answered::Done(view) => {
                (report.place, report.notes) = views::report(run, &view)?;
                let recorded = view.attempts.iter().filter(|told| told.outcome.is_some());
                report.records = records(api, run, recorded.count()).await?;
                Ok(report)
            }
            Answered::NotFound(_) => Ok(report),
            Answered::Conflict(why) => Err(Failure::Refused(why.to_string())),
        }
    }

    /// Cancels a run.
    pub(in crate::cli) async fn cancel(
        &self,
        run: &RunId,
        by: Option<&str>,
        why: Option<&str>,
    ) -> Result<CancelAnswer, Failure> {
        match self {
            Self::Store(store) => told(store, jobs_of(store).cancel(run, by, why).await),
            Self::Api(api) => {
                let path = format!("/runs/{}/cancel", encoded(&run.to_string()));
                let body = json!(CancelRequest {
                    by: by.map(str::to_owned),
                    why: why.map(str::to_owned),
                });
                let answer = api.change::<Cancelled>(Method::POST, &path, Some(&body), None);
                Ok(match answer.await? {
                    Answered::Done(Cancelled { ended: true, .. }) => CancelAnswer::Ended,
                    Answered::Done(_) => CancelAnswer::Marked,
                    Answered::NotFound(_) | Answered::Conflict(_) => CancelAnswer::NotInFlight,
                })
            }
        }
    }

    /// A page of failed runs.
    pub(in crate::cli) async fn failed_runs(
        &self,
        job: Option<&JobId>,
        limit: usize,
    ) -> Result<FailedPage, Failure> {
        match self {
            Self::Store(store) => {
                let query = FailedQuery {
                    job: job.cloned(),
                    after: None,
                    limit,
                };
                let page = told(store, jobs_of(store).failed(&query).await)?;
                Ok(FailedPage {
                    items: page
                        .runs
                        .iter()
                        .map(carillon::wire::FailedView::new)
                        .collect(),
                    next: page.next,
                })
            }
            Self::Api(api) => failed_runs(api, job, limit).await,
        }
    }

    /// Runs failed runs again; tells what became of each.
    pub(in crate::cli) async fn rerun(&self, choice: &Choice) -> Result<Vec<RerunView>, Failure> {
        match self {
            Self::Store(store) => {
                let (found, missing) = chosen(store, choice).await?;
                let outcomes = told(store, jobs_of(store).run_again(&found).await)?;
                let became = found.iter().zip(&outcomes);
                let became = became
                    .map(|(failed, became)| RerunView::new(failed.record.run.to_string(), became));
                let missing = missing.iter().map(|run| {
                    RerunView::new(run.to_string(), &carillon::jobs::RunAgain::NotFound)
                });
                Ok(became.chain(missing).collect())
            }
            Self::Api(api) => {
                let (mut items, mut request) = (Vec::new(), request(choice));
                loop {
                    let body = json!(request);
                    let done = api.change(Method::POST, "/failed/rerun", Some(&body), None);
                    let done: RerunDone = done.await?.done()?;
                    items.extend(done.items);
                    match done.next {
                        Some(next) => request.after = Some(next),
                        None => return Ok(items),
                    }
                }
            }
        }
    }

    /// Forgets failed runs: how many, and which were none.
    pub(in crate::cli) async fn purge(&self, choice: &Choice) -> Result<PurgeDone, Failure> {
        match self {
            Self::Store(store) => {
                let (found, missing) = chosen(store, choice).await?;
                let runs = found.iter().map(|failed| failed.record.run.clone());
                let runs: Vec<_> = runs.collect();
                told(store, jobs_of(store).purge(&runs).await)?;
                Ok(PurgeDone {
                    purged: runs.len(),
                    missing: missing.iter().map(ToString::to_string).collect(),
                    next: None,
                })
            }
            Self::Api(api) => {
                let mut request = request(choice);
                let mut all = PurgeDone {
                    purged: 0,
                    missing: Vec::new(),
                    next: None,
                };
                loop {
                    let body = json!(request);
                    let done = api.change(Method::POST, "/failed/purge", Some(&body), None);
                    let done: PurgeDone = done.await?.done()?;
                    all.purged += done.purged;
                    all.missing.extend(done.missing);
                    match done.next {
                        Some(next) => request.after = Some(next),
                        None => return Ok(all),
                    }
                }
            }
        }
    }

    /// A page of who changed what.
    pub(in crate::cli) async fn audited(&self, query: &AuditQuery) -> Result<DeedsPage, Failure> {
        match self {
            Self::Store(store) => {
                let page = read(store, store.audited(query).await)?;
                Ok(DeedsPage {
                    items: page.entries.into_iter().map(DeedView::from).collect(),
                    next: page.older,
                })
            }
            Self::Api(api) => {
                let mut asked = vec![("limit", query.limit.min(PAGE).to_string())];
                let fields = [
                    ("by", &query.by),
                    ("object", &query.object),
                    ("before", &query.before),
                ];
                let said = fields.into_iter();
                asked.extend(said.filter_map(|(name, value)| Some((name, value.clone()?))));
                api.get("/audit", &asked).await?.done()
            }
        }
    }
}

async fn history(api: &Api, query: &HistoryQuery) -> Result<HistoryPage, Failure> {
    let mut asked = vec![("limit", query.limit.min(PAGE).to_string())];
    let fields = [
        ("job", query.job.as_ref().map(ToString::to_string)),
        ("outcome", query.outcome.as_ref().map(ToString::to_string)),
        ("node", query.node.clone()),
        ("since", query.since.map(|at| at.to_string())),
        ("until", query.until.map(|at| at.to_string())),
        ("before", query.before.clone()),
        ("after", query.after.clone()),
    ];
    asked.extend(
        fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let page: RunsPage = api.get("/runs", &asked).await?.done()?;
    let entries = page.items.into_iter().map(views::entry);
    Ok(HistoryPage {
        entries: entries.collect::<Result<_, _>>()?,
        position: page.position,
        older: page.next,
        // Said by the store alone; nobody shows it.
        cut: None,
    })
}

/// What history says of a run's attempts: so many records, the first first.
async fn records(
    api: &Api,
    run: &RunId,
    count: usize,
) -> Result<
    Vec<(
        carillon::core::Timestamp,
        carillon::core::history::RunRecord,
    )>,
    Failure,
> {
    let mut query = HistoryQuery {
        job: Some(run.job.clone()),
        limit: PAGE,
        ..HistoryQuery::default()
    };
    let (mut found, mut seen) = (Vec::new(), 0);
    while found.len() < count && seen < LOOKED_THROUGH {
        let page = history(api, &query).await?;
        seen += page.entries.len().max(1);
        found.extend(
            page.entries
                .into_iter()
                .filter_map(|entry| match entry.record {
                    Record::Run(record) if record.run == *run => Some((entry.at, record)),
                    _ => None,
                }),
        );
        query.before = page.older;
        if query.before.is_none() {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

async fn failed_runs(api: &Api, job: Option<&JobId>, limit: usize) -> Result<FailedPage, Failure> {
    let mut all = FailedPage {
        items: Vec::new(),
        next: None,
    };
    while all.items.len() < limit {
        let most = PAGE.min(limit - all.items.len());
        let mut asked = vec![("limit", most.to_string())];
        asked.extend(job.map(|job| ("job", job.to_string())));
        asked.extend(all.next.take().map(|next| ("after", next)));
        let page: FailedPage = api.get("/failed", &asked).await?.done()?;
        all.items.extend(page.items);
        all.next = page.next;
        if all.next.is_none() {
            break;
        }
    }
    Ok(all)
}

fn request(choice: &Choice) -> Chosen {
    match choice {
        Choice::All => Chosen {
            all: true,
            ..Chosen::default()
        },
        Choice::Job(job) => Chosen {
            job: Some(job.to_string()),
            ..Chosen::default()
        },
        Choice::Runs(runs) => Chosen {
            runs: runs.iter().map(ToString::to_string).collect(),
            ..Chosen::default()
        },
    }
}

type Found = (Vec<carillon::core::store::FailedRun>, Vec<RunId>);

/// The failed runs that were chosen, and which of those that were named are none.
async fn chosen(store: &RedisShards, choice: &Choice) -> Result<Found, Failure> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    match choice {
        Choice::All => found = all(store, None).await?,
        Choice::Job(job) => found = all(store, Some(job)).await?,
        Choice::Runs(runs) => {
            for run in runs {
                let of_job = all(store, Some(&run.job)).await?;
                match of_job.into_iter().find(|failed| failed.record.run == *run) {
                    Some(failed) => found.push(failed),
                    None => missing.push(run.clone()),
                }
            }
        }
    }
    Ok((found, missing))
}

async fn all(
    store: &RedisShards,
    job: Option<&JobId>,
) -> Result<Vec<carillon::core::store::FailedRun>, Failure> {
    let jobs = jobs_of(store);
    let mut query = FailedQuery {
        job: job.cloned(),
        after: None,
        limit: FAILED,
    };
    let mut runs = Vec::new();
    loop {
        let page = told(store, jobs.failed(&query).await)?;
        runs.extend(page.runs);
        query.after = page.next;
        if query.after.is_none() {
            return Ok(runs);
        }
    }
}
