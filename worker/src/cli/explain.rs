//! `carillon explain`: what became of a fire time, or why nothing did, in words.

use std::time::Duration;

use carillon::Jobs;
use carillon::core::history::RunRecord;
use carillon::core::ledger::{Facts, Fate, fate, neighbours};
use carillon::core::plan::SkipReason;
use carillon::core::policy::{Coalesce, Grace};
use carillon::core::run::Outcome;
use carillon::core::store::RunPlace;
use carillon::core::{JobId, JobState, Store, Timestamp};
use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;
use serde_json::json;

use super::args::{ExplainArgs, Global};
use super::failure::Failure;
use super::output::{self, brief, local};
use super::store;

pub(super) fn run(global: &Global, args: &ExplainArgs) -> Result<(), Failure> {
    let settings = global.settings()?;
    let id = JobId::new(&args.job)?;
    let asked = args.at.as_deref().map(Asked::parse).transpose()?;
    let store = store::shared(&settings)?;
    let zone = settings.job_defaults.timezone;
    let desk = Desk {
        id,
        jobs: Jobs::new(store.clone()),
        zone,
    };
    let told = async {
        let told = desk.explain(asked.as_ref()).await;
        told.map_err(|error| Failure::of_jobs(&store.describe(), &error))
    };
    let told = store::runtime()?.block_on(told)?;
    if args.json {
        return Ok(output::json(&told.json())?);
    }
    for line in &told.lines {
        output::line(line)?;
    }
    Ok(())
}

/// A time as people type it: an instant, or a wall clock's, of today where no day is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Instant(Timestamp),
    Wall {
        day: Option<NaiveDate>,
        time: NaiveTime,
        /// Within how long from there a fire time is meant: a minute, where no seconds are said.
        within: Duration,
    },
}

impl Asked {
    fn parse(text: &str) -> Result<Self, Failure> {
        if let Ok(at) = text.parse() {
            return Ok(Self::Instant(at));
        }
        let wall = |day, time, within| Self::Wall { day, time, within };
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        for (format, within) in [
            ("%Y-%m-%d %H:%M", minute),
            ("%Y-%m-%d %H:%M:%S", second),
            ("%Y-%m-%dT%H:%M", minute),
            ("%Y-%m-%dT%H:%M:%S", second),
        ] {
            if let Ok(at) = NaiveDateTime::parse_from_str(text, format) {
                return Ok(wall(Some(at.date()), at.time(), within));
            }
        }
        for (format, within) in [("%H:%M", minute), ("%H:%M:%S", second)] {
            if let Ok(time) = NaiveTime::parse_from_str(text, format) {
                return Ok(wall(None, time, within));
            }
        }
        Err(Failure::Usage(format!(
            "--at: {text:?} is no time: give 2026-12-24T18:00:00Z, or the time of the job's zone as \
             03:00 or '2026-12-24 03:00'"
        )))
    }

    /// The stretch of instants that is meant: a clock's time that lies ahead was yesterday's.
    fn stretch(self, zone: Tz, now: Timestamp) -> (Timestamp, Timestamp) {
        let (day, time, within) = match self {
            Self::Instant(at) => return (at, at),
            Self::Wall { day, time, within } => (day, time, within),
        };
        let today = now.to_datetime().with_timezone(&zone).date_naive();
        let on = |day: NaiveDate| {
            let at = zone.from_local_datetime(&day.and_time(time));
            // A time that the clock jumped over is taken for the moment after the jump.
            let at = at.earliest().map(Timestamp::from);
            at.unwrap_or_else(|| Timestamp::from(day.and_time(time).and_utc()))
        };
        let from = match day {
            Some(day) => on(day),
            None if on(today) > now => on(today.checked_sub_days(Days::new(1)).unwrap_or(today)),
            None => on(today),
        };
        let last = from.after(within.saturating_sub(Duration::from_millis(1)));
        (from, last)
    }
}

/// What is told of a fire time.
struct Told {
    job: JobId,
    at: Option<Timestamp>,
    fate: &'static str,
    lines: Vec<String>,
}

impl Told {
    fn json(&self) -> serde_json::Value {
        json!({
            "job": self.job.as_str(),
            "fire_time": self.at.map(|at| at.to_string()),
            "fate": self.fate,
            "text": self.lines,
        })
    }
}

struct Desk<S> {
    id: JobId,
    jobs: Jobs<S>,
    zone: Tz,
}

impl<S: Store> Desk<S> {
    async fn explain(&self, asked: Option<&Asked>) -> Result<Told, carillon::jobs::JobsError> {
        let stored = self.jobs.facts(&self.id, Timestamp::MAX).await?;
        let zone = zone_of(&stored).unwrap_or(self.zone);
        let (from, to) = match asked {
            Some(asked) => asked.stretch(zone, stored.now),
            None => match stored.fired {
                Some(fired) => (fired, fired),
                None => return Ok(self.nothing_yet(&stored, zone)),
            },
        };
        let facts = self.jobs.facts(&self.id, from).await?;
        let at = meant(&facts, from, to);
        let fate = fate(&facts, at);
        let words = Words {
            facts: &facts,
            zone,
        };
        let mut lines = vec![format!("{} at {}", self.id, local(at, zone))];
        lines.extend(
            words
                .of(&fate, at)
                .into_iter()
                .map(|line| format!("  {line}")),
        );
        lines.extend(words.made_up_for(at));
        lines.extend(words.of_today());
        Ok(Told {
            job: self.id.clone(),
            at: Some(at),
            fate: word(&fate),
            lines,
        })
    }

    fn nothing_yet(&self, facts: &Facts, zone: Tz) -> Told {
        let words = Words { facts, zone };
        let is_there = facts.stored.is_some() || facts.unreadable.is_some();
        let first = if is_there {
            format!("{}: no fire time of it has come yet", self.id)
        } else {
            format!(
                "there is no job {:?}, and nothing is known of one",
                self.id.as_str()
            )
        };
        let mut lines = vec![first];
        lines.extend(words.of_today());
        Told {
            job: self.id.clone(),
            at: None,
            fate: if is_there { "not_due_yet" } else { "no_job" },
            lines,
        }
    }
}

fn zone_of(facts: &Facts) -> Option<Tz> {
    let stored = facts.stored.as_ref()?;
    Some(stored.job.trigger().timezone())
}

/// The fire time that is meant by a stretch: one that something is known of, or one that the trigger
/// yields, or its beginning.
fn meant(facts: &Facts, from: Timestamp, to: Timestamp) -> Timestamp {
    use carillon::core::history::Record;
    let is_in = |at: &Timestamp| (from..=to).contains(at);
    let recorded = facts
        .records
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::Run(run) => Some(run.run.scheduled_at()),
            Record::Skip(skip) => [skip.first, skip.last].into_iter().find(is_in),
        });
    let in_flight = facts.in_flight.iter().map(|run| run.run.scheduled_at());
    let known = recorded.chain(in_flight).filter(is_in).min();
    let yielded = facts.stored.as_ref().and_then(|stored| {
        let just_before = Timestamp::from_ms(from.as_ms() - 1);
        let anchor = stored.next_fire.or(stored.fired);
        neighbours(&stored.job, anchor, just_before).1.filter(is_in)
    });
    known.or(yielded).unwrap_or(from)
}

/// A fate as one word, for programs.
const fn word(fate: &Fate) -> &'static str {
    match fate {
        Fate::Ran(_) => "ran",
        Fate::InFlight { place, .. } => place.as_str(),
        Fate::Skipped { skip, .. } => skip.skipped.as_str(),
        Fate::Pending => "pending",
        Fate::Paused => "paused",
        Fate::Parked => "parked",
        Fate::NotDueYet => "not_due_yet",
        Fate::NoFireTime {
            is_excluded: true, ..
        } => "excluded",
        Fate::NoFireTime { .. } => "no_fire_time",
        Fate::Forgotten(_) => "forgotten",
        Fate::BeforeSchedule => "before_schedule",
        Fate::Unreadable(_) => "unreadable",
        Fate::NoJob => "no_job",
    }
}

/// Facts in words.
struct Words<'a> {
    facts: &'a Facts,
    zone: Tz,
}

impl Words<'_> {
    fn time(&self, at: Timestamp) -> String {
        local(at, self.zone)
    }

    fn of(&self, fate: &Fate, at: Timestamp) -> Vec<String> {
        match fate {
            Fate::Ran(attempts) => self.attempts(attempts, true),
            Fate::InFlight { attempts, place } => {
                let mut lines = self.attempts(attempts, false);
                lines.push(match place {
                    RunPlace::Claimed { by, attempt, .. } => {
                        format!("is being executed by node {}, attempt {attempt}", by.node())
                    }
                    RunPlace::Waiting => "is in flight: its run waits for a node".to_owned(),
                    RunPlace::LinedUp { before } => self.lined_up(*before),
                });
                lines
            }
            Fate::Skipped { skip, at: written, because_of } => {
                vec![self.skipped(skip, *written, at, because_of.as_deref())]
            }
            Fate::Pending => vec![format!(
                "is due since {}, and no leader has come to it yet: is a worker running?",
                brief(self.facts.now.since(at))
            )],
            Fate::Paused => vec![
                "the job is paused: no run is made, and the fire time will be recorded as paused when \
                 the job is resumed"
                    .to_owned(),
            ],
            Fate::Parked => vec![
                "the job is parked: its definition could not be read when it was due".to_owned(),
            ],
            Fate::NotDueYet => {
                vec![format!("is not due yet: in {}", brief(at.since(self.facts.now)))]
            }
            Fate::NoFireTime { before, after, is_excluded } => {
                let mut line = if *is_excluded {
                    "is excluded by the job's trigger".to_owned()
                } else {
                    "is no fire time of the job's trigger, as it is today".to_owned()
                };
                let near = [("before", before), ("after", after)];
                for (word, near) in near.iter().filter_map(|(word, at)| at.map(|at| (word, at))) {
                    line += &format!("; the one {word} is {}", self.time(near));
                }
                vec![line]
            }
            Fate::Forgotten(from) => vec![match from {
                Some(from) => format!(
                    "nothing is recorded of it (any more): history goes back to {} only",
                    self.time(*from)
                ),
                None => "nothing is recorded of it (any more): history is empty".to_owned(),
            }],
            Fate::BeforeSchedule => vec![
                "nothing is recorded of it: the job was put, or given the trigger that it has, after it"
                    .to_owned(),
            ],
            Fate::Unreadable(why) => vec![format!("the job cannot be read: {why}")],
            Fate::NoJob => vec!["there is no such job, and nothing is recorded of it".to_owned()],
        }
    }

    /// Why a run has not begun that is lined up.
    fn lined_up(&self, before: usize) -> String {
        let stored = self.facts.stored.as_ref();
        let at_once = stored.map_or(1, |stored| stored.job.policy().max_instances.get());
        let before = match before {
            0 => "it is the next to go".to_owned(),
            1 => "one goes before it".to_owned(),
            before => format!("{before} go before it"),
        };
        format!(
            "is lined up: the job has as many runs at work as it allows (max_instances = {at_once}), \
             and overlap = \"queue\" lets it wait its turn; {before}"
        )
    }

    /// How the attempts ended; of a run that is over, the last one decided.
    fn attempts(&self, attempts: &[RunRecord], is_over: bool) -> Vec<String> {
        let Some((last, earlier)) = attempts.split_last() else {
            return Vec::new();
        };
        let mut lines: Vec<_> = earlier
            .iter()
            .map(|run| self.attempt(run, "attempt"))
            .collect();
        if is_over {
            lines.insert(0, self.attempt(last, "ran"));
        } else {
            lines.push(self.attempt(last, "attempt"));
        }
        lines
    }

    fn attempt(&self, run: &RunRecord, word: &str) -> String {
        let mut line = match (word, run.started_at) {
            ("ran", Some(_)) => format!("ran on node {}, attempt {}", run.node, run.attempt),
            ("ran", None) => "became a run, which was never begun".to_owned(),
            (_, _) if run.node.is_empty() => format!("attempt {}", run.attempt),
            _ => format!("attempt {} on node {}", run.attempt, run.node),
        };
        if let Some(late) = run.late() {
            line += &format!(", begun {} late", brief(late));
        }
        line += &match run.outcome {
            Outcome::Retrying => ": came to nothing, and is tried again".to_owned(),
            outcome => format!(": {outcome}"),
        };
        if let Some(took) = run.took() {
            line += &format!(" after {}", brief(took));
        }
        if let Some(detail) = &run.detail {
            line += &format!(" ({detail})");
        }
        line
    }

    fn skipped(
        &self,
        skip: &carillon::core::history::SkipRecord,
        written: Timestamp,
        at: Timestamp,
        because_of: Option<&RunRecord>,
    ) -> String {
        let late = brief(written.since(at));
        let policy = self.facts.stored.as_ref().map(|stored| stored.job.policy());
        let run = |otherwise: &str| match because_of {
            Some(run) => format!("the run {} ({})", run.run, run.outcome),
            None => otherwise.to_owned(),
        };
        let mut line = match skip.skipped {
            SkipReason::Misfired => match policy.map(|policy| policy.misfire_grace_time) {
                Some(Grace::Within(grace)) => {
                    format!(
                        "misfired: reached {late} late, and its grace time is {}",
                        brief(grace)
                    )
                }
                _ => format!("misfired: reached {late} late"),
            },
            SkipReason::Coalesced => {
                let which = match policy.map(|policy| policy.coalesce) {
                    Some(Coalesce::Earliest) => "the earliest",
                    _ => "the latest",
                };
                format!(
                    "coalesced: several were due at once, and {which} went for all, {}",
                    run("which has no record (yet)")
                )
            }
            SkipReason::CatchUp => match policy {
                Some(policy) => format!(
                    "not caught up with: more were due at once than max_catch_up, {}",
                    policy.max_catch_up
                ),
                None => "not caught up with: more were due at once than max_catch_up".to_owned(),
            },
            SkipReason::MaxInstances => {
                let limit = policy.map(|policy| policy.max_instances.to_string());
                format!(
                    "max_instances: as many runs were in flight as the job allows ({}), among them {}",
                    limit.as_deref().unwrap_or("?"),
                    run("one that is in flight still, or of which no record is left")
                )
            }
            SkipReason::Paused => "the job was paused".to_owned(),
            SkipReason::Removed => {
                "was due when the job was removed, and had not been dispatched".to_owned()
            }
            SkipReason::Unreadable => "the job was parked: it could not be read".to_owned(),
        };
        if let Some(detail) = &skip.detail {
            line += &format!(": {detail}");
        }
        if skip.count > 1 {
            line += &format!(
                "; one of {} from {} to {}",
                skip.count,
                self.time(skip.first),
                self.time(skip.last)
            );
        }
        line += &format!("; recorded {}", self.time(written));
        line
    }

    /// Runs that make up for a fire time.
    fn made_up_for(&self, at: Timestamp) -> Vec<String> {
        use carillon::core::history::Record;
        let runs = self
            .facts
            .records
            .iter()
            .filter_map(|entry| match &entry.record {
                Record::Run(run) if run.run.cause.stands_for() == Some(at) => Some(run),
                _ => None,
            });
        runs.map(|run| format!("  made up for by {}: {}", run.run, self.attempt(run, "ran")))
            .collect()
    }

    /// How the job stands today.
    fn of_today(&self) -> Vec<String> {
        let Some(stored) = &self.facts.stored else {
            return match &self.facts.unreadable {
                Some(why) => vec![format!("the job cannot be read: {why}")],
                None if self.facts.fired.is_some() => {
                    vec!["the job was removed, or its schedule is over".to_owned()]
                }
                None => Vec::new(),
            };
        };
        let line = match (&stored.state, stored.parked, stored.next_fire) {
            (JobState::Paused { from, pause }, ..) => {
                let mut line = "today it is paused".to_owned();
                if let Some(from) = from {
                    line += &format!(", from the fire time {} on", self.time(*from));
                }
                if let Some(until) = pause.until {
                    line += &format!(", until {}", self.time(until));
                }
                if let Some(words) = pause.words() {
                    line += &format!(", {words}");
                }
                line
            }
            (_, Some(parked), _) => format!("today it is parked, since {}", self.time(parked)),
            (_, _, Some(next)) if next <= self.facts.now => {
                format!("next: {}, which is due", self.time(next))
            }
            (_, _, Some(next)) => format!("next: {}", self.time(next)),
            _ => "its schedule is over".to_owned(),
        };
        let running = stored.in_flight;
        vec![match running {
            0 => line,
            1 => format!("{line}; 1 run in flight"),
            n => format!("{line}; {n} runs in flight"),
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_people_say_it() {
        let berlin = Tz::Europe__Berlin;
        let now: Timestamp = "2026-11-22T01:30:00Z".parse().unwrap();
        let at = |text: &str| {
            let (from, to) = Asked::parse(text).unwrap().stretch(berlin, now);
            (from.to_string(), to.since(from).as_millis())
        };
        let asked = |text: &str, ms| (text.to_owned(), ms);
        assert_eq!(at("2026-11-22T03:00:00Z"), asked("2026-11-22T03:00:00Z", 0));
        assert_eq!(at("02:00"), asked("2026-11-22T01:00:00Z", 59_999));
        assert_eq!(
            at("03:00"),
            asked("2026-11-21T02:00:00Z", 59_999),
            "yesterday's"
        );
        assert_eq!(at("02:00:30"), asked("2026-11-22T01:00:30Z", 999));
        assert_eq!(
            at("2026-12-24 18:00"),
            asked("2026-12-24T17:00:00Z", 59_999)
        );
        assert!(Asked::parse("noon").is_err());
    }
}
