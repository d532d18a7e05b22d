//! Telling a store that lost its latest writes what this node holds: see [`scheduler_core::failover`].

use std::collections::HashSet;
use std::sync::Arc;

use scheduler_core::failover::named;
use scheduler_core::run::Claim;
use scheduler_core::store::{MAX_NAMED, Part, Reconcile, ReconcileAnswer, Settled, StoreResult};
use scheduler_core::{Fence, Generation, Shard};
use tokio_util::sync::CancellationToken;

use crate::clock::boottime;
use crate::node::executor::Order;
use crate::node::link::Backoff;
use crate::node::session::Session;
use crate::node::shared::Shared;
use crate::node::work::Work;

/// What the store made of what it was told.
enum Told {
    /// The session takes part in this generation, and holds all but these.
    In(Generation, HashSet<Fence>),
    Gone,
}

impl<S: Shard> Work<S> {
    /// Tells the store what this session holds and what it handed in lately, for as long as it takes.
    /// What is the session's no more is stopped, and what was handed in and lost is handed in again.
    /// Cancel-safe: then nothing was done, as far as this node knows.
    pub(super) async fn reconcile(&mut self) {
        let session = Arc::clone(&self.session);
        let shared = Arc::clone(&self.shared);
        // Its outcome will never be known by its number: what it hands in is told like all else.
        if let Some(request) = self.under_way.take() {
            self.to_settle.extend(request.settled);
        }
        let lately = self.recall.claims(boottime()).cloned();
        let claims = named(self.held.values().map(Order::as_begun).chain(lately));
        let mut backoff = Backoff::new();
        let telling = async {
            loop {
                match tell(&shared, &session, &claims).await {
                    Ok(told) => break told,
                    Err(_) => tokio::time::sleep(backoff.next()).await,
                }
            }
        };
        match session.over().run_until_cancelled(telling).await {
            Some(Told::In(generation, over)) => {
                let named: HashSet<_> = claims.iter().map(|claim| claim.fence).collect();
                let is_held = |fence: &Fence| named.contains(fence) && !over.contains(fence);
                self.let_go(is_held);
                let is_held = |claim: &Claim| is_held(&claim.fence);
                let handed_in = self.recall.take(boottime(), is_held);
                self.hand_in_again(handed_in);
                tracing::info!(
                    session = %session.id,
                    %generation,
                    named = claims.len(),
                    over = over.len(),
                    "told the store what this node holds"
                );
                session.takes_part_in(generation);
                // It may have claims that this node has not heard of.
                session.want_resync();
            }
            Some(Told::Gone) => {
                session.end();
            }
            None => {}
        }
    }

    /// Stops what the session does not hold any more.
    fn let_go(&mut self, is_held: impl Fn(&Fence) -> bool) {
        self.held.retain(|fence, order| {
            let stays = is_held(fence);
            if !stays {
                order.stop.cancel();
            }
            stays
        });
        let held = &self.held;
        self.to_settle
            .retain(|settled| held.contains_key(&settled.claim.fence));
    }

    /// Hands in again what the store has lost of that.
    fn hand_in_again(&mut self, handed_in: Vec<Settled>) {
        for settled in handed_in {
            let order = Order::new(settled.claim.clone(), CancellationToken::new());
            if self.held.insert(settled.claim.fence, order).is_none() {
                self.to_settle.push(settled);
            }
        }
    }
}

/// Tells all of it, in parts that belong to one generation.
async fn tell<S: Shard>(
    shared: &Shared<S>,
    session: &Session,
    claims: &[Claim],
) -> StoreResult<Told> {
    let link = &shared.link;
    let mut parts: Vec<_> = claims.chunks(MAX_NAMED).collect();
    if parts.is_empty() {
        parts.push(&[]);
    }
    let mut over = HashSet::new();
    let mut first = None;
    for (at, claims) in parts.iter().enumerate() {
        let is_last = at + 1 == parts.len();
        let request = Reconcile {
            session: session.id.clone(),
            ttl: session.ttl,
            info: shared.settings.info.clone(),
            generation: session.generation(),
            number: session.number,
            floor: shared.floor(),
            claims: claims.to_vec(),
            part: if is_last { Part::Last } else { Part::More },
        };
        let answer = link.ask("reconcile", link.store.reconcile(&request));
        match answer.await? {
            ReconcileAnswer::Gone => return Ok(Told::Gone),
            ReconcileAnswer::Reconciled {
                generation,
                over: of_part,
            } => {
                over.extend(of_part);
                first.get_or_insert(generation);
            }
        }
    }
    // Where another generation began in between, this is not the store's: it says so, and all of it is
    // told again.
    Ok(Told::In(first.unwrap_or_default(), over))
}
