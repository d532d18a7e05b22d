//! The judgement: what was promised, compared with what happened.

use std::collections::{BTreeMap, HashMap};

use scheduler_core::history::Record;
use scheduler_core::plan::SkipReason;
use scheduler_core::run::Outcome;
use scheduler_core::store::HistoryEntry;

use super::faults::Strike;
use super::record::Execution;
use super::schedule::{Due, Scheduled};

/// After a thaw, how long a handler may go on before its node has noticed: the watchdog looks each
/// fortieth of the session's ttl, and is one thread among many.
const NOTICES_WITHIN_MS: i64 = 500;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) fires: usize,
    pub(super) runs: usize,
    pub(super) executions: usize,
    /// Fire times that were recorded as skipped, by reason.
    pub(super) skipped: BTreeMap<&'static str, usize>,
    /// How much later than due first attempts began, sorted, in milliseconds.
    pub(super) delays: Vec<i64>,
    /// Executions after the first of a run.
    pub(super) again: usize,
    /// From the end of a run's earlier execution by its node's fault to its next one, sorted.
    pub(super) recoveries: Vec<i64>,
    /// The longest time without any start of a handler, and when it began.
    pub(super) longest_gap: (i64, i64),
    /// When handlers began, for gaps after faults.
    pub(super) starts: Vec<i64>,
    /// Two executions of one run at once that nobody promised to prevent: moments after a thaw.
    pub(super) overlaps_after_thaw: Vec<i64>,
    /// What a lost tail may repeat, or leave out: only of what it held.
    pub(super) of_lost_tails: OfLostTails,
    // What must not be.
    pub(super) duplicates: Vec<String>,
    pub(super) lost: Vec<String>,
    pub(super) contradictions: Vec<String>,
    pub(super) unexplained_skips: Vec<String>,
    pub(super) unexplained_again: Vec<String>,
    pub(super) two_owners: Vec<String>,
    pub(super) unordered_fences: Vec<String>,
}

/// What the operator's guide says of a Redis that comes back without what it acknowledged.
#[derive(Debug, Default)]
pub(super) struct OfLostTails {
    /// Runs that any lost tail was about.
    pub(super) runs: usize,
    /// Executed again, for nobody who had executed it could tell in time.
    pub(super) again: usize,
    /// The same, while the earlier execution still went on: of a node that told late, or not at all.
    pub(super) at_once: usize,
    /// Executed, and its end is told nowhere: its node was gone, too.
    pub(super) ends: usize,
    /// Ended or skipped again, for the same reason.
    pub(super) told_twice: usize,
    /// Skipped, and the record of that is gone.
    pub(super) skips: usize,
}

impl Verdict {
    /// What must not be, by name.
    pub(super) fn violations(&self) -> [(&'static str, &[String]); 7] {
        [
            ("duplicates of a dispatch", &self.duplicates),
            ("lost fires", &self.lost),
            (
                "fires both run and skipped, or ended twice",
                &self.contradictions,
            ),
            ("unexplained skips", &self.unexplained_skips),
            ("unexplained re-executions", &self.unexplained_again),
            ("two owners at once", &self.two_owners),
            ("fences out of order", &self.unordered_fences),
        ]
    }

    pub(super) fn is_good(&self) -> bool {
        self.runs > 0 && self.violations().iter().all(|(_, found)| found.is_empty())
    }
}

/// What history says of one job.
#[derive(Default)]
struct Told {
    /// Fire time to when its end was recorded.
    ended: BTreeMap<i64, i64>,
    skips: Vec<Skipped>,
}

struct Skipped {
    first: i64,
    last: i64,
    count: u64,
    reason: SkipReason,
    at: i64,
}

/// Judges all fire times up to `until`.
pub(super) fn judge(
    scheduled: &[Scheduled],
    executions: &[Execution],
    history: &[HistoryEntry],
    strikes: &[Strike],
    until: i64,
) -> Verdict {
    let mut verdict = Verdict {
        executions: executions.len(),
        starts: executions.iter().map(|e| e.begun_ms).collect(),
        ..Verdict::default()
    };
    verdict.starts.sort_unstable();
    let gaps = verdict
        .starts
        .windows(2)
        .map(|pair| (pair[1] - pair[0], pair[0]));
    verdict.longest_gap = gaps.max().unwrap_or_default();
    let told = verdict.read(history, strikes);
    verdict.of_lost_tails.runs = strikes.iter().map(|strike| strike.lost.runs.len()).sum();
    let mut by_run: HashMap<&str, Vec<&Execution>> = HashMap::new();
    for execution in executions {
        by_run.entry(&execution.run).or_default().push(execution);
    }
    let nothing = Told::default();
    for Scheduled { job, due } in scheduled {
        let id = job.id().as_str();
        let told = told.get(id).unwrap_or(&nothing);
        let fires: Vec<i64> = due.fires(until).collect();
        for fire in &fires {
            let run = format!("{id}@{fire}");
            verdict.judge_fire(&run, *fire, by_run.get(&*run), told, strikes);
        }
        verdict.judge_skips(id, &fires, told, strikes);
    }
    let due: HashMap<&str, Due> = scheduled
        .iter()
        .map(|scheduled| (scheduled.job.id().as_str(), scheduled.due))
        .collect();
    for (run, attempts) in &by_run {
        let is_due = due.get(&*attempts[0].job);
        if !is_due.is_some_and(|due| due.is_at(attempts[0].fire_ms)) {
            verdict
                .contradictions
                .push(format!("{run} ran, and was never due"));
        }
        verdict.judge_attempts(run, attempts, strikes);
    }
    verdict.delays.sort_unstable();
    verdict.recoveries.sort_unstable();
    verdict
}

impl Verdict {
    fn read(&mut self, history: &[HistoryEntry], strikes: &[Strike]) -> HashMap<String, Told> {
        let mut told: HashMap<String, Told> = HashMap::new();
        for entry in history {
            let of = told.entry(entry.record.job().to_string()).or_default();
            match &entry.record {
                Record::Run(run) if run.outcome == Outcome::Retrying => {}
                Record::Run(run) => {
                    let fire = run.run.scheduled_at().as_ms();
                    if of.ended.insert(fire, entry.at.as_ms()).is_none() {
                        continue;
                    }
                    if was_lost(strikes, &run.run.to_string(), i64::MAX) {
                        self.of_lost_tails.told_twice += 1;
                    } else {
                        self.contradictions.push(format!("{} ended twice", run.run));
                    }
                }
                Record::Skip(skip) => {
                    of.skips.push(Skipped {
                        first: skip.first.as_ms(),
                        last: skip.last.as_ms(),
                        count: skip.count,
                        reason: skip.skipped,
                        at: entry.at.as_ms(),
                    });
                }
            }
        }
        told
    }

    /// Each fire time is a run that ended, or a recorded skip, and never both.
    fn judge_fire(
        &mut self,
        run: &str,
        fire: i64,
        attempts: Option<&Vec<&Execution>>,
        told: &Told,
        strikes: &[Strike],
    ) {
        self.fires += 1;
        let skips = told
            .skips
            .iter()
            .filter(|s| (s.first..=s.last).contains(&fire));
        let skips: Vec<_> = skips.map(|skip| skip.reason).collect();
        let ended = told.ended.contains_key(&fire);
        let was_lost = was_lost(strikes, run, i64::MAX);
        let job = run.rsplit_once('@').map_or(run, |(job, _)| job);
        match (attempts, skips.len()) {
            (None, 0) if !ended && strikes.iter().any(|s| s.lost.skipped(job, fire)) => {
                self.of_lost_tails.skips += 1;
            }
            (Some(_), 0) if !ended && was_lost => self.of_lost_tails.ends += 1,
            (None, 0) if !ended => self.lost.push(format!("{run}: neither run nor skipped")),
            (Some(_), 0) if !ended => self.lost.push(format!("{run}: begun, and never ended")),
            (None, 0) | (Some(_), 0) => {
                self.runs += 1;
                let first = attempts.and_then(|attempts| attempts.first());
                self.delays.extend(first.map(|first| first.begun_ms - fire));
            }
            (Some(_), _) if was_lost => self.of_lost_tails.told_twice += 1,
            (None, 1) if !ended => *self.skipped.entry(skips[0].as_str()).or_default() += 1,
            _ => self
                .contradictions
                .push(format!("{run}: run {ended}, skipped {skips:?}")),
        }
    }

    /// Each skip has the reason that it says.
    fn judge_skips(&mut self, job: &str, fires: &[i64], told: &Told, strikes: &[Strike]) {
        for skip in &told.skips {
            let Some(&last) = fires.last() else { continue };
            if skip.last > last || skip.first < fires[0] {
                continue;
            }
            let stretch = |fire: &&i64| (skip.first..=skip.last).contains(*fire);
            let count = fires.iter().filter(stretch).count() as u64;
            let following = fires.iter().find(|fire| **fire > skip.last);
            let is_explained = match skip.reason {
                // A later one was due by then, and stands for it.
                SkipReason::Coalesced => following.is_none_or(|next| *next <= skip.at),
                // An earlier run was in flight still.
                SkipReason::MaxInstances => {
                    let earlier = told.ended.range(..skip.first);
                    let mut ends = earlier.map(|(_, ended)| *ended);
                    ends.any(|ended| ended >= skip.at - 1_000) || lost_an_end(strikes, job, skip)
                }
                _ => false,
            };
            if !is_explained || count != skip.count {
                let reason = skip.reason.as_str();
                let (first, last) = (skip.first, skip.last);
                self.unexplained_skips.push(format!(
                    "{job}: {first} to {last}, {count} due, {} {reason}",
                    skip.count
                ));
            }
        }
    }

    /// Attempts of one run: each begun once, fences rise, one after the other, and for a reason.
    fn judge_attempts(&mut self, run: &str, attempts: &[&Execution], strikes: &[Strike]) {
        for pair in attempts.windows(2) {
            let [earlier, later] = pair else { continue };
            self.again += 1;
            let was_lost = was_lost(strikes, run, later.begun_ms);
            if was_lost && earlier.attempt >= later.attempt {
                self.of_lost_tails.again += 1;
            } else if earlier.attempt >= later.attempt {
                self.duplicates
                    .push(format!("{run}: {earlier:?} {later:?}"));
            }
            if earlier.fence >= later.fence {
                self.unordered_fences
                    .push(format!("{run}: {earlier:?} {later:?}"));
            }
            let of_node = |s: &&Strike| s.node.as_ref().is_none_or(|node| *node == earlier.node);
            // A fault works on until its node has noticed, or others have.
            let near = |s: &&Strike| {
                s.at_ms <= later.begun_ms && s.mended_ms.saturating_add(10_000) >= earlier.begun_ms
            };
            if !strikes.iter().filter(of_node).any(|strike| near(&strike)) {
                self.unexplained_again
                    .push(format!("{run}: {earlier:?} {later:?}"));
            }
            let died = strikes
                .iter()
                .filter(of_node)
                .filter(|s| s.at_ms >= earlier.begun_ms && s.at_ms <= later.begun_ms)
                .map(|s| s.at_ms)
                .next_back();
            self.recoveries
                .extend(died.map(|died| later.begun_ms - died));
            self.judge_overlap(run, earlier, later, strikes);
        }
    }

    /// Whether both did something at once: not while one was frozen, nor after it was dead.
    fn judge_overlap(
        &mut self,
        run: &str,
        earlier: &Execution,
        later: &Execution,
        strikes: &[Strike],
    ) {
        let Some(ended) = earlier.ended_ms.filter(|ended| *ended > later.begun_ms) else {
            return;
        };
        let frozen = strikes
            .iter()
            .filter(|s| s.fault.freezes() && s.node.as_ref() == Some(&earlier.node))
            .find(|s| s.at_ms <= later.begun_ms && later.begun_ms <= s.mended_ms);
        match frozen {
            Some(strike) if ended - strike.mended_ms <= NOTICES_WITHIN_MS => {
                self.overlaps_after_thaw
                    .push((ended - strike.mended_ms).max(0));
            }
            _ if was_lost(strikes, run, later.begun_ms) => self.of_lost_tails.at_once += 1,
            _ => self
                .two_owners
                .push(format!("{run}: {earlier:?} {later:?}")),
        }
    }
}

/// Whether anything about this run had been lost by then.
fn was_lost(strikes: &[Strike], run: &str, by: i64) -> bool {
    let is_it = |strike: &Strike| strike.at_ms <= by && strike.lost.runs.contains(run);
    strikes.iter().any(is_it)
}

/// Whether the end of a run of this job was lost around this skip, so that nobody can say how long it was in
/// flight.
fn lost_an_end(strikes: &[Strike], job: &str, skip: &Skipped) -> bool {
    let is_of = |run: &String| run.rsplit_once('@').is_some_and(|(of, _)| of == job);
    strikes
        .iter()
        .filter(|s| (s.at_ms - 10_000..=s.mended_ms.saturating_add(10_000)).contains(&skip.at))
        .any(|strike| strike.lost.runs.iter().any(is_of))
}
