//! What became of a fire time, in words.

use chrono_tz::Tz;
use scheduler_core::history::RunRecord;
use scheduler_core::ledger::{Facts, Fate};
use scheduler_core::plan::SkipReason;
use scheduler_core::policy::{Coalesce, Grace};
use scheduler_core::run::Outcome;
use scheduler_core::store::RunPlace;
use scheduler_core::{JobState, Timestamp};

use crate::wire::{brief, local};

/// A fate as one word, for programs.
pub(super) const fn word(fate: &Fate) -> &'static str {
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
pub(super) struct Words<'a> {
    pub(super) facts: &'a Facts,
    pub(super) zone: Tz,
}

impl Words<'_> {
    fn time(&self, at: Timestamp) -> String {
        local(at, self.zone)
    }

    pub(super) fn of(&self, fate: &Fate, at: Timestamp) -> Vec<String> {
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
        skip: &scheduler_core::history::SkipRecord,
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
    pub(super) fn made_up_for(&self, at: Timestamp) -> Vec<String> {
        use scheduler_core::history::Record;
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
    pub(super) fn of_today(&self) -> Vec<String> {
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
