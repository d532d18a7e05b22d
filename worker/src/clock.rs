//! The one door to clocks of this process.
//!
//! Three of them, for three questions that must not be mixed up:
//!
//! | question | clock |
//! |---|---|
//! | what time is it, for jobs? | the store's; [`StoreClock`] is this node's idea of it |
//! | may I still trust my session, or no longer somebody else's? | [`boottime`], which counts suspend |
//! | what time is it where there is no server? | [`SystemClock`], handed to an embedded store |
//!
//! Sleeping is left to tokio: a sleep that ends early or late costs punctuality, never a promise.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use scheduler_core::{Clock, Timestamp};

/// The wall clock of this machine. Only for a store that lives in this process: a node takes "now"
/// from its store, never from here.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(wall_us().div_euclid(1000))
    }
}

/// Microseconds since 1970 by the wall clock of this machine.
pub(crate) fn wall_us() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

/// Time since the machine was started, suspend included: only differences mean anything.
///
/// A laptop or a virtual machine that slept through its session's ttl must notice; the usual
/// monotonic clock stands still meanwhile, and would stretch the trust by the length of the sleep.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[must_use]
pub fn boottime() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    let now = clock_gettime(ClockId::Boottime);
    // Neither part of a time since start is ever negative.
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

/// Time since the process first asked. Where the system has no clock that counts suspend, this is
/// the monotonic one, and a machine that sleeps may trust its session for too long: the fence of
/// each claim covers that.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[must_use]
pub fn boottime() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// What time it is at the store, as far as this node knows: its own clock plus an offset that each
/// answer with a "now" corrects.
///
/// Good for deciding how long to sleep and for what history shows as begun and ended. Nothing is
/// ever granted or refused by it.
pub struct StoreClock {
    /// The store's clock minus [`boottime`], in microseconds.
    offset_us: AtomicI64,
    /// A clock that is asked in place of this machine's: that of a test.
    pinned: Option<Arc<dyn Clock>>,
}

impl StoreClock {
    /// A clock that guesses the store's time from this machine's, until it is told.
    #[must_use]
    pub fn new() -> Self {
        let clock = Self {
            offset_us: AtomicI64::new(0),
            pinned: None,
        };
        let now = boottime();
        clock.learn(now, now, SystemClock.now());
        clock
    }

    /// The clock that the store itself goes by, where it lives in this process.
    pub(crate) fn pinned(clock: Arc<dyn Clock>) -> Self {
        Self {
            offset_us: AtomicI64::new(0),
            pinned: Some(clock),
        }
    }

    /// Whether it goes by another clock than this machine's.
    pub(crate) const fn is_pinned(&self) -> bool {
        self.pinned.is_some()
    }

    /// Takes in that the store said `now`, in an answer to what was asked at `sent` and received
    /// at `received` (by [`boottime`]).
    ///
    /// The store read its clock between the two, and said it without the fraction of a millisecond.
    /// That leaves a range of offsets. The known one moves into it, and no further: quick answers
    /// narrow it down to much less than a millisecond, and a slow one says little.
    pub fn learn(&self, sent: Duration, received: Duration, now: Timestamp) {
        let said = now.as_ms().saturating_mul(1000);
        let least = said.saturating_sub(micros(received));
        let most = said.saturating_add(999).saturating_sub(micros(sent));
        let known = self.offset_us.load(Ordering::Relaxed);
        let offset = known.clamp(least, most.max(least));
        if offset != known {
            self.offset_us.store(offset, Ordering::Relaxed);
        }
    }

    /// What time it is at the store.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.now_us().div_euclid(1000))
    }

    /// How long from now until `at`; zero where that has passed.
    #[must_use]
    pub fn until(&self, at: Timestamp) -> Duration {
        let left = at
            .as_ms()
            .saturating_mul(1000)
            .saturating_sub(self.now_us());
        Duration::from_micros(u64::try_from(left).unwrap_or(0))
    }

    fn now_us(&self) -> i64 {
        if let Some(clock) = &self.pinned {
            return clock.now().as_ms().saturating_mul(1000);
        }
        micros(boottime()).saturating_add(self.offset_us.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for StoreClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreClock").field(&self.now()).finish()
    }
}

impl Default for StoreClock {
    fn default() -> Self {
        Self::new()
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_since_start_moves_on() {
        let before = boottime();
        assert!(before > Duration::ZERO);
        assert!(boottime() >= before);
    }

    #[test]
    fn a_store_that_is_far_ahead_is_believed() {
        let clock = StoreClock::new();
        let ahead = SystemClock.now().after(Duration::from_secs(3600));
        let now = boottime();
        clock.learn(now, now, ahead);
        assert!(clock.now() >= ahead);
        assert!(clock.until(ahead.after(Duration::from_secs(10))) > Duration::from_secs(5));
        assert_eq!(clock.until(ahead), Duration::ZERO);
    }

    #[test]
    fn a_slow_answer_does_not_move_a_known_offset_by_less_than_it_took() {
        let clock = StoreClock::new();
        let sent = boottime();
        let truth = SystemClock.now();
        clock.learn(sent, sent, truth);
        let offset = clock.offset_us.load(Ordering::Relaxed);
        clock.learn(
            sent,
            sent + Duration::from_millis(500),
            truth.after(Duration::from_millis(5)),
        );
        assert_eq!(clock.offset_us.load(Ordering::Relaxed), offset);
    }

    #[test]
    fn quick_answers_tell_the_store_s_time_to_less_than_the_millisecond_that_they_say() {
        let clock = StoreClock::new();
        // A store that is 7,654.321 ms ahead of the time since start, asked at odd moments.
        let ahead = 7_654_321;
        let start = boottime();
        for asked in 0_u32..200 {
            let sent = start + Duration::from_micros(50_137) * asked;
            let read = sent + Duration::from_micros(60);
            let now = Timestamp::from_ms((micros(read) + ahead) / 1000);
            clock.learn(sent, sent + Duration::from_micros(100), now);
        }
        let offset = clock.offset_us.load(Ordering::Relaxed);
        assert!(offset.abs_diff(ahead) <= 100, "{offset}");
    }
}
