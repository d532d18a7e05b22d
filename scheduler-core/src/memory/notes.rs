//! Notes of attempts, for a while.

use std::collections::{BTreeMap, HashMap};

use crate::id::RunId;
use crate::notes::{MAX_ATTEMPTS, Note, RunNotes};
use crate::time::Timestamp;

/// What handlers told of their attempts.
#[derive(Debug, Default)]
pub(super) struct NotesOfRuns {
    runs: HashMap<RunId, Kept>,
    /// When to look next for what is past keeping.
    tidy_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Kept {
    until: Timestamp,
    attempts: BTreeMap<u32, RunNotes>,
}

impl NotesOfRuns {
    pub(super) fn keep(&mut self, request: &Note, now: Timestamp) {
        self.tidy(now, request);
        for told in &request.notes {
            let kept = self.runs.entry(told.run.clone()).or_insert_with(|| Kept {
                until: now,
                attempts: BTreeMap::new(),
            });
            let before = kept.attempts.get(&told.attempt);
            let order = |notes: &RunNotes| (notes.fence, notes.number);
            if before.is_none_or(|before| order(before) < order(told)) {
                kept.attempts.insert(told.attempt, told.clone());
                if let Some(old) = told.attempt.checked_sub(MAX_ATTEMPTS) {
                    kept.attempts.remove(&old);
                }
                kept.until = now.after(request.keep);
            }
        }
    }

    pub(super) fn of(&self, run: &RunId, now: Timestamp) -> Vec<RunNotes> {
        let kept = self.runs.get(run).filter(|kept| now < kept.until);
        kept.map(|kept| kept.attempts.values().cloned().collect())
            .unwrap_or_default()
    }

    /// Forgets what is past keeping, now and then: as a server does with keys that have an end.
    fn tidy(&mut self, now: Timestamp, request: &Note) {
        if self.tidy_at.is_none_or(|at| at <= now) {
            self.runs.retain(|_, kept| now < kept.until);
            self.tidy_at = Some(now.after(request.keep / 10));
        }
    }
}
