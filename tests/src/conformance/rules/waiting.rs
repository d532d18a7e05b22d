//! Waiting: whoever waits is woken when there is something to do.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::policy::Coalesce;
use scheduler_core::store::{ExchangeAnswer, Exchanged, Wake};
use scheduler_core::{Shard, Store};
use tokio::task::JoinSet;

use crate::conformance::{EVERY, Harness, World, done, job, name};

/// How long a test waits for what must come, before it calls it lost.
const PATIENCE: Duration = Duration::from_secs(10);

fn ready(queues: &[&str]) -> Wake {
    Wake::Ready(queues.iter().map(|queue| name(queue)).collect())
}

/// Demands that a waiter returns that began before `step`. (It may return early: then this shows
/// nothing, but a store that always does so is of no use to anybody, and no rule can forbid it.)
async fn woken_by<H: Harness>(world: &World<H>, wake: &Wake, step: impl Future<Output = ()>) {
    let waiter = world.store.detached();
    let waiting = tokio::time::timeout(PATIENCE, waiter.wait(wake));
    let (woken, ()) = tokio::join!(waiting, step);
    done(woken.unwrap_or_else(|_| panic!("nobody was woken for {wake:?}")));
}

pub async fn a_run_wakes_a_node_that_serves_its_queue<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j").queue(name("b"))).await;
    world.advance(EVERY).await;
    let request = world.plan_due(&token).await;
    woken_by(&world, &ready(&["a", "b"]), world.dispatch(&request)).await;
}

pub async fn a_run_that_is_asked_for_wakes_a_node<H: Harness>(world: World<H>) {
    world.put(job("j")).await;
    let step = async { drop(world.run_now("j").await) };
    woken_by(&world, &ready(&["default"]), step).await;
}

pub async fn runs_that_wait_already_keep_nobody_waiting<H: Harness>(world: World<H>) {
    world.put(job("j")).await;
    world.run_now("j").await;
    woken_by(&world, &ready(&["default"]), async {}).await;
}

pub async fn a_lost_wake_up_comes_again_with_the_leaders_beat<H: Harness>(world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    world.run_now("j").await;
    // Whoever is woken by the run is gone before it claims.
    woken_by(&world, &ready(&["default"]), async {}).await;
    let step = async { world.beat(&token).await };
    woken_by(&world, &ready(&["default"]), step).await;
}

pub async fn whoever_leaves_runs_behind_wakes_the_next<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let job = job("j")
        .coalesce(Coalesce::All)
        .max_instances(NonZeroU32::MAX);
    world.put(job).await;
    // More nodes than a store may care to wake at once, each with room for one run.
    let mut nodes = JoinSet::new();
    for _ in 0..10 {
        let (mut node, store) = (world.node("n").await, world.store.detached());
        nodes.spawn(async move {
            loop {
                done(store.wait(&ready(&["default"])).await);
                let answer = done(store.exchange(&node.exchange(Vec::new(), 1)).await);
                if answer != ExchangeAnswer::Exchanged(Exchanged::default()) {
                    break;
                }
            }
        });
    }
    tokio::task::yield_now().await;
    world.advance(EVERY * 12).await;
    let request = world.plan_due(&token).await;
    world.dispatch(&request).await;
    let all = tokio::time::timeout(PATIENCE, nodes.join_all()).await;
    assert!(all.is_ok(), "nodes sleep while runs wait");
    let sight = world.see().await;
    assert_eq!((sight.busy, sight.held, sight.waiting()), (12, 10, 2));
}

pub async fn a_job_that_is_put_wakes_the_leader<H: Harness>(world: World<H>) {
    let a = world.node("a").await;
    world.lead(&a).await;
    let step = async { drop(world.put(job("j")).await) };
    woken_by(&world, &Wake::Leader, step).await;
}

pub async fn a_lease_that_is_given_back_wakes_a_standby<H: Harness>(world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let step = async { done(world.store.release(&token).await) };
    woken_by(&world, &Wake::Lease, step).await;
}

pub async fn a_wait_that_was_given_up_costs_the_next_nothing<H: Harness>(world: World<H>) {
    world.put(job("j")).await;
    for _ in 0..3 {
        let wake = ready(&["default"]);
        let given_up = tokio::time::timeout(Duration::ZERO, world.store.wait(&wake)).await;
        assert!(given_up.is_err() || given_up == Ok(Ok(())));
    }
    let step = async { drop(world.run_now("j").await) };
    woken_by(&world, &ready(&["default"]), step).await;
}

pub async fn the_run_that_waits_longest_is_told<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("j").max_instances(NonZeroU32::MAX)).await;
    let first = stored.next_fire.expect("a due time");
    world.fire(&token, "j").await;
    world.fire(&token, "j").await;
    let oldest = async |world: &World<H>| {
        let overview = done(world.store.overview().await);
        let queue = overview
            .queues
            .iter()
            .find(|queue| queue.queue == name("default"));
        queue.and_then(|queue| queue.oldest)
    };
    assert_eq!(oldest(&world).await, Some(first));
    world.claim(&mut a, 1).await;
    assert_eq!(oldest(&world).await, Some(first.after(EVERY)));
    world.claim(&mut a, 1).await;
    assert_eq!(oldest(&world).await, None);
}
