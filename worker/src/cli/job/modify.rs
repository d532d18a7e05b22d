//! `carillon job modify|reschedule`: some fields of a job change, the others stay.

use carillon::config::read_patch;
use carillon::core::{JobId, JobPatch, PatchError, Timestamp};
use carillon::jobs::Modified;
use clap::Args;
use serde_json::{Map, Value};

use super::fields::{FieldFlags, WhenFlags, from_json};
use super::unique::UniqueFlags;
use super::{Desk, Expect, Failure, output};
use crate::cli::office::Patch;

const MODIFY_HELP: &str = "\
Examples:
  carillon job modify report --queue slow --timeout 5m
  carillon job modify report --set timeout=null --set 'args={\"url\": \"https://example.org\"}'
  carillon job modify report --next-run-time '2026-12-24 18:00:00' --expect-version 17

All of it is changed, or nothing. null puts a field back to its default. Without a flag for when it
runs, the schedule goes on as it was. A fire time that is due already is neither lost nor repeated: it
runs with the changed definition. Runs that have begun keep the one that they began with.";

/// `carillon job modify`.
#[derive(Args, Debug)]
#[command(after_help = MODIFY_HELP)]
pub(in crate::cli) struct ModifyArgs {
    /// The job
    #[arg(value_name = "ID")]
    id: String,
    /// Set any field: JSON, or text; null for its default. Give it again for more
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// Set the fields of a JSON object
    #[arg(long, value_name = "JSON")]
    patch: Option<String>,
    /// Run next at this time, and go on from there; none pauses the job
    #[arg(long, value_name = "TIME", help_heading = "When")]
    next_run_time: Option<String>,
    #[command(flatten)]
    fields: FieldFlags,
    #[command(flatten)]
    when: WhenFlags,
    #[command(flatten)]
    unique: UniqueFlags,
    #[command(flatten)]
    pub(super) expect: Expect,
}

impl ModifyArgs {
    /// What changes; `now` is the store's clock, where the change asks for it.
    pub(super) fn check(&self, now: Timestamp) -> Result<(JobId, JobPatch, Value), Failure> {
        let mut patch = match &self.patch {
            None => Map::new(),
            Some(text) => match from_json("--patch", text)? {
                Value::Object(patch) => patch,
                _ => return Err(Failure::Usage("--patch: must be a JSON object".to_owned())),
            },
        };
        for set in &self.set {
            let (field, value) = set.split_once('=').ok_or_else(|| {
                Failure::Usage(format!("--set: {set:?} is not of the form FIELD=VALUE"))
            })?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            patch.insert(field.to_owned(), value);
        }
        if let Some(at) = &self.next_run_time {
            let at = Some(at.clone()).filter(|at| !at.eq_ignore_ascii_case("none"));
            patch.insert("next_run_time".to_owned(), at.into());
        }
        self.fields.fill(&mut patch)?;
        self.unique.fill(&mut patch);
        self.when.fill_at(now, &mut patch)?;
        if patch.is_empty() {
            let message = "job modify: nothing to change: give a field, or --set FIELD=VALUE";
            return Err(Failure::Usage(message.to_owned()));
        }
        let typed = Value::Object(patch);
        let patch = read_patch("job modify", typed.clone())?;
        Ok((JobId::new(&self.id)?, patch, typed))
    }
}

/// `carillon job reschedule`.
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("schedule").args(["every", "cron", "at", "after", "now", "trigger"]).required(true)))]
pub(in crate::cli) struct RescheduleArgs {
    /// The job
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    when: WhenFlags,
    #[command(flatten)]
    pub(super) expect: Expect,
}

impl RescheduleArgs {
    /// What changes; `now` is the store's clock, where the change asks for it.
    pub(super) fn check(&self, now: Timestamp) -> Result<(JobId, JobPatch, Value), Failure> {
        let mut patch = Map::new();
        self.when.fill_at(now, &mut patch)?;
        let typed = Value::Object(patch);
        let patch = read_patch("job reschedule", typed.clone())?;
        Ok((JobId::new(&self.id)?, patch, typed))
    }
}

impl Desk {
    pub(super) async fn modify(&self, id: &JobId, patch: &Patch<'_>) -> Result<(), Failure> {
        match self.office.modify(id, patch, self.expected).await? {
            Modified::Done(version) => {
                output::line(&format!("modified {id}: it has version {version} now"))?;
                Ok(())
            }
            Modified::Unchanged(_) => Ok(output::line(&format!("{id} is as it was"))?),
            Modified::NotFound => Err(Self::not_found(id)),
            Modified::Refused(why) => {
                let message = format!("job {:?}: {why}", id.as_str());
                Err(match why {
                    PatchError::Field(_) => Failure::Usage(message),
                    PatchError::Change(_) | PatchError::KeyTaken { .. } => {
                        Failure::Refused(message)
                    }
                })
            }
        }
    }
}
