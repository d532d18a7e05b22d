//! `carillon apply`: the store becomes equal to a file, as far as the file owns it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use carillon::Jobs;
use carillon::config::{JobDocument, Settings};
use carillon::core::{JobId, Store};
use carillon::jobs::{Applied, FieldChange, Foreign, Manifest, Plan, Step, Unlisted};
use clap::Args;
use serde_json::Value;

use super::args::Global;
use super::failure::{Failure, HINT};
use super::job::read_text;
use super::{output, store};

const HELP: &str = "\
Examples:
  carillon apply --file jobs.toml --dry-run
  carillon apply --file jobs.toml --prune

The file holds jobs as for `job add --file`, and may say `owner = \"NAME\"` at its top; without that and
without --owner, its own name (without folders) is the owner's. It owns the jobs that it has put, and
touches no others: a job of the same id that somebody put by hand, or that another file owns, is
refused, and then nothing is done at all. --adopt takes such jobs over.

Each line of the difference begins with + (added), ~ (changed, with the fields), - (removed), ! (refused)
or ? (not in the file any more, and kept: --prune removes it). With --dry-run, nothing is done, and the
exit code is 4 if there would be changes, 0 if there would be none.";

/// `carillon apply`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct ApplyArgs {
    /// File with jobs (TOML or JSON); - for standard input, which needs --owner or an owner in it
    #[arg(long, short, value_name = "FILE")]
    file: PathBuf,
    /// Whose jobs they are [default: what the file says, or its name]
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Remove jobs of this owner that are not in the file any more
    #[arg(long)]
    prune: bool,
    /// Take over jobs that are somebody else's
    #[arg(long)]
    adopt: bool,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
}

impl ApplyArgs {
    fn manifest(&self, settings: &Settings) -> Result<Manifest, Failure> {
        let (name, text) = read_text(&self.file)?;
        let document = JobDocument::parse(&name, &text)?;
        let is_input = self.file.as_os_str() == "-";
        let file_name = self.file.file_name().filter(|_| !is_input);
        let owner = self
            .owner
            .clone()
            .or_else(|| document.owner().map(str::to_owned));
        let owner = owner
            .or_else(|| file_name.map(|name| name.to_string_lossy().into_owned()))
            .filter(|owner| !owner.trim().is_empty())
            .ok_or_else(|| {
                let message = "standard input has no name: give --owner, or owner = \"NAME\" in it";
                Failure::Usage(message.to_owned())
            })?;
        let jobs = document.check(&settings.job_defaults)?;
        Ok(Manifest {
            owner,
            jobs: jobs.into_iter().map(|configured| configured.job).collect(),
            unlisted: if self.prune {
                Unlisted::Prune
            } else {
                Unlisted::Keep
            },
            foreign: if self.adopt {
                Foreign::Adopt
            } else {
                Foreign::Refuse
            },
        })
    }
}

/// Does what the command line says.
pub(super) fn run(global: &Global, args: &ApplyArgs) -> Result<(), Failure> {
    let settings = global.settings()?;
    let manifest = args.manifest(&settings)?;
    let store = store::shared(&settings)?;
    store::runtime()?.block_on(apply(store, &manifest, args.dry_run))
}

async fn apply<S: Store>(store: S, manifest: &Manifest, dry_run: bool) -> Result<(), Failure> {
    let (name, jobs) = (store.describe(), Jobs::new(store));
    let failed = |error| Failure::of_jobs(&name, &error);
    let plan = jobs.plan(manifest).await.map_err(failed)?;
    for (id, step) in &plan.0 {
        for line in lines(id, step) {
            output::line(&line)?;
        }
    }
    if plan.is_refused() {
        return Err(refusal(&plan, &manifest.owner));
    }
    if dry_run {
        output::line(&summary(&plan, "to add", "to change", "to remove"))?;
        return if plan.has_changes() {
            Err(Failure::Pending)
        } else {
            Ok(())
        };
    }
    let applied = jobs.apply(&plan).await.map_err(failed)?;
    output::line(&summary(&plan, "added", "changed", "removed"))?;
    left_over(&applied)
}

/// What the difference says of one job.
fn lines(id: &JobId, step: &Step) -> Vec<String> {
    match step {
        Step::Add(job) => vec![format!("+ {id}  {} {}", job.task(), job.trigger())],
        Step::Change { fields, .. } if fields.is_empty() => {
            vec![format!("~ {id}  comes back: it was parked")]
        }
        Step::Change { fields, .. } => {
            let field = |FieldChange { field, from, to }: &FieldChange| {
                format!("    {field}: {} -> {}", shown(from), shown(to))
            };
            let head = std::iter::once(format!("~ {id}"));
            head.chain(fields.iter().map(field)).collect()
        }
        Step::Remove(_) => vec![format!("- {id}")],
        Step::Unlisted => vec![format!("? {id}  is not in the file any more")],
        Step::Unchanged => Vec::new(),
        Step::Foreign(Some(owner)) => vec![format!("! {id}  is owned by {owner}")],
        Step::Foreign(None) => vec![format!("! {id}  was put by hand")],
        Step::Unreadable(why) => vec![format!("! {id}  cannot be read: {why}")],
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn summary(plan: &Plan, add: &str, change: &str, remove: &str) -> String {
    let count = |is: fn(&Step) -> bool| plan.0.values().filter(|step| is(step)).count();
    format!(
        "{} {add}, {} {change}, {} {remove}, {} as they were",
        count(|step| matches!(step, Step::Add(_))),
        count(|step| matches!(step, Step::Change { .. })),
        count(|step| matches!(step, Step::Remove(_))),
        count(|step| matches!(step, Step::Unchanged | Step::Unlisted)),
    )
}

fn refusal(plan: &Plan, owner: &str) -> Failure {
    let is_foreign = |step: &Step| matches!(step, Step::Foreign(_));
    let foreign = plan.0.values().filter(|step| is_foreign(step)).count();
    let unreadable = |step: &&Step| matches!(step, Step::Unreadable(_));
    let unreadable = plan.0.values().filter(unreadable).count();
    let mut reasons = Vec::new();
    if foreign > 0 {
        reasons.push(format!(
            "{foreign} job(s) are not {owner}'s, and nothing was done\n\
             {HINT}--adopt takes them over; or give them another id in the file"
        ));
    }
    if unreadable > 0 {
        reasons.push(format!(
            "{unreadable} job(s) cannot be read, and nothing was done"
        ));
    }
    Failure::Refused(reasons.join("\n"))
}

/// What was not done although it was planned.
fn left_over(applied: &BTreeMap<JobId, Applied>) -> Result<(), Failure> {
    let reasons = applied.iter().filter_map(|(id, became)| match became {
        Applied::Done | Applied::Nothing => None,
        Applied::ChangedMeanwhile => Some(format!(
            "job {:?}: changed meanwhile by somebody else, and left as it is: apply again",
            id.as_str()
        )),
        Applied::Refused(why) => Some(format!("job {:?}: {why}", id.as_str())),
    });
    let reasons: Vec<_> = reasons.collect();
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(Failure::Refused(reasons.join("\n")))
    }
}
