//! Refusals: a plan for what is not so any more settles nothing.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::plan::{Plan, Skip, SkipReason};
use scheduler_core::run::Ending;
use scheduler_core::store::{Changed, Dispatch, DispatchAnswer, MAX_PLAN_AGE, Refusal, Refused};
use scheduler_core::{Shard, Store, change};

use super::dispatch::{dispatched, two};
use crate::conformance::{EVERY, Harness, World, done, job, name};

/// Dispatches plans of which some are refused.
async fn refusals<H: Harness>(world: &World<H>, request: &Dispatch) -> Vec<Refused> {
    match done(world.store.dispatch(request).await) {
        DispatchAnswer::Dispatched { refused } => refused,
        other => panic!("{other:?}"),
    }
}

fn refused(index: usize, why: Refusal) -> Vec<Refused> {
    vec![Refused { index, why }]
}

pub async fn a_plan_that_is_too_old_is_refused<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    world.advance(EVERY).await;
    let request = world.plan_due(&token).await;
    let before = world.see().await;
    let planned_at = world.now();
    let too_long = MAX_PLAN_AGE + Duration::from_millis(1);
    for frozen_until in [planned_at.after(too_long), planned_at.before(too_long)] {
        world.set_clock(frozen_until).await;
        let answer = done(world.store.dispatch(&request).await);
        assert_eq!(answer, DispatchAnswer::Stale, "at {frozen_until}");
    }
    world.set_clock(planned_at).await;
    world.expect(&before, "refusing old plans").await;
    world.set_clock(planned_at.after(MAX_PLAN_AGE)).await;
    world.dispatch(&request).await;
}

pub async fn a_plan_for_another_version_is_refused<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    world.advance(EVERY).await;
    let request = world.plan_due(&token).await;
    world.put(job("j").name("changed")).await;
    let before = world.see().await;
    assert_eq!(
        refusals(&world, &request).await,
        refused(0, Refusal::Changed)
    );
    world
        .expect(&before, "a plan with the replaced definition")
        .await;
}

pub async fn a_leader_that_has_long_known_all_versions_is_refused_once_one_changed<H: Harness>(
    mut world: World<H>,
) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    for id in ["i", "j", "k"] {
        world.put(job(id)).await;
    }
    for round in 0..6 {
        world.advance(EVERY).await;
        let request = world.plan_due(&token).await;
        let mut claimed = 3;
        if round > 3 {
            let changed = world.put(job("j").name(format!("changed {round}"))).await;
            assert_ne!(request.items[1].version, changed.version);
            let why = refused(1, Refusal::Changed);
            assert_eq!(refusals(&world, &request).await, why, "round {round}");
            let again = world.plan_due(&token).await;
            let versions: Vec<_> = again.items.iter().map(|item| item.version).collect();
            assert_eq!(versions, [changed.version], "what it is told now");
            if round == 4 {
                world.dispatch(&again).await;
            } else {
                claimed = 2;
            }
        } else {
            world.dispatch(&request).await;
        }
        let claims = world.claim(&mut a, 10).await;
        assert_eq!(claims.len(), claimed);
        for claim in claims {
            world
                .hand_in(&mut a, &claim, &Ending::Succeeded(None))
                .await;
        }
    }
}

pub async fn of_jobs_that_are_due_at_once_each_is_compared<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    for id in ["i", "j", "k", "l"] {
        world.put(job(id)).await;
    }
    for at in 0..4 {
        world.advance(EVERY).await;
        let mut request = world.plan_due(&token).await;
        let item = &mut request.items[at];
        let planned = item.due;
        item.due = planned.after(Duration::from_millis(1));
        item.plan.runs = vec![item.due];
        item.plan.settled = item.due;
        let why = refused(at, Refusal::Changed);
        assert_eq!(refusals(&world, &request).await, why, "item {at}");
        let rest = world.plan_due(&token).await;
        assert_eq!(rest.items.len(), 1);
        assert_eq!(rest.items[0].due, planned, "it is due still");
        world.dispatch(&rest).await;
        let claims = world.claim(&mut a, 10).await;
        assert_eq!(claims.len(), 4);
        for claim in claims {
            world
                .hand_in(&mut a, &claim, &Ending::Succeeded(None))
                .await;
        }
    }
}

pub async fn a_job_that_was_removed_and_put_again_is_another<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("j")).await;
    let removal = world.removal("j").await;
    world.advance(EVERY).await;
    let request = world.plan_due(&token).await;
    world.set_clock(world.now().before(EVERY)).await;
    done(world.store.remove(&removal).await);
    let again = world.put(job("j")).await;
    assert_eq!(again.next_fire, stored.next_fire, "due at the same time");
    assert!(again.version > stored.version);
    world.advance(EVERY).await;
    let before = world.see().await;
    assert_eq!(
        refusals(&world, &request).await,
        refused(0, Refusal::Changed)
    );
    world
        .expect(&before, "a plan for the job that was removed")
        .await;
}

pub async fn a_plan_for_another_due_time_is_refused<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j").max_instances(two())).await;
    world.advance(EVERY).await;
    let first = world.plan_due(&token).await;
    world.dispatch(&first).await;
    let before = world.see().await;
    let mut other = first.clone();
    other.items[0].due = other.items[0].due.after(Duration::from_millis(1));
    assert_eq!(refusals(&world, &other).await, refused(0, Refusal::Changed));
    other.items[0].job = name("no such job");
    assert_eq!(refusals(&world, &other).await, refused(0, Refusal::Changed));
    world
        .expect(&before, "plans for due times that are not")
        .await;
}

pub async fn a_settled_fire_time_never_runs_again<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j").max_instances(NonZeroU32::MAX)).await;
    world.fire(&token, "j").await;
    let fired = world.now();
    world.advance(EVERY).await;
    let request = world.plan_due(&token).await;
    let before = world.see().await;
    let good = request.items[0].plan.clone();
    let late = Skip {
        first: fired,
        last: fired,
        count: 1,
        reason: SkipReason::Misfired,
    };
    let bad = [
        (
            "only the settled one",
            Plan {
                runs: vec![fired],
                settled: fired,
                ..good.clone()
            },
        ),
        (
            "the settled one, too",
            Plan {
                runs: vec![fired, good.settled],
                ..good.clone()
            },
        ),
        (
            "the settled one as a skip",
            Plan {
                skips: vec![late],
                ..good
            },
        ),
    ];
    for (what, plan) in bad {
        let mut request = request.clone();
        request.items[0].plan = plan;
        let refusals = refusals(&world, &request).await;
        assert_eq!(refusals, refused(0, Refusal::Fired(fired)), "{what}");
    }
    world.expect(&before, "plans with settled fire times").await;
}

pub async fn the_due_time_only_moves_past_what_is_settled<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    world.advance(EVERY).await;
    let mut request = world.plan_due(&token).await;
    let before = world.see().await;
    request.items[0].plan.next = Some(request.items[0].plan.settled);
    assert_eq!(
        refusals(&world, &request).await,
        refused(0, Refusal::Changed)
    );
    world.expect(&before, "a plan that would come again").await;
}

pub async fn a_refused_item_does_not_hold_up_the_others<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    for id in ["a", "b", "c"] {
        world.put(job(id)).await;
    }
    world.advance(EVERY).await;
    let request = world.plan_due(&token).await;
    let bad = request
        .items
        .iter()
        .position(|item| item.job.as_str() == "b");
    world.put(job("b").name("changed")).await;
    let before = world.see().await;
    let bad = bad.expect("b is due");
    assert_eq!(
        refusals(&world, &request).await,
        refused(bad, Refusal::Changed)
    );
    let mut good = request.items;
    good.remove(bad);
    let after = dispatched(&before, &good, world.now());
    world.expect(&after, "dispatching all but one").await;
}

pub async fn no_more_runs_are_made_than_the_job_allows<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    world.advance(EVERY).await;
    let request = world.plan_due(&token).await;
    world.run_now("j").await;
    let before = world.see().await;
    assert_eq!(refusals(&world, &request).await, refused(0, Refusal::Full));
    world
        .expect(&before, "a plan for a job that is full meanwhile")
        .await;
}

pub async fn a_clock_that_steps_back_fires_nothing_twice<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("j").max_instances(two())).await;
    world.fire(&token, "j").await;
    let fired = world.now();
    world
        .set_clock(fired.before(Duration::from_millis(500)))
        .await;
    let before = world.see().await;
    assert_eq!(world.peek(&token).await.due, []);
    // What somebody would write who takes the clock's word for it that `fired` is to come.
    let again = change::Change {
        job: stored.job.clone(),
        state: change::JobState::Active,
        next_fire: Some(fired),
        skips: Vec::new(),
        detail: None,
    };
    let answer = world.try_write(Some(stored.version), again).await;
    assert_eq!(answer, Changed::Conflict);
    world
        .expect(&before, "setting a due time that was settled")
        .await;
    let next = world
        .put(job("j").max_instances(two()).name("changed"))
        .await;
    assert!(next.next_fire > Some(fired));
}
