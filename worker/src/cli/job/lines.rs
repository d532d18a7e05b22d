//! `carillon job add --file jobs.jsonl`: many jobs, one a line, put bit by bit.

use std::io::{self, BufRead, IsTerminal as _};
use std::path::Path;

use carillon::config::{ConfigError, JobDocument};
use carillon::core::{JobDefaults, Store};
use carillon::jobs::{Put, PutWish};

use super::unique::refusal;
use super::{AddArgs, Desk, Failure, output};
use crate::cli::saved;

/// How many lines are read before what they hold is put: five steps of the store.
const CHUNK: usize = 1_000;

/// How many refused jobs are told one by one.
const MAX_TOLD: usize = 20;

/// Lines of a file, and what to call it.
pub(super) struct Lines {
    name: String,
    reader: Box<dyn BufRead>,
}

pub(super) fn open(file: &Path) -> Result<Lines, Failure> {
    let (name, reader) = saved::open(file)?;
    Ok(Lines { name, reader })
}

/// What became of the jobs so far.
#[derive(Default)]
struct Tally {
    added: usize,
    replaced: usize,
    unchanged: usize,
    ignored: usize,
    refused: Vec<String>,
}

impl Tally {
    fn count(&mut self, wish: &PutWish, outcome: Put) {
        match outcome {
            Put::Added | Put::Superseded(_) => self.added += 1,
            Put::Replaced => self.replaced += 1,
            Put::Unchanged | Put::Kept => self.unchanged += 1,
            Put::Ignored(_) => self.ignored += 1,
            refused => self
                .refused
                .extend(refusal(wish.job.id().as_str(), &refused)),
        }
    }

    fn total(&self) -> usize {
        self.added + self.replaced + self.unchanged + self.ignored + self.refused.len()
    }

    fn tell(self) -> Result<(), Failure> {
        output::line(&format!(
            "{} added, {} replaced, {} as they were, {} ignored, {} refused",
            self.added,
            self.replaced,
            self.unchanged,
            self.ignored,
            self.refused.len()
        ))?;
        let more = self.refused.len().saturating_sub(MAX_TOLD);
        let mut reasons: Vec<_> = self.refused.into_iter().take(MAX_TOLD).collect();
        match (reasons.is_empty(), more) {
            (true, _) => return Ok(()),
            (false, 0) => {}
            (false, more) => reasons.push(format!("and {more} more")),
        }
        Err(Failure::Refused(reasons.join("\n")))
    }
}

impl<S: Store> Desk<S> {
    /// Puts the jobs of the lines. A line that breaks a rule ends it: what stands before that has been
    /// put by then.
    pub(super) async fn add_lines(
        &self,
        args: &AddArgs,
        lines: Lines,
        defaults: &JobDefaults,
    ) -> Result<(), Failure> {
        let mut tally = Tally::default();
        let mut wishes = Vec::with_capacity(CHUNK);
        let shows = io::stderr().is_terminal();
        let mut wrong = None;
        for (number, line) in lines.reader.lines().enumerate() {
            match wish_of(&lines.name, number + 1, line, args, defaults) {
                Ok(wish) => wishes.extend(wish),
                Err(failure) => {
                    wrong = Some(failure);
                    break;
                }
            }
            if wishes.len() >= CHUNK {
                self.put_chunk(&mut wishes, &mut tally).await?;
                if shows {
                    eprint!("\r{} jobs", tally.total());
                }
            }
        }
        self.put_chunk(&mut wishes, &mut tally).await?;
        if shows {
            eprintln!("\r{} jobs", tally.total());
        }
        let told = tally.tell();
        match (wrong, told) {
            (None, told) => told,
            (Some(wrong), told) => {
                if let Err(refused) = told {
                    // Told; the exit code is that of the wrong line.
                    let _ = refused.report();
                }
                Err(wrong)
            }
        }
    }

    async fn put_chunk(&self, wishes: &mut Vec<PutWish>, tally: &mut Tally) -> Result<(), Failure> {
        let outcomes = self.jobs.put_all(wishes).await;
        let outcomes = outcomes.map_err(|error| self.failed(&error))?;
        for (wish, outcome) in wishes.drain(..).zip(outcomes) {
            tally.count(&wish, outcome);
        }
        Ok(())
    }
}

/// The job of a line; none where it is blank.
fn wish_of(
    name: &str,
    number: usize,
    line: io::Result<String>,
    args: &AddArgs,
    defaults: &JobDefaults,
) -> Result<Option<PutWish>, Failure> {
    let place = format!("{name}:{number}");
    let wrong = |error: &dyn std::fmt::Display| Failure::Usage(format!("{place}: {error}"));
    let line = line.map_err(|error| wrong(&error))?;
    if line.trim().is_empty() {
        return Ok(None);
    }
    let value = serde_json::from_str(&line).map_err(|error| wrong(&error))?;
    let check = || -> Result<_, ConfigError> {
        JobDocument::of_value(&place, value)?
            .of_nobody()?
            .check(defaults)
    };
    Ok(check()?.into_iter().next().map(|job| args.wish(job)))
}
