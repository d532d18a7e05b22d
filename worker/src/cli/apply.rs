//! `carillon apply`: the store becomes equal to a file, as far as the file owns it.

use std::path::PathBuf;

use carillon::config::{JobDocument, Settings};
use carillon::jobs::{Foreign, Manifest, Unlisted};
use carillon::wire::{FieldChangeView, PlanView, StepKind, StepView};
use clap::Args;
use serde_json::Value;

use super::args::Global;
use super::failure::{Failure, HINT};
use super::job::read_text;
use super::office::Office;
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
    let office = Office::of(global, &settings)?;
    store::runtime()?.block_on(apply(&office, &manifest, args.dry_run))
}

async fn apply(office: &Office, manifest: &Manifest, dry_run: bool) -> Result<(), Failure> {
    let plan = office.apply(manifest, dry_run).await?;
    for step in &plan.steps {
        for line in lines(step) {
            output::line(&line)?;
        }
    }
    if plan.refused {
        return Err(refusal(&plan, &manifest.owner));
    }
    if dry_run {
        output::line(&summary(&plan, "to add", "to change", "to remove"))?;
        return if plan.changes {
            Err(Failure::Pending)
        } else {
            Ok(())
        };
    }
    output::line(&summary(&plan, "added", "changed", "removed"))?;
    left_over(&plan)
}

/// What the difference says of one job.
fn lines(step: &StepView) -> Vec<String> {
    let id = &step.job;
    match step.step {
        StepKind::Add => {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            vec![format!(
                "+ {id}  {} {}",
                text(&step.task),
                text(&step.trigger)
            )]
        }
        StepKind::Change if step.fields.is_empty() => {
            vec![format!("~ {id}  comes back: it was parked")]
        }
        StepKind::Change => {
            let field = |FieldChangeView { field, from, to }: &FieldChangeView| {
                format!("    {field}: {} -> {}", shown(from), shown(to))
            };
            let head = std::iter::once(format!("~ {id}"));
            head.chain(step.fields.iter().map(field)).collect()
        }
        StepKind::Remove => vec![format!("- {id}")],
        StepKind::Unlisted => vec![format!("? {id}  is not in the file any more")],
        StepKind::Unchanged => Vec::new(),
        StepKind::Foreign => match &step.owner {
            Some(owner) => vec![format!("! {id}  is owned by {owner}")],
            None => vec![format!("! {id}  was put by hand")],
        },
        StepKind::Unreadable => {
            let why = step.why.as_deref().unwrap_or_default();
            vec![format!("! {id}  cannot be read: {why}")]
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn count(plan: &PlanView, is: impl Fn(StepKind) -> bool) -> usize {
    plan.steps.iter().filter(|step| is(step.step)).count()
}

fn summary(plan: &PlanView, add: &str, change: &str, remove: &str) -> String {
    format!(
        "{} {add}, {} {change}, {} {remove}, {} as they were",
        count(plan, |step| step == StepKind::Add),
        count(plan, |step| step == StepKind::Change),
        count(plan, |step| step == StepKind::Remove),
        count(plan, |step| matches!(
            step,
            StepKind::Unchanged | StepKind::Unlisted
        )),
    )
}

fn refusal(plan: &PlanView, owner: &str) -> Failure {
    let foreign = count(plan, |step| step == StepKind::Foreign);
    let unreadable = count(plan, |step| step == StepKind::Unreadable);
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
fn left_over(plan: &PlanView) -> Result<(), Failure> {
    let reasons = plan.steps.iter().filter_map(|step| {
        let why = step.why.as_ref()?;
        Some(format!("job {:?}: {why}: apply again", step.job))
    });
    let reasons: Vec<_> = reasons.collect();
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(Failure::Refused(reasons.join("\n")))
    }
}
