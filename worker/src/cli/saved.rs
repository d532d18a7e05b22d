//! `carillon export` and `carillon import`: jobs as lines of JSON.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use carillon::Jobs;
use carillon::core::Store;
use carillon::jobs::{JobQuery, OnConflict, Restored, SavedJob};
use clap::Args;

use super::args::Global;
use super::failure::Failure;
use super::{output, store};

const EXPORT_HELP: &str = "\
Examples:
  carillon export > jobs.jsonl
  carillon export --store redis://old | carillon import --store redis://new

One job a line, by id: the definition with all defaults filled in, owner, state, pause, and when it runs
next. History and runs in flight are not part of it. Jobs that cannot be read are told on standard error,
and the exit code is 1.";

/// `carillon export`.
#[derive(Args, Debug)]
#[command(after_help = EXPORT_HELP)]
pub(super) struct ExportArgs {
    /// File to write to [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

const IMPORT_HELP: &str = "\
Examples:
  carillon import jobs.jsonl
  carillon import --replace - < jobs.jsonl

Each job comes back as it stood: paused if it was, and due when it was, late if need be. Importing again
changes nothing. A job that is there and is otherwise is refused, unless --replace or --keep is given;
the others are brought back all the same.";

/// `carillon import`.
#[derive(Args, Debug)]
#[command(after_help = IMPORT_HELP)]
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
}

/// Does what the command line says.
pub(super) fn export(global: &Global, args: &ExportArgs) -> Result<(), Failure> {
    let settings = global.settings()?;
    let store = store::shared(&settings)?;
    let list = store::runtime()?.block_on(async {
        let name = store.describe();
        let list = Jobs::new(store).search(&JobQuery::default()).await;
        list.map_err(|error| Failure::of_jobs(&name, &error))
    })?;
    let lines = list.jobs.iter().map(SavedJob::from);
    match &args.output {
        None => {
            for line in lines {
                output::json_line(&line)?;
            }
        }
        Some(path) => write(path, lines).map_err(|error| {
            Failure::Refused(format!("{}: cannot be written: {error}", path.display()))
        })?,
    }
    if list.unreadable.is_empty() {
        return Ok(());
    }
    let reasons = list.unreadable.iter();
    let reasons = reasons.map(|(id, why)| format!("job {id:?} cannot be read: {why}"));
    Err(Failure::Refused(reasons.collect::<Vec<_>>().join("\n")))
}

fn write(path: &Path, lines: impl Iterator<Item = SavedJob>) -> io::Result<()> {
    let mut file = io::BufWriter::new(File::create(path)?);
    for line in lines {
        serde_json::to_writer(&mut file, &line)?;
        writeln!(file)?;
    }
    file.flush()
}

/// Does what the command line says.
pub(super) fn import(global: &Global, args: &ImportArgs) -> Result<(), Failure> {
    let settings = global.settings()?;
    let on_conflict = match (args.replace, args.keep) {
        (true, _) => OnConflict::Replace,
        (_, true) => OnConflict::Keep,
        _ => OnConflict::Refuse,
    };
    let (name, reader) = open(&args.file)?;
    let store = store::shared(&settings)?;
    let importing = Importing {
        name,
        described: store.describe(),
        jobs: Jobs::new(store),
        on_conflict,
        counts: BTreeMap::new(),
        refused: Vec::new(),
    };
    store::runtime()?.block_on(importing.all(reader))
}

/// The lines of a file or of standard input, and what to call it.
pub(super) fn open(file: &Path) -> Result<(String, Box<dyn io::BufRead>), Failure> {
    if file.as_os_str() == "-" {
        return Ok(("standard input".to_owned(), Box::new(io::stdin().lock())));
    }
    let name = file.display().to_string();
    match File::open(file) {
        Ok(file) => Ok((name, Box::new(BufReader::new(file)))),
        Err(error) => Err(Failure::Usage(format!("{name}: cannot be read: {error}"))),
    }
}

/// An import under way.
struct Importing<S> {
    name: String,
    described: String,
    jobs: Jobs<S>,
    on_conflict: OnConflict,
    counts: BTreeMap<&'static str, usize>,
    refused: Vec<String>,
}

impl<S: Store> Importing<S> {
    async fn all(mut self, reader: Box<dyn io::BufRead>) -> Result<(), Failure> {
        for (number, line) in reader.lines().enumerate() {
            let place = format!("{}:{}", self.name, number + 1);
            let line = line.map_err(|error| Failure::Usage(format!("{place}: {error}")))?;
            if !line.trim().is_empty() {
                self.one(&place, &line).await?;
            }
        }
        let of = |what| self.counts.get(what).copied().unwrap_or_default();
        output::line(&format!(
            "{} added, {} replaced, {} as they were, {} kept, {} over",
            of("added"),
            of("replaced"),
            of("unchanged"),
            of("kept"),
            of("over")
        ))?;
        if self.refused.is_empty() {
            Ok(())
        } else {
            Err(Failure::Refused(self.refused.join("\n")))
        }
    }

    async fn one(&mut self, place: &str, line: &str) -> Result<(), Failure> {
        let wrong = |message: String| Failure::Usage(format!("{place}: {message}"));
        let saved: SavedJob = serde_json::from_str(line)
            .map_err(|error| wrong(format!("no line of an export: {error}")))?;
        let saved = saved.resolve().map_err(|error| wrong(error.to_string()))?;
        let restored = self.jobs.restore(&saved, self.on_conflict).await;
        let restored = restored.map_err(|error| Failure::of_jobs(&self.described, &error))?;
        let id = saved.job.id().as_str();
        let what = match restored {
            Restored::Added => "added",
            Restored::Replaced => "replaced",
            Restored::Unchanged => "unchanged",
            Restored::Kept => "kept",
            Restored::Over => {
                eprintln!("{place}: job {id:?}: its schedule is over: left out");
                "over"
            }
            Restored::Exists => {
                self.refused.push(format!(
                    "{place}: there is a job {id:?} already, and it is otherwise: give --replace or --keep"
                ));
                return Ok(());
            }
            Restored::KeyTaken(by) => {
                self.refused.push(format!(
                    "{place}: job {id:?}: its unique key is held by job {:?}",
                    by.as_str()
                ));
                return Ok(());
            }
            Restored::Unreadable(why) => {
                let message = format!("{place}: job {id:?} is there, and cannot be read: {why}");
                self.refused.push(message);
                return Ok(());
            }
        };
        *self.counts.entry(what).or_default() += 1;
        Ok(())
    }
}
