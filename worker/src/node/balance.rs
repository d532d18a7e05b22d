//! The leaders of a namespace in several shards, spread over its nodes: see [`scheduler_core::shard::seats`].
//!
//! Beside each session that leads or stands by, a loop looks which nodes live, and finds who should lead. A
//! leader that should not be one gives the lease back; a standby that should be the leader looks often, and
//! the others leave a free lease to it for a moment. Whatever they believe, the lease decides.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use scheduler_core::session::SessionSample;
use scheduler_core::shard::seats::Steady;
use scheduler_core::{SessionId, Shard};
use tokio_util::sync::CancellationToken;

use crate::node::session::{Session, Standing};
use crate::node::shared::Shared;

/// For how many looks a session whose beat does not move counts as one that lives.
const STILL: u32 = 3;

/// Who should lead a shard, as one node sees it.
#[derive(Debug, Default)]
pub(crate) struct Seat(Mutex<Belief>);

#[derive(Debug, Default)]
struct Belief {
    /// The node that should lead; none where that is not known.
    node: Option<String>,
    /// Ends this node's term.
    term: Option<CancellationToken>,
}

impl Seat {
    fn lock(&self) -> MutexGuard<'_, Belief> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node that should lead, if that is known.
    pub(crate) fn node(&self) -> Option<String> {
        self.lock().node.clone()
    }

    /// A term begins: it ends with this token.
    pub(crate) fn begins(&self, term: CancellationToken) {
        self.lock().term = Some(term);
    }

    /// The term has ended.
    pub(crate) fn has_ended(&self) {
        self.lock().term = None;
    }

    /// Ends the term, if there is one.
    fn give_up(&self) -> bool {
        let term = self.lock().term.take();
        term.inspect(CancellationToken::cancel).is_some()
    }
}

/// Looks again and again who should lead.
pub(crate) async fn run<S: Shard>(
    shared: Arc<Shared<S>>,
    session: Arc<Session>,
    stop: CancellationToken,
) {
    let mut steady = Steady::new(shared.shard(), shared.shards);
    let mut pulse = Pulse::default();
    let every = (session.ttl / 5).max(Duration::from_millis(20));
    while stop
        .run_until_cancelled(tokio::time::sleep(every))
        .await
        .is_some()
    {
        let link = &shared.link;
        let Ok(samples) = link.ask("sessions", link.store.sessions()).await else {
            // Who lives is not known.
            session.seat().lock().node = None;
            continue;
        };
        let nodes = pulse.alive(&samples);
        let should = steady.look(&nodes);
        session.seat().lock().node = should.map(str::to_owned);
        let is_other = should.is_some_and(|node| node != session.id.node());
        if is_other && session.standing() == Standing::Leader && session.seat().give_up() {
            tracing::info!(
                shard = shared.number,
                to = should,
                "giving the lease to another node: each leads its part"
            );
            steady.gave_up();
        }
    }
}

/// Whose beats move.
#[derive(Debug, Default)]
struct Pulse(HashMap<SessionId, (u64, u32)>);

impl Pulse {
    /// The nodes that live.
    fn alive<'s>(&mut self, samples: &'s [SessionSample]) -> BTreeSet<&'s str> {
        let mut before = std::mem::take(&mut self.0);
        let mut nodes = BTreeSet::new();
        for sample in samples {
            let still = match before.remove(&sample.session) {
                Some((beat, still)) if beat == sample.beat => still + 1,
                _ => 0,
            };
            if still < STILL {
                nodes.insert(sample.session.node());
            }
            let seen = (sample.beat, still);
            self.0.insert(sample.session.clone(), seen);
        }
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_whose_beat_stands_still_does_not_count() {
        let sample = |node: &str, beat| SessionSample {
            session: format!("{node}~00000000000000000000000000000001")
                .parse()
                .unwrap(),
            beat,
            ttl: Duration::from_secs(1),
        };
        let mut pulse = Pulse::default();
        for beat in 0..10 {
            let samples = [sample("a", beat), sample("b", 7)];
            let alive = pulse.alive(&samples);
            assert!(alive.contains("a"));
            assert_eq!(alive.contains("b"), beat < 3, "{beat}");
        }
    }
}
