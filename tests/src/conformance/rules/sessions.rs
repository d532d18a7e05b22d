//! Sessions: begun once, alive while they beat, and never revived.

use std::time::Duration;

use scheduler_core::run::{Claim, Ending};
use scheduler_core::session::SessionSample;
use scheduler_core::store::{
    AcquireAnswer, BeginAnswer, ExchangeAnswer, Exchanged, FenceAnswer, FenceSession,
    HeartbeatAnswer, NodeView, ReconcileAnswer, Registered, ResyncAnswer,
};
use scheduler_core::{Fence, Generation, SessionId, Shard, Timestamp};

use super::beginning::begin_of;
use crate::conformance::{Harness, Node, SESSION, START, Sight, World, done, job, name};

/// Declares a node's session dead.
pub(super) async fn fence<H: Harness>(world: &World<H>, node: &Node) -> FenceAnswer {
    let session = node.session.clone();
    let beat = node.beat;
    done(
        world
            .store
            .fence_session(&FenceSession { session, beat })
            .await,
    )
}

/// What a node's going without any claim does to the world.
fn without(sight: &Sight, session: &SessionId) -> Sight {
    sight.but(|world| {
        world.nodes.remove(session);
        world.samples.remove(session);
    })
}

pub async fn a_node_that_registered_is_seen<H: Harness>(world: World<H>) {
    let before = world.see().await;
    let node = world.node("a").await;
    let after = before.but(|world| {
        let session = node.session.clone();
        let view = NodeView {
            session: session.clone(),
            info: Some(node.register().info),
            since: Some(START),
            deadline: START.after(SESSION),
            running: 0,
            leads: false,
            led: Vec::new(),
            dead: false,
        };
        let sample = SessionSample {
            session: session.clone(),
            beat: 0,
            ttl: SESSION,
        };
        world.nodes.insert(session.clone(), view);
        world.samples.insert(session, sample);
    });
    world.expect(&after, "registering").await;
}

pub async fn registering_again_leaves_the_session_as_it_is<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    world.put(job("j")).await;
    world.run_now("j").await;
    world.claim_one(&mut a).await;
    done(world.store.heartbeat(&a.heartbeat()).await);
    let before = world.see().await;
    world.advance(Duration::from_secs(1)).await;
    let answer = done(world.store.register(&a.register()).await);
    let expected = Registered {
        now: world.now(),
        generation: a.generation,
        number: a.number,
    };
    assert_eq!(answer, expected);
    world.expect(&before, "registering again").await;
}

pub async fn a_heartbeat_shows_life_and_keeps_all_claims<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    world.put(job("j")).await;
    world.run_now("j").await;
    world.claim_one(&mut a).await;
    let before = world.see().await;
    world.advance(Duration::from_secs(5)).await;
    let mut request = a.heartbeat();
    request.running = 1;
    request.ttl = Duration::from_secs(20);
    let now = world.now();
    let answer = done(world.store.heartbeat(&request).await);
    assert_eq!(answer, alive(now, 1));
    let after = before.but(|world| {
        let node = world.node_mut(&a.session);
        node.running = 1;
        node.deadline = now.after(request.ttl);
        let sample = SessionSample {
            session: a.session.clone(),
            beat: request.beat,
            ttl: request.ttl,
        };
        world.samples.insert(a.session.clone(), sample);
    });
    world.expect(&after, "a heartbeat").await;
}

pub async fn a_heartbeat_that_was_overtaken_changes_nothing<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let (late, early) = (a.heartbeat(), a.heartbeat());
    done(world.store.heartbeat(&early).await);
    let before = world.see().await;
    world.advance(Duration::from_secs(5)).await;
    let answer = done(world.store.heartbeat(&late).await);
    let now = world.now();
    assert_eq!(answer, alive(now, 0));
    world.expect(&before, "a heartbeat that comes late").await;
}

pub async fn a_heartbeat_never_begins_a_session<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    done(world.store.leave(&a.session).await);
    let before = world.see().await;
    let answer = done(world.store.heartbeat(&a.heartbeat()).await);
    assert_eq!(answer, HeartbeatAnswer::Gone);
    a.session = name("a~00000000000000000000000000000001");
    let answer = done(world.store.heartbeat(&a.heartbeat()).await);
    assert_eq!(answer, HeartbeatAnswer::Gone);
    world.expect(&before, "heartbeats without a session").await;
}

pub async fn no_clock_ends_a_session<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    world.put(job("j")).await;
    world.run_now("j").await;
    world.claim_one(&mut a).await;
    let before = world.see().await;
    for to in [START.after(SESSION * 100), START.before(SESSION * 100)] {
        world.set_clock(to).await;
        assert_eq!(world.see().await.held, before.held);
        let claims = super::claims::held(&world, &mut a).await;
        assert_eq!(claims.len(), 1, "at {to}");
    }
}

pub async fn a_node_that_leaves_without_claims_is_forgotten<H: Harness>(world: World<H>) {
    let (a, b) = (world.node("a").await, world.node("b").await);
    let before = world.see().await;
    done(world.store.leave(&a.session).await);
    let after = without(&before, &a.session);
    world.expect(&after, "leaving").await;
    assert_eq!(world.ranks(&[a.clone(), b]).await, [None, Some(0)]);
    done(world.store.leave(&a.session).await);
    world.expect(&after, "leaving again").await;
}

pub async fn a_session_that_showed_life_is_not_fenced<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    let seen = a.clone();
    done(world.store.heartbeat(&a.heartbeat()).await);
    let before = world.see().await;
    assert_eq!(fence(&world, &seen).await, FenceAnswer::Alive);
    let mut unknown = a.clone();
    unknown.session = name("a~00000000000000000000000000000001");
    assert_eq!(fence(&world, &unknown).await, FenceAnswer::Unknown);
    world
        .expect(&before, "fencing what lives, and what is not")
        .await;
}

pub async fn a_fenced_session_without_claims_is_forgotten<H: Harness>(world: World<H>) {
    let a = world.node("a").await;
    let before = world.see().await;
    assert_eq!(fence(&world, &a).await, FenceAnswer::Fenced);
    world.expect(&without(&before, &a.session), "fencing").await;
    assert_ne!(fence(&world, &a).await, FenceAnswer::Alive);
}

pub async fn a_fenced_session_can_do_nothing_and_never_comes_back<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    world.put(job("j")).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    let settled = world.settled(&claim, &Ending::Succeeded(None)).await;
    let before = world.see().await;
    assert_eq!(fence(&world, &a).await, FenceAnswer::Fenced);
    let fenced = before.but(|world| {
        world.node_mut(&a.session).dead = true;
        world.samples.remove(&a.session);
        world.dead.insert(a.session.clone(), vec![claim]);
    });
    world.expect(&fenced, "fencing").await;

    assert_eq!(fence(&world, &a).await, FenceAnswer::Fenced, "again");
    let store = &world.store;
    let answer = done(store.heartbeat(&a.heartbeat()).await);
    assert_eq!(answer, HeartbeatAnswer::Gone);
    let answer = done(store.exchange(&a.exchange(vec![settled], 1)).await);
    assert_eq!(answer, ExchangeAnswer::Gone);
    assert_eq!(done(store.resync(&a.resync()).await), ResyncAnswer::Gone);
    assert_eq!(done(store.acquire(&a.acquire()).await), AcquireAnswer::Gone);
    assert_eq!(world.ranks(&[a.clone()]).await, [None]);
    done(store.leave(&a.session).await);
    done(store.register(&a.register()).await);
    world.expect(&fenced, "what a dead session asks for").await;
}

pub async fn a_session_of_another_generation_does_nothing_until_it_reconciles<H: Harness>(
    world: World<H>,
) {
    let mut a = world.node("a").await;
    world.put(job("j")).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    let generation = std::mem::replace(&mut a.generation, Generation(99));
    let before = world.see().await;
    let store = &world.store;
    let behind = HeartbeatAnswer::Behind;
    assert_eq!(done(store.heartbeat(&a.heartbeat()).await), behind);
    let settled = world.settled(&claim, &Ending::Succeeded(None)).await;
    let exchange = a.exchange(vec![settled.clone()], 10);
    assert_eq!(
        done(store.exchange(&exchange).await),
        ExchangeAnswer::Behind
    );
    let resync = a.resync();
    assert_eq!(done(store.resync(&resync).await), ResyncAnswer::Behind);
    let begin = begin_of(&a, std::slice::from_ref(&claim));
    assert_eq!(done(store.begin(&begin).await), BeginAnswer::Behind);
    world
        .expect(&before, "what a session asks for that is behind")
        .await;

    // Where nothing was lost, it holds what it holds, and nothing else.
    a.generation = generation;
    let unknown = Claim {
        fence: Fence(claim.fence.0 - 1),
        ..claim.clone()
    };
    for (named, expected) in [(&claim, Vec::new()), (&unknown, vec![unknown.fence])] {
        let request = a.reconcile(vec![named.clone()]);
        for _ in 0..2 {
            let answer = done(store.reconcile(&request).await);
            let over = expected.clone();
            assert_eq!(answer, ReconcileAnswer::Reconciled { generation, over });
        }
    }
    world.expect(&before, "reconciling").await;
    let exchange = a.exchange(vec![settled], 0);
    assert_eq!(world.exchange(&exchange).await, Exchanged::default());
    done(store.leave(&a.session).await);
    let request = a.reconcile(Vec::new());
    assert_eq!(done(store.reconcile(&request).await), ReconcileAnswer::Gone);
}

fn alive(now: Timestamp, claims: usize) -> HeartbeatAnswer {
    HeartbeatAnswer::Alive {
        now,
        claims,
        cancelled: Vec::new(),
    }
}
