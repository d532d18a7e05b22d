//! What clients, leaders and nodes do, until they are killed.

use std::time::Duration;

use scheduler_core::change;
use scheduler_core::run::Ending;
use scheduler_core::store::{
    Acquire, AcquireAnswer, Cancel, Dispatch, Drain, Exchange, ExchangeAnswer, FenceSession, Peek,
    PeekAnswer, Promote, PutJob, Retire,
};
use scheduler_core::{JobId, QueueName, Shard, Store};

use super::{Answer, EVERY, JOBS, Killing, Request, job};
use crate::conformance::{Harness, done, name, request};

impl<H: Harness> Killing<H> {
    // ----- a client -------------------------------------------------------------------------

    pub(super) async fn put(&mut self) {
        let id = *self.random.choice(&JOBS).expect("some");
        let job = job(id, self.random.u32(0..1_000));
        let read = self.world.read(job.id()).await;
        let (version, change) = match &read.stored {
            Some(stored) => (Some(stored.version), change::replace(stored, job, read.now)),
            None => (None, change::put_new(job, read.fired, read.now)),
        };
        let put = PutJob {
            request: request(),
            all_or_none: false,
            changes: vec![(version, change.expect("it has fire times"))],
        };
        self.send_for_client(Request::Put(put)).await;
    }

    pub(super) async fn remove(&mut self) {
        let id = *self.random.choice(&JOBS).expect("some");
        if self.stored.contains_key(&name::<JobId>(id)) {
            let removal = self.world.removal(id).await;
            self.send_for_client(Request::Remove(removal)).await;
        }
    }

    pub(super) async fn ask_for_a_run(&mut self) {
        let id = *self.random.choice(&JOBS).expect("some");
        if self.stored.contains_key(&name::<JobId>(id)) {
            let run = self.world.run_request(id).await;
            self.send_for_client(Request::Run(Box::new(run))).await;
        }
    }

    pub(super) async fn cancel(&mut self) {
        let id: JobId = name(self.random.choice(&JOBS).expect("some"));
        let in_flight = done(self.world.store.in_flight(&id).await);
        if let Some(found) = in_flight.first() {
            let cancel = Cancel {
                request: request(),
                run: found.run.clone(),
                reason: "cancelled".to_owned(),
            };
            self.send_for_client(Request::Cancel(cancel)).await;
        }
    }

    // ----- a leader -------------------------------------------------------------------------

    pub(super) async fn lead(&mut self) {
        let Some(token) = self.token.clone() else {
            let acquire = Acquire {
                ttl: EVERY,
                ..self.node.acquire()
            };
            let answer = self.send_for_node(Request::Acquire(acquire)).await;
            if let Some(Answer::Lease(AcquireAnswer::Acquired(token))) = answer {
                self.token = Some(token);
            }
            return;
        };
        let peek = Peek {
            token: token.clone(),
            ttl: EVERY,
            ahead: Duration::ZERO,
            limit: 100,
            queues: vec![QueueName::default_queue()],
        };
        let PeekAnswer::Peeked(peeked) = done(self.world.store.peek(&peek).await) else {
            self.token = None;
            return;
        };
        let mut items = Vec::new();
        for due in &peeked.due {
            items.push(self.world.plan(due, None).await);
        }
        let dispatch = Dispatch {
            token: token.clone(),
            planned_at: self.world.now(),
            items,
        };
        let promote = Promote {
            token: token.clone(),
            retries: peeked.retries,
        };
        let follow = self.world.plan_following(&token, 50).await;
        let retire = Retire {
            token,
            jobs: peeked.finished,
        };
        let requests = [
            Request::Dispatch(dispatch),
            Request::Promote(promote),
            Request::Retire(retire),
        ];
        for request in requests.into_iter().chain(follow.map(Request::Follow)) {
            if self.send_for_node(request).await.is_none() {
                return;
            }
        }
    }

    // ----- a node ---------------------------------------------------------------------------

    pub(super) async fn work(&mut self) {
        let count = self.random.usize(0..=self.claims.len());
        let ending: Vec<_> = self.claims.drain(..count).collect();
        let mut settled = Vec::new();
        for claim in &ending {
            let ending = match self.random.u32(0..4) {
                0 => Ending::Failed("no".to_owned()),
                1 => Ending::NotBegun,
                _ => Ending::Succeeded(None),
            };
            settled.push(self.world.settled(claim, &ending).await);
        }
        let limit = self.random.usize(0..4);
        let exchange = self.node.exchange(settled, limit);
        self.exchange(exchange).await;
    }

    pub(super) async fn exchange(&mut self, exchange: Exchange) {
        match self.send_for_node(Request::Exchange(exchange)).await {
            Some(Answer::Exchange(ExchangeAnswer::Exchanged(exchanged))) => {
                for claim in exchanged.claims {
                    assert!(
                        claim.fence.0 > self.highest,
                        "{claim:?} after {}",
                        self.highest
                    );
                    self.highest = claim.fence.0;
                    self.claims.push(claim);
                }
            }
            // It was killed; or somebody took it for dead.
            None => {}
            Some(_) => self.begin_anew().await,
        }
    }

    /// Takes a session that shows no life for dead, and clears up after it.
    pub(super) async fn sweep(&mut self) {
        let sight = self.world.see().await;
        let others = sight
            .samples
            .values()
            .filter(|s| s.session != self.node.session);
        let others: Vec<_> = others.cloned().collect();
        if let Some(sample) = self.random.choice(&others) {
            let fence = FenceSession {
                session: sample.session.clone(),
                beat: sample.beat,
            };
            done(self.world.store.fence_session(&fence).await);
        }
        for (session, claims) in done(self.world.store.dead_claims(100).await) {
            let mut items = Vec::new();
            for claim in &claims {
                items.push(self.world.settled(claim, &Ending::NodeLost).await);
            }
            let drain = Drain { session, items };
            if self.send_for_node(Request::Drain(drain)).await.is_none() {
                return;
            }
        }
    }
}
