//! Jobs as code.

use std::collections::BTreeMap;

use scheduler_core::{Job, JobId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::jobs::{Applied, Plan, Step};

/// What a file declares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ApplyRequest {
    /// Whose jobs they are.
    #[cfg_attr(feature = "http", schema(min_length = 1))]
    pub owner: String,
    /// The jobs, as in the configuration file.
    #[cfg_attr(feature = "http", schema(value_type = Vec<Object>, max_items = 10_000))]
    pub jobs: Vec<Value>,
    /// Whether jobs of this owner that are not declared any more are removed.
    #[serde(default)]
    pub prune: bool,
    /// Whether declared jobs that are somebody else's become this owner's.
    #[serde(default)]
    pub adopt: bool,
    /// Whether to tell only what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// What is to become, or became, of each job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct PlanView {
    /// Each job, by id.
    pub steps: Vec<StepView>,
    /// Whether it would change anything.
    pub changes: bool,
    /// Whether it is refused: then nothing at all is done.
    pub refused: bool,
    /// Whether it was done; not in a dry run, nor where it is refused.
    pub applied: bool,
}

/// What is to become, or became, of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct StepView {
    /// The job.
    pub job: String,
    /// What is to become of it.
    pub step: StepKind,
    /// The task of one that is added or changed.
    pub task: Option<String>,
    /// The trigger of one that is added or changed, as text.
    pub trigger: Option<String>,
    /// The fields that change.
    pub fields: Vec<FieldChangeView>,
    /// Whose it is, of one that is somebody else's; null where somebody put it by hand.
    pub owner: Option<String>,
    /// Why it was not done although it was planned, or cannot be read.
    pub why: Option<String>,
}

/// What is to become of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// It is added.
    Add,
    /// It is changed.
    Change,
    /// It is removed.
    Remove,
    /// It is not declared any more, and stays.
    Unlisted,
    /// It is as it is declared.
    Unchanged,
    /// It is somebody else's.
    Foreign,
    /// It is there, and cannot be read.
    Unreadable,
}

/// A field that changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct FieldChangeView {
    /// The field.
    pub field: String,
    /// What it is; null where it has no value.
    pub from: Value,
    /// What it is to be.
    pub to: Value,
}

impl PlanView {
    /// The view of a plan, and of what became of it where it was done.
    #[must_use]
    pub fn new(plan: &Plan, applied: Option<&BTreeMap<JobId, Applied>>) -> Self {
        let step = |(id, step): (&JobId, &Step)| {
            let became = applied.and_then(|applied| applied.get(id));
            StepView::new(id, step, became)
        };
        Self {
            steps: plan.0.iter().map(step).collect(),
            changes: plan.has_changes(),
            refused: plan.is_refused(),
            applied: applied.is_some() && !plan.is_refused(),
        }
    }
}

impl StepView {
    fn new(id: &JobId, step: &Step, became: Option<&Applied>) -> Self {
        let kind = match step {
            Step::Add(_) => StepKind::Add,
            Step::Change { .. } => StepKind::Change,
            Step::Remove(_) => StepKind::Remove,
            Step::Unlisted => StepKind::Unlisted,
            Step::Unchanged => StepKind::Unchanged,
            Step::Foreign(_) => StepKind::Foreign,
            Step::Unreadable(_) => StepKind::Unreadable,
        };
        let job: Option<&Job> = match step {
            Step::Add(job) | Step::Change { job, .. } => Some(job),
            _ => None,
        };
        let (owner, unreadable) = match step {
            Step::Foreign(owner) => (owner.clone(), None),
            Step::Unreadable(why) => (None, Some(why.clone())),
            _ => (None, None),
        };
        let left_over = became.and_then(|became| match became {
            Applied::Done | Applied::Nothing => None,
            Applied::ChangedMeanwhile => {
                Some("changed meanwhile by somebody else, and left as it is".to_owned())
            }
            Applied::Refused(why) => Some(why.clone()),
        });
        let fields = match step {
            Step::Change { fields, .. } => fields.as_slice(),
            _ => &[],
        };
        let fields = fields.iter().map(|change| FieldChangeView {
            field: change.field.clone(),
            from: change.from.clone(),
            to: change.to.clone(),
        });
        Self {
            job: id.to_string(),
            step: kind,
            task: job.map(|job| job.task().to_string()),
            trigger: job.map(|job| job.trigger().to_string()),
            fields: fields.collect(),
            owner,
            why: left_over.or(unreadable),
        }
    }
}
