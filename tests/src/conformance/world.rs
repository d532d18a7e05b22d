//! A store under test, used as nodes, leaders and clients use one.

use std::time::Duration;

use scheduler_core::after::{decide, steps};
use scheduler_core::change;
use scheduler_core::history::Record;
use scheduler_core::lease::LeaseToken;
use scheduler_core::plan::{plan, plan_paused};
use scheduler_core::queue::{Hold, QueueState};
use scheduler_core::run::{Claim, Ending, Verdict, settle};
use scheduler_core::store::{
    AcquireAnswer, Admit, AdmitItem, Changed, Dispatch, DispatchAnswer, DispatchItem, DueJob,
    Exchange, ExchangeAnswer, Exchanged, FollowItem, FollowUp, JobWrite, Opening, PeekAnswer,
    Peeked, Promote, PutJob, RemoveJob, RunNow, RunNowAnswer, Settled, Steer, Steered, Steering,
    Tidy, TidyAnswer,
};
use scheduler_core::{
    Cause, JobBuilder, JobId, Pause, RunId, SessionId, Shard, Store, StoredJob, Timestamp, Version,
};
use uuid::Uuid;

use super::{ClockHand, Harness, Node, START, Sight, done, name, peek, request, settled_as};

/// A fresh store, and what is done with it.
#[derive(Debug)]
pub struct World<H: Harness> {
    /// The store.
    pub store: H::Store,
    clock: H::Clock,
    now: Timestamp,
}

impl<H: Harness> World<H> {
    /// An empty store whose clock stands at [`START`].
    pub async fn fresh(harness: &H) -> Self {
        let fresh = harness.fresh(START).await;
        Self {
            store: fresh.store,
            clock: fresh.clock,
            now: START,
        }
    }

    // ----- time and sight -------------------------------------------------------------------

    /// Where the store's clock stands.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Sets the store's clock, also backwards.
    pub async fn set_clock(&mut self, to: Timestamp) {
        self.clock.set(to).await;
        self.now = to;
    }

    /// Moves the store's clock forward.
    pub async fn advance(&mut self, by: Duration) {
        self.set_clock(self.now.after(by)).await;
    }

    /// All that the store shows.
    pub async fn see(&self) -> Sight {
        done(Sight::of(&self.store).await)
    }

    /// Demands that the store shows exactly this.
    pub async fn expect(&self, expected: &Sight, step: &str) {
        let seen = self.see().await;
        seen.assert_is(expected, step);
    }

    // ----- nodes ----------------------------------------------------------------------------

    /// A node whose session has begun.
    pub async fn node(&self, node: &str) -> Node {
        let mut node = Node::new(SessionId::of(&name(node), Uuid::now_v7()));
        let registered = done(self.store.register(&node.register()).await);
        node.generation = registered.generation;
        node.number = registered.number;
        node
    }

    /// Does an exchange for a node whose session lives.
    pub async fn exchange(&self, request: &Exchange) -> Exchanged {
        match done(self.store.exchange(request).await) {
            ExchangeAnswer::Exchanged(exchanged) => exchanged,
            other => panic!("{other:?}"),
        }
    }

    /// Lets a node claim up to `limit` runs.
    pub async fn claim(&self, node: &mut Node, limit: usize) -> Vec<Claim> {
        let request = node.exchange(Vec::new(), limit);
        self.exchange(&request).await.claims
    }

    /// Lets a node claim the only run that waits.
    pub async fn claim_one(&self, node: &mut Node) -> Claim {
        let mut claims = self.claim(node, 10).await;
        assert_eq!(claims.len(), 1, "{claims:#?}");
        claims.remove(0)
    }

    /// Lets a node hand in what became of a claim; answers with what was written into history.
    pub async fn hand_in(&self, node: &mut Node, claim: &Claim, ending: &Ending) -> Record {
        let settled = self.settled(claim, ending).await;
        let record = settled.record.clone();
        let request = node.exchange(vec![settled], 0);
        assert_eq!(self.exchange(&request).await, Exchanged::default());
        record.expect("endings are recorded")
    }

    /// What becomes of a claim whose attempt ended so, as the job's policy says.
    pub async fn settled(&self, claim: &Claim, ending: &Ending) -> Settled {
        let stored = self.read(&claim.run.job).await.stored;
        let job = stored.map(|stored| stored.job);
        let policy = job
            .as_ref()
            .map_or_else(Default::default, |job| *job.policy());
        let verdict = settle(&policy, claim, ending, 0.5);
        let failed = matches!(verdict, Verdict::End(outcome) if outcome.is_failure());
        Settled {
            definition: job.filter(|_| failed),
            ..settled_as(claim, verdict, ending)
        }
    }

    // ----- the leader -----------------------------------------------------------------------

    /// Makes a node the leader.
    pub async fn lead(&self, node: &Node) -> LeaseToken {
        match done(self.store.acquire(&node.acquire()).await) {
            AcquireAnswer::Acquired(token) => token,
            other => panic!("{other:?}"),
        }
    }

    /// Looks at what is due.
    pub async fn peek(&self, token: &LeaseToken) -> Peeked {
        match done(self.store.peek(&peek(token)).await) {
            PeekAnswer::Peeked(peeked) => peeked,
            PeekAnswer::LeaseLost => panic!("lease lost"),
        }
    }

    /// Plans a due job, in a namespace that may be paused.
    pub async fn plan(&self, due: &DueJob, hold: Option<&Hold>) -> DispatchItem {
        let job = self.stored(due.job.as_str()).await.job;
        DispatchItem {
            job: due.job.clone(),
            due: due.due,
            version: due.version,
            queue: job.queue().clone(),
            priority: job.policy().priority,
            max_instances: usize::try_from(job.policy().max_instances.get()).expect("small"),
            max_lined_up: job.policy().max_lined_up(),
            note: hold.map(Hold::detail),
            plan: if hold.is_some() {
                plan_paused(&job, due.due, self.now)
            } else {
                plan(&job, due.due, self.now, due.in_flight)
            },
        }
    }

    /// Looks at what is due, and plans it.
    pub async fn plan_due(&self, token: &LeaseToken) -> Dispatch {
        let mut items = Vec::new();
        let peeked = self.peek(token).await;
        for due in &peeked.due {
            items.push(self.plan(due, peeked.hold.as_ref()).await);
        }
        Dispatch {
            token: token.clone(),
            planned_at: self.now,
            items,
        }
    }

    /// Does what a leader does each time: settles what is due, promotes what has waited, and lets go
    /// what is lined up.
    pub async fn beat(&self, token: &LeaseToken) {
        let retries = self.peek(token).await.retries;
        let token = token.clone();
        let request = Promote { token, retries };
        assert!(done(self.store.promote(&request).await));
        let request = self.plan_due(&request.token).await;
        self.dispatch(&request).await;
        self.admit(&request.token).await;
    }

    /// Lets runs go that are lined up, as a leader does.
    pub async fn admit(&self, token: &LeaseToken) {
        let request = self.plan_admission(token).await;
        assert!(done(self.store.admit(&request).await));
    }

    /// Looks at which jobs may have room for runs that are lined up.
    pub async fn plan_admission(&self, token: &LeaseToken) -> Admit {
        let mut items = Vec::new();
        for open in self.peek(token).await.openings {
            items.push(self.plan_opening(&open).await);
        }
        Admit {
            token: token.clone(),
            items,
        }
    }

    /// Plans a job that may have room for runs that are lined up.
    pub async fn plan_opening(&self, open: &Opening) -> AdmitItem {
        let job = self.stored(open.job.as_str()).await.job;
        AdmitItem {
            job: open.job.clone(),
            version: open.version,
            queue: job.queue().clone(),
            priority: job.policy().priority,
            max_instances: usize::try_from(job.policy().max_instances.get()).expect("small"),
        }
    }

    /// What a leader would do now about runs that follow others, at most `limit` of it; none where there
    /// is nothing.
    pub async fn plan_following(&self, token: &LeaseToken, limit: usize) -> Option<FollowUp> {
        let trail = done(self.store.trail(100).await);
        let (steps, to) = steps(&trail, limit);
        let mut items = Vec::new();
        for step in &steps {
            let job = self.stored(step.follower.job.as_str()).await.job;
            items.push(FollowItem {
                job: step.follower.job.clone(),
                version: step.follower.version,
                queue: job.queue().clone(),
                priority: job.policy().priority,
                max_instances: usize::try_from(job.policy().max_instances.get()).expect("small"),
                max_lined_up: job.policy().max_lined_up(),
                follow: decide(&job, step, self.now),
            });
        }
        Some(FollowUp {
            token: token.clone(),
            from: trail.cursor.clone(),
            to: to?,
            items,
        })
    }

    /// Forgets what is past keeping: definitions that no run needs any more, too.
    pub async fn tidy(&self, token: &LeaseToken) {
        let request = Tidy {
            token: token.clone(),
            keep_history: 1_000,
            keep_history_for: None,
            keep_requests: Duration::from_secs(600),
            keep_fired: Duration::from_secs(7 * 24 * 3600),
            keep_failed: 100,
            keep_failed_for: Duration::from_secs(3600),
        };
        let answer = done(self.store.tidy(&request).await);
        assert_eq!(answer, TidyAnswer::Done);
    }

    /// Dispatches plans of which none is refused.
    pub async fn dispatch(&self, request: &Dispatch) {
        let refused = Vec::new();
        let answer = done(self.store.dispatch(request).await);
        assert_eq!(answer, DispatchAnswer::Dispatched { refused });
    }

    /// Moves the clock to the job's due time and dispatches what is due; answers with its run.
    pub async fn fire(&mut self, token: &LeaseToken, id: &str) -> RunId {
        let due = self.stored(id).await.next_fire.expect("a due time");
        self.set_clock(due.max(self.now)).await;
        let request = self.plan_due(token).await;
        self.dispatch(&request).await;
        RunId::fire(name(id), due)
    }

    /// How often leaders have shown progress, as a standby sees it.
    pub async fn beat_of(&self, standby: &Node) -> u64 {
        done(self.store.observe(&standby.session).await).beat
    }

    /// How many standbys come before each of these nodes.
    pub async fn ranks(&self, nodes: &[Node]) -> Vec<Option<usize>> {
        let mut ranks = Vec::new();
        for node in nodes {
            ranks.push(done(self.store.observe(&node.session).await).rank);
        }
        ranks
    }

    // ----- clients --------------------------------------------------------------------------

    /// Changes what queues keep to, where that is a change.
    pub async fn steer(&self, what: Steering) {
        let request = request();
        let answer = done(self.store.steer(&Steer { request, what }).await);
        assert_eq!(answer, Steered::Done);
    }

    /// A queue, as it is.
    pub async fn queue(&self, queue: &str) -> QueueState {
        let board = done(self.store.queues().await).queues;
        let found = board
            .into_iter()
            .find(|state| state.queue.as_str() == queue);
        found.unwrap_or_else(|| panic!("no queue {queue}"))
    }

    /// Reads a job.
    pub async fn read(&self, id: &JobId) -> JobWrite {
        let mut read = done(self.store.jobs(std::slice::from_ref(id)).await);
        assert_eq!((read.len(), read[0].now), (1, self.now));
        read.remove(0)
    }

    /// A job that is stored.
    pub async fn stored(&self, id: &str) -> StoredJob {
        let stored = self.read(&name(id)).await.stored;
        stored.unwrap_or_else(|| panic!("no job {id}"))
    }

    /// Puts a job, new or in place of a stored one.
    pub async fn put(&self, job: JobBuilder) -> StoredJob {
        let job = job.build();
        let id = job.id().clone();
        let JobWrite {
            stored, fired, now, ..
        } = self.read(&id).await;
        let change = match &stored {
            Some(stored) => change::replace(stored, job, now),
            None => change::put_new(job, fired, now),
        };
        let change = change.expect("a schedule that is not over");
        let version = stored.map(|stored| stored.version);
        self.write(version, change).await;
        self.stored(id.as_str()).await
    }

    /// Writes a change that is accepted.
    pub async fn write(&self, expected: Option<Version>, change: change::Change) -> Version {
        match self.try_write(expected, change).await {
            Changed::Done(version) => version,
            refused @ (Changed::Conflict | Changed::Taken) => panic!("{refused:?}"),
        }
    }

    /// Writes a change.
    pub async fn try_write(&self, expected: Option<Version>, change: change::Change) -> Changed {
        let changes = vec![(expected, change)];
        let request = request();
        let answers = done(
            self.store
                .put(&PutJob {
                    request,
                    changes,
                    all_or_none: false,
                })
                .await,
        );
        assert_eq!(answers.len(), 1);
        answers[0]
    }

    /// The request for a run of a job as it is now.
    pub async fn run_request(&self, id: &str) -> RunNow {
        let stored = self.stored(id).await;
        let request = request();
        RunNow {
            request,
            cause: Cause::Request(request.0),
            job: stored.job,
            version: stored.version,
        }
    }

    /// Makes a run of a job now.
    pub async fn run_now(&self, id: &str) -> RunId {
        let request = self.run_request(id).await;
        let answer = done(self.store.run_now(&request).await);
        assert_eq!(answer, RunNowAnswer::Made);
        RunId::request(name(id), request.request.0)
    }

    /// The request that removes a job as it is now.
    pub async fn removal(&self, id: &str) -> RemoveJob {
        let stored = self.stored(id).await;
        let removal = change::remove(&stored, self.now);
        RemoveJob {
            request: request(),
            job: name(id),
            version: stored.version,
            next_fire: stored.next_fire,
            skips: removal.skips,
            next: removal.next,
            detail: stored.state.pause().and_then(Pause::words),
        }
    }

    /// Removes a job.
    pub async fn remove(&self, id: &str) {
        let request = self.removal(id).await;
        let answer = done(self.store.remove(&request).await);
        assert!(matches!(answer, Changed::Done(_)), "{answer:?}");
    }
}
