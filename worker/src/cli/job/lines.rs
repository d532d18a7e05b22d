//! `carillon job add --file jobs.jsonl`: many jobs, one a line, checked as a whole before any is put.

use std::collections::HashMap;

use carillon::config::{ConfigError, JobDocument};
use carillon::core::JobDefaults;
use carillon::jobs::{Put, PutAll, PutWish};
use serde_json::Value;

use super::unique::refusal;
use super::{AddArgs, Desk, Failure, output};
use crate::cli::failure::HINT;
use crate::cli::output::Progress;

/// How many broken rules and refused jobs are told one by one.
const MAX_TOLD: usize = 20;

/// Jobs, and where each was written down.
pub(super) struct Lines {
    wishes: Vec<PutWish>,
    places: Vec<String>,
}

/// Whether a text is jobs one a line, and no single document: its first line is a whole object, and
/// there are more.
pub(super) fn are_lines(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    first.starts_with('{')
        && lines.next().is_some()
        && serde_json::from_str::<Value>(first).is_ok_and(|value| value.is_object())
}

impl Lines {
    /// Checks each line; tells all that break a rule, up to a bound.
    pub(super) fn read(
        name: &str,
        text: &str,
        args: &AddArgs,
        defaults: &JobDefaults,
    ) -> Result<Self, Failure> {
        let mut read = Self {
            wishes: Vec::new(),
            places: Vec::new(),
        };
        let mut first_of_id: HashMap<String, usize> = HashMap::new();
        let mut wrong = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let place = format!("{name}:{number}");
            match wish_of(&place, line, args, defaults) {
                Ok(wish) => {
                    let id = wish.job.id().to_string();
                    match first_of_id.get(&id) {
                        Some(first) => wrong.push(format!(
                            "{place}: id: {id:?} is the id of line {first}, too"
                        )),
                        None => drop(first_of_id.insert(id, number)),
                    }
                    read.wishes.push(wish);
                    read.places.push(place);
                }
                Err(why) => wrong.push(why),
            }
        }
        if wrong.is_empty() {
            return Ok(read);
        }
        Err(Failure::Usage(told(wrong, "nothing was added")))
    }
}

/// Up to a bound of these reasons, and what that means.
fn told(mut reasons: Vec<String>, hint: &str) -> String {
    let more = reasons.len().saturating_sub(MAX_TOLD);
    reasons.truncate(MAX_TOLD);
    if more > 0 {
        reasons.push(format!("and {more} more"));
    }
    reasons.push(format!("{HINT}{hint}"));
    reasons.join("\n")
}

/// The job of a line.
fn wish_of(
    place: &str,
    line: &str,
    args: &AddArgs,
    defaults: &JobDefaults,
) -> Result<PutWish, String> {
    let value = serde_json::from_str(line).map_err(|error| format!("{place}: {error}"))?;
    let check = || -> Result<_, ConfigError> {
        JobDocument::of_value(place, value)?
            .of_nobody()?
            .check(defaults)
    };
    let mut jobs = check().map_err(|error| error.to_string())?;
    match (jobs.pop(), jobs.is_empty()) {
        (Some(job), true) => Ok(args.wish(job)),
        _ => Err(format!("{place}: must be one job")),
    }
}

/// What became of the jobs.
#[derive(Default)]
struct Tally {
    added: usize,
    replaced: usize,
    unchanged: usize,
    ignored: usize,
    refused: Vec<String>,
}

impl Tally {
    fn count(&mut self, place: &str, wish: &PutWish, outcome: &Put) {
        match outcome {
            Put::Added | Put::Superseded(_) => self.added += 1,
            Put::Replaced => self.replaced += 1,
            Put::Unchanged | Put::Kept => self.unchanged += 1,
            Put::Ignored(_) => self.ignored += 1,
            refused => {
                let why = refusal(wish.job.id().as_str(), refused).unwrap_or_default();
                self.refused.push(format!("{place}: {why}"));
            }
        }
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
        if self.refused.is_empty() {
            return Ok(());
        }
        let hint = "the others were added";
        Err(Failure::Refused(told(self.refused, hint)))
    }
}

impl Desk {
    /// Puts the jobs of the lines, all or none; or those that can be put, if that is asked for.
    pub(super) async fn add_lines(&self, args: &AddArgs, lines: &Lines) -> Result<(), Failure> {
        let Lines { wishes, places } = lines;
        let mut progress = Progress::new(wishes.len(), args.shows_progress());
        let told_done = |done| progress.tell(done);
        let put = self.office.put(wishes, args.is_partial(), told_done).await;
        progress.end();
        let outcomes = match put {
            Ok(PutAll::Done(outcomes)) => outcomes,
            Ok(PutAll::Refused(refused)) => {
                let reasons = refused.iter().map(|(at, outcome)| {
                    let why = refusal(wishes[*at].job.id().as_str(), outcome);
                    format!("{}: {}", places[*at], why.unwrap_or_default())
                });
                let hint = "nothing was added: with --partial, the others would be";
                return Err(Failure::Refused(told(reasons.collect(), hint)));
            }
            Err(failure) => {
                eprintln!(
                    "{HINT}some may have been added: the same again completes it, with --replace"
                );
                return Err(failure);
            }
        };
        let mut tally = Tally::default();
        for ((wish, place), outcome) in wishes.iter().zip(places).zip(&outcomes) {
            tally.count(place, wish, outcome);
        }
        tally.tell()
    }
}
