//! Taking the lease early: from a leader without progress, and without thrashing.

use std::time::Duration;

use scheduler_core::Shard;
use scheduler_core::lease::LeaseToken;
use scheduler_core::store::{Acquire, AcquireAnswer};

use super::lease::nothing_can_be_done_with;
use crate::conformance::{Harness, LEASE, Node, START, World, done, job, stood_still};

/// Longer than any leader is protected.
const LONG: Duration = Duration::from_secs(600);

/// Asks for the lease as a standby that has seen the leader stand still until this very moment.
async fn steal<H: Harness>(world: &World<H>, by: &Node) -> AcquireAnswer {
    let view = done(world.store.observe(&by.session).await);
    let steal = view.token.map(|token| stood_still(token, view.beat));
    let request = Acquire {
        steal,
        ..by.acquire()
    };
    done(world.store.acquire(&request).await)
}

fn acquired(answer: AcquireAnswer) -> LeaseToken {
    match answer {
        AcquireAnswer::Acquired(token) => token,
        other => panic!("{other:?}"),
    }
}

pub async fn a_leader_that_stands_still_while_something_is_due_is_deposed<H: Harness>(
    mut world: World<H>,
) {
    let (a, b) = (world.node("a").await, world.node("b").await);
    world.put(job("j")).await;
    let old = world.lead(&a).await;
    world.advance(LONG).await;
    let before = world.see().await;
    let new = acquired(steal(&world, &b).await);
    assert!(new.epoch > old.epoch);
    assert_eq!((&new.session, new.since), (&b.session, world.now()));
    let after = before.but(|world| {
        world.leader = Some(new);
        world.node_mut(&a.session).leads = false;
        world.node_mut(&b.session).leads = true;
    });
    world.expect(&after, "deposing the leader").await;
}

pub async fn a_deposed_leader_can_do_nothing<H: Harness>(mut world: World<H>) {
    let (a, b) = (world.node("a").await, world.node("b").await);
    world.put(job("j")).await;
    let old = world.lead(&a).await;
    world.advance(LONG).await;
    let planned = world.plan_due(&old).await;
    acquired(steal(&world, &b).await);
    let before = world.see().await;
    let answer = done(world.store.dispatch(&planned).await);
    assert_eq!(answer, scheduler_core::store::DispatchAnswer::LeaseLost);
    nothing_can_be_done_with(&world, &old).await;
    world.expect(&before, "steps of a deposed leader").await;
}

pub async fn a_deposed_leader_comes_last_of_all_standbys<H: Harness>(mut world: World<H>) {
    let nodes = [
        world.node("a").await,
        world.node("b").await,
        world.node("c").await,
    ];
    world.put(job("j")).await;
    world.lead(&nodes[0]).await;
    world.advance(LONG).await;
    acquired(steal(&world, &nodes[1]).await);
    assert_eq!(world.ranks(&nodes).await, [Some(1), Some(0), Some(0)]);
}

pub async fn nobody_is_deposed_who_made_progress_since<H: Harness>(mut world: World<H>) {
    let (a, b) = (world.node("a").await, world.node("b").await);
    world.put(job("j")).await;
    let token = world.lead(&a).await;
    world.advance(LONG).await;
    let view = done(world.store.observe(&b.session).await);
    world.peek(&token).await;
    let before = world.see().await;
    let request = Acquire {
        steal: Some(stood_still(token.clone(), view.beat)),
        ..b.acquire()
    };
    let answer = done(world.store.acquire(&request).await);
    assert_eq!(answer, AcquireAnswer::Held(token));
    world.expect(&before, "a steal that comes too late").await;
}

pub async fn nobody_is_deposed_for_another<H: Harness>(mut world: World<H>) {
    let nodes = [
        world.node("a").await,
        world.node("b").await,
        world.node("c").await,
    ];
    world.put(job("j")).await;
    let first = world.lead(&nodes[0]).await;
    world.advance(LONG).await;
    let second = acquired(steal(&world, &nodes[1]).await);
    world.advance(LONG).await;
    let view = done(world.store.observe(&nodes[2].session).await);
    let request = Acquire {
        steal: Some(stood_still(first, view.beat)),
        ..nodes[2].acquire()
    };
    let answer = done(world.store.acquire(&request).await);
    assert_eq!(answer, AcquireAnswer::Held(second));
}

pub async fn nobody_is_deposed_while_nothing_is_due<H: Harness>(mut world: World<H>) {
    let (a, b) = (world.node("a").await, world.node("b").await);
    let token = world.lead(&a).await;
    world.advance(LONG).await;
    let answer = steal(&world, &b).await;
    assert_eq!(answer, AcquireAnswer::Held(token.clone()), "no job");
    world.put(job("j")).await;
    let answer = steal(&world, &b).await;
    assert_eq!(
        answer,
        AcquireAnswer::Held(token),
        "a job that is due later"
    );
}

pub async fn each_steal_protects_the_next_leader_for_longer<H: Harness>(mut world: World<H>) {
    let nodes = [world.node("a").await, world.node("b").await];
    world.put(job("j")).await;
    world.advance(LONG).await;
    world.lead(&nodes[0]).await;
    for (by, tenure_ms) in [(1, 1_000), (0, 2_000), (1, 4_000), (0, 8_000)] {
        let just_before = Duration::from_millis(tenure_ms - 1);
        world.advance(just_before).await;
        let answer = steal(&world, &nodes[by]).await;
        assert!(
            matches!(answer, AcquireAnswer::Held(_)),
            "{tenure_ms}: {answer:?}"
        );
        world.advance(Duration::from_millis(1)).await;
        acquired(steal(&world, &nodes[by]).await);
    }
    world.advance(Duration::from_secs(61)).await;
    acquired(steal(&world, &nodes[1]).await);
    world.advance(Duration::from_millis(1_999)).await;
    let answer = steal(&world, &nodes[0]).await;
    assert!(matches!(answer, AcquireAnswer::Held(_)), "{answer:?}");
    world.advance(Duration::from_millis(1)).await;
    acquired(steal(&world, &nodes[0]).await);
}

pub async fn no_leader_is_protected_for_longer_than_a_lease<H: Harness>(mut world: World<H>) {
    let nodes = [world.node("a").await, world.node("b").await];
    world.put(job("j")).await;
    world.advance(LONG).await;
    world.lead(&nodes[0]).await;
    let ttl = Duration::from_secs(3);
    for (by, tenure_ms) in [(1, 1_000), (0, 2_000), (1, 3_000), (0, 3_000)] {
        world.advance(Duration::from_millis(tenure_ms)).await;
        let view = done(world.store.observe(&nodes[by].session).await);
        let steal = view.token.map(|token| stood_still(token, view.beat));
        let request = Acquire {
            ttl,
            steal,
            ..nodes[by].acquire()
        };
        let token = acquired(done(world.store.acquire(&request).await));
        // It renews its lease for much longer; what protects it is the ttl that was asked for.
        world.peek(&token).await;
    }
}

pub async fn a_clock_that_went_back_protects_nobody<H: Harness>(mut world: World<H>) {
    let (a, b) = (world.node("a").await, world.node("b").await);
    world.put(job("j")).await;
    world.set_clock(START.after(LONG + LEASE)).await;
    world.lead(&a).await;
    world.set_clock(START.after(LONG)).await;
    let token = acquired(steal(&world, &b).await);
    assert_eq!((&token.session, token.since), (&b.session, world.now()));
}
