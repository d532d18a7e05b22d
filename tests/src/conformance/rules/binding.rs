//! Definitions: a run keeps the one that it was begun with, whatever becomes of its job.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::run::{Ending, Verdict};
use scheduler_core::store::{Definition, Promote, RunNowAnswer};
use scheduler_core::{Cause, Job, Shard, Store, Version};

use crate::conformance::{Harness, World, done, job, name, removed_record, settled_as};

const MANY: NonZeroU32 = NonZeroU32::MAX;

/// The definition that a node finds for a claim.
async fn definition<H: Harness>(world: &World<H>, id: &str, version: Version) -> Option<Job> {
    let mut found = done(world.store.definitions(&[(name(id), version)]).await);
    assert_eq!(found.len(), 1);
    match found.remove(0) {
        Definition::Found(job) => Some((*job).clone()),
        Definition::Gone => None,
        Definition::Unreadable(why) => panic!("{why}"),
    }
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

pub async fn a_run_with_a_definition_of_its_own_keeps_it<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let stored = world.put(job("j").max_instances(MANY).args("first")).await;
    let mut request = world.run_request("j").await;
    request.cause = Cause::with_own_definition(world.now(), request.request.0).expect("after 1970");
    request.job = request.job.with_args("other".into());
    for _ in 0..2 {
        let answer = done(world.store.run_now(&request).await);
        assert_eq!(answer, RunNowAnswer::Made, "asked again: the same");
    }
    let token = world.lead(&a).await;
    world.tidy(&token).await;
    world.put(job("j").max_instances(MANY).args("second")).await;

    let claim = world.claim_one(&mut a).await;
    assert_eq!(claim.run.cause, request.cause);
    assert_ne!(claim.version, stored.version);
    let args = async |world: &World<H>| {
        let found = definition(world, "j", claim.version).await;
        found.map(|job| job.args().clone())
    };
    assert_eq!(args(&world).await, Some("other".into()));

    // Given back, deferred and tried again, it stays bound; also when its job is gone.
    let defer = Verdict::Defer {
        after: Duration::from_secs(1),
    };
    let again = Verdict::Again {
        after: Duration::from_secs(1),
        attempt: 2,
        losses: 0,
    };
    let mut held = claim.clone();
    for (verdict, ending) in [
        (Verdict::GiveBack, Ending::NotBegun),
        (defer, Ending::UnknownTask("task".to_owned())),
        (again, Ending::NodeLost),
    ] {
        let settled = settled_as(&held, verdict, &ending);
        let request = a.exchange(vec![settled], 0);
        world.exchange(&request).await;
        world.advance(Duration::from_secs(1)).await;
        let retries = world.peek(&token).await.retries;
        let promote = Promote {
            token: token.clone(),
            retries,
        };
        assert!(done(world.store.promote(&promote).await));
        if verdict == defer {
            world.remove("j").await;
            world.tidy(&token).await;
        }
        held = world.claim_one(&mut a).await;
        assert_eq!(held.version, claim.version, "{verdict:?}");
        assert_eq!(args(&world).await, Some("other".into()), "{verdict:?}");
    }
    world.hand_in(&mut a, &held, &Ending::Succeeded(None)).await;
    world.tidy(&token).await;
    assert_eq!(args(&world).await, None, "needed no more");
}

pub async fn a_run_that_was_asked_for_and_is_in_flight_is_not_made_again<H: Harness>(
    world: World<H>,
) {
    let mut a = world.node("a").await;
    world.put(job("j").max_instances(MANY)).await;
    let cause = Cause::backfill(&name("j"), world.now()).expect("after 1970");
    let make = async |world: &World<H>| {
        let mut request = world.run_request("j").await;
        request.cause = cause;
        done(world.store.run_now(&request).await)
    };
    assert_eq!(make(&world).await, RunNowAnswer::Made);
    let before = world.see().await;
    assert_eq!(make(&world).await, RunNowAnswer::Made);
    let in_flight = done(world.store.in_flight(&name("j")).await);
    assert_eq!(in_flight.len(), 1, "{in_flight:?}");
    world.expect(&before, "asked for again").await;
    let claim = world.claim_one(&mut a).await;
    assert_eq!(claim.run.cause.stands_for(), Some(world.now()));
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    assert_eq!(make(&world).await, RunNowAnswer::Made);
    let in_flight = done(world.store.in_flight(&name("j")).await);
    assert_eq!(in_flight.len(), 1, "once it has ended, it is made anew");
}
