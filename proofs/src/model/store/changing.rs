//! `put.lua`, `remove.lua` and `run_now.lua`.

use super::super::checks::Check;
use super::super::plan::highest;
use super::super::state::{Breach, Run, Tick};
use super::{Job, Script};

/// What a client has decided, and what it read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::model) struct Change {
    pub(in crate::model) request: u8,
    pub(in crate::model) job: u8,
    /// The version that was read; 0 for none.
    pub(in crate::model) version: u8,
    /// The definition that was read, as [`Job::definition`].
    pub(in crate::model) definition: u8,
    pub(in crate::model) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::model) enum Kind {
    Put {
        rule: u8,
        paused: bool,
        next: Option<Tick>,
        paused_from: Option<Tick>,
        skips: u16,
    },
    Remove {
        due: Option<Tick>,
        skips: u16,
        /// The first fire time that the removal does not settle.
        next: Option<Tick>,
    },
    RunNow {
        run: Run,
    },
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::model) enum Changed {
    Done,
    Conflict,
}

impl Script<'_> {
    pub(in crate::model) fn change(&mut self, change: &Change) -> Changed {
        if self.on(Check::Requests)
            && let Some((_, reply)) = self
                .store
                .replies
                .iter()
                .find(|(request, _)| *request == change.request)
        {
            return *reply;
        }
        let stored = self.store.job(change.job).definition;
        let reply = match change.kind {
            Kind::Put {
                rule,
                paused,
                next,
                paused_from,
                skips,
            } => {
                let pending = next.or(paused_from);
                if self.is_conflict(change, pending, skips) {
                    Changed::Conflict
                } else {
                    let job = Job {
                        rule,
                        due: next,
                        paused,
                        paused_from,
                        ..*self.store.job(change.job)
                    };
                    self.put(change.job, job, skips);
                    Changed::Done
                }
            }
            Kind::Remove { due, skips, next } => {
                let is_same = self.store.job(change.job).due == due || !self.on(Check::SameDue);
                let exists = self.store.job(change.job).exists();
                let came_due = next.is_some_and(|next| next <= self.store.now);
                let is_late = self.on(Check::Pending) && came_due;
                if !is_same || !exists || is_late || self.is_conflict(change, None, skips) {
                    Changed::Conflict
                } else {
                    self.remove(change.job, skips);
                    Changed::Done
                }
            }
            Kind::RunNow { run } => self.run_now(change, run),
        };
        if reply == Changed::Done && stored != change.definition {
            self.past.note(Breach::ChangedUnseen);
        }
        self.store.replies.push((change.request, reply));
        self.store.replies.sort_unstable();
        reply
    }

    /// Whether the job is not as it was read, or a fire time would be lost or come again.
    fn is_conflict(&self, change: &Change, pending: Option<Tick>, skips: u16) -> bool {
        let job = self.store.job(change.job);
        let fired = job.fired.filter(|_| self.on(Check::Fired));
        let recorded = (skips != 0).then(|| (lowest(skips), highest(skips)));
        let floor = fired.max(recorded.map(|(_, last)| last));
        let is_lost = job
            .pending()
            .filter(|_| job.exists())
            .is_some_and(|waiting| {
                waiting <= self.store.now
                    && pending != Some(waiting)
                    && recorded.map(|(first, _)| first) != Some(waiting)
            });
        (self.on(Check::Expected) && job.version != change.version)
            || pending.is_some_and(|next| floor.is_some_and(|floor| next <= floor))
            || recorded.is_some_and(|(_, last)| fired.is_some_and(|fired| last <= fired))
            || (self.on(Check::Pending) && is_lost)
    }

    fn put(&mut self, at: u8, mut job: Job, skips: u16) {
        self.store.definitions += 1;
        job.definition = self.store.definitions;
        job.version = if self.on(Check::VersionsRise) {
            self.take_number()
        } else {
            job.version + 1
        };
        *self.store.job_mut(at) = job;
        self.record(at, skips);
    }

    fn remove(&mut self, at: u8, skips: u16) {
        let Job { fired, busy, .. } = *self.store.job(at);
        *self.store.job_mut(at) = Job {
            fired,
            busy,
            ..Job::default()
        };
        self.record(at, skips);
    }

    fn record(&mut self, at: u8, skips: u16) {
        if skips == 0 {
            return;
        }
        let job = self.store.job_mut(at);
        job.fired = job.fired.max(Some(highest(skips)));
        self.past.skip(at, skips);
    }

    fn run_now(&mut self, change: &Change, run: Run) -> Changed {
        let job = self.store.job(change.job);
        let is_other = self.on(Check::Expected) && job.version != change.version;
        if is_other || !job.exists() {
            return Changed::Conflict;
        }
        if job.in_flight() >= self.left.max_instances {
            if self.on(Check::Room) {
                return Changed::Conflict;
            }
            self.past.note(Breach::TooManyInFlight);
        }
        self.make(run);
        Changed::Done
    }
}

/// The lowest of these fire times.
fn lowest(fires: u16) -> Tick {
    u8::try_from(fires.trailing_zeros()).unwrap_or(0)
}
