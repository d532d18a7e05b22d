//! `carillon export`: all jobs as lines of JSON.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use carillon::jobs::SavedJob;
use clap::Args;

use super::args::Global;
use super::failure::Failure;
use super::office::Office;
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

/// Does what the command line says.
pub(super) fn run(global: &Global, args: &ExportArgs) -> Result<(), Failure> {
    let settings = global.settings()?;
    let office = Office::of(global, &settings)?;
    let exported = store::runtime()?.block_on(office.export())?;
    let lines = exported.jobs.into_iter();
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
    if exported.unreadable.is_empty() {
        return Ok(());
    }
    let reasons = exported.unreadable.iter();
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
