//! Claims: a run is executed by one node at a time, under a fence.

use std::num::NonZeroU32;

use scheduler_core::run::{Claim, Ending, Outcome, Verdict};
use scheduler_core::store::{ClaimWish, ExchangeAnswer, Exchanged, ResyncAnswer};
use scheduler_core::{Fence, Priority, Shard};

use crate::conformance::{Harness, Node, World, done, job, name, settled_as};

const MANY: NonZeroU32 = NonZeroU32::MAX;

/// All that a node holds.
pub(super) async fn held<H: Harness>(world: &World<H>, node: &mut Node) -> Vec<Claim> {
    match done(world.store.resync(&node.resync()).await) {
        ResyncAnswer::Claims(mut claims) => {
            claims.sort_by_key(|claim| claim.fence);
            claims
        }
        other => panic!("{other:?}"),
    }
}

pub async fn a_claim_binds_the_run_to_the_jobs_definition<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("j")).await;
    let run = world.fire(&token, "j").await;
    let before = world.see().await;
    let claim = world.claim_one(&mut a).await;
    let expected = Claim {
        run,
        fence: claim.fence,
        version: stored.version,
        attempt: 1,
        losses: 0,
        fresh: true,
        begun: false,
        queue: name("default"),
        priority: Priority::Normal,
    };
    assert_eq!(claim, expected);
    assert!(claim.fence.0 > stored.version.0);
    let after = before.but(|world| world.take_waiting());
    assert_eq!(after.held, 1);
    world.expect(&after, "claiming").await;
    assert_eq!(held(&world, &mut a).await, [claim]);
}

pub async fn a_run_is_claimed_by_one_node<H: Harness>(world: World<H>) {
    let (mut a, mut b) = (world.node("a").await, world.node("b").await);
    world.put(job("j").max_instances(MANY)).await;
    for _ in 0..10 {
        world.run_now("j").await;
    }
    let mut claims = Vec::new();
    for _ in 0..3 {
        claims.extend(world.claim(&mut a, 2).await);
        claims.extend(world.claim(&mut b, 2).await);
    }
    let fences: Vec<_> = claims.iter().map(|claim| claim.fence).collect();
    assert!(fences.is_sorted_by(|a, b| a < b), "{fences:?}");
    claims.sort_by(|a, b| a.run.cmp(&b.run));
    claims.dedup_by(|a, b| a.run == b.run);
    assert_eq!(claims.len(), 10);
    assert_eq!(held(&world, &mut a).await.len(), 6);
    assert_eq!(held(&world, &mut b).await.len(), 4);
}

pub async fn queues_are_served_in_the_order_asked_for<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    for queue in ["low", "high", "other"] {
        world
            .put(job(queue).queue(name(queue)).max_instances(MANY))
            .await;
        for _ in 0..2 {
            world.run_now(queue).await;
        }
    }
    let mut request = a.exchange(Vec::new(), 1);
    let queues = [name("high"), name("empty"), name("low")];
    request.wish = Some(ClaimWish::in_order(&queues, 3));
    let claims = world.exchange(&request).await.claims;
    let queues: Vec<_> = claims.iter().map(|claim| claim.queue.as_str()).collect();
    assert_eq!(queues, ["high", "high", "low"]);
    let ready: Vec<_> = world.see().await.ready.into_iter().collect();
    assert_eq!(ready, [(name("low"), 1), (name("other"), 2)]);
}

pub async fn an_ended_run_frees_its_place_and_leaves_a_record<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    world.fire(&token, "j").await;
    let claim = world.claim_one(&mut a).await;
    let before = world.see().await;
    let record = world
        .hand_in(&mut a, &claim, &Ending::Succeeded(Some("ok".to_owned())))
        .await;
    let now = world.now();
    let after = before.but(|world| {
        world.busy = 0;
        world.job_mut("j").in_flight = 0;
        world.add_record(now, record);
    });
    world.expect(&after, "handing in").await;
    assert_eq!(held(&world, &mut a).await, []);
}

pub async fn runs_are_handed_in_and_claimed_in_one_step<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    world.put(job("j").max_instances(MANY)).await;
    let first = world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    let second = world.run_now("j").await;
    let settled = vec![
        world
            .settled(&claim, &Ending::Failed("no".to_owned()))
            .await,
    ];
    let request = a.exchange(settled, 1);
    let exchanged = world.exchange(&request).await;
    assert_eq!(exchanged.stale, []);
    assert_eq!(exchanged.claims.len(), 1);
    assert_eq!((claim.run, &exchanged.claims[0].run), (first, &second));
    let sight = world.see().await;
    assert_eq!((sight.busy, sight.held, sight.history.len()), (1, 1, 1));
}

pub async fn a_claim_that_is_not_held_settles_nothing<H: Harness>(world: World<H>) {
    let (mut a, mut b) = (world.node("a").await, world.node("b").await);
    world.put(job("j")).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    let before = world.see().await;
    let stale = Exchanged {
        claims: Vec::new(),
        stale: vec![claim.run.clone()],
    };
    let ended = world.settled(&claim, &Ending::Succeeded(None)).await;
    let request = b.exchange(vec![ended.clone()], 0);
    assert_eq!(world.exchange(&request).await, stale, "another node's");
    let mut other = ended;
    other.claim.fence = Fence(claim.fence.0 + 1);
    let request = a.exchange(vec![other], 0);
    assert_eq!(
        world.exchange(&request).await,
        stale,
        "another claim's fence"
    );
    world.expect(&before, "handing in what is not held").await;
}

pub async fn a_session_that_is_over_exchanges_nothing<H: Harness>(world: World<H>) {
    let (mut a, b) = (world.node("a").await, world.node("b").await);
    world.put(job("j").max_instances(MANY)).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    world.run_now("j").await;
    done(world.store.leave(&a.session).await);
    done(world.store.leave(&b.session).await);
    let before = world.see().await;
    let ended = settled_as(
        &claim,
        Verdict::End(Outcome::Succeeded),
        &Ending::Succeeded(None),
    );
    for mut node in [a, b] {
        let request = node.exchange(vec![ended.clone()], 1);
        let answer = done(world.store.exchange(&request).await);
        assert_eq!(answer, ExchangeAnswer::Gone);
        let answer = done(world.store.resync(&node.resync()).await);
        assert_eq!(answer, ResyncAnswer::Gone);
    }
    world
        .expect(&before, "exchanges of sessions that are over")
        .await;
}
