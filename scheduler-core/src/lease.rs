//! The lease: the right to dispatch a shard's due jobs, and when a standby may take it early.
//!
//! The lease is a stored token with a time to live. Each script that dispatches compares the whole
//! token, and each due job's due time and version besides: so that taking a lease early can never
//! make a fire run twice, and the rule for it may be eager. It must only not thrash.
//!
//! **The rule is missing progress, never lateness.** Each of the leader's scripts raises a beat. A
//! standby that samples lease and beat takes the lease when, over a window of its own monotonic
//! time, neither moved *while something was due*: with nothing due nobody needs a leader, and with
//! a backlog or a slow store a leader that still makes progress is left alone. Samples that took
//! long, or that lie far apart, prove nothing about the leader, and start the window anew.
//!
//! A store may know more: that the leader's own connection is gone, as it is moments after its
//! process was killed. Seen twice, that is reason enough, and much faster. A frozen leader's
//! connection stays; that one is for the window.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::id::{Epoch, SessionId};
use crate::time::Timestamp;

/// Who leads a shard, since when, under which number. Compared as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseToken {
    /// The session that holds the lease.
    pub session: SessionId,
    /// The number of the lease.
    pub epoch: Epoch,
    /// When it was won, by the store's clock.
    pub since: Timestamp,
}

impl fmt::Display for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.session, self.epoch, self.since.as_ms())
    }
}

/// A text that is no lease token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no lease token: <session> <epoch> <since ms>")]
pub struct LeaseTokenError(String);

impl FromStr for LeaseToken {
    type Err = LeaseTokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut words = text.split(' ');
            let session = SessionId::new(words.next()?).ok()?;
            let epoch = Epoch(words.next()?.parse().ok()?);
            let since = Timestamp::from_ms(words.next()?.parse().ok()?);
            words.next().is_none().then_some(Self {
                session,
                epoch,
                since,
            })
        };
        parse().ok_or_else(|| LeaseTokenError(text.to_owned()))
    }
}

/// What a store knows of the presence of the lease's holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nothing: it cannot tell, or the holder has not announced itself (yet).
    Unknown,
    /// The holder's connection is there.
    Here,
    /// The holder had announced itself, and its connection is gone.
    Gone,
}

/// Why a lease may be taken early. The store looks again before it believes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The holder showed no progress while something was due: its beat still is this one.
    StoodStill {
        /// The beat that did not move.
        beat: u64,
    },
    /// The holder's connection is gone.
    Gone,
}

/// A wish to take the lease early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steal {
    /// The token of the holder.
    pub token: LeaseToken,
    /// Why it may be taken.
    pub proof: Proof,
}

/// What a standby sees of the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// The stored token, if any.
    pub token: Option<LeaseToken>,
    /// How often the leader has shown progress.
    pub beat: u64,
    /// Whether its holder is there.
    pub presence: Presence,
    /// When the head of the due queue is due, if there is one.
    pub next_due: Option<Timestamp>,
    /// The store's clock.
    pub now: Timestamp,
    /// How many sessions come before this one as standbys; none where this session is unknown.
    pub rank: Option<usize>,
}

impl LeaseView {
    /// Whether a job is due.
    #[must_use]
    pub fn is_overdue(&self) -> bool {
        self.next_due.is_some_and(|due| due <= self.now)
    }
}

/// When a standby takes a lease early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakeoverRule {
    /// Over how much of its own time a standby must have seen no progress. Defaults to 750 ms.
    pub window: Duration,
    /// A sample that took longer proves nothing. Defaults to 100 ms.
    pub max_round_trip: Duration,
    /// Samples that lie farther apart prove nothing. Defaults to 500 ms.
    pub max_gap: Duration,
    /// How many samples it takes. Defaults to 3.
    pub min_samples: u32,
    /// For how long the holder's connection must have been gone. Defaults to 100 ms: a connection
    /// that was cut for a moment is back by then.
    pub gone_for: Duration,
}

impl Default for TakeoverRule {
    fn default() -> Self {
        Self {
            window: Duration::from_millis(750),
            max_round_trip: Duration::from_millis(100),
            max_gap: Duration::from_millis(500),
            min_samples: 3,
            gone_for: Duration::from_millis(100),
        }
    }
}

/// What a standby should do after a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standby {
    /// Look again later.
    Wait,
    /// Nobody holds the lease.
    Acquire,
    /// Take the lease from its holder.
    Steal(Steal),
}

/// Watches one lease from a standby. Times are the standby's own monotonic ones.
#[derive(Debug)]
pub struct LeaseWatch {
    rule: TakeoverRule,
    still: Option<Still>,
    /// Whose connection was seen to be gone, and since when.
    gone: Option<(LeaseToken, Duration)>,
    round_trip: Duration,
}

/// A stretch of samples in which nothing moved.
#[derive(Debug)]
struct Still {
    token: LeaseToken,
    beat: u64,
    since: Duration,
    last: Duration,
    samples: u32,
}

impl LeaseWatch {
    /// A watch that has seen nothing yet.
    #[must_use]
    pub const fn new(rule: TakeoverRule) -> Self {
        Self {
            rule,
            still: None,
            gone: None,
            round_trip: Duration::ZERO,
        }
    }

    /// Takes in a sample that was asked for at `sent` and answered at `received`.
    pub fn sample(&mut self, sent: Duration, received: Duration, view: &LeaseView) -> Standby {
        let round_trip = received.saturating_sub(sent);
        self.round_trip = (self.round_trip * 7 + round_trip) / 8;
        let Some(token) = &view.token else {
            self.still = None;
            self.gone = None;
            return Standby::Acquire;
        };
        if self.is_gone(sent, received, token, view.presence) {
            return Standby::Steal(Steal {
                token: token.clone(),
                proof: Proof::Gone,
            });
        }
        if round_trip >= self.rule.max_round_trip || !view.is_overdue() {
            self.still = None;
            return Standby::Wait;
        }
        match &mut self.still {
            Some(still)
                if still.beat == view.beat
                    && still.token == *token
                    && sent.saturating_sub(still.last) < self.rule.max_gap =>
            {
                still.last = received;
                still.samples += 1;
                let window = self.rule.window.max(self.round_trip * 8);
                // From the answer that began the stretch to the question that ended it: between
                // the two the leader certainly did nothing.
                if still.samples >= self.rule.min_samples
                    && sent.saturating_sub(still.since) >= window
                {
                    let proof = Proof::StoodStill { beat: still.beat };
                    let token = still.token.clone();
                    self.still = None;
                    return Standby::Steal(Steal { token, proof });
                }
            }
            _ => {
                self.still = Some(Still {
                    token: token.clone(),
                    beat: view.beat,
                    since: received,
                    last: received,
                    samples: 1,
                });
            }
        }
        Standby::Wait
    }

    /// Whether the holder's connection has been gone for long enough, in two samples at least.
    fn is_gone(
        &mut self,
        sent: Duration,
        received: Duration,
        token: &LeaseToken,
        presence: Presence,
    ) -> bool {
        if presence != Presence::Gone {
            self.gone = None;
            return false;
        }
        match &self.gone {
            Some((gone, since)) if gone == token => {
                sent.saturating_sub(*since) >= self.rule.gone_for
            }
            _ => {
                self.gone = Some((token.clone(), received));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn view(beat: u64, due_in_ms: i64) -> LeaseView {
        let session = "a~00000000000000000000000000000001".parse().unwrap();
        LeaseView {
            token: Some(LeaseToken {
                session,
                epoch: Epoch(7),
                since: Timestamp::EPOCH,
            }),
            beat,
            presence: Presence::Unknown,
            next_due: Some(Timestamp::from_ms(1000 + due_in_ms)),
            now: Timestamp::from_ms(1000),
            rank: Some(0),
        }
    }

    /// Samples every 200 ms, each answered after 1 ms; the beat at each sample is given.
    fn steals_at(samples: &[LeaseView]) -> Option<usize> {
        let mut watch = LeaseWatch::new(TakeoverRule::default());
        samples.iter().enumerate().position(|(i, view)| {
            let at = MS(200 * i as u64);
            matches!(watch.sample(at, at + MS(1), view), Standby::Steal(_))
        })
    }

    #[test]
    fn a_leader_without_progress_while_something_is_due_is_replaced() {
        assert_eq!(steals_at(&vec![view(1, -5); 10]), Some(4));
    }

    #[test]
    fn a_backlog_is_no_reason_while_the_leader_makes_progress() {
        let samples: Vec<_> = (0..100).map(|i| view(i / 3, -60_000)).collect();
        assert_eq!(steals_at(&samples), None);
    }

    #[test]
    fn a_leader_that_sleeps_while_nothing_is_due_is_left_alone() {
        assert_eq!(steals_at(&vec![view(1, 5_000); 50]), None);
        let woke_up_just_now = [
            vec![view(1, 5_000); 50],
            vec![view(1, -1); 2],
            vec![view(2, -1); 3],
        ]
        .concat();
        assert_eq!(steals_at(&woke_up_just_now), None);
    }

    #[test]
    fn a_frozen_standby_or_a_slow_store_proves_nothing() {
        let mut watch = LeaseWatch::new(TakeoverRule::default());
        for i in 0..20 {
            let at = MS(600 * i);
            assert_eq!(
                watch.sample(at, at + MS(1), &view(1, -5)),
                Standby::Wait,
                "gaps"
            );
        }
        for i in 0..20 {
            let at = MS(200 * i);
            assert_eq!(
                watch.sample(at, at + MS(150), &view(1, -5)),
                Standby::Wait,
                "slow answers"
            );
        }
    }

    #[test]
    fn a_leader_whose_connection_is_gone_is_replaced_at_the_second_look() {
        let gone = LeaseView {
            presence: Presence::Gone,
            ..view(1, 5_000)
        };
        let here = LeaseView {
            presence: Presence::Here,
            ..view(1, 5_000)
        };
        let looks = [here.clone(), gone.clone(), gone.clone()];
        assert_eq!(steals_at(&looks), Some(2), "also while nothing is due");
        assert_eq!(
            steals_at(&[gone.clone(), here, gone]),
            None,
            "it was cut for a moment"
        );
    }

    #[test]
    fn a_token_reads_back_from_its_own_text() {
        let token = view(1, 0).token.unwrap();
        assert_eq!(token.to_string().parse(), Ok(token));
        assert!("a b".parse::<LeaseToken>().is_err());
    }
}
