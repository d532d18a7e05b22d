//! This node's session: what it may still trust, and what it holds.
//!
//! ```text
//!  heartbeat sent     answered        trust ends      others believe it dead
//!       |----------------|----------------|----------|----------|
//!       |<------- ttl - margin ---------->|<-margin->|<-margin->|
//!                                         |
//!                       handlers are stopped here, at the latest
//! ```
//!
//! Trust counts from the moment the last answered heartbeat was *sent*: the store may have taken it
//! in right then, and the answer may have been long under way. When trust ends, handlers are told
//! to stop, and no new one is begun. That is not the end of the session: others declare it dead
//! only after they have seen it stand still for longer (see [`scheduler_core::session`]). A
//! heartbeat that is answered before that brings the trust back, and the claims are still ours. A
//! heartbeat that is answered with "gone" ends the session for good, and the node begins another.
//!
//! Everything here is shared between the heart's thread and the node's loops, and never awaits.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use scheduler_core::session::trusted_until;
use scheduler_core::store::{Cancelled, Registered};
use scheduler_core::{Generation, SessionId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::boottime;
use crate::node::balance::Seat;

/// Why handlers were told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The node could no longer prove that its claims are its own.
    TrustLost,
    /// The node shuts down, and its grace has ended.
    Interrupted,
    /// The session is over.
    Over,
}

/// Where the node stands in the line of those who lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Leader,
    /// So many others come first.
    Standby(usize),
    /// It has not looked yet, or its session is none of those that the store knows.
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) ttl: Duration,
    /// Its number, from the shard's counter.
    pub(crate) number: u64,
    /// The generation of the store that it takes part in.
    generation: AtomicU64,
    /// Whether the store is in another one.
    behind: AtomicBool,
    /// In microseconds of [`boottime`].
    trusted_until: AtomicU64,
    handlers: Mutex<Handlers>,
    over: CancellationToken,
    /// 0 for the leader, rank + 1 for standbys, the greatest number for unknown.
    standing: AtomicUsize,
    seat: Seat,
    book: ClaimBook,
    resync_wanted: AtomicBool,
    /// What the store said of its claims that were cancelled, since the work loop looked.
    cancelled: Mutex<Vec<Cancelled>>,
    attention: Notify,
}

/// The token above those of all handlers, and why it was cancelled. One token serves until it is
/// cancelled; trust that comes back brings a new one.
#[derive(Debug)]
struct Handlers {
    token: CancellationToken,
    stopped: Option<Stopped>,
}

impl Session {
    /// A session that was asked for at `sent`, and answered so.
    pub(crate) fn new(
        id: SessionId,
        ttl: Duration,
        sent: Duration,
        registered: &Registered,
    ) -> Self {
        Self {
            id,
            ttl,
            number: registered.number,
            generation: AtomicU64::new(registered.generation.0),
            behind: AtomicBool::new(false),
            trusted_until: AtomicU64::new(micros(trusted_until(sent, ttl))),
            handlers: Mutex::new(Handlers {
                token: CancellationToken::new(),
                stopped: None,
            }),
            over: CancellationToken::new(),
            standing: AtomicUsize::new(usize::MAX),
            seat: Seat::default(),
            book: ClaimBook::default(),
            resync_wanted: AtomicBool::new(false),
            cancelled: Mutex::default(),
            attention: Notify::new(),
        }
    }

    // ----- trust ----------------------------------------------------------------------------

    /// Whether claims of this session may be acted on at this moment.
    pub(crate) fn is_trusted(&self) -> bool {
        micros(boottime()) < self.trusted_until.load(Ordering::Acquire)
            && self.lock().stopped.is_none()
    }

    /// When trust ends without another heartbeat.
    pub(crate) fn trusted_until(&self) -> Duration {
        Duration::from_micros(self.trusted_until.load(Ordering::Acquire))
    }

    /// Takes in that a heartbeat sent at `sent` was answered. Says whether that brought the trust
    /// back.
    pub(crate) fn renewed(&self, sent: Duration) -> bool {
        self.trusted_until
            .fetch_max(micros(trusted_until(sent, self.ttl)), Ordering::AcqRel);
        let mut handlers = self.lock();
        if handlers.stopped != Some(Stopped::TrustLost) {
            return false;
        }
        *handlers = Handlers {
            token: CancellationToken::new(),
            stopped: None,
        };
        drop(handlers);
        self.attention.notify_one();
        true
    }

    /// Whether trust has ended at `now`, and the handlers have not been told yet.
    pub(crate) fn trust_has_ended(&self, now: Duration) -> bool {
        micros(now) >= self.trusted_until.load(Ordering::Acquire) && self.lock().stopped.is_none()
    }

    /// Tells all handlers to stop, and begins no new ones. Says whether they were not yet.
    pub(crate) fn stop_handlers(&self, why: Stopped) -> bool {
        let mut handlers = self.lock();
        let is_first = handlers.stopped.is_none();
        // A trust that was lost may come back; the other reasons are for good.
        if is_first || why != Stopped::TrustLost {
            handlers.stopped = Some(why);
        }
        let token = handlers.token.clone();
        drop(handlers);
        token.cancel();
        is_first
    }

    /// The token above those of all handlers that are begun now.
    pub(crate) fn handlers(&self) -> CancellationToken {
        self.lock().token.clone()
    }

    /// Why handlers were told to stop, if they still are.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        self.lock().stopped
    }

    // ----- the end --------------------------------------------------------------------------

    /// The session is over: nothing of it means anything any more. Says whether it was not yet.
    pub(crate) fn end(&self) -> bool {
        self.stop_handlers(Stopped::Over);
        let is_first = !self.over.is_cancelled();
        self.over.cancel();
        is_first
    }

    /// Cancelled when the session is over.
    pub(crate) const fn over(&self) -> &CancellationToken {
        &self.over
    }

    // ----- the store's generation -----------------------------------------------------------

    /// The generation that the session takes part in.
    pub(crate) fn generation(&self) -> Generation {
        Generation(self.generation.load(Ordering::Acquire))
    }

    /// Notes that the store was in another generation when one was asked for that took part in
    /// `asked_in`.
    pub(crate) fn is_behind(&self, asked_in: Generation) {
        if self.generation() == asked_in {
            self.behind.store(true, Ordering::Release);
            self.attention.notify_one();
        }
    }

    /// Whether the session must tell the store what it holds before anything else.
    pub(crate) fn must_reconcile(&self) -> bool {
        self.behind.load(Ordering::Acquire)
    }

    /// Has the work loop send a request soon.
    pub(crate) fn look_after_itself(&self) {
        self.attention.notify_one();
    }

    /// Takes part in this generation.
    pub(crate) fn takes_part_in(&self, generation: Generation) {
        self.generation.store(generation.0, Ordering::Release);
        self.behind.store(false, Ordering::Release);
    }

    // ----- claims ---------------------------------------------------------------------------

    /// What the node believes to hold.
    pub(crate) const fn book(&self) -> &ClaimBook {
        &self.book
    }

    /// Asks the work loop to find out what the session really holds.
    pub(crate) fn want_resync(&self) {
        self.resync_wanted.store(true, Ordering::Release);
        self.attention.notify_one();
    }

    /// Whether that was asked for since the last time.
    pub(crate) fn take_resync_wanted(&self) -> bool {
        self.resync_wanted.swap(false, Ordering::AcqRel)
    }

    /// Tells the work loop of claims that were cancelled.
    pub(crate) fn note_cancelled(&self, cancelled: Vec<Cancelled>) {
        if !cancelled.is_empty() {
            *self.lock_cancelled() = cancelled;
            self.attention.notify_one();
        }
    }

    /// Claims that were cancelled, as last told.
    pub(crate) fn take_cancelled(&self) -> Vec<Cancelled> {
        std::mem::take(&mut *self.lock_cancelled())
    }

    fn lock_cancelled(&self) -> MutexGuard<'_, Vec<Cancelled>> {
        self.cancelled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the work loop should look at the session again. Cancel-safe.
    pub(crate) async fn attention(&self) {
        self.attention.notified().await;
    }

    // ----- standing -------------------------------------------------------------------------

    pub(crate) fn set_standing(&self, standing: Standing) {
        let number = match standing {
            Standing::Leader => 0,
            Standing::Standby(rank) => rank.saturating_add(1),
            Standing::Unknown => usize::MAX,
        };
        self.standing.store(number, Ordering::Relaxed);
    }

    /// Who should lead the shard.
    pub(crate) const fn seat(&self) -> &Seat {
        &self.seat
    }

    pub(crate) fn standing(&self) -> Standing {
        match self.standing.load(Ordering::Relaxed) {
            0 => Standing::Leader,
            usize::MAX => Standing::Unknown,
            number => Standing::Standby(number - 1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Handlers> {
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many claims the node believes to hold, for comparison with what the store counts.
///
/// The two may differ while an exchange is under way, so a comparison counts only where none was,
/// from before the question until after the answer.
#[derive(Debug, Default)]
pub(crate) struct ClaimBook {
    /// How often an exchange was begun or ended: odd while one is under way.
    exchanges: AtomicU64,
    held: AtomicUsize,
}

/// A moment without an exchange under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quiet(u64);

impl ClaimBook {
    pub(crate) fn exchange_begins(&self) {
        self.exchanges.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn exchange_ended(&self, held: usize) {
        self.held.store(held, Ordering::SeqCst);
        self.exchanges.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    /// This moment, if no exchange is under way.
    pub(crate) fn quiet(&self) -> Option<Quiet> {
        let exchanges = self.exchanges.load(Ordering::SeqCst);
        exchanges.is_multiple_of(2).then_some(Quiet(exchanges))
    }

    /// Whether the store's count contradicts the book, if it has been quiet since `since`.
    pub(crate) fn contradicts(&self, since: Option<Quiet>, claims: usize) -> bool {
        since.is_some() && self.held() != claims && self.quiet() == since
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(sent: Duration) -> Session {
        let id = "a~00000000000000000000000000000001".parse().unwrap();
        let registered = Registered {
            now: scheduler_core::Timestamp::EPOCH,
            generation: Generation(1),
            number: 1,
        };
        Session::new(id, Duration::from_secs(8), sent, &registered)
    }

    #[test]
    fn trust_ends_a_margin_before_the_ttl_and_stops_the_handlers_once() {
        let session = session(boottime());
        let handlers = session.handlers();
        assert!(session.is_trusted());
        assert!(!session.trust_has_ended(boottime()));
        let ttl = Duration::from_secs(8);
        assert!(session.trust_has_ended(boottime() + ttl));
        assert!(session.stop_handlers(Stopped::TrustLost));
        assert!(handlers.is_cancelled());
        assert!(!session.is_trusted());
        assert!(!session.trust_has_ended(boottime() + ttl), "once");
    }

    #[test]
    fn a_late_answer_brings_trust_back_for_new_handlers_only() {
        let session = session(boottime());
        let before = session.handlers();
        session.stop_handlers(Stopped::TrustLost);
        assert!(session.renewed(boottime()));
        assert!(session.is_trusted());
        assert!(before.is_cancelled());
        assert!(!session.handlers().is_cancelled());
    }

    #[test]
    fn an_answer_to_an_earlier_generation_is_no_reason_to_reconcile_again() {
        let session = session(boottime());
        session.is_behind(Generation(1));
        assert!(session.must_reconcile());
        session.takes_part_in(Generation(2));
        session.is_behind(Generation(1));
        assert!(!session.must_reconcile());
        session.is_behind(Generation(2));
        assert!(session.must_reconcile());
    }

    #[test]
    fn no_heartbeat_brings_back_what_is_over() {
        let session = session(boottime());
        session.stop_handlers(Stopped::TrustLost);
        assert!(session.end());
        assert!(!session.renewed(boottime()));
        assert!(!session.is_trusted());
        assert_eq!(session.stopped(), Some(Stopped::Over));
    }

    #[test]
    fn a_count_taken_across_an_exchange_says_nothing() {
        let book = ClaimBook::default();
        let before = book.quiet();
        assert!(book.contradicts(before, 1));
        book.exchange_begins();
        assert!(!book.contradicts(before, 1));
        assert_eq!(book.quiet(), None);
        book.exchange_ended(1);
        assert!(!book.contradicts(before, 2));
        assert!(!book.contradicts(book.quiet(), 1));
        assert!(book.contradicts(book.quiet(), 2));
    }
}
