//! `carillon job pause|resume|run|remove`.

use carillon::core::duration;
use carillon::core::trigger::read_moment;
use carillon::jobs::{PauseEnd, PauseWish, Removed, RunRequested, Switched};
use chrono_tz::Tz;
use clap::Args;

use serde_json::Value;

use crate::cli::author::whoever_this_is;

use super::{Chosen, Desk, Failure, Ids, Selection, output};

/// Says of each job what became of it; the last refusal decides about the exit code.
struct Told(Result<(), Failure>);

impl Told {
    fn new() -> Self {
        Self(Ok(()))
    }

    fn done(&self, text: &str) -> Result<(), Failure> {
        Ok(output::line(text)?)
    }

    fn refused(&mut self, failure: Failure) {
        if let Err(earlier) = std::mem::replace(&mut self.0, Err(failure)) {
            // Told; the exit code is that of the last refusal.
            let _ = earlier.report();
        }
    }
}

const PAUSE_HELP: &str = "\
Examples:
  carillon job pause report --reason 'the ledger is being moved' --for 2h
  carillon job pause --tag finance --until '2026-12-24 18:00:00'

A pause with an end is over at that instant, and the job comes back by itself: its fire times from then
on become runs again. What passed meanwhile is recorded as skipped, with who and why. Pausing again
changes reason, author and end.";

/// `carillon job pause`.
#[derive(Args, Debug)]
#[command(after_help = PAUSE_HELP)]
pub(in crate::cli) struct PauseArgs {
    #[command(flatten)]
    chosen: Ids,
    /// Why, for whoever wonders
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who pauses them [default: user@host]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// End the pause at this time, in the zone of --config where it has no offset
    #[arg(long, value_name = "TIME", conflicts_with = "duration")]
    until: Option<String>,
    /// End the pause after so long: 30m, 2h
    #[arg(long = "for", value_name = "TIME", id = "duration")]
    duration: Option<String>,
}

impl PauseArgs {
    pub(super) fn check(&self, zone: Tz) -> Result<(Chosen, PauseWish), Failure> {
        let usage = |message: String| Failure::Usage(message);
        let until = self.until.as_deref().map(|until| {
            let at = read_moment("--until", until, zone);
            at.map(PauseEnd::Until)
                .map_err(|error| usage(error.to_string()))
        });
        let duration = self.duration.as_deref().map(|text| {
            let duration = duration::parse(text);
            duration
                .map(PauseEnd::For)
                .map_err(|message| usage(format!("--for: {message}")))
        });
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let wish = PauseWish {
            end: until.or(duration).transpose()?,
            by: given(&self.by).or_else(|| Some(whoever_this_is())),
            reason: given(&self.reason),
        };
        Ok((self.chosen.check()?, wish))
    }
}

impl Selection {
    pub(super) async fn pause(&self, wish: &PauseWish) -> Result<(), Failure> {
        let mut told = Told::new();
        for id in &self.ids {
            let desk = &self.desk;
            match desk.office.pause(id, wish, desk.expected).await? {
                Switched::Done => told.done(&format!("paused {id}"))?,
                Switched::Already => told.done(&format!("{id} was paused already"))?,
                Switched::Ended => told.refused(Failure::Refused(format!(
                    "job {:?}: the pause would be over already",
                    id.as_str()
                ))),
                Switched::NotFound => told.refused(Desk::not_found(id)),
            }
        }
        told.0
    }

    pub(super) async fn resume(&self) -> Result<(), Failure> {
        let mut told = Told::new();
        for id in &self.ids {
            let desk = &self.desk;
            match desk.office.resume(id, desk.expected).await? {
                Switched::Done => told.done(&format!("resumed {id}"))?,
                Switched::Already | Switched::Ended => {
                    told.done(&format!("{id} was not paused"))?;
                }
                Switched::NotFound => told.refused(Desk::not_found(id)),
            }
        }
        told.0
    }

    pub(super) async fn remove(&self) -> Result<(), Failure> {
        let mut told = Told::new();
        for id in &self.ids {
            let desk = &self.desk;
            match desk.office.remove(id, desk.expected).await? {
                Removed::Done => told.done(&format!("removed {id}"))?,
                Removed::NotFound => told.refused(Desk::not_found(id)),
            }
        }
        told.0
    }

    pub(super) async fn run_now(&self, args: Option<&Value>) -> Result<(), Failure> {
        let mut told = Told::new();
        for id in &self.ids {
            let desk = &self.desk;
            match desk.office.run_now(id, args, desk.expected).await? {
                RunRequested::Made(run) => told.done(&run.to_string())?,
                RunRequested::Full { in_flight } => told.refused(Failure::Refused(format!(
                    "job {:?} has {in_flight} run(s) in flight, as many as it allows",
                    id.as_str()
                ))),
                RunRequested::NotFound => told.refused(Desk::not_found(id)),
                RunRequested::TooEarly => {
                    let message = "the store's clock stands before 1970".to_owned();
                    told.refused(Failure::Refused(message));
                }
            }
        }
        told.0
    }
}
