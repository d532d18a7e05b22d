//! Priorities: which of a queue's runs are claimed first, and where they go back to.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::run::{Claim, Ending, Outcome, Verdict};
use scheduler_core::store::{ClaimWish, Drain, FenceAnswer, FenceSession, Promote, Take, Wake};
use scheduler_core::{Priority, RunId, Shard};

use crate::conformance::{Harness, Node, World, done, job, name, settled_as};

use Priority::{High, Low, Normal};

/// Jobs of all priorities in the default queue, under their names.
async fn jobs<H: Harness>(world: &World<H>) {
    for priority in Priority::ALL {
        let job = job(priority.as_str()).priority(priority);
        world.put(job.max_instances(NonZeroU32::MAX)).await;
    }
}

/// Makes runs, each after the ones before.
async fn runs<H: Harness>(world: &World<H>, priorities: &[Priority]) -> Vec<RunId> {
    let mut runs = Vec::new();
    for priority in priorities {
        runs.push(world.run_now(priority.as_str()).await);
    }
    runs
}

/// Claims up to `limit` runs as these takes of the default queue say.
async fn take<H: Harness>(
    world: &World<H>,
    node: &mut Node,
    takes: &[(Priority, usize)],
    limit: usize,
) -> Vec<Claim> {
    let takes = takes.iter().map(|(priority, most)| Take {
        queue: name("default"),
        priority: *priority,
        most: *most,
    });
    let mut request = node.exchange(Vec::new(), 1);
    let takes = takes.collect();
    request.wish = Some(ClaimWish { takes, limit });
    world.exchange(&request).await.claims
}

fn priorities(claims: &[Claim]) -> Vec<Priority> {
    claims.iter().map(|claim| claim.priority).collect()
}

fn ids(claims: &[Claim]) -> Vec<RunId> {
    claims.iter().map(|claim| claim.run.clone()).collect()
}

pub async fn high_ones_are_claimed_first_and_each_in_its_order<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    jobs(&world).await;
    let made = runs(&world, &[Low, Normal, High, Low, Normal, High]).await;
    let claims = world.claim(&mut a, 5).await;
    assert_eq!(priorities(&claims), [High, High, Normal, Normal, Low]);
    assert_eq!(
        ids(&claims),
        [2, 5, 1, 4, 0].map(|at: usize| made[at].clone())
    );
    let sight = world.see().await;
    assert_eq!((sight.held, sight.waiting()), (5, 1));
}

pub async fn runs_are_taken_as_the_wish_says<H: Harness>(world: World<H>) {
    let mut a = world.node("a").await;
    jobs(&world).await;
    runs(&world, &[High, High, High, High, Normal, Low, Low]).await;
    let takes = [(Low, 1), (High, 2), (Normal, 2), (High, 9), (Low, 9)];
    let claims = take(&world, &mut a, &takes, 6).await;
    let expected = [Low, High, High, Normal, High, High];
    assert_eq!(priorities(&claims), expected, "never more than the limit");
    let claims = take(&world, &mut a, &[(Normal, 5), (High, 5)], 6).await;
    assert_eq!(claims, [], "what was not asked for is left alone");
    let claims = take(&world, &mut a, &[(Low, 0), (Low, 1)], 6).await;
    assert_eq!(priorities(&claims), [Low]);
}

pub async fn what_goes_back_waits_with_its_priority<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    jobs(&world).await;
    let made = runs(&world, &[Low, Low, Low, Low, Low]).await;
    let claims = world.claim(&mut a, 4).await;
    let verdict = |after, claim: &Claim| Verdict::Again {
        after,
        attempt: claim.attempt + 1,
        losses: 0,
    };
    let later = Duration::from_secs(1);
    let settled = vec![
        settled_as(&claims[0], Verdict::GiveBack, &Ending::NotBegun),
        settled_as(
            &claims[1],
            verdict(Duration::ZERO, &claims[1]),
            &Ending::NodeLost,
        ),
        settled_as(&claims[2], verdict(later, &claims[2]), &Ending::NodeLost),
        settled_as(
            &claims[3],
            Verdict::Defer { after: later },
            &Ending::NotBegun,
        ),
    ];
    let request = a.exchange(settled, 0);
    world.exchange(&request).await;
    world.advance(later).await;
    let retries = world.peek(&token).await.retries;
    assert_eq!(retries.len(), 2);
    for retry in retries {
        // One after the other: of those that wait for the same instant each store has an order.
        assert_eq!(retry.waiting.priority, Low);
        let retries = vec![retry];
        let token = token.clone();
        assert!(done(world.store.promote(&Promote { token, retries }).await));
    }
    assert_eq!(take(&world, &mut a, &[(High, 9), (Normal, 9)], 9).await, []);
    let claims = take(&world, &mut a, &[(Low, 9)], 9).await;
    assert_eq!(
        ids(&claims[..3]),
        [0, 4, 1].map(|at: usize| made[at].clone())
    );
    let mut late = ids(&claims[3..]);
    late.sort();
    let mut expected = made[2..4].to_vec();
    expected.sort();
    assert_eq!(late, expected);
}

pub async fn what_a_dead_node_held_waits_with_its_priority<H: Harness>(world: World<H>) {
    let (mut a, mut b) = (world.node("a").await, world.node("b").await);
    jobs(&world).await;
    let made = runs(&world, &[High]).await;
    let claims = world.claim(&mut a, 1).await;
    let session = a.session.clone();
    let fence = FenceSession { session, beat: 0 };
    assert_eq!(
        done(world.store.fence_session(&fence).await),
        FenceAnswer::Fenced
    );
    let read = done(world.store.dead_claims(10).await);
    assert_eq!(read, [(fence.session.clone(), claims.clone())]);
    runs(&world, &[High, Normal]).await;
    let again = Verdict::Again {
        after: Duration::ZERO,
        attempt: 2,
        losses: 1,
    };
    let items = vec![settled_as(&claims[0], again, &Ending::NodeLost)];
    let session = fence.session;
    let left = done(world.store.drain(&Drain { session, items }).await).left;
    assert_eq!(left, 0);
    let claims = world.claim(&mut b, 3).await;
    assert_eq!(priorities(&claims), [High, High, Normal]);
    assert_eq!((&claims[1].run, claims[1].attempt), (&made[0], 2));
}

pub async fn the_priority_is_that_of_the_definition_that_made_the_run<H: Harness>(
    mut world: World<H>,
) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j").priority(Low)).await;
    let run = world.fire(&token, "j").await;
    world.put(job("j").priority(High)).await;
    let claim = world.claim_one(&mut a).await;
    assert_eq!((claim.run.clone(), claim.priority), (run, Low));
    let ended = Verdict::End(Outcome::Succeeded);
    let ended = settled_as(&claim, ended, &Ending::Succeeded(None));
    let request = a.exchange(vec![ended], 0);
    world.exchange(&request).await;
    world.fire(&token, "j").await;
    assert_eq!(world.claim_one(&mut a).await.priority, High);
}

pub async fn whoever_leaves_runs_of_any_priority_behind_wakes_the_next<H: Harness>(
    world: World<H>,
) {
    let mut a = world.node("a").await;
    jobs(&world).await;
    runs(&world, &[High, Low]).await;
    let wake = Wake::Ready(vec![name("default")]);
    done(world.store.wait(&wake).await);
    // It came with room for one, and there is another of another priority.
    assert_eq!(priorities(&world.claim(&mut a, 1).await), [High]);
    let patience = Duration::from_secs(10);
    let woken = tokio::time::timeout(patience, world.store.wait(&wake)).await;
    done(woken.expect("a run waits, and nobody is woken"));
}
