//! Runs that wait for another attempt, or go back as if nobody had claimed them.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::Shard;
use scheduler_core::run::{Claim, Ending, Verdict};
use scheduler_core::store::{DueRetry, Exchanged, Promote, Settled};

use crate::conformance::{Harness, World, done, job, name, settled_as};

const MANY: NonZeroU32 = NonZeroU32::MAX;

fn again(after: Duration, claim: &Claim) -> Verdict {
    Verdict::Again {
        after,
        attempt: claim.attempt + 1,
        losses: claim.losses + 1,
    }
}

pub async fn a_run_that_is_tried_again_waits_for_its_time<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    let before = world.see().await;
    let delay = Duration::from_secs(3);
    let settled = settled_as(&claim, again(delay, &claim), &Ending::NodeLost);
    let record = settled.record.clone().expect("recorded");
    let request = a.exchange(vec![settled], 10);
    assert_eq!(
        world.exchange(&request).await,
        Exchanged::default(),
        "not at once"
    );
    let (now, not_before) = (world.now(), world.now().after(delay));
    let waits = before.but(|world| {
        world.retries = 1;
        world.add_record(now, record);
    });
    world.expect(&waits, "trying again").await;

    let peeked = world.peek(&token).await;
    assert_eq!(
        (peeked.retries.len(), peeked.next_retry),
        (0, Some(not_before))
    );
    world.set_clock(not_before).await;
    let peeked = world.peek(&token).await;
    assert_eq!((peeked.retries.len(), peeked.next_retry), (1, None));
    let retry = &peeked.retries[0];
    assert_eq!(
        (&retry.waiting.run, retry.not_before),
        (&claim.run, not_before)
    );
    assert_eq!(retry.waiting.version, Some(claim.version));
    world.beat(&token).await;
    let next = world.claim_one(&mut a).await;
    let expected = Claim {
        fence: next.fence,
        attempt: 2,
        losses: 1,
        fresh: false,
        ..claim.clone()
    };
    assert_eq!(next, expected);
    assert!(
        next.fence > claim.fence,
        "each attempt has a fence of its own"
    );
}

pub async fn only_what_waits_exactly_so_is_promoted<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    let delay = Duration::from_secs(3);
    let settled = settled_as(&claim, again(delay, &claim), &Ending::NodeLost);
    let request = a.exchange(vec![settled], 0);
    world.exchange(&request).await;
    world.advance(delay).await;
    let retry = world.peek(&token).await.retries.remove(0);
    let mut other_attempt = retry.clone();
    other_attempt.waiting.attempt += 1;
    let other_time = DueRetry {
        not_before: retry.not_before.before(Duration::from_secs(1)),
        ..retry.clone()
    };
    let promote = |retries| Promote {
        token: token.clone(),
        retries,
    };
    let before = world.see().await;
    let wrong = promote(vec![other_attempt, other_time]);
    assert!(done(world.store.promote(&wrong).await));
    world.expect(&before, "promoting what does not wait").await;
    world
        .set_clock(world.now().before(Duration::from_millis(1)))
        .await;
    assert!(done(
        world.store.promote(&promote(vec![retry.clone()])).await
    ));
    world.expect(&before, "promoting too early").await;
    world.advance(Duration::from_millis(1)).await;
    let right = promote(vec![retry.clone(), retry]);
    assert!(done(world.store.promote(&right).await));
    let after = before.but(|world| {
        world.retries = 0;
        world.ready.insert(name("default"), 1);
    });
    world.expect(&after, "promoting").await;
}

pub async fn a_run_that_is_tried_again_without_delay_is_there_at_the_next_beat<H: Harness>(
    world: World<H>,
) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    let settled = settled_as(&claim, again(Duration::ZERO, &claim), &Ending::NodeLost);
    let request = a.exchange(vec![settled], 0);
    world.exchange(&request).await;
    world.beat(&token).await;
    let next = world.claim_one(&mut a).await;
    assert_eq!((next.attempt, next.losses), (2, 1));
}

pub async fn a_run_that_is_given_back_is_the_next_to_be_claimed<H: Harness>(world: World<H>) {
    let (mut a, mut b) = (world.node("a").await, world.node("b").await);
    world.put(job("j").max_instances(MANY)).await;
    let first = world.run_now("j").await;
    world.run_now("j").await;
    let before = world.see().await;
    let claim = world.claim(&mut a, 1).await.remove(0);
    assert_eq!(claim.run, first);
    let settled = Settled {
        claim: claim.clone(),
        verdict: Verdict::GiveBack,
        record: None,
        definition: None,
    };
    let request = a.exchange(vec![settled], 0);
    world.exchange(&request).await;
    world.expect(&before, "giving back").await;
    let next = world.claim(&mut b, 1).await.remove(0);
    let expected = Claim {
        fence: next.fence,
        fresh: false,
        ..claim.clone()
    };
    assert_eq!(next, expected, "as if it had never been claimed");
    assert!(next.fence > claim.fence);
}

pub async fn a_deferred_run_is_bound_anew_when_it_was_never_begun<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    let first = world.put(job("j").args("first")).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    assert_eq!(claim.version, first.version);
    let after = Duration::from_secs(1);
    let settled = Settled {
        claim,
        verdict: Verdict::Defer { after },
        record: None,
        definition: None,
    };
    let request = a.exchange(vec![settled], 0);
    world.exchange(&request).await;
    let second = world.put(job("j").args("second")).await;
    world.advance(after).await;
    world.beat(&token).await;
    let claim = world.claim_one(&mut a).await;
    assert_eq!((claim.version, claim.attempt), (second.version, 1));

    // One that was begun once keeps its definition.
    let again = Settled {
        claim: claim.clone(),
        verdict: again(after, &claim),
        record: None,
        definition: None,
    };
    let request = a.exchange(vec![again], 0);
    world.exchange(&request).await;
    world.advance(after).await;
    world.beat(&token).await;
    let claim = world.claim_one(&mut a).await;
    let settled = Settled {
        claim,
        verdict: Verdict::Defer { after },
        record: None,
        definition: None,
    };
    let request = a.exchange(vec![settled], 0);
    world.exchange(&request).await;
    world.put(job("j").args("third")).await;
    world.advance(after).await;
    world.beat(&token).await;
    let claim = world.claim_one(&mut a).await;
    assert_eq!((claim.version, claim.attempt), (second.version, 2));
}

pub async fn a_run_that_was_put_off_keeps_its_definition<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    let first = world.put(job("j").args("first")).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    assert!(claim.fresh);
    let after = Duration::from_secs(1);
    let snoozed = Ending::Snoozed { after, why: None };
    let snoozed = world.settled(&claim, &snoozed).await;
    let request = a.exchange(vec![snoozed], 0);
    world.exchange(&request).await;
    world.put(job("j").args("second")).await;
    world.advance(after).await;
    world.beat(&token).await;
    let claim = world.claim_one(&mut a).await;
    assert_eq!(
        (claim.attempt, claim.version, claim.fresh),
        (1, first.version, false)
    );
    // Its handler has been called: also where the next node has no such task.
    let settled = Settled {
        claim,
        verdict: Verdict::Defer { after },
        record: None,
        definition: None,
    };
    let request = a.exchange(vec![settled], 0);
    world.exchange(&request).await;
    world.advance(after).await;
    world.beat(&token).await;
    let claim = world.claim_one(&mut a).await;
    assert_eq!((claim.attempt, claim.version), (1, first.version));
}
