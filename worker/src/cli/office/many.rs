//! Many jobs: made up for, written out, brought back.

use std::time::Duration;

use carillon::core::change::{JobState, Saved};
use carillon::core::{RunId, StoredJob, Timestamp, Version};
use carillon::jobs::{
    BackfillPlan, BackfillWish, JobQuery, OnConflict, Restored, RunRequested, SavedJob,
};
use carillon::wire::{Backfill, Backfilled, ImportDone};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::client::{Answered, Api, encoded};
use super::{Office, jobs_of, told, views};
use crate::cli::failure::Failure;

/// How long it waits before it asks again for a place.
const PLACE: Duration = Duration::from_millis(200);

/// How many lines one request brings back.
const LINES: usize = 1_000;

/// Fire times that are made up for, one after the other, each as soon as there is a place for it.
pub(in crate::cli) struct Making<'a> {
    office: &'a Office,
    wish: &'a BackfillWish,
    /// Those to come, and the run of each that was made already.
    coming: std::vec::IntoIter<(Timestamp, Option<RunId>)>,
    /// From where on a worker makes more.
    next: Option<Timestamp>,
    all: usize,
    left: Option<Timestamp>,
    is_dry: bool,
}

/// What was exported.
pub(in crate::cli) struct Exported {
    /// The jobs, by id.
    pub(in crate::cli) jobs: Vec<SavedJob>,
    /// Those that cannot be read, and why.
    pub(in crate::cli) unreadable: Vec<(String, String)>,
}

impl Office {
    /// Begins to make runs for fire times of the past.
    pub(in crate::cli) async fn make_up_for<'a>(
        &'a self,
        wish: &'a BackfillWish,
        is_dry: bool,
    ) -> Result<Making<'a>, Failure> {
        let mut making = Making {
            office: self,
            wish,
            coming: Vec::new().into_iter(),
            next: None,
            all: 0,
            left: None,
            is_dry,
        };
        match self {
            Self::Store(store) => {
                let planned = jobs_of(store).plan_backfill(wish).await;
                match told(store, planned)? {
                    BackfillPlan::Fires(fires, left) => {
                        (making.all, making.left) = (fires.len(), left);
                        let coming: Vec<_> = fires.into_iter().map(|fire| (fire, None)).collect();
                        making.coming = coming.into_iter();
                    }
                    BackfillPlan::NotFound => return Err(not_found(wish)),
                    BackfillPlan::InFuture => {
                        let message =
                            format!("--to: {} lies in the future: its time will come", wish.to);
                        return Err(Failure::Refused(message));
                    }
                }
            }
            Self::Api(api) => {
                // How many there are is known before the first is made.
                let planned = backfill(api, wish, wish.from, wish.max, true).await?;
                making.all = planned.items.len();
                making.left = planned.next.as_deref().map(views::instant).transpose()?;
                if is_dry {
                    making.take(planned)?;
                } else {
                    making.next = Some(wish.from).filter(|_| making.all > 0);
                }
            }
        }
        Ok(making)
    }

    /// All jobs, as lines hold them.
    pub(in crate::cli) async fn export(&self) -> Result<Exported, Failure> {
        match self {
            Self::Store(store) => {
                let list = told(store, jobs_of(store).search(&JobQuery::default()).await)?;
                Ok(Exported {
                    jobs: list.jobs.iter().map(SavedJob::from).collect(),
                    unreadable: list.unreadable,
                })
            }
            Self::Api(api) => export(api).await,
        }
    }

    /// What would become of bringing back jobs.
    pub(in crate::cli) async fn foresee_restore(
        &self,
        jobs: &[Saved],
        on_conflict: OnConflict,
    ) -> Result<Vec<Restored>, Failure> {
        match self {
            Self::Store(store) => told(
                store,
                jobs_of(store).foresee_restore(jobs, on_conflict).await,
            ),
            Self::Api(api) => import(api, jobs, on_conflict, true).await,
        }
    }

    /// Brings back jobs.
    pub(in crate::cli) async fn restore(
        &self,
        jobs: &[Saved],
        on_conflict: OnConflict,
        mut progress: impl FnMut(usize) + Send,
    ) -> Result<Vec<Restored>, Failure> {
        match self {
            Self::Store(store) => told(
                store,
                jobs_of(store)
                    .restore_all(jobs, on_conflict, progress)
                    .await,
            ),
            Self::Api(api) => {
                let mut restored = Vec::with_capacity(jobs.len());
                for some in jobs.chunks(LINES) {
                    restored.extend(import(api, some, on_conflict, false).await?);
                    progress(restored.len());
                }
                Ok(restored)
            }
        }
    }
}

impl Making<'_> {
    /// How many there are.
    pub(in crate::cli) const fn all(&self) -> usize {
        self.all
    }

    /// The first fire time that is left for another time.
    pub(in crate::cli) const fn left(&self) -> Option<Timestamp> {
        self.left
    }

    /// The next fire time, and the run that was made for it, unless this is for show.
    pub(in crate::cli) async fn next(
        &mut self,
    ) -> Result<Option<(Timestamp, Option<RunId>)>, Failure> {
        loop {
            if let Some((fire, run)) = self.coming.next() {
                let run = match (run, self.is_dry) {
                    (None, false) => Some(self.make(fire).await?),
                    (run, _) => run,
                };
                return Ok(Some((fire, run)));
            }
            let (Office::Api(api), Some(next)) = (self.office, self.next.take()) else {
                return Ok(None);
            };
            let last = self
                .left
                .map_or(self.wish.to, |left| Timestamp::from_ms(left.as_ms() - 1));
            let wish = BackfillWish {
                to: last,
                ..self.wish.clone()
            };
            let made = backfill(api, &wish, next, self.wish.max, false).await?;
            self.next = made.next.as_deref().map(views::instant).transpose()?;
            if made.items.is_empty() && self.next.is_some() {
                sleep(PLACE).await;
            }
            self.take(made)?;
        }
    }

    fn take(&mut self, made: Backfilled) -> Result<(), Failure> {
        let coming = made.items.into_iter().map(|item| {
            let run = item.run.as_deref().map(views::run).transpose()?;
            Ok::<_, Failure>((views::instant(&item.fire_time)?, run))
        });
        self.coming = coming.collect::<Result<Vec<_>, _>>()?.into_iter();
        Ok(())
    }

    /// Makes one run, as soon as there is a place for it.
    async fn make(&self, fire: Timestamp) -> Result<RunId, Failure> {
        let Office::Store(store) = self.office else {
            return Err(Failure::Refused(format!("no run was made for {fire}")));
        };
        let (jobs, wish) = (jobs_of(store), self.wish);
        loop {
            let asked = jobs.make_up_for(&wish.job, fire, wish.queue.as_ref()).await;
            match told(store, asked)? {
                RunRequested::Made(run) => return Ok(run),
                RunRequested::Full { .. } => sleep(PLACE).await,
                RunRequested::NotFound => return Err(not_found(wish)),
                RunRequested::TooEarly => {
                    return Err(Failure::Refused(format!("{fire} lies before 1970")));
                }
            }
        }
    }
}

fn not_found(wish: &BackfillWish) -> Failure {
    Failure::Refused(format!("there is no job {:?}", wish.job.as_str()))
}

async fn backfill(
    api: &Api,
    wish: &BackfillWish,
    from: Timestamp,
    max: usize,
    dry_run: bool,
) -> Result<Backfilled, Failure> {
    let request = json!(Backfill {
        from: from.to_string(),
        to: wish.to.to_string(),
        max: Some(max),
        queue: wish.queue.as_ref().map(ToString::to_string),
        dry_run,
    });
    let path = format!("/jobs/{}/backfill", encoded(wish.job.as_str()));
    api.change(Method::POST, &path, Some(&request), None)
        .await?
        .done()
}

async fn export(api: &Api) -> Result<Exported, Failure> {
    let mut response = api.stream("/export", &[]).await?;
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| api.cut(error))? {
        text.extend_from_slice(&chunk);
    }
    let text = String::from_utf8_lossy(&text);
    let mut exported = Exported {
        jobs: Vec::new(),
        unreadable: Vec::new(),
    };
    for line in text.lines() {
        let odd =
            |error: serde_json::Error| Failure::Refused(format!("no line of an export: {error}"));
        let value: Value = serde_json::from_str(line).map_err(odd)?;
        match value.get("unreadable") {
            None => exported
                .jobs
                .push(serde_json::from_value(value).map_err(odd)?),
            Some(told) => {
                let text = |field: &str| told[field].as_str().unwrap_or_default().to_owned();
                exported.unreadable.push((text("id"), text("why")));
            }
        }
    }
    exported.jobs.sort_by(|a, b| a.job.id.cmp(&b.job.id));
    Ok(exported)
}

/// A job to be brought back, as a line holds it.
fn line(saved: &Saved) -> String {
    let stored = StoredJob {
        job: saved.job.clone(),
        version: Version(0),
        state: match &saved.state {
            JobState::Paused { pause, .. } => JobState::Paused {
                from: saved.next_fire,
                pause: pause.clone(),
            },
            JobState::Active => JobState::Active,
        },
        next_fire: saved.next_fire.filter(|_| !saved.begins_anew),
        parked: saved.begins_anew.then_some(Timestamp::EPOCH),
        fired: None,
        in_flight: 0,
    };
    serde_json::to_string(&SavedJob::from(&stored)).unwrap_or_default()
}

async fn import(
    api: &Api,
    jobs: &[Saved],
    on_conflict: OnConflict,
    dry_run: bool,
) -> Result<Vec<Restored>, Failure> {
    let lines: Vec<String> = jobs.iter().map(line).collect();
    let on_conflict = match on_conflict {
        OnConflict::Keep => "keep",
        OnConflict::Replace => "replace",
        OnConflict::Refuse | OnConflict::ReplaceVersion(_) => "refuse",
    };
    let query = [
        ("on_conflict", on_conflict.to_owned()),
        ("dry_run", dry_run.to_string()),
    ];
    let done = api.send_lines("/import", &query, &lines.join("\n")).await?;
    let done: ImportDone = match done {
        Answered::Done(done) => done,
        other => other.done()?,
    };
    Ok(outcomes(jobs.len(), done))
}

/// What became of each: of those that were not refused it is told how many became what, which is all that
/// a command says of them.
fn outcomes(jobs: usize, done: ImportDone) -> Vec<Restored> {
    let counts = done.counts;
    let counted = [
        (Restored::Added, counts.added),
        (Restored::Replaced, counts.replaced),
        (Restored::Unchanged, counts.unchanged),
        (Restored::Kept, counts.kept),
        (Restored::Over, counts.over),
    ];
    let mut others = counted
        .into_iter()
        .flat_map(|(outcome, count)| std::iter::repeat_n(outcome, count));
    let mut refused = done.refused.into_iter().peekable();
    (0..jobs)
        .map(
            |index| match refused.next_if(|refused| refused.index == index) {
                Some(refused) => refused.refusal.restored().unwrap_or(Restored::Exists),
                None => others.next().unwrap_or(Restored::Kept),
            },
        )
        .collect()
}
