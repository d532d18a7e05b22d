//! What clients, leaders and nodes do besides: one job follows another, two share a unique key, and
//! what nodes do is noted.

use std::collections::BTreeSet;
use std::time::Duration;

use scheduler_core::after::{After, On};
use scheduler_core::change;
use scheduler_core::history::Record;
use scheduler_core::notes::{Note, Notes, RunNotes};
use scheduler_core::store::{PutJob, Supersede};
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::unique::Unique;
use scheduler_core::{
    Cause, Job, JobBuilder, JobDefaults, RunId, Standing, Store, StoredJob, Timestamp, UniqueKey,
};

use super::{JOBS, Killing, Request};
use crate::conformance::{Harness, Sight, done, name, request};

/// The job that follows the first of the others, from the beginning to the end.
pub(super) const FOLLOWER: &str = "follower";

/// Jobs that run once, with one unique key.
pub(super) const ONCE: [&str; 2] = ["u", "v"];

/// How long notes are kept: longer than any history takes.
const KEEP: Duration = Duration::from_secs(400 * 86_400);

/// A job without a schedule of its own.
pub(super) fn follower() -> JobBuilder {
    let never = TriggerSpec::never().resolve(JobDefaults::default().timezone);
    let after = After {
        job: name(JOBS[0]),
        on: On::Any,
    };
    let job = Job::builder(name(FOLLOWER), name("task"), never.expect("never"));
    job.after(Some(after))
}

fn once(id: &str, at: Timestamp) -> Job {
    let spec = serde_json::json!({ "type": "date", "run_date": at.to_string() });
    let spec: TriggerSpec = serde_json::from_value(spec).expect("a date");
    let trigger = spec.resolve(JobDefaults::default().timezone);
    let job = Job::builder(name(id), name("task"), trigger.expect("a date"));
    job.unique(Some(Unique::new(key()))).build()
}

fn key() -> UniqueKey {
    name("key")
}

/// Whoever was killed when: there is one live job with the key, at most.
pub(super) fn check_key(sight: &Sight) {
    let is_live = |stored: &&StoredJob| {
        let is_over = stored.standing() == Standing::Finished && stored.in_flight == 0;
        stored.job.unique().is_some() && !is_over
    };
    let live: Vec<_> = sight.jobs.values().filter(is_live).collect();
    assert!(live.len() <= 1, "two live jobs with one key: {live:#?}");
}

impl<H: Harness> Killing<H> {
    /// Puts a job with the key, if its id is free; perhaps in the place of the one that holds it.
    pub(super) async fn put_once(&mut self) {
        let id = *self.random.choice(&ONCE).expect("some");
        let at = Duration::from_millis(500 * self.random.u64(1..10));
        let read = self.world.read(&name(id)).await;
        if read.stored.is_some() {
            return;
        }
        let job = once(id, read.now.after(at));
        let Ok(change) = change::put_new(job, read.fired, read.now) else {
            return;
        };
        let holder = done(self.world.store.holders(&[key()]).await).remove(0);
        let Some(holder) = holder.filter(|_| self.random.bool()) else {
            let put = PutJob {
                request: request(),
                all_or_none: false,
                changes: vec![(None, change)],
            };
            self.send_for_client(Request::Put(put)).await;
            return;
        };
        let supersede = Supersede {
            request: request(),
            removal: Some(self.world.removal(holder.job.as_str()).await),
            holder: holder.job,
            expected: None,
            change,
        };
        self.send_for_client(Request::Supersede(Box::new(supersede)))
            .await;
    }

    /// The node tells of what it holds.
    pub(super) async fn note(&mut self) {
        let mut notes = Vec::new();
        for claim in &self.claims {
            self.noted += 1;
            let mut told = Notes::default();
            told.log(&format!("note {}", self.noted), self.world.now());
            notes.push(RunNotes {
                run: claim.run.clone(),
                attempt: claim.attempt,
                fence: claim.fence,
                number: self.noted,
                notes: told,
            });
        }
        if notes.is_empty() {
            return;
        }
        let note = Note {
            session: self.node.session.clone(),
            notes,
            keep: KEEP,
        };
        self.send_for_node(Request::Note(note)).await;
    }

    /// These were noted, but for what was overtaken by then.
    pub(super) fn noted(&mut self, note: &Note) {
        let order = |notes: &RunNotes| (notes.fence, notes.number);
        for told in &note.notes {
            let attempts = self.notes.entry(told.run.clone()).or_default();
            let before = attempts.get(&told.attempt).map(order);
            if before.is_none_or(|before| before < order(told)) {
                attempts.insert(told.attempt, told.clone());
            }
        }
    }

    pub(super) async fn judge_notes(&self) {
        for (run, attempts) in &self.notes {
            let kept = done(self.world.store.notes(run).await);
            let expected: Vec<_> = attempts.values().cloned().collect();
            assert_eq!(kept, expected, "notes of {run}");
        }
    }

    /// Each end of a run of the job that is followed became a run, or a recorded skip, and once.
    pub(super) async fn judge_followed(&self, made: &BTreeSet<RunId>) {
        let history = self.world.see().await.history;
        let mut runs: BTreeSet<_> = made
            .iter()
            .filter(|run| run.job.as_str() == FOLLOWER)
            .collect();
        let mut skips: Vec<_> = history
            .iter()
            .filter_map(|entry| match &entry.record {
                Record::Skip(skip) if skip.job.as_str() == FOLLOWER => skip.detail.as_deref(),
                _ => None,
            })
            .collect();
        for entry in &history {
            let Record::Run(ended) = &entry.record else {
                continue;
            };
            if ended.run.job.as_str() != JOBS[0] || !On::Any.includes(ended.outcome) {
                continue;
            }
            let run = RunId {
                job: name(FOLLOWER),
                cause: Cause::following(&name(FOLLOWER), &ended.run, entry.at),
            };
            let skip = format!("after {} {}", ended.run, ended.outcome);
            let skipped = skips.iter().position(|detail| *detail == skip);
            let skipped = skipped.map(|at| skips.remove(at)).is_some();
            assert!(
                runs.remove(&run) != skipped,
                "{} was not followed once: {history:#?}",
                ended.run
            );
        }
        assert!(runs.is_empty() && skips.is_empty(), "{runs:?} {skips:?}");
    }
}
