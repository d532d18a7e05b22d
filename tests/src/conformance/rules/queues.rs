//! Limits and pauses of queues and of the namespace: decided where runs are claimed.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::history::{Record, SkipRecord};
use scheduler_core::plan::SkipReason;
use scheduler_core::queue::{Hold, HoldNote, QueueLimits, SetBy};
use scheduler_core::run::{Claim, Ending, Outcome, Verdict};
use scheduler_core::store::{
    DispatchAnswer, Drain, FenceAnswer, FenceSession, Settled, Steer, Steered, Steering, Wake,
};
use scheduler_core::{QueueName, Shard, Store};

use crate::conformance::{EVERY, Harness, Node, World, done, job, name, request, settled_as};

fn queue() -> QueueName {
    name("default")
}

fn limits(concurrency: u32, rate: &str) -> QueueLimits {
    QueueLimits {
        concurrency: NonZeroU32::new(concurrency),
        rate: (!rate.is_empty()).then(|| rate.parse().expect("a rate")),
    }
}

fn limit(concurrency: u32, rate: &str) -> Steering {
    Steering::Limit {
        queue: queue(),
        limits: limits(concurrency, rate),
        by: SetBy::Operator,
    }
}

fn pause(queue: Option<QueueName>) -> Steering {
    Steering::Pause(queue, HoldNote::default())
}

/// Makes so many runs that wait in the default queue.
async fn runs<H: Harness>(world: &World<H>, count: usize) {
    world.put(job("j").max_instances(NonZeroU32::MAX)).await;
    for _ in 0..count {
        world.run_now("j").await;
    }
}

fn ended(claim: &Claim) -> Settled {
    let verdict = Verdict::End(Outcome::Succeeded);
    settled_as(claim, verdict, &Ending::Succeeded(None))
}

/// Waits until a node is woken for the default queue.
async fn woken<H: Harness>(world: &World<H>) {
    let wake = Wake::Ready(vec![queue()]);
    let patience = Duration::from_secs(10);
    let woken = tokio::time::timeout(patience, world.store.wait(&wake)).await;
    done(woken.expect("a run could be claimed, and nobody is woken"));
}

/// Takes the wake-ups that are there, so that a later one can be told from them.
async fn exhaust_wake_ups<H: Harness>(world: &World<H>) {
    let wake = Wake::Ready(vec![queue()]);
    let moment = Duration::from_millis(50);
    while tokio::time::timeout(moment, world.store.wait(&wake))
        .await
        .is_ok()
    {}
}

async fn claim<H: Harness>(world: &World<H>, node: &mut Node) -> usize {
    world.claim(node, 100).await.len()
}

pub async fn no_more_runs_are_claimed_than_a_queue_has_places<H: Harness>(world: World<H>) {
    let (mut a, mut b) = (world.node("a").await, world.node("b").await);
    runs(&world, 10).await;
    world.steer(limit(3, "")).await;
    let first = world.claim(&mut a, 2).await;
    assert_eq!((first.len(), claim(&world, &mut b).await), (2, 1));
    assert_eq!(
        (
            claim(&world, &mut a).await,
            world.queue("default").await.in_use
        ),
        (0, 3)
    );
    // What ends in the same step makes room for as much.
    let request = a.exchange(first.iter().map(ended).collect(), 100);
    assert_eq!(world.exchange(&request).await.claims.len(), 2);
    let state = world.queue("default").await;
    assert_eq!((state.in_use, state.waiting), (3, [0, 5, 0]));
    assert_eq!(
        (state.limits, state.set_by),
        (limits(3, ""), Some(SetBy::Operator))
    );
}

pub async fn a_limit_of_one_queue_is_none_of_another<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    world.put(job("other").queue(name("other"))).await;
    world.run_now("other").await;
    runs(&world, 1).await;
    world.steer(pause(Some(name("other")))).await;
    assert_eq!(claim(&world, &mut a).await, 1);
}

pub async fn a_place_counts_until_the_claim_is_gone<H: Harness>(mut world: World<H>) {
    let (mut a, mut b) = (world.node("a").await, world.node("b").await);
    let token = world.lead(&b).await;
    runs(&world, 4).await;
    world.steer(limit(3, "")).await;
    let claims = world.claim(&mut a, 3).await;
    let later = Duration::from_secs(1);
    let again = Verdict::Again {
        after: later,
        attempt: 2,
        losses: 1,
    };
    // Going back frees a place, and so does waiting for another attempt.
    let settled = vec![
        settled_as(&claims[0], Verdict::GiveBack, &Ending::NotBegun),
        settled_as(&claims[1], again, &Ending::NodeLost),
    ];
    let request = a.exchange(settled, 0);
    world.exchange(&request).await;
    assert_eq!(claim(&world, &mut b).await, 2);
    // A dead node's claims count until they are settled.
    let session = a.session.clone();
    let fence = FenceSession { session, beat: 0 };
    assert_eq!(
        done(world.store.fence_session(&fence).await),
        FenceAnswer::Fenced
    );
    world.advance(later).await;
    world.beat(&token).await;
    assert_eq!(
        (
            claim(&world, &mut b).await,
            world.queue("default").await.in_use
        ),
        (0, 3)
    );
    let items = vec![ended(&claims[2])];
    let session = fence.session;
    let drain = Drain { session, items };
    assert_eq!(done(world.store.drain(&drain).await).left, 0);
    done(world.store.drain(&drain).await);
    assert_eq!(
        world.queue("default").await.in_use,
        2,
        "once, however often it is asked for"
    );
    assert_eq!(claim(&world, &mut b).await, 1);
}

pub async fn lost_answers_count_no_place_twice<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    runs(&world, 5).await;
    world.steer(limit(2, "3/d")).await;
    let wish = a.exchange(Vec::new(), 10);
    let claims = world.exchange(&wish).await.claims;
    assert_eq!(world.exchange(&wish).await.claims, claims);
    assert_eq!(world.queue("default").await.in_use, 2);
    let hand_in = a.exchange(vec![ended(&claims[0])], 10);
    let exchanged = world.exchange(&hand_in).await;
    assert_eq!((exchanged.claims.len(), exchanged.stale.len()), (1, 0));
    assert_eq!(world.exchange(&hand_in).await, exchanged);
    // A settlement that finds no claim frees nothing.
    let stale = a.exchange(vec![ended(&claims[0])], 10);
    let exchanged = world.exchange(&stale).await;
    assert_eq!((exchanged.claims.len(), exchanged.stale.len()), (0, 1));
    assert_eq!(world.queue("default").await.in_use, 2);
}

pub async fn a_limit_below_what_is_executed_takes_nothing_away<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    runs(&world, 6).await;
    let claims = world.claim(&mut a, 4).await;
    world.steer(limit(2, "")).await;
    let ends = |claims: &[Claim]| claims.iter().map(ended).collect::<Vec<_>>();
    let request = a.exchange(ends(&claims[..2]), 10);
    let exchanged = world.exchange(&request).await;
    assert_eq!((exchanged.claims.len(), exchanged.stale.len()), (0, 0));
    let request = a.exchange(ends(&claims[2..3]), 10);
    assert_eq!(world.exchange(&request).await.claims.len(), 1);
    world.steer(Steering::Unlimit(queue())).await;
    assert_eq!(claim(&world, &mut a).await, 1);
    let state = world.queue("default").await;
    assert_eq!((state.limits, state.set_by), (QueueLimits::default(), None));
}

pub async fn a_rate_is_kept_over_time<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    runs(&world, 20).await;
    world.steer(limit(0, "4/s")).await;
    let mut claimed = vec![claim(&world, &mut a).await];
    for ms in [0, 249, 1, 500, 10_000] {
        world.advance(Duration::from_millis(ms)).await;
        claimed.push(claim(&world, &mut a).await);
    }
    assert_eq!(claimed, [4, 0, 0, 1, 2, 4]);
    // A clock that steps back refills nothing, nor does it stop refilling.
    world
        .set_clock(world.now().before(Duration::from_secs(60)))
        .await;
    assert_eq!(claim(&world, &mut a).await, 0);
    world.advance(Duration::from_millis(500)).await;
    assert_eq!(claim(&world, &mut a).await, 2);
    // Another rate begins with a full bucket of its own.
    world.steer(limit(0, "3/m")).await;
    assert_eq!(claim(&world, &mut a).await, 3);
}

pub async fn runs_that_end_at_their_claim_take_no_place<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    runs(&world, 3).await;
    world.remove("j").await;
    world.put(job("k")).await;
    world.run_now("k").await;
    world.steer(limit(1, "1/d")).await;
    let claims = world.claim(&mut a, 10).await;
    assert_eq!(claims.len(), 1, "{claims:?}");
    assert_eq!(claims[0].run.job, name("k"));
    assert_eq!(world.queue("default").await.in_use, 1);
}

pub async fn nothing_is_claimed_of_a_paused_queue<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j").max_instances(NonZeroU32::MAX)).await;
    let note = HoldNote {
        by: Some("anna".to_owned()),
        reason: Some("the mail server is down".to_owned()),
    };
    let since = world.now();
    world
        .steer(Steering::Pause(Some(queue()), note.clone()))
        .await;
    // Fire times go on becoming runs: these wait.
    world.fire(&token, "j").await;
    world.run_now("j").await;
    assert_eq!(claim(&world, &mut a).await, 0);
    let state = world.queue("default").await;
    assert_eq!(
        (state.hold, state.waiting),
        (Some(Hold { since, note }), [0, 2, 0])
    );
    exhaust_wake_ups(&world).await;
    world.steer(Steering::Resume(Some(queue()))).await;
    woken(&world).await;
    assert_eq!(claim(&world, &mut a).await, 2);
    assert_eq!(world.queue("default").await.hold, None);
}

pub async fn a_paused_namespace_records_fire_times_and_claims_nothing<H: Harness>(
    mut world: World<H>,
) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("j").max_instances(NonZeroU32::MAX)).await;
    world.run_now("j").await;
    let first = stored.next_fire.expect("a due time");
    world.set_clock(first).await;
    let planned = world.plan_due(&token).await;
    let note = HoldNote {
        by: Some("anna".to_owned()),
        reason: Some("moving house".to_owned()),
    };
    world.steer(Steering::Pause(None, note)).await;
    assert_eq!(claim(&world, &mut a).await, 0);
    // What was planned before makes no runs any more.
    let answer = done(world.store.dispatch(&planned).await);
    assert_eq!(answer, DispatchAnswer::Stale);
    world.advance(EVERY).await;
    assert!(world.peek(&token).await.hold.is_some());
    world.beat(&token).await;
    let skip = Record::Skip(SkipRecord {
        job: name("j"),
        skipped: SkipReason::Paused,
        first,
        last: first.after(EVERY),
        count: 2,
        detail: Some("the namespace was paused by anna: moving house".to_owned()),
    });
    let sight = world.see().await;
    assert_eq!((sight.records(), sight.busy), (vec![skip], 1));
    assert_eq!(
        done(world.store.queues().await).hold.map(|h| h.since),
        Some(first)
    );
    world.steer(Steering::Resume(None)).await;
    assert_eq!(world.peek(&token).await.hold, None);
    world.fire(&token, "j").await;
    assert_eq!(claim(&world, &mut a).await, 2);
}

pub async fn nobody_is_woken_for_what_cannot_be_claimed<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    runs(&world, 5).await;
    world.steer(limit(2, "")).await;
    let claims = world.claim(&mut a, 10).await;
    exhaust_wake_ups(&world).await;
    // Nodes that look in vain wake nobody, nor does the leader's beat.
    assert_eq!(claim(&world, &mut a).await, 0);
    world.beat(&token).await;
    let wake = Wake::Ready(vec![queue()]);
    let moment = Duration::from_millis(200);
    let woken_in_vain = tokio::time::timeout(moment, world.store.wait(&wake)).await;
    assert!(
        woken_in_vain.is_err(),
        "a node wakes, claims nothing, and wakes again"
    );
    // A place that was freed by a node that wants none.
    let request = a.exchange(vec![ended(&claims[0])], 0);
    world.exchange(&request).await;
    woken(&world).await;
    assert_eq!(claim(&world, &mut a).await, 1);
    // A limit that was raised.
    exhaust_wake_ups(&world).await;
    world.steer(limit(3, "")).await;
    woken(&world).await;
    assert_eq!(claim(&world, &mut a).await, 1);
    // A rate that was refilled shows with the leader's beat.
    world.steer(limit(0, "1/m")).await;
    assert_eq!(claim(&world, &mut a).await, 1);
    exhaust_wake_ups(&world).await;
    world.run_now("j").await;
    assert_eq!(claim(&world, &mut a).await, 0);
    exhaust_wake_ups(&world).await;
    world.advance(Duration::from_secs(60)).await;
    world.beat(&token).await;
    woken(&world).await;
}

pub async fn a_configuration_gives_way_to_an_operator<H: Harness>(world: World<H>) {
    let config = |concurrency| Steering::Limit {
        queue: queue(),
        limits: limits(concurrency, ""),
        by: SetBy::Config,
    };
    let steer = async |what| {
        let request = request();
        done(world.store.steer(&Steer { request, what }).await)
    };
    assert_eq!(steer(config(2)).await, Steered::Done);
    assert_eq!(steer(config(2)).await, Steered::Already);
    assert_eq!(steer(config(3)).await, Steered::Done);
    assert_eq!(steer(limit(4, "")).await, Steered::Done);
    assert_eq!(steer(config(3)).await, Steered::Kept);
    assert_eq!(world.queue("default").await.limits, limits(4, ""));
    assert_eq!(steer(Steering::Unlimit(queue())).await, Steered::Done);
    assert_eq!(steer(config(3)).await, Steered::Done);
    // A pause is nothing that a configuration says.
    assert_eq!(steer(pause(Some(queue()))).await, Steered::Done);
    assert_eq!(steer(pause(Some(queue()))).await, Steered::Already);
    assert_eq!(steer(config(5)).await, Steered::Done);
    let state = world.queue("default").await;
    assert_eq!((state.limits, state.hold.is_some()), (limits(5, ""), true));
    assert_eq!(steer(Steering::Resume(Some(queue()))).await, Steered::Done);
    assert_eq!(
        steer(Steering::Resume(Some(queue()))).await,
        Steered::Already
    );
}

pub async fn steering_again_under_the_same_request_does_nothing<H: Harness>(world: World<H>) {
    let request = Steer {
        request: request(),
        what: pause(None),
    };
    assert_eq!(done(world.store.steer(&request).await), Steered::Done);
    world.steer(Steering::Resume(None)).await;
    assert_eq!(done(world.store.steer(&request).await), Steered::Done);
    assert_eq!(done(world.store.queues().await).hold, None);
}
