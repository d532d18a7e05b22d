//! Cancelling: wherever a run is, and wherever it goes meanwhile, it ends once.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::history::{Record, RunRecord};
use scheduler_core::run::{Claim, Ending, Outcome, Verdict};
use scheduler_core::store::{
    Cancel, CancelAnswer, Cancelled, Drain, Exchanged, HeartbeatAnswer, Settled,
};
use scheduler_core::{Fence, QueueName, RunId, Shard, Store};

use super::sessions::fence;
use crate::conformance::{Harness, Node, World, done, job, request, settled_as};

const WAIT: Duration = Duration::from_secs(3);
const REASON: &str = "cancelled by me: a \"test\"";

/// The request to cancel a run.
pub(super) fn cancel_of(run: &RunId) -> Cancel {
    Cancel {
        request: request(),
        run: run.clone(),
        reason: REASON.to_owned(),
    }
}

async fn cancel<H: Harness>(world: &World<H>, run: &RunId) -> CancelAnswer {
    done(world.store.cancel(&cancel_of(run)).await)
}

/// What the store writes of a run that it ends as cancelled.
fn record(run: &RunId, attempt: u32) -> Record {
    Record::Run(RunRecord {
        run: run.clone(),
        outcome: Outcome::Cancelled,
        attempt,
        fence: Fence::default(),
        node: String::new(),
        task: None,
        queue: QueueName::default_queue(),
        started_at: None,
        ended_at: None,
        next_at: None,
        detail: Some(REASON.to_owned()),
    })
}

/// What its heartbeat tells a node of its claims.
async fn told<H: Harness>(world: &World<H>, node: &mut Node) -> Vec<Cancelled> {
    match done(world.store.heartbeat(&node.heartbeat()).await) {
        HeartbeatAnswer::Alive { cancelled, .. } => cancelled,
        HeartbeatAnswer::Gone | HeartbeatAnswer::Behind => panic!("gone, or behind"),
    }
}

fn again(claim: &Claim, after: Duration) -> Settled {
    let verdict = Verdict::Again {
        after,
        attempt: claim.attempt + 1,
        losses: claim.losses,
    };
    settled_as(claim, verdict, &Ending::Failed("no".to_owned()))
}

/// A node with one run of `j` in its hands.
async fn claimed<H: Harness>(world: &World<H>) -> (Node, Claim) {
    let mut node = world.node("a").await;
    world.put(job("j")).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut node).await;
    (node, claim)
}

pub async fn a_run_that_waits_in_a_queue_ends_when_it_would_be_claimed<H: Harness>(
    world: World<H>,
) {
    let mut a = world.node("a").await;
    world
        .put(job("j").max_instances(NonZeroU32::MIN.saturating_add(1)))
        .await;
    let first = world.run_now("j").await;
    let second = world.run_now("j").await;
    let before = world.see().await;
    assert_eq!(cancel(&world, &first).await, CancelAnswer::Marked);
    world.expect(&before, "marking").await;
    assert_eq!(cancel(&world, &first).await, CancelAnswer::Marked, "again");
    let claim = world.claim_one(&mut a).await;
    assert_eq!(claim.run, second, "it takes no slot");
    let now = world.now();
    let after = before.but(|world| {
        world.take_waiting();
        world.take_waiting();
        world.busy = 1;
        world.job_mut("j").in_flight = 1;
        world.add_record(now, record(&first, 1));
    });
    world.expect(&after, "claiming").await;
    assert_eq!(cancel(&world, &first).await, CancelAnswer::NotInFlight);
    world.expect(&after, "cancelling what is over").await;
    assert_eq!(told(&world, &mut a).await, []);
}

pub async fn a_run_that_waits_for_its_next_attempt_ends_at_once<H: Harness>(world: World<H>) {
    let (mut a, claim) = claimed(&world).await;
    let request = a.exchange(vec![again(&claim, WAIT)], 0);
    world.exchange(&request).await;
    let before = world.see().await;
    assert_eq!(cancel(&world, &claim.run).await, CancelAnswer::Ended);
    let now = world.now();
    let after = before.but(|world| {
        (world.busy, world.retries) = (0, 0);
        world.job_mut("j").in_flight = 0;
        world.add_record(now, record(&claim.run, 2));
    });
    world.expect(&after, "cancelling").await;
    assert_eq!(cancel(&world, &claim.run).await, CancelAnswer::NotInFlight);
}

pub async fn a_node_hears_with_each_heartbeat_until_the_run_has_ended<H: Harness>(world: World<H>) {
    let (mut a, claim) = claimed(&world).await;
    let mut other = world.node("b").await;
    assert_eq!(told(&world, &mut a).await, []);
    assert_eq!(cancel(&world, &claim.run).await, CancelAnswer::Marked);
    for _ in 0..2 {
        let heard = [Cancelled {
            run: claim.run.clone(),
            reason: REASON.to_owned(),
        }];
        assert_eq!(told(&world, &mut a).await, heard);
        assert_eq!(told(&world, &mut other).await, [], "it is not theirs");
    }
    let ending = Ending::Cancelled {
        reason: REASON.to_owned(),
        last_words: None,
    };
    let record = world.hand_in(&mut a, &claim, &ending).await;
    assert!(matches!(&record, Record::Run(run) if run.outcome == Outcome::Cancelled));
    let sight = world.see().await;
    assert_eq!((sight.busy, sight.records()), (0, vec![record]));
    assert_eq!(told(&world, &mut a).await, []);
}

pub async fn what_was_done_before_its_node_heard_counts<H: Harness>(world: World<H>) {
    let (mut a, claim) = claimed(&world).await;
    assert_eq!(cancel(&world, &claim.run).await, CancelAnswer::Marked);
    let record = world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    let sight = world.see().await;
    assert_eq!((sight.busy, sight.records()), (0, vec![record]));
    // The mark went with it: a later run is not met by it.
    world.run_now("j").await;
    world.claim_one(&mut a).await;
    assert_eq!(told(&world, &mut a).await, []);
}

pub async fn a_cancelled_run_is_not_tried_again<H: Harness>(world: World<H>) {
    let (mut a, mut claim) = claimed(&world).await;
    let mut expected = Vec::new();
    let give_back = |claim: &Claim| Settled {
        claim: claim.clone(),
        verdict: Verdict::GiveBack,
        record: None,
        definition: None,
    };
    let defer = |claim: &Claim| Settled {
        verdict: Verdict::Defer { after: WAIT },
        ..give_back(claim)
    };
    for way in 0..4 {
        assert_eq!(cancel(&world, &claim.run).await, CancelAnswer::Marked);
        let settled = match way {
            0 => again(&claim, WAIT),
            1 => again(&claim, Duration::ZERO),
            2 => give_back(&claim),
            _ => defer(&claim),
        };
        expected.extend(settled.record.clone());
        expected.push(record(&claim.run, 1));
        let request = a.exchange(vec![settled], 10);
        assert_eq!(world.exchange(&request).await, Exchanged::default());
        let sight = world.see().await;
        assert_eq!((sight.busy, sight.waiting(), sight.retries), (0, 0, 0));
        assert_eq!(sight.records(), expected);
        world.run_now("j").await;
        claim = world.claim_one(&mut a).await;
    }
}

pub async fn a_cancelled_run_is_not_recovered<H: Harness>(world: World<H>) {
    let (a, claim) = claimed(&world).await;
    fence(&world, &a).await;
    assert_eq!(cancel(&world, &claim.run).await, CancelAnswer::Marked);
    let lost = world.settled(&claim, &Ending::NodeLost).await;
    let mut expected: Vec<_> = lost.record.clone().into_iter().collect();
    expected.push(record(&claim.run, 1));
    let drain = Drain {
        session: a.session.clone(),
        items: vec![lost],
    };
    assert_eq!(done(world.store.drain(&drain).await).left, 0);
    let sight = world.see().await;
    assert_eq!((sight.busy, sight.waiting()), (0, 0));
    assert_eq!(sight.records(), expected);
}

pub async fn a_run_that_was_promoted_meanwhile_is_met_by_its_mark<H: Harness>(mut world: World<H>) {
    let (mut a, claim) = claimed(&world).await;
    let token = world.lead(&a).await;
    let request = a.exchange(vec![again(&claim, WAIT)], 0);
    world.exchange(&request).await;
    world.advance(WAIT).await;
    world.beat(&token).await;
    assert_eq!(cancel(&world, &claim.run).await, CancelAnswer::Marked);
    assert_eq!(world.claim(&mut a, 10).await, []);
    let sight = world.see().await;
    assert_eq!((sight.busy, sight.history.len()), (0, 2));
}

pub async fn the_first_reason_stays<H: Harness>(world: World<H>) {
    let (mut a, claim) = claimed(&world).await;
    assert_eq!(cancel(&world, &claim.run).await, CancelAnswer::Marked);
    let other = Cancel {
        reason: "another".to_owned(),
        ..cancel_of(&claim.run)
    };
    assert_eq!(done(world.store.cancel(&other).await), CancelAnswer::Marked);
    assert_eq!(told(&world, &mut a).await[0].reason, REASON);
}

pub async fn runs_that_never_were_cannot_be_cancelled<H: Harness>(world: World<H>) {
    world.put(job("j")).await;
    let before = world.see().await;
    let never = RunId::fire("j".parse().expect("an id"), world.now());
    assert_eq!(cancel(&world, &never).await, CancelAnswer::NotInFlight);
    world.expect(&before, "cancelling what never was").await;
}
