//! The lease: one holder at a time, under numbers that rise.

use std::time::Duration;

use scheduler_core::Epoch;
use scheduler_core::lease::LeaseToken;
use scheduler_core::store::{
    Acquire, AcquireAnswer, Dispatch, DispatchAnswer, FenceSession, Park, PeekAnswer, Promote,
    Retire, Tidy, TidyAnswer,
};
use scheduler_core::{Shard, Timestamp};

use crate::conformance::{Harness, LEASE, START, World, done, job, name, peek};

pub async fn a_free_lease_is_taken_by_one<H: Harness>(world: World<H>) {
    let (a, b) = (world.node("a").await, world.node("b").await);
    let before = world.see().await;
    assert_eq!(before.leader, None);
    let token = world.lead(&a).await;
    assert_eq!((&token.session, token.since), (&a.session, START));
    let led = before.but(|world| {
        world.leader = Some(token.clone());
        world.node_mut(&a.session).leads = true;
    });
    world.expect(&led, "taking the lease").await;
    let answer = done(world.store.acquire(&b.acquire()).await);
    assert_eq!(answer, AcquireAnswer::Held(token));
    world.expect(&led, "asking for a lease that is held").await;
}

pub async fn whoever_holds_the_lease_gets_the_same_token_again<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let before = world.see().await;
    world.advance(Duration::from_secs(5)).await;
    assert_eq!(world.lead(&a).await, token);
    world
        .expect(&before, "asking for a lease that is one's own")
        .await;
}

pub async fn a_session_that_is_over_gets_no_lease<H: Harness>(world: World<H>) {
    let (left, fenced) = (world.node("left").await, world.node("fenced").await);
    let mut never = world.node("never").await;
    never.session = name("never~00000000000000000000000000000001");
    done(world.store.leave(&left.session).await);
    let session = fenced.session.clone();
    let fence = FenceSession { session, beat: 0 };
    done(world.store.fence_session(&fence).await);
    let before = world.see().await;
    for node in [left, fenced, never] {
        let answer = done(world.store.acquire(&node.acquire()).await);
        assert_eq!(answer, AcquireAnswer::Gone, "{node:?}");
    }
    world
        .expect(&before, "asking for the lease without a session")
        .await;
}

pub async fn an_expired_lease_passes_on_under_a_higher_epoch<H: Harness>(mut world: World<H>) {
    let (a, b) = (world.node("a").await, world.node("b").await);
    let first = world.lead(&a).await;
    world.advance(LEASE + Duration::from_millis(1)).await;
    assert_eq!(world.see().await.leader, None);
    let second = world.lead(&b).await;
    assert!(second.epoch > first.epoch);
    assert_eq!(second.since, world.now());
    world.advance(LEASE + Duration::from_millis(1)).await;
    let third = world.lead(&b).await;
    assert!(
        third.epoch > second.epoch,
        "also where the holder is the same"
    );
}

pub async fn a_look_at_what_is_due_renews_the_lease<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    for _ in 0..3 {
        world.advance(LEASE - Duration::from_millis(1)).await;
        world.peek(&token).await;
    }
    assert_eq!(world.see().await.leader, Some(token));
}

pub async fn an_expired_lease_cannot_be_renewed<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    world.put(job("j")).await;
    let token = world.lead(&a).await;
    world.advance(LEASE + Duration::from_millis(1)).await;
    let before = world.see().await;
    nothing_can_be_done_with(&world, &token).await;
    world.expect(&before, "using an expired lease").await;
}

pub async fn a_lease_that_was_given_back_is_free_at_once<H: Harness>(world: World<H>) {
    let (a, b) = (world.node("a").await, world.node("b").await);
    let before = world.see().await;
    let token = world.lead(&a).await;
    done(world.store.release(&token).await);
    world.expect(&before, "giving the lease back").await;
    let next = world.lead(&b).await;
    assert!(next.epoch > token.epoch);
    let led = world.see().await;
    done(world.store.release(&token).await);
    world.expect(&led, "a release that comes late").await;
}

pub async fn a_token_counts_as_a_whole<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    world.put(job("j")).await;
    let token = world.lead(&a).await;
    world.advance(Duration::from_secs(10)).await;
    let before = world.see().await;
    let other_epoch = LeaseToken {
        epoch: Epoch(token.epoch.0 + 1),
        ..token.clone()
    };
    let other_since = LeaseToken {
        since: token.since.after(Duration::from_millis(1)),
        ..token.clone()
    };
    for token in [other_epoch, other_since] {
        nothing_can_be_done_with(&world, &token).await;
    }
    world
        .expect(&before, "using tokens that were never given")
        .await;
    world.peek(&token).await;
}

pub async fn each_step_of_the_leader_shows_progress<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    world.put(job("j")).await;
    let token = world.lead(&a).await;
    world.advance(Duration::from_secs(10)).await;
    let mut beats = vec![world.beat_of(&a).await];
    let dispatch = world.plan_due(&token).await;
    beats.push(world.beat_of(&a).await);
    world.dispatch(&dispatch).await;
    beats.push(world.beat_of(&a).await);
    assert!(done(world.store.park(&park(&token)).await));
    beats.push(world.beat_of(&a).await);
    assert!(done(world.store.promote(&promote(&token)).await));
    beats.push(world.beat_of(&a).await);
    assert!(done(world.store.retire(&retire(&token)).await));
    beats.push(world.beat_of(&a).await);
    assert_eq!(
        done(world.store.tidy(&tidy(&token)).await),
        TidyAnswer::Done
    );
    beats.push(world.beat_of(&a).await);
    assert!(beats.is_sorted_by(|a, b| a < b), "{beats:?}");
    done(world.store.observe(&a.session).await);
    let last = world.beat_of(&a).await;
    assert_eq!(beats.last(), Some(&last), "looking is no progress");
}

pub async fn numbers_rise_above_all_that_callers_have_seen<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    let request = Acquire {
        floor: 1_000_000,
        ..a.acquire()
    };
    let answer = done(world.store.acquire(&request).await);
    let AcquireAnswer::Acquired(token) = answer else {
        panic!("{answer:?}");
    };
    assert!(token.epoch.0 > 1_000_000);
    let stored = world.put(job("j")).await;
    assert!(stored.version.0 > token.epoch.0);
    let run = world.run_now("j").await;
    let mut request = a.exchange(Vec::new(), 1);
    request.floor = 5_000_000;
    let claims = world.exchange(&request).await.claims;
    assert_eq!(claims[0].run, run);
    assert!(claims[0].fence.0 > 5_000_000);
    assert!(world.put(job("k")).await.version.0 > claims[0].fence.0);
}

pub async fn standbys_rank_in_the_order_of_their_registration<H: Harness>(world: World<H>) {
    let mut nodes = Vec::new();
    for node in ["d", "b", "c", "a"] {
        nodes.push(world.node(node).await);
    }
    assert_eq!(
        world.ranks(&nodes).await,
        [Some(0), Some(1), Some(2), Some(3)]
    );
    world.lead(&nodes[1]).await;
    assert_eq!(
        world.ranks(&nodes).await,
        [Some(0), Some(1), Some(1), Some(2)]
    );
    done(world.store.leave(&nodes[0].session).await);
    assert_eq!(world.ranks(&nodes).await, [None, Some(0), Some(0), Some(1)]);
}

pub async fn a_standby_sees_the_lease_and_what_is_due<H: Harness>(mut world: World<H>) {
    let (a, b) = (world.node("a").await, world.node("b").await);
    let view = done(world.store.observe(&b.session).await);
    assert_eq!(
        (view.token.as_ref(), view.next_due, view.now),
        (None, None, START)
    );
    assert!(!view.is_overdue());
    let stored = world.put(job("j")).await;
    let token = world.lead(&a).await;
    world.advance(Duration::from_secs(10)).await;
    let view = done(world.store.observe(&b.session).await);
    assert_eq!(view.token, Some(token));
    assert_eq!((view.next_due, view.now), (stored.next_fire, world.now()));
    assert!(view.is_overdue());
}

/// Whoever uses this token is told that the lease is lost.
pub(super) async fn nothing_can_be_done_with<H: Harness>(world: &World<H>, token: &LeaseToken) {
    let store = &world.store;
    let answer = done(store.peek(&peek(token)).await);
    assert_eq!(answer, PeekAnswer::LeaseLost);
    let answer = done(store.dispatch(&dispatch(token, world.now())).await);
    assert_eq!(answer, DispatchAnswer::LeaseLost);
    assert!(!done(store.park(&park(token)).await));
    assert!(!done(store.promote(&promote(token)).await));
    assert!(!done(store.retire(&retire(token)).await));
    assert_eq!(done(store.tidy(&tidy(token)).await), TidyAnswer::LeaseLost);
    done(store.release(token).await);
}

fn dispatch(token: &LeaseToken, planned_at: Timestamp) -> Dispatch {
    Dispatch {
        token: token.clone(),
        planned_at,
        items: Vec::new(),
    }
}

fn park(token: &LeaseToken) -> Park {
    Park {
        token: token.clone(),
        jobs: Vec::new(),
    }
}

fn promote(token: &LeaseToken) -> Promote {
    Promote {
        token: token.clone(),
        retries: Vec::new(),
    }
}

fn retire(token: &LeaseToken) -> Retire {
    Retire {
        token: token.clone(),
        jobs: Vec::new(),
    }
}

fn tidy(token: &LeaseToken) -> Tidy {
    let keep = Duration::from_secs(3600);
    Tidy {
        token: token.clone(),
        keep_history: 1_000,
        keep_history_for: None,
        keep_requests: keep,
        keep_fired: keep,
        keep_failed: 100,
        keep_failed_for: Duration::from_secs(3600),
    }
}
