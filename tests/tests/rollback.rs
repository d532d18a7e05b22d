//! A Redis that comes back without what was written last: what nodes remember is made up for, and nothing of
//! it is done twice.
//!
//! Each test takes note of a moment, goes on, and then ends the server, cuts its append-only file at that
//! moment and starts it again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use scheduler_core::failover::LEAP;
use scheduler_core::history::Record;
use scheduler_core::lease::LeaseToken;
use scheduler_core::plan::move_past;
use scheduler_core::run::{Claim, Ending, Outcome};
use scheduler_core::store::{
    AcquireAnswer, DispatchAnswer, Drain, ExchangeAnswer, Exchanged, FenceSession, HeartbeatAnswer,
    PeekAnswer, ReconcileAnswer, Refusal, Settled,
};
use scheduler_core::{
    Fence, Generation, Namespace, Overlap, Policy, QueueName, RunId, SessionId, Shard, Store,
    Timestamp,
};
use scheduler_redis::RedisStore;
use tests::conformance::{ClockHand, EVERY, Fresh, Harness, Node, World, done, job, name, peek};
use tests::redis_server::{Persistence, RedisServer};
use uuid::Uuid;

/// How long nodes have to tell what they know.
const GRACE: Duration = Duration::from_secs(1);

struct Losing(Arc<Mutex<RedisServer>>);

struct Hand(RedisStore);

impl ClockHand for Hand {
    async fn set(&self, to: Timestamp) {
        self.0.set_pinned_clock(to).await.expect("an answer");
    }
}

impl Harness for Losing {
    type Store = RedisStore;
    type Clock = Hand;

    async fn fresh(&self, start: Timestamp) -> Fresh<RedisStore, Hand> {
        let namespace = Namespace::new(Uuid::now_v7().simple().to_string()).expect("a namespace");
        let store = self.0.lock().expect("no panic").pinned_store(&namespace);
        let clock = Hand(store.clone());
        clock.set(start).await;
        Fresh { store, clock }
    }
}

fn held_by(run: &RunId, node: &str) -> (RunId, Option<String>) {
    (run.clone(), Some(node.to_owned()))
}

/// A store on a server that may lose what it wrote last.
struct Test {
    world: World<Losing>,
    server: Arc<Mutex<RedisServer>>,
}

/// A moment to come back to.
struct Moment(u64);

impl Test {
    async fn new() -> Self {
        let server =
            RedisServer::with_least_rights(Persistence::AppendOnly).expect("a redis-server");
        let server = Arc::new(Mutex::new(server));
        let world = World::fresh(&Losing(Arc::clone(&server))).await;
        Self { world, server }
    }

    fn moment(&self) -> Moment {
        Moment(
            self.server
                .lock()
                .expect("no panic")
                .written()
                .expect("a file"),
        )
    }

    /// Everything since the moment is lost.
    async fn lose_since(&mut self, moment: &Moment) {
        self.server
            .lock()
            .expect("no panic")
            .lose_after(moment.0)
            .expect("a server");
        // The first try may find the connection broken.
        while self.world.store.ping().await.is_err() {}
        self.world.set_clock(self.world.now()).await;
    }

    async fn reconcile(&self, node: &mut Node, claims: &[Claim]) -> Vec<Fence> {
        let answer = done(
            self.world
                .store
                .reconcile(&node.reconcile(claims.to_vec()))
                .await,
        );
        let ReconcileAnswer::Reconciled { generation, over } = answer else {
            panic!("{answer:?}");
        };
        node.generation = generation;
        over
    }

    async fn is_behind(&self, node: &mut Node) -> bool {
        let request = node.exchange(Vec::new(), 10);
        done(self.world.store.exchange(&request).await) == ExchangeAnswer::Behind
    }

    /// Who else claims anything.
    async fn claims(&self, node: &mut Node) -> Vec<RunId> {
        let claims = self.world.claim(node, 10).await;
        claims.into_iter().map(|claim| claim.run).collect()
    }

    /// Who has claimed the runs of a job that are in flight; none where one waits.
    async fn holders(&self, id: &str) -> Vec<(RunId, Option<String>)> {
        let in_flight = done(self.world.store.in_flight(&name(id)).await);
        let holders = in_flight.into_iter().map(|run| {
            let by = run.place.claimed_by().map(|by| by.node().to_owned());
            (run.run, by)
        });
        holders.collect()
    }

    /// What history says of a job's runs: each with how it ended.
    async fn ends(&self, id: &str) -> Vec<(RunId, Outcome)> {
        let records = self.world.see().await.records().into_iter();
        let ends = records.filter_map(|record| match record {
            Record::Run(record) if record.run.job.as_str() == id => {
                Some((record.run, record.outcome))
            }
            _ => None,
        });
        ends.collect()
    }

    /// Settles what is due as a leader does: what was settled before is moved past.
    async fn settle_due(&self, token: &LeaseToken) {
        let mut request = self.world.plan_due(token).await;
        let DispatchAnswer::Dispatched { refused } =
            done(self.world.store.dispatch(&request).await)
        else {
            panic!("the lease is held");
        };
        let mut past = Vec::new();
        for refused in refused {
            let Refusal::Fired(fired) = refused.why else {
                panic!("{refused:?}");
            };
            let mut item = request.items[refused.index].clone();
            let job = self.world.stored(item.job.as_str()).await.job;
            item.plan = move_past(&job, fired.max(item.due));
            past.push(item);
        }
        request.items = past;
        self.world.dispatch(&request).await;
    }

    /// Hands in again what was handed in and lost.
    async fn hand_in(&self, node: &mut Node, settled: Settled) {
        let request = node.exchange(vec![settled], 0);
        assert_eq!(self.world.exchange(&request).await, Exchanged::default());
    }
}

#[tokio::test]
async fn a_server_that_was_started_again_begins_a_generation_and_costs_no_more_than_being_told() {
    let mut test = Test::new().await;
    let (mut a, mut b) = (test.world.node("a").await, test.world.node("b").await);
    test.world.put(job("j")).await;
    let token = test.world.lead(&a).await;
    let run = test.world.fire(&token, "j").await;
    let claim = test.world.claim_one(&mut a).await;
    let now = test.moment();
    test.lose_since(&now).await;

    // Nobody leads, nobody claims, and heartbeats say why.
    let answer = done(test.world.store.peek(&peek(&token)).await);
    assert_eq!(answer, PeekAnswer::LeaseLost);
    let answer = done(test.world.store.acquire(&a.acquire()).await);
    assert_eq!(answer, AcquireAnswer::Early(GRACE));
    assert!(test.is_behind(&mut a).await && test.is_behind(&mut b).await);
    let answer = done(test.world.store.heartbeat(&a.heartbeat()).await);
    assert_eq!(answer, HeartbeatAnswer::Behind);

    assert_eq!(
        test.reconcile(&mut a, std::slice::from_ref(&claim)).await,
        []
    );
    assert!(a.generation > Generation(1));
    assert!(matches!(
        done(test.world.store.acquire(&a.acquire()).await),
        AcquireAnswer::Early(_)
    ));
    // The last of those that are known has told: nobody waits for the rest of the grace.
    assert_eq!(test.reconcile(&mut b, &[]).await, []);
    let token = test.world.lead(&b).await;
    assert!(token.epoch.0 > LEAP, "{token}");
    test.world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    assert_eq!(test.ends("j").await, [(run, Outcome::Succeeded)]);
    let next = test.world.fire(&token, "j").await;
    let claim = test.world.claim_one(&mut b).await;
    assert_eq!(claim.run, next);
    assert!(
        claim.fence.0 > LEAP,
        "above all that may have been given out"
    );
}

#[tokio::test]
async fn a_run_that_is_held_when_its_dispatch_is_lost_is_given_to_nobody_else() {
    let mut test = Test::new().await;
    let (mut a, mut b) = (test.world.node("a").await, test.world.node("b").await);
    test.world.put(job("j")).await;
    let token = test.world.lead(&a).await;
    let before = test.moment();
    let run = test.world.fire(&token, "j").await;
    let claim = test.world.claim_one(&mut a).await;
    test.lose_since(&before).await;

    assert_eq!(
        test.reconcile(&mut a, std::slice::from_ref(&claim)).await,
        []
    );
    assert_eq!(test.reconcile(&mut b, &[]).await, []);
    assert_eq!(test.holders("j").await, [held_by(&run, "a")]);
    // The due time is that of the lost fire, which is not dispatched again, but moved past.
    let token = test.world.lead(&b).await;
    test.settle_due(&token).await;
    assert_eq!(test.claims(&mut b).await, []);
    let stored = test.world.stored("j").await;
    assert_eq!(stored.next_fire, Some(test.world.now().after(EVERY)));
    test.world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    assert_eq!(test.ends("j").await, [(run, Outcome::Succeeded)]);
}

#[tokio::test]
async fn a_run_that_is_held_when_only_its_claim_is_lost_waits_for_nobody_else() {
    let mut test = Test::new().await;
    let (mut a, mut b) = (test.world.node("a").await, test.world.node("b").await);
    test.world.put(job("j")).await;
    let token = test.world.lead(&a).await;
    let run = test.world.fire(&token, "j").await;
    let before = test.moment();
    let claim = test.world.claim_one(&mut a).await;
    test.lose_since(&before).await;

    // In the queue again, and given to nobody as long as not all have told.
    assert_eq!(test.holders("j").await, [(run.clone(), None)]);
    assert_eq!(test.reconcile(&mut b, &[]).await, []);
    assert_eq!(test.claims(&mut b).await, []);
    assert_eq!(
        test.reconcile(&mut a, std::slice::from_ref(&claim)).await,
        []
    );
    assert_eq!(test.holders("j").await, [held_by(&run, "a")]);
    assert_eq!(test.claims(&mut b).await, []);
    assert_eq!(test.world.queue("default").await.in_use, 1);
    test.world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    assert_eq!(test.ends("j").await, [(run, Outcome::Succeeded)]);
    assert_eq!(test.world.queue("default").await.in_use, 0);
}

#[tokio::test]
async fn what_was_handed_in_and_lost_is_handed_in_again_and_executed_no_second_time() {
    let mut test = Test::new().await;
    let (mut a, mut b) = (test.world.node("a").await, test.world.node("b").await);
    test.world.put(job("early")).await;
    test.world.put(job("late")).await;
    let token = test.world.lead(&a).await;
    let early = test.world.fire(&token, "early").await;
    let claims = test.world.claim(&mut a, 2).await;
    let late = claims
        .iter()
        .find(|claim| claim.run != early)
        .expect("both are due")
        .clone();
    let early = claims
        .iter()
        .find(|claim| claim.run == early)
        .expect("it was claimed")
        .clone();
    test.world
        .hand_in(&mut a, &early, &Ending::Succeeded(None))
        .await;
    let before = test.moment();
    let settled = test.world.settled(&late, &Ending::Succeeded(None)).await;
    test.hand_in(&mut a, settled.clone()).await;
    test.world.advance(EVERY).await;
    test.settle_due(&token).await;
    let third = test.world.claim(&mut a, 1).await.remove(0);
    let of_third = test.world.settled(&third, &Ending::Succeeded(None)).await;
    test.hand_in(&mut a, of_third.clone()).await;
    test.lose_since(&before).await;

    // What had been written down before is over; the two others are to be handed in again.
    let named = [early.clone(), late.clone(), third.clone()];
    assert_eq!(test.reconcile(&mut a, &named).await, [early.fence]);
    assert_eq!(test.reconcile(&mut b, &[]).await, []);
    assert_eq!(test.claims(&mut b).await, []);
    test.hand_in(&mut a, settled).await;
    test.hand_in(&mut a, of_third).await;
    let token = test.world.lead(&b).await;
    test.settle_due(&token).await;
    let ended = |claim: &Claim| (claim.run.clone(), Outcome::Succeeded);
    let mut ends = test.ends("early").await;
    ends.extend(test.ends("late").await);
    ends.sort_by(|one, other| one.0.cmp(&other.0));
    let mut expected = named.each_ref().map(ended);
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(ends, expected, "each once");

    // Asked again after that, none of it comes back.
    a.generation = Generation(1);
    let over = test.reconcile(&mut a, &named).await;
    assert_eq!(over, named.each_ref().map(|claim| claim.fence));
    assert_eq!(test.world.see().await.held, 0);
    let anew = test.claims(&mut b).await;
    assert_eq!(anew.len(), 1, "what nobody had claimed is dispatched anew");
}

#[tokio::test]
async fn the_later_claim_is_the_right_one_whoever_tells_first() {
    for a_first in [true, false] {
        let mut test = Test::new().await;
        let (mut a, mut b) = (test.world.node("a").await, test.world.node("b").await);
        test.world.put(job("j")).await;
        let token = test.world.lead(&a).await;
        let run = test.world.fire(&token, "j").await;
        let first = test.world.claim_one(&mut a).await;
        let before = test.moment();
        // The first attempt is interrupted and goes back; another node begins the second.
        let settled = test.world.settled(&first, &Ending::Interrupted).await;
        test.hand_in(&mut a, settled).await;
        let second = test.world.claim_one(&mut b).await;
        assert_eq!((second.attempt, &second.run), (2, &run));
        test.lose_since(&before).await;

        let (of_a, of_b) = ([first.clone()], [second.clone()]);
        if a_first {
            assert_eq!(test.reconcile(&mut a, &of_a).await, []);
            assert_eq!(test.reconcile(&mut b, &of_b).await, []);
        } else {
            assert_eq!(test.reconcile(&mut b, &of_b).await, []);
            assert_eq!(test.reconcile(&mut a, &of_a).await, [first.fence]);
        }
        assert_eq!(
            test.holders("j").await,
            [held_by(&run, "b")],
            "a first: {a_first}"
        );
        let settled = test.world.settled(&first, &Ending::Interrupted).await;
        let request = a.exchange(vec![settled], 10);
        let answer = test.world.exchange(&request).await;
        assert_eq!(
            (answer.stale, answer.claims),
            (vec![run.clone()], Vec::new())
        );
        test.world
            .hand_in(&mut b, &second, &Ending::Succeeded(None))
            .await;
        assert_eq!(test.ends("j").await, [(run, Outcome::Succeeded)]);
        assert_eq!(test.world.queue("default").await.in_use, 0);
    }
}

#[tokio::test]
async fn the_later_claim_is_the_right_one_also_where_the_earlier_ones_node_never_tells() {
    let mut test = Test::new().await;
    let (mut a, mut b) = (test.world.node("a").await, test.world.node("b").await);
    test.world.put(job("j")).await;
    let token = test.world.lead(&a).await;
    let run = test.world.fire(&token, "j").await;
    let first = test.world.claim_one(&mut a).await;
    let before = test.moment();
    let settled = test.world.settled(&first, &Ending::Interrupted).await;
    test.hand_in(&mut a, settled).await;
    let second = test.world.claim_one(&mut b).await;
    test.lose_since(&before).await;

    assert_eq!(
        test.reconcile(&mut b, std::slice::from_ref(&second)).await,
        []
    );
    test.world.advance(GRACE).await;
    fence_and_drain(&test, &a.session).await;
    assert_eq!(test.holders("j").await, [held_by(&run, "b")]);
    assert_eq!(test.claims(&mut b).await, []);
    assert_eq!(test.world.queue("default").await.in_use, 1);
    let answer = done(test.world.store.reconcile(&a.reconcile(vec![first])).await);
    assert_eq!(answer, ReconcileAnswer::Gone);
}

/// Declares a session dead, and settles what it holds as that of a lost node.
async fn fence_and_drain(test: &Test, session: &SessionId) {
    let request = FenceSession {
        session: session.clone(),
        beat: 0,
    };
    done(test.world.store.fence_session(&request).await);
    for (session, claims) in done(test.world.store.dead_claims(100).await) {
        let mut items = Vec::new();
        for claim in &claims {
            items.push(test.world.settled(claim, &Ending::NodeLost).await);
        }
        let left = done(test.world.store.drain(&Drain { session, items }).await).left;
        assert_eq!(left, 0);
    }
}

#[tokio::test]
async fn a_session_that_was_lost_is_restored_with_what_it_holds() {
    let mut test = Test::new().await;
    let mut a = test.world.node("a").await;
    test.world.put(job("j")).await;
    let token = test.world.lead(&a).await;
    let before = test.moment();
    let mut b = test.world.node("b").await;
    let run = test.world.fire(&token, "j").await;
    let claim = test.world.claim_one(&mut b).await;
    test.lose_since(&before).await;

    assert_eq!(
        test.reconcile(&mut b, std::slice::from_ref(&claim)).await,
        []
    );
    assert_eq!(test.reconcile(&mut a, &[]).await, []);
    assert_eq!(test.holders("j").await, [held_by(&run, "b")]);
    let answer = done(test.world.store.heartbeat(&b.heartbeat()).await);
    assert!(
        matches!(answer, HeartbeatAnswer::Alive { claims: 1, .. }),
        "{answer:?}"
    );
    test.world
        .hand_in(&mut b, &claim, &Ending::Succeeded(None))
        .await;
    let token = test.world.lead(&a).await;
    test.settle_due(&token).await;
    assert_eq!(test.ends("j").await, [(run, Outcome::Succeeded)]);
}

#[tokio::test]
async fn a_session_that_was_declared_dead_before_is_not_restored() {
    let mut test = Test::new().await;
    let (mut a, mut b) = (test.world.node("a").await, test.world.node("b").await);
    test.world.put(job("j")).await;
    let token = test.world.lead(&a).await;
    test.world.fire(&token, "j").await;
    let claim = test.world.claim_one(&mut b).await;
    fence_and_drain(&test, &b.session).await;
    let before = test.moment();
    test.lose_since(&before).await;
    let answer = done(test.world.store.reconcile(&b.reconcile(vec![claim])).await);
    assert_eq!(answer, ReconcileAnswer::Gone);
    assert_eq!(test.reconcile(&mut a, &[]).await, []);
    assert_eq!(test.claims(&mut a).await.len(), 1);
}

#[tokio::test]
async fn who_tells_late_keeps_what_nobody_has_taken_yet() {
    let mut test = Test::new().await;
    let (mut a, mut b) = (test.world.node("a").await, test.world.node("b").await);
    for id in ["taken", "waits"] {
        test.world.put(job(id)).await;
    }
    let token = test.world.lead(&a).await;
    let before = test.moment();
    test.world.fire(&token, "taken").await;
    let claims = test.world.claim(&mut a, 2).await;
    test.lose_since(&before).await;

    assert_eq!(test.reconcile(&mut b, &[]).await, []);
    test.world.advance(GRACE).await;
    // Both are dispatched again, for nobody has told; another node claims one of them.
    let token = test.world.lead(&b).await;
    test.settle_due(&token).await;
    let taken = test.world.claim(&mut b, 1).await.remove(0);
    let by_a = claims
        .iter()
        .find(|claim| claim.run == taken.run)
        .expect("both were claimed");
    assert!(
        taken.fence > by_a.fence,
        "the other side refuses the earlier one"
    );
    assert_eq!(test.reconcile(&mut a, &claims).await, [by_a.fence]);
    assert_eq!(test.claims(&mut b).await, []);
    let waits = claims
        .iter()
        .find(|claim| claim.run != taken.run)
        .expect("both were claimed");
    let id = waits.run.job.as_str();
    assert_eq!(test.holders(id).await, [held_by(&waits.run, "a")]);
}

#[tokio::test]
async fn runs_and_jobs_of_the_lost_tail_are_settled_although_nobody_knows_of_them() {
    let mut test = Test::new().await;
    let mut a = test.world.node("a").await;
    test.world.put(job("asked")).await;
    let token = test.world.lead(&a).await;
    let before = test.moment();
    test.world.put(job("new")).await;
    let asked = test.world.run_now("asked").await;
    let new = test.world.fire(&token, "new").await;
    let claims = test.world.claim(&mut a, 10).await;
    let of = |run: &RunId| {
        claims
            .iter()
            .find(|claim| claim.run == *run)
            .expect("claimed")
            .clone()
    };
    let named = [of(&asked), of(&new)];
    test.lose_since(&before).await;

    assert_eq!(test.reconcile(&mut a, &named).await, []);
    assert_eq!(test.holders("asked").await, [held_by(&asked, "a")]);
    for claim in &named {
        test.world
            .hand_in(&mut a, claim, &Ending::Succeeded(None))
            .await;
    }
    assert_eq!(test.ends("asked").await, [(asked, Outcome::Succeeded)]);
    assert_eq!(test.ends("new").await, [(new.clone(), Outcome::Succeeded)]);
    // Put again from its file, the job does not run again for a fire time that ran.
    let read = test.world.read(&name("new")).await;
    assert_eq!(RunId::fire(name("new"), read.fired.expect("settled")), new);
}

#[tokio::test]
async fn what_was_lined_up_before_the_tail_and_let_go_in_it_is_held() {
    let mut test = Test::new().await;
    let mut a = test.world.node("a").await;
    let policy = Policy {
        overlap: Overlap::Queue,
        ..*job("j").build().policy()
    };
    test.world.put(job("j").policy(policy)).await;
    let token = test.world.lead(&a).await;
    let first = test.world.fire(&token, "j").await;
    let second = test.world.fire(&token, "j").await;
    let claim = test.world.claim_one(&mut a).await;
    assert_eq!(claim.run, first);
    let before = test.moment();
    let settled = test.world.settled(&claim, &Ending::Succeeded(None)).await;
    test.hand_in(&mut a, settled.clone()).await;
    test.world.admit(&token).await;
    let next = test.world.claim_one(&mut a).await;
    assert_eq!(next.run, second);
    test.lose_since(&before).await;

    assert_eq!(test.reconcile(&mut a, &[claim, next.clone()]).await, []);
    test.hand_in(&mut a, settled).await;
    assert_eq!(test.holders("j").await, [held_by(&second, "a")]);
    let token = test.world.lead(&a).await;
    test.world.admit(&token).await;
    assert_eq!(test.claims(&mut a).await, []);
    test.world
        .hand_in(&mut a, &next, &Ending::Succeeded(None))
        .await;
    assert_eq!(test.world.see().await.lined_up, 0);
}

#[tokio::test]
async fn a_deleted_namespace_keeps_what_is_held() {
    let mut test = Test::new().await;
    let mut a = test.world.node("a").await;
    test.world.put(job("j")).await;
    let token = test.world.lead(&a).await;
    let run = test.world.fire(&token, "j").await;
    let claim = test.world.claim_one(&mut a).await;
    let queues = [QueueName::default_queue()];
    done(test.world.store.erase(&[name("j")], &queues).await);
    let hand = Hand(test.world.store.clone());
    hand.set(test.world.now()).await;

    assert!(test.is_behind(&mut a).await);
    assert_eq!(
        test.reconcile(&mut a, std::slice::from_ref(&claim)).await,
        []
    );
    assert!(a.generation > Generation(1));
    assert_eq!(test.holders("j").await, [held_by(&run, "a")]);
}

/// What no acknowledgement of one server can promise: see "what is lost" in `docs/operating.md`.
#[tokio::test]
async fn without_replicas_that_are_waited_for_a_run_whose_node_is_lost_with_the_tail_is_executed_again()
 {
    let mut test = Test::new().await;
    let (mut a, mut b) = (test.world.node("a").await, test.world.node("b").await);
    test.world.put(job("j")).await;
    let token = test.world.lead(&b).await;
    let before = test.moment();
    // Dispatched, claimed, executed, handed in and acknowledged; then server and node go down together.
    let run = test.world.fire(&token, "j").await;
    let first = test.world.claim_one(&mut a).await;
    test.world
        .hand_in(&mut a, &first, &Ending::Succeeded(None))
        .await;
    test.lose_since(&before).await;

    assert_eq!(test.reconcile(&mut b, &[]).await, []);
    test.world.advance(GRACE).await;
    let token = test.world.lead(&b).await;
    test.settle_due(&token).await;
    let second = test.world.claim_one(&mut b).await;
    assert_eq!(
        (&second.run, second.attempt),
        (&run, first.attempt),
        "dispatched twice"
    );
    assert!(
        second.fence.0 > first.fence.0 + LEAP / 2,
        "but never under a number that was used"
    );
}

#[tokio::test]
async fn numbers_of_a_generation_that_is_lost_as_a_whole_are_not_given_again() {
    let mut test = Test::new().await;
    let (mut a, mut b) = (test.world.node("a").await, test.world.node("b").await);
    test.world.put(job("j")).await;
    test.world.advance(EVERY).await;
    let before = test.moment();
    let mut last = Fence(0);
    for _ in 0..3 {
        // Each time it is the same store again, which never heard of the generation before.
        test.lose_since(&before).await;
        a.generation = Generation(1);
        b.generation = Generation(1);
        assert_eq!(test.reconcile(&mut a, &[]).await, []);
        assert_eq!(test.reconcile(&mut b, &[]).await, []);
        let token = test.world.lead(&b).await;
        assert!(token.epoch.0 > last.0, "{token}");
        test.settle_due(&token).await;
        let claim = test.world.claim_one(&mut a).await;
        assert!(claim.fence > last, "{claim:?}");
        last = claim.fence;
        test.world.advance(GRACE).await;
    }
}

#[tokio::test]
async fn who_missed_a_generation_in_which_runs_were_claimed_is_late_in_the_next() {
    let mut test = Test::new().await;
    let (mut a, mut b) = (test.world.node("a").await, test.world.node("b").await);
    test.world.put(job("j")).await;
    let token = test.world.lead(&b).await;
    let run = test.world.fire(&token, "j").await;
    let before = test.moment();
    let first = test.world.claim_one(&mut a).await;
    test.lose_since(&before).await;

    // The first node is cut off for the whole generation; another one executes its run.
    assert_eq!(test.reconcile(&mut b, &[]).await, []);
    test.world.advance(GRACE).await;
    let second = test.world.claim_one(&mut b).await;
    assert_eq!(second.run, run);
    test.world
        .hand_in(&mut b, &second, &Ending::Succeeded(None))
        .await;
    let again = test.moment();
    test.lose_since(&again).await;

    assert_eq!(
        test.reconcile(&mut a, std::slice::from_ref(&first)).await,
        [first.fence],
        "it is over, in time as this is for this generation"
    );
    assert_eq!(test.reconcile(&mut b, &[second]).await.len(), 1);
    assert_eq!(test.holders("j").await, []);
    assert_eq!(test.ends("j").await, [(run, Outcome::Succeeded)]);
}

#[tokio::test]
async fn who_missed_a_generation_in_which_nothing_happened_has_missed_nothing() {
    let mut test = Test::new().await;
    let (mut a, mut b) = (test.world.node("a").await, test.world.node("b").await);
    test.world.put(job("j")).await;
    let token = test.world.lead(&a).await;
    let run = test.world.fire(&token, "j").await;
    let first = test.world.claim_one(&mut a).await;
    let before = test.moment();
    // The first attempt goes back, and another node has the second: all of that is lost, and then lost again
    // with what the other told.
    let settled = test.world.settled(&first, &Ending::Interrupted).await;
    test.hand_in(&mut a, settled).await;
    let second = test.world.claim_one(&mut b).await;
    test.lose_since(&before).await;
    assert!(test.is_behind(&mut b).await, "it has begun");
    let began = test.moment();
    assert_eq!(
        test.reconcile(&mut b, std::slice::from_ref(&second)).await,
        []
    );
    test.lose_since(&began).await;

    assert_eq!(
        test.reconcile(&mut b, std::slice::from_ref(&second)).await,
        []
    );
    assert_eq!(test.reconcile(&mut a, &[first]).await.len(), 1);
    assert_eq!(test.holders("j").await, [held_by(&run, "b")]);
}
