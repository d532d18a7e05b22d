//! Failed runs: kept with all that it takes to run them again, until somebody does, or time passes.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::history::Record;
use scheduler_core::lease::LeaseToken;
use scheduler_core::run::{Claim, Ending, Outcome, Verdict};
use scheduler_core::store::{
    Definition, Exchanged, FailedPage, FailedQuery, FailedRun, Rerun, RerunAnswer, RerunItem,
    Settled, Tidy, TidyAnswer,
};
use scheduler_core::{RunId, Shard, Store};
use uuid::Uuid;

use crate::conformance::{Harness, Node, World, done, job, name, request};

const MANY: NonZeroU32 = NonZeroU32::MAX;

/// All failed runs, or those of one job.
pub(super) async fn failed<H: Harness>(world: &World<H>, job: Option<&str>) -> Vec<FailedRun> {
    page(world, job, None, 100).await.runs
}

async fn page<H: Harness>(
    world: &World<H>,
    job: Option<&str>,
    after: Option<String>,
    limit: usize,
) -> FailedPage {
    let query = FailedQuery {
        job: job.map(name),
        after,
        limit,
    };
    done(world.store.failed(&query).await)
}

fn runs(failed: &[FailedRun]) -> Vec<RunId> {
    failed
        .iter()
        .map(|failed| failed.record.run.clone())
        .collect()
}

/// The request to run these again.
pub(super) fn rerun_of(failed: &[FailedRun]) -> Rerun {
    let item = |failed: &FailedRun| RerunItem {
        failed: failed.record.run.clone(),
        job: failed.job.clone().expect("a definition"),
        run: RunId::request(failed.record.run.job.clone(), Uuid::now_v7()),
    };
    Rerun {
        request: request(),
        items: failed.iter().map(item).collect(),
    }
}

/// Makes a run of a job, and lets it fail.
pub(super) async fn fail<H: Harness>(world: &World<H>, node: &mut Node, id: &str) -> Claim {
    world.run_now(id).await;
    let claim = world.claim_one(node).await;
    world
        .hand_in(node, &claim, &Ending::FailedForGood("no".to_owned()))
        .await;
    claim
}

pub async fn a_run_that_has_failed_is_kept_with_its_job<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    let stored = world.put(job("j").args("these")).await;
    let claim = fail(&world, &mut a, "j").await;
    let kept = failed(&world, None).await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].failed_at, world.now());
    assert_eq!(kept[0].job.as_ref(), Some(&stored.job));
    let record = Record::Run(kept[0].record.clone());
    assert_eq!(world.see().await.records(), [record], "as history has it");
    assert_eq!(
        (&kept[0].record.run, kept[0].record.outcome),
        (&claim.run, Outcome::Failed)
    );
}

pub async fn what_has_not_failed_is_not_kept<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    world.put(job("j")).await;
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    // Failed, but claimed by somebody else meanwhile: it is not for this node to say.
    world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    let settled = world
        .settled(&claim, &Ending::FailedForGood("no".to_owned()))
        .await;
    assert!(settled.definition.is_some());
    let mut b = world.node("b").await;
    let request = b.exchange(vec![settled], 0);
    assert_eq!(world.exchange(&request).await.stale, [claim.run]);
    assert_eq!(failed(&world, None).await, []);
}

pub async fn failed_runs_are_shown_in_pages_the_newest_first<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    world.put(job("j").max_instances(MANY)).await;
    world.put(job("k")).await;
    let mut expected = Vec::new();
    for round in 0..4 {
        if round % 2 == 0 {
            world.advance(Duration::from_secs(1)).await;
        }
        expected.push(fail(&world, &mut a, "j").await.run);
        fail(&world, &mut a, "k").await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = page(&world, Some("j"), after, 1).await;
        seen.extend(runs(&page.runs));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    // Of those that failed at one moment each store has an order of its own.
    for pair in [&mut seen[..2], &mut expected[2..]] {
        pair.sort();
    }
    seen[2..].sort();
    expected[..2].sort();
    expected.rotate_left(2);
    assert_eq!(seen, expected);
    assert_eq!(failed(&world, None).await.len(), 8);
}

pub async fn a_failed_run_is_run_again_as_another<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    let stored = world.put(job("j").args("these")).await;
    let claim = fail(&world, &mut a, "j").await;
    let kept = failed(&world, None).await;
    let before = world.see().await;
    let rerun = rerun_of(&kept);
    assert_eq!(done(world.store.rerun(&rerun).await), [RerunAnswer::Made]);
    let (now, item) = (world.now(), &rerun.items[0]);
    let record = FailedRun::rerun_record(&claim.run, &item.job, &item.run);
    let after = before.but(|world| {
        world.add_waiting("j");
        world.add_record(now, Record::Run(record));
    });
    world.expect(&after, "running again").await;
    assert_eq!(failed(&world, None).await, [], "no longer kept");
    let again = rerun_of(&kept);
    assert_eq!(
        done(world.store.rerun(&again).await),
        [RerunAnswer::NotFound]
    );

    // It has the definition that it failed with, though the job has another by now.
    world.put(job("j").args("others")).await;
    let claim = world.claim_one(&mut a).await;
    assert_eq!((&claim.run, claim.attempt, claim.losses), (&item.run, 1, 0));
    let wanted = [(name("j"), claim.version)];
    let definition = done(world.store.definitions(&wanted).await).remove(0);
    assert_eq!(definition, Definition::Found(stored.job.into()));
}

pub async fn what_is_run_again_outlives_its_job<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("j").args("these")).await;
    fail(&world, &mut a, "j").await;
    world.remove("j").await;
    let kept = failed(&world, None).await;
    assert_eq!(
        done(world.store.rerun(&rerun_of(&kept)).await),
        [RerunAnswer::Made]
    );
    world.tidy(&token).await;
    // Also where the node that comes to it first has no such task.
    let claim = world.claim_one(&mut a).await;
    let after = Duration::from_secs(1);
    let deferred = Settled {
        claim,
        verdict: Verdict::Defer { after },
        record: None,
        definition: None,
    };
    let request = a.exchange(vec![deferred], 0);
    assert_eq!(world.exchange(&request).await, Exchanged::default());
    world.advance(after).await;
    world.beat(&token).await;
    let claim = world.claim_one(&mut a).await;
    let wanted = [(name("j"), claim.version)];
    let definition = done(world.store.definitions(&wanted).await).remove(0);
    assert_eq!(definition, Definition::Found(stored.job.into()));
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    assert_eq!(world.see().await.busy, 0);
}

pub async fn no_more_runs_are_run_again_than_the_job_allows<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    world.put(job("j")).await;
    world.put(job("k")).await;
    for id in ["j", "j", "k"] {
        fail(&world, &mut a, id).await;
    }
    let mut kept = failed(&world, Some("j")).await;
    kept.extend(failed(&world, Some("k")).await);
    let answers = done(world.store.rerun(&rerun_of(&kept)).await);
    let full = RerunAnswer::Full { in_flight: 1 };
    assert_eq!(answers, [RerunAnswer::Made, full, RerunAnswer::Made]);
    assert_eq!(failed(&world, None).await, kept[1..2], "still kept");
    let claims = world.claim(&mut a, 10).await;
    for claim in &claims {
        world.hand_in(&mut a, claim, &Ending::Succeeded(None)).await;
    }
    let answers = done(world.store.rerun(&rerun_of(&kept[1..2])).await);
    assert_eq!(answers, [RerunAnswer::Made]);
}

pub async fn purged_runs_are_forgotten<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    world.put(job("j")).await;
    for _ in 0..3 {
        fail(&world, &mut a, "j").await;
    }
    let kept = failed(&world, None).await;
    let before = world.see().await;
    for _ in 0..2 {
        done(world.store.purge(&runs(&kept[..2])).await);
        assert_eq!(failed(&world, None).await, kept[2..]);
    }
    world.expect(&before, "purging").await;
}

fn tidy(token: &LeaseToken, keep_failed: u64, keep_failed_for: Duration) -> Tidy {
    Tidy {
        token: token.clone(),
        keep_history: 1_000,
        keep_history_for: None,
        keep_requests: Duration::from_secs(600),
        keep_fired: Duration::from_secs(600),
        keep_failed,
        keep_failed_for,
    }
}

pub async fn tidying_forgets_failed_runs_by_count_and_age<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    for _ in 0..5 {
        fail(&world, &mut a, "j").await;
        world.advance(Duration::from_secs(10)).await;
    }
    let kept = failed(&world, None).await;
    let hour = Duration::from_secs(3600);
    let all = tidy(&token, 5, hour);
    assert_eq!(done(world.store.tidy(&all).await), TidyAnswer::Done);
    assert_eq!(failed(&world, None).await, kept);
    let four = tidy(&token, 4, hour);
    done(world.store.tidy(&four).await);
    assert_eq!(failed(&world, None).await, kept[..4]);
    let young = tidy(&token, 4, Duration::from_secs(25));
    done(world.store.tidy(&young).await);
    assert_eq!(failed(&world, None).await, kept[..2]);
}
