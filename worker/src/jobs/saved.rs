//! Jobs as lines of JSON: for a backup, and for moving from store to store.
//!
//! A line holds the whole definition with all defaults filled in, whether the job is paused, and when
//! it was to run next; nothing in it depends on the store or on the version that wrote it.

use scheduler_core::change::{JobState, Pause, Saved};
use scheduler_core::{JobDefaults, JobError, JobSpec, Standing, StoredJob, Timestamp};
use serde::{Deserialize, Serialize};

/// The version of the lines that this code writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// A job as one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedJob {
    /// The version of the line.
    pub format: u32,
    /// The definition, with all defaults filled in.
    pub job: JobSpec,
    /// Who declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// How it stood: `active`, `paused`, `parked` or `finished`.
    pub state: String,
    /// The pause, if it was paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<SavedPause>,
    /// When it was to run next; of a paused job, the fire time that began the pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_time: Option<String>,
}

/// A pause, as a line holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SavedPause {
    /// When it was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Who began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<&StoredJob> for SavedJob {
    fn from(stored: &StoredJob) -> Self {
        let shown = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let next = match &stored.state {
            JobState::Active => stored.next_fire,
            JobState::Paused { from, .. } => *from,
        };
        Self {
            format: FORMAT,
            job: JobSpec::from(&stored.job),
            owner: stored.job.owner().map(str::to_owned),
            state: stored.standing().as_str().to_owned(),
            pause: stored.state.pause().map(|pause| SavedPause {
                since: shown(pause.since),
                until: shown(pause.until),
                by: pause.by.clone(),
                reason: pause.reason.clone(),
            }),
            next_run_time: shown(next),
        }
    }
}

impl SavedJob {
    /// Checks the line.
    ///
    /// # Errors
    ///
    /// Names the first field that breaks a rule, its value and the rule.
    pub fn resolve(&self) -> Result<Saved, JobError> {
        let wrong = |field: &str, message: String| JobError {
            field: field.to_owned(),
            message,
            pointer: None,
        };
        if self.format != FORMAT {
            let message = format!("{} is unknown: this version reads {FORMAT}", self.format);
            return Err(wrong("format", message));
        }
        let time = |field: &str, text: &Option<String>| {
            let read = |text: &String| {
                let refused = |error| wrong(field, format!("{text:?} is no time: {error}"));
                text.parse::<Timestamp>().map_err(refused)
            };
            text.as_ref().map(read).transpose()
        };
        let job = self
            .job
            .resolve(&JobDefaults::default())
            .map_err(|error| JobError {
                field: format!("job.{}", error.field),
                ..error
            })?;
        let next = time("next_run_time", &self.next_run_time)?;
        let is = |standing: Standing| self.state == standing.as_str();
        if !Standing::ALL.into_iter().any(is) {
            let message = format!(
                "{:?} is unknown: active, paused, parked or finished",
                self.state
            );
            return Err(wrong("state", message));
        }
        let state = if is(Standing::Paused) {
            let pause = self.pause.clone().unwrap_or_default();
            JobState::Paused {
                from: next,
                pause: Pause {
                    since: time("pause.since", &pause.since)?,
                    until: time("pause.until", &pause.until)?,
                    by: pause.by,
                    reason: pause.reason,
                },
            }
        } else {
            JobState::Active
        };
        Ok(Saved {
            job: job.into_builder().owner(self.owner.clone()).build(),
            state,
            next_fire: next,
            begins_anew: is(Standing::Parked),
        })
    }
}
