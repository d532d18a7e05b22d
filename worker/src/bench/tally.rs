//! What the handlers have seen.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use futures_util::future::BoxFuture;
use hdrhistogram::Histogram;

use crate::bench::clock::ServerTime;
use crate::task::{Call, Handler, TaskResult};

/// A fire that begins later than this is too late to count as on time, in microseconds.
const LATE_US: u64 = 1_000_000;

/// Counts the runs of one kind, on all nodes. Each node has a sheet of its own.
#[derive(Debug)]
pub(super) struct Tally {
    window: Arc<Window>,
    sheets: Mutex<Vec<Arc<Sheet>>>,
}

/// Which fire times count, in milliseconds.
#[derive(Debug)]
struct Window {
    from: AtomicI64,
    to: AtomicI64,
}

/// What one node's handlers have seen.
#[derive(Debug)]
struct Sheet {
    fires: AtomicU64,
    repeated: AtomicU64,
    /// Of fires, in microseconds.
    lateness: Mutex<Histogram<u64>>,
}

/// What was counted.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    /// Runs whose fire time was within the window, each once.
    pub(super) fires: u64,
    /// Further attempts of such runs.
    pub(super) repeated: u64,
    /// Of fires, in microseconds.
    pub(super) lateness: Histogram<u64>,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            window: Arc::new(Window {
                from: AtomicI64::new(i64::MAX),
                to: AtomicI64::new(i64::MAX),
            }),
            sheets: Mutex::default(),
        }
    }

    /// Counts runs with a fire time from `from` on, and before `to`, and none of before.
    pub(super) fn count(&self, from: i64, to: i64) -> Result<()> {
        self.window.from.store(i64::MAX, Ordering::SeqCst);
        for sheet in self.sheets().iter() {
            sheet.fires.store(0, Ordering::SeqCst);
            sheet.repeated.store(0, Ordering::SeqCst);
            *lock(&sheet.lateness) = histogram()?;
        }
        self.window.to.store(to, Ordering::SeqCst);
        self.window.from.store(from, Ordering::SeqCst);
        Ok(())
    }

    /// How many fires were counted so far.
    pub(super) fn fires(&self) -> u64 {
        let sheets = self.sheets();
        sheets.iter().map(|s| s.fires.load(Ordering::Relaxed)).sum()
    }

    /// All that was counted.
    pub(super) fn read(&self) -> Result<Counted> {
        let mut counted = Counted {
            fires: 0,
            repeated: 0,
            lateness: histogram()?,
        };
        for sheet in self.sheets().iter() {
            counted.fires += sheet.fires.load(Ordering::SeqCst);
            counted.repeated += sheet.repeated.load(Ordering::SeqCst);
            counted.lateness.add(&*lock(&sheet.lateness))?;
        }
        Ok(counted)
    }

    /// A handler that does nothing but being counted.
    pub(super) fn handler(&self, clock: ServerTime) -> Result<Arc<dyn Handler>> {
        let sheet = Arc::new(Sheet {
            fires: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            lateness: Mutex::new(histogram()?),
        });
        self.sheets().push(Arc::clone(&sheet));
        let window = Arc::clone(&self.window);
        Ok(Arc::new(Counting {
            clock,
            window,
            sheet,
        }))
    }

    fn sheets(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Sheet>>> {
        lock(&self.sheets)
    }
}

impl Counted {
    /// How many fires came more than a second late.
    pub(super) fn late(&self) -> u64 {
        self.lateness.len() - self.lateness.count_between(0, LATE_US)
    }
}

struct Counting {
    clock: ServerTime,
    window: Arc<Window>,
    sheet: Arc<Sheet>,
}

impl Handler for Counting {
    fn call(&self, call: Call) -> BoxFuture<'static, TaskResult> {
        let begun = self.clock.now_us();
        let context = call.context();
        let fire = context.scheduled_at().as_ms();
        let window = &self.window;
        if fire >= window.from.load(Ordering::Relaxed) && fire < window.to.load(Ordering::Relaxed) {
            if context.attempt() == 1 {
                self.sheet.fires.fetch_add(1, Ordering::Relaxed);
                let late = begun.saturating_sub(fire.saturating_mul(1000));
                let late = u64::try_from(late).unwrap_or(0).max(1);
                lock(&self.sheet.lateness).saturating_record(late);
            } else {
                self.sheet.repeated.fetch_add(1, Ordering::Relaxed);
            }
        }
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// An hour at most, to three digits.
fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 3_600_000_000, 3)?)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
