//! Sweeping: what a dead node held is taken over once, by whoever comes.

use std::num::NonZeroU32;

use scheduler_core::policy::OnLost;
use scheduler_core::run::{Claim, Ending, Outcome, Verdict};
use scheduler_core::store::{Drain, FenceAnswer, Settled};
use scheduler_core::{Fence, SessionId, Shard};

use super::sessions::fence;
use crate::conformance::{Harness, Node, World, done, job, settled_as};

const MANY: NonZeroU32 = NonZeroU32::MAX;

/// A node that died with `runs` runs of the job `j` in its hands.
async fn dead_node<H: Harness>(world: &World<H>, runs: usize) -> (Node, Vec<Claim>) {
    let mut node = world.node("dead").await;
    for _ in 0..runs {
        world.run_now("j").await;
    }
    let claims = world.claim(&mut node, runs).await;
    assert_eq!(claims.len(), runs);
    assert_eq!(fence(world, &node).await, FenceAnswer::Fenced);
    (node, claims)
}

/// Settles claims of a dead node as lost, as their jobs say.
async fn drain<H: Harness>(world: &World<H>, session: &SessionId, claims: &[Claim]) -> usize {
    let mut items = Vec::new();
    for claim in claims {
        items.push(world.settled(claim, &Ending::NodeLost).await);
    }
    drain_items(world, session, items).await
}

async fn drain_items<H: Harness>(
    world: &World<H>,
    session: &SessionId,
    items: Vec<Settled>,
) -> usize {
    let session = session.clone();
    done(world.store.drain(&Drain { session, items }).await).left
}

pub async fn lost_runs_are_executed_again_by_another_node<H: Harness>(world: World<H>) {
    let mut b = world.node("b").await;
    let token = world.lead(&b).await;
    world.put(job("j")).await;
    let (a, claims) = dead_node(&world, 1).await;
    assert_eq!(
        done(world.store.dead_claims(10).await),
        [(a.session.clone(), claims.clone())]
    );
    assert_eq!(drain(&world, &a.session, &claims).await, 0);
    let sight = world.see().await;
    assert_eq!((sight.dead.len(), sight.nodes.len(), sight.busy), (0, 1, 1));
    world.beat(&token).await;
    let claim = world.claim_one(&mut b).await;
    let expected = Claim {
        fence: claim.fence,
        attempt: 2,
        losses: 1,
        fresh: false,
        ..claims[0].clone()
    };
    assert_eq!(claim, expected);
    assert!(claim.fence > claims[0].fence);
    world
        .hand_in(&mut b, &claim, &Ending::Succeeded(None))
        .await;
    let sight = world.see().await;
    assert_eq!(
        (sight.busy, sight.history.len()),
        (0, 2),
        "lost once, and succeeded"
    );
}

pub async fn runs_that_must_not_be_repeated_end_as_lost<H: Harness>(world: World<H>) {
    world.put(job("j").on_lost(OnLost::Fail)).await;
    let (a, claims) = dead_node(&world, 1).await;
    let before = world.see().await;
    assert_eq!(drain(&world, &a.session, &claims).await, 0);
    let lost = settled_as(&claims[0], Verdict::End(Outcome::Lost), &Ending::NodeLost);
    let now = world.now();
    let after = before.but(|world| {
        world.busy = 0;
        world.job_mut("j").in_flight = 0;
        world.dead.clear();
        world.nodes.remove(&a.session);
        world.add_record(now, lost.record.expect("recorded"));
    });
    world.expect(&after, "draining").await;
}

pub async fn a_run_that_kills_its_nodes_is_given_up<H: Harness>(world: World<H>) {
    let b = world.node("b").await;
    let token = world.lead(&b).await;
    world.put(job("j")).await;
    world.run_now("j").await;
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        let mut node = world.node("victim").await;
        let claim = world.claim_one(&mut node).await;
        assert_eq!(fence(&world, &node).await, FenceAnswer::Fenced);
        outcomes.push(world.settled(&claim, &Ending::NodeLost).await.verdict);
        assert_eq!(drain(&world, &node.session, &[claim]).await, 0);
        world.beat(&token).await;
    }
    assert_eq!(outcomes[2], Verdict::End(Outcome::Lost));
    let sight = world.see().await;
    assert_eq!((sight.busy, sight.history.len()), (0, 3));
}

pub async fn only_claims_that_are_as_they_were_read_are_settled<H: Harness>(world: World<H>) {
    world.put(job("j")).await;
    let (a, claims) = dead_node(&world, 1).await;
    let before = world.see().await;
    let mut others = vec![claims[0].clone(); 3];
    others[0].fence = Fence(claims[0].fence.0 + 1);
    others[1].attempt += 1;
    others[2].version.0 += 1;
    assert_eq!(drain(&world, &a.session, &others).await, 1);
    world.expect(&before, "draining claims that are not").await;
    assert_eq!(drain(&world, &a.session, &claims).await, 0);
    assert_eq!(world.see().await.busy, 1);
}

pub async fn a_dead_session_is_drained_in_parts_by_any_sweeper<H: Harness>(world: World<H>) {
    world.put(job("j").max_instances(MANY)).await;
    let (a, claims) = dead_node(&world, 5).await;
    let shown = done(world.store.dead_claims(2).await);
    assert_eq!(
        (shown.len(), shown[0].1.len()),
        (1, 2),
        "a bounded part of them"
    );
    assert_eq!(drain(&world, &a.session, &shown[0].1).await, 3);
    let sight = world.see().await;
    assert_eq!((sight.busy, sight.dead[&a.session].len()), (5, 3));
    assert_eq!(
        drain(&world, &a.session, &claims).await,
        0,
        "by one who had read all"
    );
    let sight = world.see().await;
    assert_eq!(
        (sight.busy, sight.waiting() + sight.retries),
        (5, 5),
        "none twice"
    );
    assert_eq!((sight.dead.len(), sight.nodes.len()), (0, 0));
}

pub async fn a_live_session_is_not_drained<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    world.put(job("j")).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    let before = world.see().await;
    drain(&world, &a.session, std::slice::from_ref(&claim)).await;
    world.expect(&before, "draining a live session").await;
}

pub async fn what_a_leaving_node_still_holds_is_swept<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    world.put(job("j")).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    let before = world.see().await;
    done(world.store.leave(&a.session).await);
    let left = before.but(|world| {
        world.node_mut(&a.session).dead = true;
        world.samples.remove(&a.session);
        world.dead.insert(a.session.clone(), vec![claim.clone()]);
    });
    world.expect(&left, "leaving with a run in hand").await;
    let back = settled_as(&claim, Verdict::GiveBack, &Ending::NotBegun);
    let back = Settled {
        record: None,
        ..back
    };
    assert_eq!(drain_items(&world, &a.session, vec![back]).await, 0);
    let given_back = left.but(|world| {
        world.dead.clear();
        world.nodes.remove(&a.session);
        world.ready.insert(claim.queue.clone(), 1);
    });
    world.expect(&given_back, "giving back for it").await;
}
