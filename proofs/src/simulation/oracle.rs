//! What must be so, and what is at the end.

use std::collections::{BTreeMap, BTreeSet};

use scheduler_core::history::Record;
use scheduler_core::run::{Claim, Outcome};
use scheduler_core::store::HistoryEntry;
use scheduler_core::{Fence, RunId};

/// What a simulation saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Fire times.
    pub fires: u64,
    /// Those that became runs.
    pub runs: u64,
    /// Those that were recorded as skipped.
    pub skips: u64,
    /// Handlers that were begun.
    pub begun: u64,
    /// Sessions that were declared dead.
    pub fenced: u64,
    /// Terms of leaders.
    pub terms: u64,
    /// How many requests were lost, or their answers, or done twice.
    pub faults: u64,
}

/// A handler that runs: where, and under which fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) node: usize,
    pub(super) fence: Fence,
}

/// Keeps account of handlers.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    begun: BTreeSet<(RunId, u32)>,
    fences: BTreeMap<RunId, Fence>,
    running: BTreeMap<RunId, Vec<Running>>,
    pub(super) summary: Summary,
}

impl Oracle {
    /// A handler begins; `is_frozen` tells of other nodes.
    pub(super) fn begins(&mut self, node: usize, claim: &Claim, is_frozen: impl Fn(usize) -> bool) {
        self.summary.begun += 1;
        let attempt = (claim.run.clone(), claim.attempt);
        assert!(self.begun.insert(attempt), "begun twice: {claim:?}");
        let before = self.fences.insert(claim.run.clone(), claim.fence);
        assert!(before < Some(claim.fence), "fences: {before:?}, {claim:?}");
        let running = self.running.entry(claim.run.clone()).or_default();
        let other = running.iter().find(|other| !is_frozen(other.node));
        assert_eq!(other, None, "two owners at once: {claim:?} on node {node}");
        let fence = claim.fence;
        running.push(Running { node, fence });
    }

    /// A handler has ended, was stopped, or died with its node.
    pub(super) fn ends(&mut self, claim: &Claim) {
        if let Some(running) = self.running.get_mut(&claim.run) {
            running.retain(|running| running.fence != claim.fence);
        }
    }

    /// All is over: each of these fire times is one run that ended once, or one recorded skip.
    pub(super) fn judge(&mut self, due: &BTreeMap<String, Vec<i64>>, history: &[HistoryEntry]) {
        let mut ended: BTreeMap<(String, i64), u32> = BTreeMap::new();
        let mut skips: Vec<(String, i64, i64)> = Vec::new();
        for entry in history {
            let job = entry.record.job().to_string();
            match &entry.record {
                Record::Run(run) if run.outcome == Outcome::Retrying => {}
                Record::Run(run) => {
                    let fire = run.run.scheduled_at().as_ms();
                    *ended.entry((job, fire)).or_default() += 1;
                }
                Record::Skip(skip) => skips.push((job, skip.first.as_ms(), skip.last.as_ms())),
            }
        }
        for (job, fires) in due {
            for fire in fires {
                let runs = ended.remove(&(job.clone(), *fire)).unwrap_or(0);
                let is_in = |(of, first, last): &&(String, i64, i64)| {
                    of == job && (first..=last).contains(&fire)
                };
                let skipped = skips.iter().filter(is_in).count();
                assert_eq!(
                    (runs as usize) + skipped,
                    1,
                    "{job}@{fire}: {runs} runs, {skipped} skips"
                );
                self.summary.fires += 1;
                self.summary.runs += u64::from(runs);
                self.summary.skips += skipped as u64;
            }
        }
        assert!(ended.is_empty(), "never due: {ended:?}");
        let left: Vec<_> = self.running.values().flatten().collect();
        assert!(left.is_empty(), "still running: {left:?}");
    }
}
