//! Runs that begin at most once: that they begin is written down before.

use scheduler_core::policy::Delivery;
use scheduler_core::run::{Claim, Ending, Outcome, Verdict};
use scheduler_core::store::{Begin, BeginAnswer, Drain};
use scheduler_core::{Fence, Shard};

use super::claims::held;
use super::sessions::fence;
use crate::conformance::{Harness, Node, World, done, job};

/// The request to write down that these begin.
pub(super) fn begin_of(node: &Node, claims: &[Claim]) -> Begin {
    Begin {
        generation: node.generation,
        session: node.session.clone(),
        claims: claims.iter().map(|c| (c.run.clone(), c.fence)).collect(),
    }
}

/// A node with two runs of a job that runs at most once.
async fn claimed<H: Harness>(world: &World<H>) -> (Node, Vec<Claim>) {
    let mut node = world.node("a").await;
    let two = std::num::NonZeroU32::MIN.saturating_add(1);
    world
        .put(job("j").max_instances(two).delivery(Delivery::AtMostOnce))
        .await;
    for _ in 0..2 {
        world.run_now("j").await;
    }
    let claims = world.claim(&mut node, 2).await;
    assert!(claims.iter().all(|claim| !claim.begun));
    (node, claims)
}

pub async fn a_begun_run_is_marked_in_its_claim<H: Harness>(world: World<H>) {
    let (mut a, claims) = claimed(&world).await;
    let before = world.see().await;
    let none = BeginAnswer::Begun { stale: Vec::new() };
    let answer = done(world.store.begin(&begin_of(&a, &claims[..1])).await);
    assert_eq!(answer, none);
    world.expect(&before, "beginning").await;
    let mut marked = held(&world, &mut a).await;
    marked.sort_by_key(|claim| claim.fence);
    let begun: Vec<_> = marked.iter().map(|claim| claim.begun).collect();
    assert_eq!(begun, [true, false]);
    // It is handed in as any other.
    world
        .hand_in(&mut a, &claims[0], &Ending::Succeeded(None))
        .await;
    assert_eq!(held(&world, &mut a).await, claims[1..]);
}

pub async fn only_who_holds_a_claim_begins_it<H: Harness>(world: World<H>) {
    let (a, claims) = claimed(&world).await;
    let mut b = world.node("b").await;
    let before = world.see().await;
    let stale = |claims: &[Claim]| BeginAnswer::Begun {
        stale: claims.iter().map(|claim| claim.run.clone()).collect(),
    };
    let answer = done(world.store.begin(&begin_of(&b, &claims)).await);
    assert_eq!(answer, stale(&claims), "another node's");
    let mut other = claims.clone();
    other[1].fence = Fence(claims[1].fence.0 + 10);
    let answer = done(world.store.begin(&begin_of(&a, &other)).await);
    assert_eq!(answer, stale(&claims[1..]), "under another claim");
    world.expect(&before, "beginning what is not held").await;
    assert_eq!(held(&world, &mut b).await, []);

    fence(&world, &a).await;
    let dead = world.see().await;
    let answer = done(world.store.begin(&begin_of(&a, &claims)).await);
    assert_eq!(answer, BeginAnswer::Gone);
    world.expect(&dead, "a dead session begins nothing").await;
}

pub async fn only_what_was_begun_is_lost_with_its_node<H: Harness>(world: World<H>) {
    let (a, claims) = claimed(&world).await;
    let mut b = world.node("b").await;
    done(world.store.begin(&begin_of(&a, &claims[..1])).await);
    fence(&world, &a).await;
    let mut dead = done(world.store.dead_claims(10).await).remove(0).1;
    dead.sort_by_key(|claim| claim.fence);
    let mut items = Vec::new();
    for claim in &dead {
        items.push(world.settled(claim, &Ending::NodeLost).await);
    }
    let verdicts: Vec<_> = items.iter().map(|item| item.verdict).collect();
    assert_eq!(verdicts, [Verdict::End(Outcome::Lost), Verdict::GiveBack]);
    let session = a.session.clone();
    let left = done(world.store.drain(&Drain { session, items }).await).left;
    assert_eq!(left, 0);
    let next = world.claim_one(&mut b).await;
    let (run, attempt) = (next.run.clone(), next.attempt);
    assert_eq!(
        (run, attempt),
        (claims[1].run.clone(), 1),
        "the same attempt"
    );
    assert!(!next.begun);
    assert_eq!(world.see().await.busy, 1);
}
