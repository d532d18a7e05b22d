//! The standby: watches the lease, and takes it when nobody holds it or its holder stands still.
//!
//! Two standbys of the whole cluster look often, and only while something is due; the others look
//! now and then. A lease that is given back in order wakes whoever waits for it. The rule itself,
//! and why it may be eager, is in [`scheduler_core::lease`].

use std::sync::Arc;
use std::time::Duration;

use scheduler_core::Shard;
use scheduler_core::lease::{LeaseToken, LeaseView, LeaseWatch, Presence, Proof, Standby, Steal};
use scheduler_core::store::{Acquire, AcquireAnswer, StoreResult, Wake};
use tokio_util::sync::CancellationToken;

use crate::clock::boottime;
use crate::node::link::Backoff;
use crate::node::session::{Session, Standing};
use crate::node::shared::Shared;
use crate::node::waiter::{LONGEST_WAIT, Waiter};

/// How many standbys look often.
pub(crate) const CLOSE_RANKS: usize = 2;

/// How often the first of them looks while something is due; each further one a bit less often.
const CLOSE_LOOK: Duration = Duration::from_millis(200);
const LATER_PER_RANK: Duration = Duration::from_millis(100);

/// How many times as long as these the last in a long line wait for a look: whoever stands before them
/// takes a lease that has ended.
const LATEST_RANK: usize = 4;

/// How soon to look again at the least, where the store is not ready yet.
const SOON: Duration = Duration::from_millis(5);

/// How long after a due time the first of them looks: a leader that does its work has done it then.
const AFTER_DUE: Duration = Duration::from_millis(50);

/// For how long a free lease is left to the node that should have it. Shorter than a takeover of a leader that
/// stands still, and long against the look of a node that is awake.
const COURTESY: Duration = Duration::from_millis(500);

/// One session's wait for the lease.
pub(crate) struct Watcher<S> {
    shared: Arc<Shared<S>>,
    session: Arc<Session>,
    watch: LeaseWatch,
    wake: Waiter<S>,
    backoff: Backoff,
    /// Until when this node stands back, because it lost the lease: by [`boottime`].
    stands_back_until: Duration,
    /// Who led when it last looked.
    led_by: Option<String>,
    /// Since when the lease is free, by [`boottime`].
    free_since: Option<Duration>,
}

/// What to do after one look.
enum Look {
    Won(LeaseToken),
    /// Look again after so long, or when woken.
    Again(Duration),
}

impl<S: Shard> Watcher<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>, session: Arc<Session>) -> Self {
        Self {
            watch: LeaseWatch::new(shared.settings.timing.takeover),
            wake: Waiter::new(shared.link.clone(), Wake::Lease),
            shared,
            session,
            backoff: Backoff::new(),
            stands_back_until: Duration::ZERO,
            led_by: None,
            free_since: None,
        }
    }

    /// Stands back for a while: whoever took the lease from this node shall keep it.
    pub(crate) fn stand_back(&mut self) {
        self.stands_back_until = boottime() + self.shared.settings.timing.lease_ttl;
    }

    /// Waits until the lease is this node's; none where it stops before.
    pub(crate) async fn win(&mut self, stop: &CancellationToken) -> Option<LeaseToken> {
        while !stop.is_cancelled() {
            let pause = match self.look().await {
                Ok(Look::Won(token)) => {
                    self.wake.forget();
                    self.led_by = Some(self.session.id.node().to_owned());
                    return Some(token);
                }
                Ok(Look::Again(pause)) => {
                    self.backoff.reset();
                    pause
                }
                Err(_) => {
                    // Without looking at wake-ups: they may come at once, again and again.
                    let pause = tokio::time::sleep(self.backoff.next());
                    let _ = stop.run_until_cancelled(pause).await;
                    continue;
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
                () = self.wake.woken() => {}
            }
        }
        None
    }

    /// Looks once, and asks for the lease if there is reason to.
    async fn look(&mut self) -> StoreResult<Look> {
        let shared = Arc::clone(&self.shared);
        let link = &shared.link;
        let sent = boottime();
        let view = link
            .ask("observe", link.store.observe(&self.session.id))
            .await?;
        let received = boottime();
        self.shared.clock.learn(sent, received, view.now);
        let rank = self.rank(&view);
        let standing = rank.map_or(Standing::Unknown, Standing::Standby);
        self.session.set_standing(standing);
        let is_close = rank.is_some_and(|rank| rank < CLOSE_RANKS);
        if let Some(token) = &view.token {
            self.led_by = Some(token.session.node().to_owned());
            self.free_since = None;
        }
        let steal = match self.watch.sample(sent, received, &view) {
            // A lost answer to an earlier wish: the lease is this session's without its knowing.
            _ if view
                .token
                .as_ref()
                .is_some_and(|token| token.session == self.session.id) =>
            {
                None
            }
            Standby::Acquire => match self.courtesy(received) {
                Some(left) => return Ok(Look::Again(left)),
                None => None,
            },
            Standby::Steal(steal) if is_close => Some(steal),
            Standby::Steal(_) | Standby::Wait => {
                return Ok(Look::Again(self.pause(rank, &view)));
            }
        };
        if let Some(Steal { token, proof }) = &steal {
            let why = match proof {
                Proof::StoodStill { .. } => "the leader stands still: taking the lease",
                Proof::Gone => "the leader is gone: taking the lease",
            };
            tracing::info!(leader = %token.session, "{why}");
        }
        let request = Acquire {
            session: self.session.id.clone(),
            ttl: self.shared.settings.timing.lease_ttl,
            steal,
            floor: self.shared.floor(),
        };
        match link.ask("acquire", link.store.acquire(&request)).await? {
            AcquireAnswer::Acquired(token) => {
                self.shared.saw(token.epoch.0);
                Ok(Look::Won(token))
            }
            AcquireAnswer::Early(left) => Ok(Look::Again(left.clamp(SOON, CLOSE_LOOK / 2))),
            AcquireAnswer::Held(_) => Ok(Look::Again(self.pause(rank, &view))),
            AcquireAnswer::Gone => {
                // Over, or lost with what the store wrote last: its next request tells which.
                self.session.look_after_itself();
                Ok(Look::Again(LONGEST_WAIT))
            }
        }
    }

    /// For how long to leave the lease, which is free, to the node that should have it; none where that is
    /// this one, is not known, or has just let it go.
    fn courtesy(&mut self, now: Duration) -> Option<Duration> {
        let since = *self.free_since.get_or_insert(now);
        let first = self.session.seat().node()?;
        if first == self.session.id.node() || Some(&first) == self.led_by.as_ref() {
            return None;
        }
        let left = COURTESY.saturating_sub(now.saturating_sub(since));
        Some(left).filter(|left| !left.is_zero())
    }

    /// Whether this node should lead.
    fn should_lead(&self) -> bool {
        let first = self.session.seat().node();
        first.is_some_and(|node| node == self.session.id.node())
    }

    /// This node's place in the line: behind all that look often while it stands back.
    fn rank(&self, view: &LeaseView) -> Option<usize> {
        let behind = if boottime() < self.stands_back_until {
            CLOSE_RANKS
        } else {
            0
        };
        view.rank.map(|rank| rank + behind)
    }

    /// How long until the next look.
    fn pause(&self, rank: Option<usize>, view: &LeaseView) -> Duration {
        let now_and_then = (self.session.ttl / 4).min(LONGEST_WAIT);
        if self.should_lead() {
            // Whoever leads gives the lease back soon.
            return CLOSE_LOOK.min(now_and_then);
        }
        let Some(rank) = rank else {
            return now_and_then;
        };
        if rank >= CLOSE_RANKS {
            let times = (rank / CLOSE_RANKS).min(LATEST_RANK);
            return now_and_then * u32::try_from(times).unwrap_or(1);
        }
        let later = LATER_PER_RANK * u32::try_from(rank).unwrap_or(0);
        if view.presence == Presence::Gone {
            return self.shared.settings.timing.takeover.gone_for + later;
        }
        match view.next_due {
            None => now_and_then,
            Some(due) if due <= view.now => CLOSE_LOOK + later,
            Some(due) => (due.since(view.now) + AFTER_DUE + later).min(now_and_then),
        }
    }
}
