//! The way to the store: every call has an end, and trouble is told once.
//!
//! A store that cannot be reached fails dozens of calls a second on each of a node's loops. What is
//! told of that is: one warning when it begins, one reminder a minute, and one line when it is over.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use scheduler_core::store::StoreResult;
use scheduler_core::{Shard, StoreError, store::StoreErrorKind};

use crate::clock::boottime;
use crate::node::chance::draw;
use crate::node::meter::Meter;

/// How long a call may take before its outcome counts as unknown.
const PATIENCE: Duration = Duration::from_secs(5);

/// A store, and what is known about how it answers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Link<S> {
    pub(crate) store: S,
    reachability: Arc<Reachability>,
    patience: Duration,
    pub(crate) meter: Meter,
}

impl<S: Shard> Link<S> {
    pub(crate) fn new(store: S, meter: Meter) -> Self {
        let reachability = Arc::new(Reachability::new(store.describe()));
        Self {
            store,
            reachability,
            patience: PATIENCE,
            meter,
        }
    }

    /// A link of its own to the same store, for another runtime.
    pub(crate) fn detached(&self, patience: Duration) -> Self {
        Self {
            store: self.store.detached(),
            reachability: Arc::clone(&self.reachability),
            patience,
            meter: self.meter.clone(),
        }
    }

    /// Waits for an answer of the store, for a bounded time, and notes whether one came.
    ///
    /// Dropping the future leaves the operation's outcome unknown, as any lost answer does.
    pub(crate) async fn ask<T>(
        &self,
        operation: &'static str,
        answer: impl Future<Output = StoreResult<T>>,
    ) -> StoreResult<T> {
        let sent = boottime();
        let answer = match tokio::time::timeout(self.patience, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::new(
                StoreErrorKind::Unknown,
                operation,
                format!("no answer within {:?}", self.patience),
            )),
        };
        let took = boottime().saturating_sub(sent);
        self.meter.asked(operation, took, answer.as_ref().err());
        match &answer {
            Ok(_) => self.reachability.answered(),
            Err(error) => self.reachability.failed(error),
        }
        answer
    }
}

/// How long a trouble is kept to itself after it was told.
const REMINDER: Duration = Duration::from_secs(60);

/// How soon after one warning a new trouble is worth another: calls that fail and calls that
/// succeed may alternate.
const NEW_TROUBLE: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Reachability {
    store: String,
    /// Whether there is trouble: looked at with each answer, so kept outside of the lock.
    trouble: AtomicBool,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    since: Option<Duration>,
    warned_at: Option<Duration>,
    owes_all_clear: bool,
}

impl Reachability {
    fn new(store: String) -> Self {
        Self {
            store,
            trouble: AtomicBool::new(false),
            told: Mutex::default(),
        }
    }

    fn failed(&self, error: &StoreError) {
        let now = boottime();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        self.trouble.store(true, Ordering::Release);
        let since = *told.since.get_or_insert(now);
        // Also where it began right after another warning: it is told once it turns out to last.
        let is_new = !told.owes_all_clear;
        let quiet = if is_new { NEW_TROUBLE } else { REMINDER };
        if told
            .warned_at
            .is_some_and(|at| now.saturating_sub(at) < quiet)
        {
            return;
        }
        told.warned_at = Some(now);
        told.owes_all_clear = true;
        drop(told);
        let trouble = match error.kind() {
            // It is there, and will not: it is full, say, or loads its data.
            StoreErrorKind::Refused | StoreErrorKind::Mismatch => "refuses requests",
            StoreErrorKind::Unreachable | StoreErrorKind::Unknown | StoreErrorKind::Corrupt => {
                "does not answer"
            }
        };
        if is_new {
            tracing::warn!(store = %self.store, %error, "the store {trouble}; trying again");
        } else {
            let seconds = now.saturating_sub(since).as_secs();
            tracing::warn!(store = %self.store, %error, seconds, "the store still {trouble}");
        }
    }

    fn answered(&self) {
        if !self.trouble.load(Ordering::Acquire) {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        self.trouble.store(false, Ordering::Release);
        let since = told.since.take();
        if let Some(since) = since
            && std::mem::take(&mut told.owes_all_clear)
        {
            drop(told);
            let seconds = boottime().saturating_sub(since).as_secs_f32();
            tracing::info!(store = %self.store, "the store answers again after {seconds:.1} s");
        }
    }
}

/// How long to wait before the next try: twice as long each time, with jitter, so that nodes which
/// lost the store at one moment do not come back at one moment.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    const LEAST: Duration = Duration::from_millis(50);
    const MOST: Duration = Duration::from_secs(2);

    pub(crate) const fn new() -> Self {
        Self::up_to(Self::MOST)
    }

    /// A backoff that never waits longer than `most`.
    pub(crate) const fn up_to(most: Duration) -> Self {
        Self {
            next: Self::LEAST,
            most,
        }
    }

    /// How long to wait this time: between half and all of what is due.
    pub(crate) fn next(&mut self) -> Duration {
        let due = self.next.min(self.most);
        self.next = (self.next * 2).min(self.most);
        due / 2 + due.mul_f64(draw() / 2.0)
    }

    /// Begins anew after a success.
    pub(crate) const fn reset(&mut self) {
        self.next = Self::LEAST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_grows_to_its_bound_and_begins_anew() {
        let mut backoff = Backoff::new();
        let first = backoff.next();
        assert!(first >= Duration::from_millis(25) && first <= Duration::from_millis(50));
        for _ in 0..10 {
            assert!(backoff.next() <= Backoff::MOST);
        }
        assert!(backoff.next() >= Backoff::MOST / 2);
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(50));
    }

    #[test]
    fn trouble_is_told_once_and_its_end_once() {
        let reachability = Reachability::new("a store".to_owned());
        let error = StoreError::new(StoreErrorKind::Unreachable, "peek", "gone");
        let owes = || reachability.told.lock().unwrap().owes_all_clear;
        reachability.failed(&error);
        let warned_at = reachability.told.lock().unwrap().warned_at;
        for _ in 0..1000 {
            reachability.failed(&error);
        }
        assert_eq!(reachability.told.lock().unwrap().warned_at, warned_at);
        assert!(owes());
        reachability.answered();
        assert!(!owes());
        // Trouble that flickers is not told again at once, and then owes no all-clear either.
        reachability.failed(&error);
        assert!(!owes());
        // Once it lasts, it is.
        let warned_at = boottime().checked_sub(NEW_TROUBLE);
        reachability.told.lock().unwrap().warned_at = warned_at;
        reachability.failed(&error);
        assert!(owes());
    }
}
