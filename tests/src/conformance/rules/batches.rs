//! What one request carries is settled item by item, whatever else is in it.

use std::collections::BTreeSet;
use std::time::Duration;

use scheduler_core::history::Record;
use scheduler_core::policy::Overlap;
use scheduler_core::run::{Claim, Ending, Outcome, Verdict};
use scheduler_core::store::{DispatchAnswer, Refusal, Refused, Settled};
use scheduler_core::{Policy, Shard, Store};

use super::cancelling::cancel_of;
use super::failing::failed;
use crate::conformance::{EVERY, Harness, World, done, job, name, settled_as};

fn of<'a>(claims: &'a [Claim], job: &str) -> &'a Claim {
    let found = claims.iter().find(|claim| claim.run.job.as_str() == job);
    found.unwrap_or_else(|| panic!("no claim of {job}"))
}

pub async fn what_is_dispatched_together_is_settled_each_as_it_is<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    let lining_up = Policy {
        overlap: Overlap::Queue,
        ..*job("line").build().policy()
    };
    world.put(job("coalesced")).await;
    world.advance(EVERY).await;
    world.put(job("b")).await;
    world.put(job("changed")).await;
    world.put(job("last")).await;
    world.put(job("last, changed")).await;
    world.put(job("line").policy(lining_up)).await;
    world.put(job("other").queue(name("other"))).await;
    world.put(job("z")).await;
    world.run_now("line").await;
    world.advance(EVERY).await;
    let mut request = world.plan_due(&token).await;
    let mut refused = Vec::new();
    for (index, item) in request.items.iter_mut().enumerate() {
        if item.job.as_str().starts_with("last") {
            item.plan.next = None;
        }
        if item.job.as_str().ends_with("changed") {
            item.version.0 += 1_000;
            let why = Refusal::Changed;
            refused.push(Refused { index, why });
        }
    }
    let answer = done(world.store.dispatch(&request).await);
    assert_eq!(answer, DispatchAnswer::Dispatched { refused });
    let sight = world.see().await;
    assert_eq!((sight.lined_up, sight.busy, sight.waiting()), (1, 7, 6));
    assert_eq!(sight.records().len(), 1, "of what was coalesced");
    let claims = world.claim(&mut a, 10).await;
    let jobs: Vec<_> = claims.iter().map(|c| c.run.job.as_str()).collect();
    assert_eq!(
        jobs,
        ["line", "coalesced", "b", "last", "z"],
        "the longest due first"
    );
    // What was refused is due still, and what was settled is not.
    let due = world.peek(&token).await.due;
    assert_eq!(
        due.iter().map(|due| due.job.as_str()).collect::<Vec<_>>(),
        ["changed", "last, changed"]
    );
}

pub async fn what_is_handed_in_together_is_settled_each_as_it_is<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    for (queue, jobs) in [
        ("default", ["d1", "d2", "d3"]),
        ("other", ["o1", "o2", "o3"]),
    ] {
        for id in jobs {
            world.put(job(id).queue(name(queue))).await;
            world.run_now(id).await;
        }
    }
    let mut claims = world.claim(&mut a, 10).await;
    let mut request = a.exchange(Vec::new(), 10);
    let wish = request.wish.as_mut().expect("a wish");
    for take in &mut wish.takes {
        take.queue = name("other");
    }
    claims.extend(world.exchange(&request).await.claims);
    let places = async || {
        let (default, other) = (world.queue("default").await, world.queue("other").await);
        (default.in_use, other.in_use)
    };
    assert_eq!(places().await, (3, 3));

    let ended = |id| {
        let verdict = Verdict::End(Outcome::Succeeded);
        settled_as(of(&claims, id), verdict, &Ending::Succeeded(None))
    };
    let moved = |id, verdict| settled_as(of(&claims, id), verdict, &Ending::NotBegun);
    let before = a.exchange(vec![ended("d2")], 0);
    assert!(world.exchange(&before).await.stale.is_empty());
    assert_eq!(places().await, (2, 3));

    // The lists that they came from alternate, and one of them is no longer held.
    done(world.store.cancel(&cancel_of(&of(&claims, "o2").run)).await);
    let again = Verdict::Again {
        after: Duration::from_secs(1),
        attempt: 2,
        losses: 0,
    };
    let lost = Ending::FailedForGood("lost".to_owned());
    let settled: Vec<Settled> = vec![
        ended("d1"),
        world.settled(of(&claims, "o1"), &lost).await,
        ended("d2"),
        moved("o2", Verdict::GiveBack),
        moved("d3", Verdict::GiveBack),
        moved("o3", again),
    ];
    let request = a.exchange(settled, 0);
    let exchanged = world.exchange(&request).await;
    assert_eq!(exchanged.stale, [of(&claims, "d2").run.clone()]);
    assert_eq!(places().await, (0, 0));
    let sight = world.see().await;
    assert_eq!((sight.busy, sight.waiting(), sight.retries), (2, 1, 1));
    let kept = failed(&world, None).await;
    assert_eq!(kept.len(), 1, "what failed is kept: {kept:?}");
    assert_eq!(kept[0].record.run, of(&claims, "o1").run);
    let ended = sight
        .records()
        .iter()
        .filter_map(|record| match record {
            Record::Run(run) => Some(format!("{} {:?}", run.run.job, run.outcome)),
            Record::Skip(_) => None,
        })
        .collect::<BTreeSet<_>>();
    let expected = ["d1 Succeeded", "d2 Succeeded", "o1 Failed", "o2 Cancelled"];
    for each in expected {
        assert!(ended.contains(each), "{each} of {ended:?}");
    }
    assert_eq!(world.claim_one(&mut a).await.run, of(&claims, "d3").run);
}
