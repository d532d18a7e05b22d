//! The whole world at one moment.

use super::node::Node;
use super::scope::Scope;
use super::store::{Request, Store};

/// A tick of the store's clock; fire times are ticks.
pub(super) type Tick = u8;

/// A run: of a job, for a fire time, or for a client's wish (numbers from [`Run::WISH`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Run {
    pub(super) job: u8,
    pub(super) number: u8,
}

impl Run {
    /// Numbers of runs from here on are wishes, not fire times.
    pub(super) const WISH: u8 = 10;

    pub(super) const fn bit(self) -> u16 {
        1 << self.number
    }
}

/// The whole world: what the store holds, what each node knows, what is under way, and what has
/// happened so far as far as promises look at it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) store: Store,
    pub(super) nodes: Vec<Node>,
    /// Requests that nobody waits for any more, and that may still be done; in no order.
    pub(super) late: Vec<Request>,
    pub(super) past: Past,
    /// How often things may still happen.
    pub(super) left: Scope,
}

/// What was observed to be broken at the moment when it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Breach {
    MadeTwice,
    SettledTwice,
    EndedTwice,
    DispatchedWithoutToken,
    DispatchedOtherwise,
    TooManyInFlight,
    ChangedUnseen,
    MadeLate,
    HandedInWithoutClaim,
    FalselyStale,
    BegunTwice,
    Rebound,
    NumberReused,
    EffectsReordered,
}

/// What has happened so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Past {
    /// One bit for each [`Breach`].
    breaches: u32,
    /// Runs that were made, by job: one bit for each number.
    pub(super) made: Vec<u16>,
    /// Fire times that were recorded as skipped, by job.
    pub(super) skipped: Vec<u16>,
    /// Fire times that came to be due while the job was there, by job.
    pub(super) owed: Vec<u16>,
    /// Runs that have ended, by job.
    pub(super) ended: Vec<u16>,
    /// Fences under which a node handed in, and was heard.
    pub(super) taken_in: u64,
    /// Attempts that were begun: run, attempt, version.
    pub(super) begun: Vec<(Run, u8, u8)>,
    /// The highest number that was given out.
    pub(super) highest: u8,
    /// What the world outside has seen last of each run: fence, attempt.
    pub(super) effects: Vec<(Run, u8, u8)>,
}

impl Past {
    /// Nothing has happened, with so many jobs.
    pub(super) fn of(jobs: u8) -> Self {
        let none = vec![0; jobs.into()];
        Self {
            made: none.clone(),
            skipped: none.clone(),
            owed: none.clone(),
            ended: none,
            ..Self::default()
        }
    }

    pub(super) fn note(&mut self, breach: Breach) {
        self.breaches |= 1 << breach as u32;
    }

    pub(super) const fn has(&self, breach: Breach) -> bool {
        self.breaches & (1 << breach as u32) != 0
    }

    pub(super) fn make(&mut self, run: Run) {
        let made = &mut self.made[usize::from(run.job)];
        if *made & run.bit() != 0 {
            self.note(Breach::MadeTwice);
        } else {
            *made |= run.bit();
        }
    }

    pub(super) fn skip(&mut self, job: u8, fires: u16) {
        let skipped = &mut self.skipped[usize::from(job)];
        let again = *skipped & fires != 0;
        *skipped |= fires;
        if again {
            self.note(Breach::SettledTwice);
        }
    }

    pub(super) fn end(&mut self, run: Run) {
        let ended = &mut self.ended[usize::from(run.job)];
        let again = *ended & run.bit() != 0;
        *ended |= run.bit();
        if again {
            self.note(Breach::EndedTwice);
        }
    }

    pub(super) fn give_number(&mut self, number: u8) {
        if number <= self.highest {
            self.note(Breach::NumberReused);
        }
        self.highest = self.highest.max(number);
    }

    pub(super) fn begin(&mut self, run: Run, attempt: u8, version: u8) {
        for (begun, at, with) in &self.begun {
            if *begun == run && *at == attempt {
                return self.note(Breach::BegunTwice);
            }
            if *begun == run && *with != version {
                return self.note(Breach::Rebound);
            }
        }
        self.begun.push((run, attempt, version));
        self.begun.sort_unstable();
    }

    /// A handler writes outside; who keeps the highest fence refuses smaller ones.
    pub(super) fn effect(&mut self, run: Run, fence: u8, attempt: u8) {
        match self.effects.iter_mut().find(|(of, ..)| *of == run) {
            Some((_, seen, _)) if fence < *seen => {}
            Some((_, seen, last)) => {
                let reordered = attempt < *last;
                (*seen, *last) = (fence, attempt);
                if reordered {
                    self.note(Breach::EffectsReordered);
                }
            }
            None => {
                self.effects.push((run, fence, attempt));
                self.effects.sort_unstable();
            }
        }
    }
}

impl State {
    /// A request that nobody waits for.
    pub(super) fn send_late(&mut self, request: Request) {
        self.late.push(request);
        self.late.sort_unstable();
    }

    /// Notes which fire times have come to be due.
    pub(super) fn note_owed(&mut self) {
        for (job, owed) in self.store.jobs.iter().zip(&mut self.past.owed) {
            for fire in job.pending_until(self.store.now, self.store.ticks) {
                *owed |= 1 << fire;
            }
        }
    }

    /// After the clock stepped back: what lies ahead again is not due.
    pub(super) fn unnote_owed(&mut self) {
        let due = (2 << self.store.now) - 1;
        self.past.owed.iter_mut().for_each(|owed| *owed &= due);
    }
}
