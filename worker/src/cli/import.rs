//! `carillon import`: jobs that were exported, by Carillon or by APScheduler.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use carillon::core::NameError;
use carillon::core::change::Saved;
use carillon::jobs::apscheduler::{Export, Mapped, Names};
use carillon::jobs::{OnConflict, Restored, SavedJob};
use clap::Args;

use super::args::Global;
use super::failure::{Failure, HINT};
use super::job::read_text;
use super::office::Office;
use super::output::Progress;
use super::{output, store};

const HELP: &str = "\
Examples:
  carillon import jobs.jsonl
  carillon import --replace - < jobs.jsonl
  carillon import --dry-run apscheduler.json
  carillon import apscheduler.json --task tasks:send=send_mail --executor mail=slow

Each job comes back as it stood: paused if it was, and due when it was, late if need be. Importing again
changes nothing. A job that is there and is otherwise is refused, unless --replace or --keep is given;
the others are brought back all the same. A line that breaks a rule keeps all from being imported.

What APScheduler 3.11 wrote by export_jobs is known by itself. A function such as \"tasks:send\" becomes
the task of that very name, an executor the queue of its name, unless --task and --executor say otherwise.
What cannot be mapped is told, job by job and field by field, and then nothing is imported at all, unless
--partial is given. Nothing of the export is executed.

Exit codes: 0 all was imported, 1 something was refused or cannot be mapped, 2 no export.";

/// `carillon import`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(super) struct ImportArgs {
    /// File that was exported; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Put the imported definition and state in the place of those that are there
    #[arg(long, conflicts_with = "keep")]
    replace: bool,
    /// Leave jobs that are there as they are
    #[arg(long)]
    keep: bool,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
    /// Tell on standard error how far it is, also where that is no terminal
    #[arg(long)]
    progress: bool,
    /// The task that a function of APScheduler's becomes; give it again for more
    #[arg(
        long = "task",
        value_name = "MODULE:FUNC=TASK",
        help_heading = "Exports of APScheduler"
    )]
    tasks: Vec<String>,
    /// The queue that an executor of APScheduler's becomes; give it again for more
    #[arg(
        long = "executor",
        value_name = "NAME=QUEUE",
        help_heading = "Exports of APScheduler"
    )]
    executors: Vec<String>,
    /// Import the jobs that can be mapped, though others cannot
    #[arg(long, help_heading = "Exports of APScheduler")]
    partial: bool,
}

/// Does what the command line says.
pub(super) fn run(global: &Global, args: &ImportArgs) -> Result<(), Failure> {
    let settings = global.settings()?;
    let (name, text) = read_text(&args.file)?;
    let import = if Export::is_one(&text) {
        args.of_apscheduler(&name, &text)?
    } else {
        args.of_lines(&name, &text)?
    };
    let desk = Desk {
        office: Office::of(global, &settings)?,
    };
    // Boxed: what is waited for is nested deep, and its type with it.
    store::runtime()?.block_on(Box::pin(desk.import(import, args)))
}

/// Jobs to be brought back, and where each was written down.
struct Import {
    jobs: Vec<Saved>,
    places: Vec<String>,
    /// What cannot be mapped, job by job.
    unmapped: Vec<String>,
    /// How many jobs that is.
    left_out: usize,
    /// Whether nothing is done where anything is refused.
    all_or_none: bool,
}

impl ImportArgs {
    fn on_conflict(&self) -> OnConflict {
        match (self.replace, self.keep) {
            (true, _) => OnConflict::Replace,
            (_, true) => OnConflict::Keep,
            _ => OnConflict::Refuse,
        }
    }

    fn of_lines(&self, name: &str, text: &str) -> Result<Import, Failure> {
        if let Some(flag) = self.names_of_apscheduler() {
            let message = format!("{flag} is for an export of APScheduler's, and {name} is none");
            return Err(Failure::Usage(message));
        }
        let mut import = Import {
            jobs: Vec::new(),
            places: Vec::new(),
            unmapped: Vec::new(),
            left_out: 0,
            all_or_none: false,
        };
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let place = format!("{name}:{number}");
            let wrong =
                |why: String| Failure::Usage(format!("{place}: {why}\n{HINT}nothing was imported"));
            let saved: SavedJob = serde_json::from_str(line)
                .map_err(|error| wrong(format!("no line of an export: {error}")))?;
            let saved = saved.resolve().map_err(|error| wrong(error.to_string()))?;
            import.jobs.push(saved);
            import.places.push(place);
        }
        Ok(import)
    }

    fn names_of_apscheduler(&self) -> Option<&'static str> {
        match (self.tasks.is_empty(), self.executors.is_empty()) {
            (false, _) => Some("--task"),
            (_, false) => Some("--executor"),
            _ => self.partial.then_some("--partial"),
        }
    }

    fn of_apscheduler(&self, name: &str, text: &str) -> Result<Import, Failure> {
        let wrong = |why: String| Failure::Usage(format!("{name}: {why}"));
        let names = Names {
            tasks: pairs("--task", &self.tasks)?,
            queues: pairs("--executor", &self.executors)?,
        };
        let export = Export::parse(text).map_err(wrong)?;
        let mut import = Import {
            jobs: Vec::new(),
            places: Vec::new(),
            unmapped: Vec::new(),
            left_out: 0,
            all_or_none: !self.partial,
        };
        let mut seen = HashSet::new();
        for Mapped { id, job } in export.map(&names) {
            let place = format!("{name}: job {id:?}");
            let job = match job {
                Ok(_) if !seen.insert(id) => Err(vec!["id: is there twice".to_owned()]),
                other => other,
            };
            match job {
                Ok(saved) => {
                    import.jobs.push(*saved);
                    import.places.push(place);
                }
                Err(reasons) => {
                    import.left_out += 1;
                    let told = reasons.iter().map(|reason| format!("{place}: {reason}"));
                    import.unmapped.extend(told);
                }
            }
        }
        Ok(import)
    }
}

/// `NAME=OTHER`, each.
fn pairs<T: FromStr<Err = NameError>>(
    flag: &str,
    given: &[String],
) -> Result<BTreeMap<String, T>, Failure> {
    let pair = |text: &String| {
        let wrong = |why: String| Failure::Usage(format!("{flag} {text}: {why}"));
        let (from, to) = text
            .split_once('=')
            .ok_or_else(|| wrong("must be of the form NAME=OTHER".to_owned()))?;
        let to = to
            .parse()
            .map_err(|error: NameError| wrong(error.to_string()))?;
        Ok((from.to_owned(), to))
    };
    given.iter().map(pair).collect()
}

/// Where the jobs are brought back.
struct Desk {
    office: Office,
}

impl Desk {
    async fn import(&self, import: Import, args: &ImportArgs) -> Result<(), Failure> {
        let (jobs, on_conflict) = (&import.jobs, args.on_conflict());
        let mut reasons = import.unmapped.clone();
        let foresees = args.dry_run || import.all_or_none;
        let foreseen = if foresees {
            let foreseen = self.office.foresee_restore(jobs, on_conflict).await?;
            reasons.extend(refusals(&import, &foreseen));
            Some(foreseen)
        } else {
            None
        };
        if args.dry_run {
            let foreseen = foreseen.unwrap_or_default();
            Counts::of(&import, &foreseen).tell("would be ")?;
            return refused(reasons, "nothing was done: this is a dry run");
        }
        if import.all_or_none && !reasons.is_empty() {
            let hint = "nothing was imported: with --partial, the others would be";
            return refused(reasons, hint);
        }
        let mut progress = Progress::new(jobs.len(), args.progress);
        let restored = self
            .office
            .restore(jobs, on_conflict, |done| progress.tell(done))
            .await;
        progress.end();
        let restored = restored.inspect_err(|_| {
            eprintln!("{HINT}some may have been imported: the same again completes it");
        })?;
        for (place, outcome) in import.places.iter().zip(&restored) {
            if *outcome == Restored::Over {
                eprintln!("{place}: its schedule is over: left out");
            }
        }
        Counts::of(&import, &restored).tell("")?;
        reasons = import.unmapped.clone();
        reasons.extend(refusals(&import, &restored));
        refused(reasons, "the others were imported")
    }
}

fn refused(mut reasons: Vec<String>, hint: &str) -> Result<(), Failure> {
    if reasons.is_empty() {
        return Ok(());
    }
    reasons.push(format!("{HINT}{hint}"));
    Err(Failure::Refused(reasons.join("\n")))
}

/// Why jobs are not brought back.
fn refusals<'a>(
    import: &'a Import,
    outcomes: &'a [Restored],
) -> impl Iterator<Item = String> + use<'a> {
    let all = import.places.iter().zip(&import.jobs).zip(outcomes);
    all.filter_map(|((place, saved), outcome)| {
        let id = saved.job.id().as_str();
        let why = match outcome {
            Restored::Exists => format!(
                "there is a job {id:?} already, and it is otherwise: give --replace or --keep"
            ),
            Restored::Unreadable(why) => format!("job {id:?} is there, and cannot be read: {why}"),
            Restored::KeyTaken(by) => {
                let by = by.as_str();
                format!("job {id:?}: its unique key is held by job {by:?}")
            }
            Restored::Added
            | Restored::Replaced
            | Restored::Unchanged
            | Restored::Kept
            | Restored::Over => return None,
        };
        Some(format!("{place}: {why}"))
    })
}

/// What became of the jobs.
struct Counts<'a> {
    outcomes: &'a [Restored],
    left_out: Option<usize>,
}

impl<'a> Counts<'a> {
    fn of(import: &Import, outcomes: &'a [Restored]) -> Self {
        Self {
            outcomes,
            left_out: (import.left_out > 0).then_some(import.left_out),
        }
    }

    fn tell(&self, would: &str) -> io::Result<()> {
        let of = |what: Restored| {
            let same = |outcome: &&Restored| **outcome == what;
            self.outcomes.iter().filter(same).count()
        };
        let unmapped = self
            .left_out
            .map_or_else(String::new, |count| format!(", {count} cannot be mapped"));
        output::line(&format!(
            "{} {would}added, {} {would}replaced, {} as they were, {} {would}kept, {} over{unmapped}",
            of(Restored::Added),
            of(Restored::Replaced),
            of(Restored::Unchanged),
            of(Restored::Kept),
            of(Restored::Over),
        ))
    }
}
