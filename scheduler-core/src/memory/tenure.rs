//! The lease, its beat, and how soon it may change hands again.

use std::collections::VecDeque;
use std::time::Duration;

use crate::lease::LeaseToken;
use crate::time::Timestamp;

/// For how long a steal makes the next one harder.
const STEALS_REMEMBERED: Duration = Duration::from_secs(60);

/// A new leader's first undisturbed time; it doubles with each steal that is remembered.
const FIRST_TENURE: Duration = Duration::from_secs(1);

/// The lease of the shard.
#[derive(Debug, Default)]
pub(super) struct Tenure {
    held: Option<(LeaseToken, Timestamp)>,
    beat: u64,
    steals: VecDeque<Timestamp>,
}

impl Tenure {
    /// Lets the lease expire. Called at the start of each step, so that nothing after it can see
    /// a lease whose time is over.
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.held.take_if(|(_, expires)| *expires <= now);
    }

    /// Who holds the lease.
    pub(super) fn token(&self) -> Option<&LeaseToken> {
        self.held.as_ref().map(|(token, _)| token)
    }

    /// How often a leader has shown progress.
    pub(super) const fn beat(&self) -> u64 {
        self.beat
    }

    /// Shows progress, if the lease is held under this token, as a whole.
    pub(super) fn progress(&mut self, token: &LeaseToken) -> bool {
        let holds = self.token() == Some(token);
        if holds {
            self.beat += 1;
        }
        holds
    }

    /// Shows progress and lets the lease live until then, if it is held under this token.
    pub(super) fn renew(&mut self, token: &LeaseToken, expires: Timestamp) -> bool {
        let holds = self.progress(token);
        if let Some((_, until)) = self.held.as_mut().filter(|_| holds) {
            *until = expires;
        }
        holds
    }

    /// Gives the lease to the holder of this token.
    pub(super) fn grant(&mut self, token: LeaseToken, expires: Timestamp) {
        self.held = Some((token, expires));
        self.beat += 1;
    }

    /// Takes the lease from the holder of this token.
    pub(super) fn release(&mut self, token: &LeaseToken) -> bool {
        self.held.take_if(|(held, _)| held == token).is_some()
    }

    /// Whether today's leader has not led for long enough to be deposed.
    ///
    /// Without this, a store that is slow for everybody would see leaders that depose each other in
    /// turn. A leader that began in the future (the clock went back) is not protected: its protection
    /// would last for as long as the step was.
    pub(super) fn is_protected(&self, ttl: Duration, now: Timestamp) -> bool {
        let Some(token) = self.token() else {
            return false;
        };
        let recent = self.steals.iter();
        let recent = recent.filter(|at| now.since(**at) < STEALS_REMEMBERED && **at <= now);
        let doublings = u32::try_from(recent.count().min(16)).unwrap_or(16);
        let tenure = ttl.min(FIRST_TENURE * 2_u32.pow(doublings));
        token.since <= now && now.since(token.since) < tenure
    }

    /// Remembers that the lease was taken early.
    pub(super) fn note_steal(&mut self, now: Timestamp) {
        self.steals
            .retain(|at| now.since(*at) < STEALS_REMEMBERED && *at <= now);
        self.steals.push_back(now);
    }
}
