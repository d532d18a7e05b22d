//! Jobs as code: making a store equal to what a file declares.
//!
//! A file owns the jobs that it declares, by the name of their owner, and touches no others: what
//! somebody put by hand, or another file declares, is refused unless it is to be adopted. First the
//! difference is looked at ([`Jobs::plan`]), then it is done ([`Jobs::apply`]), each job only if it
//! still is as it was looked at.

use std::collections::{BTreeMap, BTreeSet};

use scheduler_core::{Job, JobId, JobSpec, Store, StoredJob, Version};
use serde_json::Value;

use super::retry::until_known;
use super::{JobQuery, Jobs, JobsError, OnConflict, Put, PutWish, Removed};

/// What a file declares.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Whose jobs they are.
    pub owner: String,
    /// The jobs.
    pub jobs: Vec<Job>,
    /// What becomes of jobs of this owner that are not declared any more.
    pub unlisted: Unlisted,
    /// What becomes of declared jobs that are stored and somebody else's.
    pub foreign: Foreign,
}

/// What becomes of jobs of the owner that are not declared any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unlisted {
    /// They stay. The default.
    #[default]
    Keep,
    /// They are removed.
    Prune,
}

/// What becomes of declared jobs that are somebody else's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Foreign {
    /// They are refused, and nothing at all is done. The default.
    #[default]
    Refuse,
    /// They become this owner's.
    Adopt,
}

/// A field that changes, with its values as JSON (null where it has none).
#[derive(Clone, Debug, PartialEq)]
pub struct FieldChange {
    /// The field.
    pub field: String,
    /// What it is.
    pub from: Value,
    /// What it is to be.
    pub to: Value,
}

/// What is to become of one job.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It is not there, and is added.
    Add(Box<Job>),
    /// It is there, and is changed.
    Change {
        /// The version that it must still have.
        version: Version,
        /// What it is to be.
        job: Box<Job>,
        /// The fields that change; none where only a parked job is brought back.
        fields: Vec<FieldChange>,
    },
    /// It is not declared any more, and is removed.
    Remove(Version),
    /// It is not declared any more, and stays.
    Unlisted,
    /// It is as it is declared.
    Unchanged,
    /// It is somebody else's: of this owner, or of nobody.
    Foreign(Option<String>),
    /// It is there, and this version cannot read it.
    Unreadable(String),
}

/// What is to become of each job, by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan(pub BTreeMap<JobId, Step>);

impl Plan {
    /// Whether it may be done at all.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let is_refused = |step: &Step| matches!(step, Step::Foreign(_) | Step::Unreadable(_));
        self.0.values().any(is_refused)
    }

    /// Whether it would change anything.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        let changes =
            |step: &Step| matches!(step, Step::Add(_) | Step::Change { .. } | Step::Remove(_));
        self.0.values().any(changes)
    }
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// It was done.
    Done,
    /// There was nothing to do.
    Nothing,
    /// The job was changed since it was looked at, and is left as it is.
    ChangedMeanwhile,
    /// It was refused, for this reason.
    Refused(String),
}

impl<S: Store> Jobs<S> {
    /// How the store differs from what is declared.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn plan(&self, manifest: &Manifest) -> Result<Plan, JobsError> {
        let owner = Some(manifest.owner.clone());
        let mut steps = BTreeMap::new();
        let declared: BTreeSet<&JobId> = manifest.jobs.iter().map(Job::id).collect();
        let owned = JobQuery {
            owner: owner.clone(),
            ..JobQuery::default()
        };
        for stored in self.search(&owned).await?.jobs {
            if !declared.contains(stored.job.id()) {
                let step = match manifest.unlisted {
                    Unlisted::Keep => Step::Unlisted,
                    Unlisted::Prune => Step::Remove(stored.version),
                };
                steps.insert(stored.job.id().clone(), step);
            }
        }
        let ids: Vec<JobId> = manifest.jobs.iter().map(|job| job.id().clone()).collect();
        let reads = until_known(|| self.store().jobs(&ids)).await?;
        for (job, read) in manifest.jobs.iter().zip(reads) {
            let job = job.clone().into_builder().owner(owner.clone()).build();
            let id = job.id().clone();
            let step = match (read.stored, read.unreadable) {
                (Some(stored), _) => difference(&stored, job, manifest.foreign),
                (None, Some(unreadable)) => Step::Unreadable(unreadable.why),
                (None, None) => Step::Add(Box::new(job)),
            };
            steps.insert(id, step);
        }
        Ok(Plan(steps))
    }

    /// Does what was planned, each job only if it still is as it was looked at: a plan that is
    /// refused in parts is not done at all. Of many jobs, batches of 200 are written in one step
    /// each; where the store fails in between, planning and applying again completes it.
    ///
    /// # Errors
    ///
    /// The store could not answer.
    pub async fn apply(&self, plan: &Plan) -> Result<BTreeMap<JobId, Applied>, JobsError> {
        let nothing = |id: &JobId| (id.clone(), Applied::Nothing);
        let mut applied: BTreeMap<_, _> = plan.0.keys().map(nothing).collect();
        if plan.is_refused() {
            return Ok(applied);
        }
        let wishes: Vec<PutWish> = plan.0.values().filter_map(wish).collect();
        for (wish, outcome) in wishes.iter().zip(self.put_all(&wishes).await?) {
            let became = match outcome {
                Put::Added | Put::Replaced | Put::Superseded(_) => Applied::Done,
                Put::Ignored(by) | Put::KeyTaken(by) => {
                    Applied::Refused(format!("its unique key is held by job {by}"))
                }
                Put::Unchanged => Applied::Nothing,
                Put::Exists | Put::Kept | Put::ChangedMeanwhile => Applied::ChangedMeanwhile,
                Put::Unreadable(why) => Applied::Refused(why),
                Put::Over(why) => Applied::Refused(why.to_string()),
            };
            applied.insert(wish.job.id().clone(), became);
        }
        for (id, step) in &plan.0 {
            let Step::Remove(version) = step else {
                continue;
            };
            let removed = self.clone().expecting(*version).remove(id).await;
            let became = match removed {
                Ok(Removed::Done) => Applied::Done,
                Ok(Removed::NotFound) => Applied::Nothing,
                Err(JobsError::ChangedMeanwhile { .. }) => Applied::ChangedMeanwhile,
                Err(error) => return Err(error),
            };
            applied.insert(id.clone(), became);
        }
        Ok(applied)
    }
}

fn wish(step: &Step) -> Option<PutWish> {
    match step {
        Step::Add(job) => Some(PutWish {
            job: Job::clone(job),
            on_conflict: OnConflict::Refuse,
        }),
        Step::Change { version, job, .. } => Some(PutWish {
            job: Job::clone(job),
            on_conflict: OnConflict::ReplaceVersion(*version),
        }),
        Step::Remove(_)
        | Step::Unlisted
        | Step::Unchanged
        | Step::Foreign(_)
        | Step::Unreadable(_) => None,
    }
}

fn difference(stored: &StoredJob, job: Job, foreign: Foreign) -> Step {
    if stored.job.owner() != job.owner() && foreign == Foreign::Refuse {
        return Step::Foreign(stored.job.owner().map(str::to_owned));
    }
    if stored.job == job && stored.parked.is_none() {
        return Step::Unchanged;
    }
    Step::Change {
        version: stored.version,
        fields: field_changes(&stored.job, &job),
        job: Box::new(job),
    }
}

/// The fields in which two definitions differ, by name.
fn field_changes(from: &Job, to: &Job) -> Vec<FieldChange> {
    let fields = |job: &Job| {
        let spec = serde_json::to_value(JobSpec::from(job)).unwrap_or_default();
        let mut fields = match spec {
            Value::Object(fields) => fields,
            _ => serde_json::Map::new(),
        };
        fields.insert("owner".to_owned(), job.owner().into());
        fields
    };
    let (from, to) = (fields(from), fields(to));
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let value = |fields: &serde_json::Map<String, Value>, name: &str| {
        fields.get(name).cloned().unwrap_or_default()
    };
    let change = |name: &String| FieldChange {
        field: name.clone(),
        from: value(&from, name),
        to: value(&to, name),
    };
    let changes = names.into_iter().map(change);
    changes.filter(|change| change.from != change.to).collect()
}
