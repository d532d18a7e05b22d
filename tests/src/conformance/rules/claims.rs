//! Claims: a run is executed by one node at a time, under a fence, with the definition it began with.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::run::{Claim, Ending, Outcome, Verdict};
use scheduler_core::store::{
    ClaimWish, Definition, DueRetry, ExchangeAnswer, Exchanged, Promote, ResyncAnswer,
};
use scheduler_core::{Fence, Job, Store, Version};

use crate::conformance::{
    EVERY, Harness, Node, World, done, job, name, removed_record, settled_as,
};

const MANY: NonZeroU32 = NonZeroU32::MAX;

fn again(after: Duration, claim: &Claim) -> Verdict {
    Verdict::Again {
        after,
        attempt: claim.attempt + 1,
        losses: claim.losses + 1,
    }
}

/// The definition that a node finds for a claim.
async fn definition<H: Harness>(world: &World<H>, id: &str, version: Version) -> Option<Job> {
    let mut found = done(world.store.definitions(&[(name(id), version)]).await);
    assert_eq!(found.len(), 1);
    match found.remove(0) {
        Definition::Found(job) => Some(job),
        Definition::Gone => None,
        Definition::Unreadable(why) => panic!("{why}"),
    }
}

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
        queue: name("default"),
    };
    assert_eq!(claim, expected);
    assert!(claim.fence.0 > stored.version.0);
    let after = before.but(|world| world.take_waiting());
    assert_eq!(after.held, 1);
    world.expect(&after, "claiming").await;
    assert_eq!(held(&world, &mut a).await, [claim]);
}

pub async fn a_run_is_claimed_by_one_node<H: Harness>(mut world: World<H>) {
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
    world.advance(EVERY).await;
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
    request.wish = Some(ClaimWish {
        queues: vec![name("high"), name("empty"), name("low")],
        limit: 3,
    });
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
    let settled = scheduler_core::store::Settled {
        claim: claim.clone(),
        verdict: Verdict::GiveBack,
        record: None,
    };
    let request = a.exchange(vec![settled], 0);
    world.exchange(&request).await;
    world.expect(&before, "giving back").await;
    let next = world.claim(&mut b, 1).await.remove(0);
    let expected = Claim {
        fence: next.fence,
        ..claim.clone()
    };
    assert_eq!(next, expected, "as if it had never been claimed");
    assert!(next.fence > claim.fence);
}

pub async fn a_run_keeps_the_definition_that_it_was_begun_with<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    let first = world.put(job("j").max_instances(MANY).args("first")).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    world.run_now("j").await;
    let second = world.put(job("j").max_instances(MANY).args("second")).await;

    let unbound = world.claim_one(&mut a).await;
    assert_eq!(unbound.version, second.version, "bound at its first claim");
    let settled = settled_as(&claim, Verdict::GiveBack, &Ending::NotBegun);
    let request = a.exchange(vec![settled], 1);
    let claim = world.exchange(&request).await.claims.remove(0);
    assert_eq!(claim.version, first.version, "bound for good");

    let found = definition(&world, "j", first.version).await;
    assert_eq!(found, Some(first.job), "kept for the run");
    assert_eq!(
        definition(&world, "j", second.version).await,
        Some(second.job.clone())
    );
    for claim in [claim, unbound] {
        world
            .hand_in(&mut a, &claim, &Ending::Succeeded(None))
            .await;
    }
    let token = world.lead(&a).await;
    world.tidy(&token).await;
    assert_eq!(
        definition(&world, "j", first.version).await,
        None,
        "needed no more"
    );
    assert_eq!(
        definition(&world, "j", second.version).await,
        Some(second.job)
    );
}

pub async fn a_run_that_was_begun_outlives_its_job<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    let stored = world.put(job("j")).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    world.remove("j").await;
    assert_eq!(
        definition(&world, "j", claim.version).await,
        Some(stored.job)
    );
    let settled = settled_as(&claim, Verdict::GiveBack, &Ending::NotBegun);
    let request = a.exchange(vec![settled], 1);
    let claim = world.exchange(&request).await.claims.remove(0);
    assert_eq!(claim.version, stored.version);
    let record = world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    let sight = world.see().await;
    assert_eq!((sight.busy, sight.jobs.len()), (0, 0));
    assert_eq!(sight.records().last(), Some(&record));
    let token = world.lead(&a).await;
    world.tidy(&token).await;
    assert_eq!(definition(&world, "j", claim.version).await, None);
}

pub async fn a_run_that_waits_ends_with_its_job<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    world.put(job("gone")).await;
    world.put(job("here")).await;
    let gone = world.run_now("gone").await;
    let here = world.run_now("here").await;
    world.remove("gone").await;
    let before = world.see().await;
    assert_eq!(before.busy, 2);
    let claims = world.claim(&mut a, 10).await;
    let runs: Vec<_> = claims.iter().map(|claim| &claim.run).collect();
    assert_eq!(runs, [&here]);
    let now = world.now();
    let after = before.but(|world| {
        world.busy = 1;
        world.ready.clear();
        world.add_record(now, removed_record(gone));
    });
    world
        .expect(&after, "claiming a run whose job is gone")
        .await;
}

pub async fn a_run_of_a_removed_job_takes_no_place_of_its_successor<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    world.put(job("j").max_instances(MANY)).await;
    world.run_now("j").await;
    let old = world.claim_one(&mut a).await;
    world.remove("j").await;
    world.put(job("j").max_instances(MANY)).await;
    let new = world.run_now("j").await;
    assert_eq!(
        world.stored("j").await.in_flight,
        2,
        "the old one still runs"
    );
    world.hand_in(&mut a, &old, &Ending::Succeeded(None)).await;
    assert_eq!(world.stored("j").await.in_flight, 1);
    let claim = world.claim_one(&mut a).await;
    assert_eq!(claim.run, new, "the new one is still there");
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
