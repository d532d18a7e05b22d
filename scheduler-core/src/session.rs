//! Sessions: a node's life in the store, and how others see that it has ended.
//!
//! A claim lives and dies with its node's session. Two clocks keep them apart:
//!
//! - The **node** trusts its session until `request sent + ttl - margin` of the last heartbeat that
//!   was answered, by its own clock that counts suspend ([`trusted_until`]). Then it stops its
//!   handlers.
//! - A **sweeper** lets a session expire when it has seen the same beat over `ttl + margin` of its
//!   own such clock, in answered samples without a long gap ([`SessionWatch`]).
//!
//! No wall clock takes part, on no machine: a step of the server's clock, or a store that was
//! frozen for a while, expires nobody.

use std::collections::HashMap;
use std::time::Duration;

use crate::id::SessionId;

/// How much earlier than its ttl a node stops trusting its session, and how much later than it a
/// sweeper believes that: an eighth of the ttl.
#[must_use]
pub fn margin(ttl: Duration) -> Duration {
    ttl / 8
}

/// Until when a node may trust its session, whose last answered heartbeat it sent at `sent`.
#[must_use]
pub fn trusted_until(sent: Duration, ttl: Duration) -> Duration {
    sent + ttl.saturating_sub(margin(ttl))
}

/// One session, as a sample shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSample {
    /// The session.
    pub session: SessionId,
    /// How often it has shown that it lives.
    pub beat: u64,
    /// How long it lives without showing it.
    pub ttl: Duration,
}

/// Watches all sessions from one sweeper. Times are the sweeper's own, from a clock that counts
/// suspend.
#[derive(Debug, Default)]
pub struct SessionWatch {
    seen: HashMap<SessionId, Seen>,
}

#[derive(Debug)]
struct Seen {
    beat: u64,
    since: Duration,
    last: Duration,
    samples: u32,
}

impl SessionWatch {
    /// A watch that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a sample of all sessions that was asked for at `sent` and answered at `received`;
    /// answers with those that may be fenced, if their beat still is the one seen.
    pub fn sample(
        &mut self,
        sent: Duration,
        received: Duration,
        sessions: &[SessionSample],
    ) -> Vec<SessionSample> {
        let mut expired = Vec::new();
        let mut seen = HashMap::with_capacity(sessions.len());
        for sample in sessions {
            let still = self.seen.remove(&sample.session).filter(|seen| {
                seen.beat == sample.beat && received.saturating_sub(seen.last) <= sample.ttl / 2
            });
            let now = match still {
                Some(still) => Seen {
                    last: received,
                    samples: still.samples + 1,
                    ..still
                },
                None => Seen {
                    beat: sample.beat,
                    since: received,
                    last: received,
                    samples: 1,
                },
            };
            let silent = sent.saturating_sub(now.since);
            if now.samples >= 3 && silent >= sample.ttl + margin(sample.ttl) {
                expired.push(sample.clone());
            }
            seen.insert(sample.session.clone(), now);
        }
        self.seen = seen;
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn session(beat: u64) -> SessionSample {
        let session = "a~00000000000000000000000000000001".parse().unwrap();
        SessionSample {
            session,
            beat,
            ttl: S(8),
        }
    }

    /// Samples at the given seconds, with the given beats; the second at which it expires.
    fn expires_at(samples: &[(u64, u64)]) -> Option<u64> {
        let mut watch = SessionWatch::new();
        samples
            .iter()
            .find(|(at, beat)| !watch.sample(S(*at), S(*at), &[session(*beat)]).is_empty())
            .map(|(at, _)| *at)
    }

    #[test]
    fn a_silent_session_expires_after_its_ttl_and_a_margin() {
        let silent: Vec<_> = (0..20).map(|at| (at, 1)).collect();
        assert_eq!(expires_at(&silent), Some(9));
    }

    #[test]
    fn a_beat_begins_it_anew() {
        let beats: Vec<_> = (0..20).map(|at| (at, if at < 8 { 1 } else { 2 })).collect();
        assert_eq!(expires_at(&beats), Some(17));
    }

    #[test]
    fn a_gap_between_samples_proves_nothing() {
        assert_eq!(
            expires_at(&[(0, 1), (1, 1), (2, 1), (30, 1), (31, 1), (32, 1)]),
            None
        );
    }

    #[test]
    fn a_node_stops_trusting_before_a_sweeper_stops_believing() {
        let ttl = S(8);
        assert!(trusted_until(S(0), ttl) + margin(ttl) <= ttl);
    }
}
