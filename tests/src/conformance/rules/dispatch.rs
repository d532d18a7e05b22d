//! Dispatch: each fire time is settled once, as planned, or not at all.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::history::{Record, SkipRecord};
use scheduler_core::plan::{Plan, Skip, SkipReason};
use scheduler_core::policy::{Coalesce, Grace};
use scheduler_core::store::{
    Dispatch, DispatchAnswer, DispatchItem, DueJob, MAX_PLAN_AGE, Peek, PeekAnswer, Refusal,
    Refused,
};
use scheduler_core::{JobId, Store, change};

use crate::conformance::{EVERY, Harness, Sight, World, done, job, name, peek};

fn two() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(1)
}

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

/// What dispatching these items does to the world.
fn dispatched(before: &Sight, items: &[DispatchItem], now: scheduler_core::Timestamp) -> Sight {
    before.but(|world| {
        for DispatchItem { job, plan, .. } in items {
            for _ in &plan.runs {
                world.add_waiting(job.as_str());
            }
            for skip in &plan.skips {
                let record = SkipRecord::new(job.clone(), skip);
                world.add_record(now, Record::Skip(record));
            }
            let stored = world.job_mut(job.as_str());
            stored.next_fire = plan.next;
            stored.fired = Some(plan.settled);
        }
    })
}

pub async fn a_look_shows_what_is_due_and_what_comes_next<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let first = world.put(job("first")).await;
    world.advance(Duration::from_secs(1)).await;
    let second = world.put(job("second")).await;
    world.advance(Duration::from_secs(1)).await;
    let third = world.put(job("third")).await;
    let peeked = world.peek(&token).await;
    assert_eq!((peeked.due, peeked.next_due), (Vec::new(), first.next_fire));
    world.run_now("second").await;
    world
        .set_clock(second.next_fire.unwrap_or(world.now()))
        .await;
    let before = world.see().await;
    let due = |stored: &scheduler_core::StoredJob, in_flight| DueJob {
        job: stored.job.id().clone(),
        due: stored.next_fire.expect("a due time"),
        version: stored.version,
        in_flight,
    };
    let peeked = world.peek(&token).await;
    assert_eq!(peeked.now, world.now());
    assert_eq!(
        peeked.due,
        [due(&first, 0), due(&second, 1)],
        "the longest due first"
    );
    assert_eq!(peeked.next_due, third.next_fire);
    assert_eq!((peeked.retries, peeked.next_retry), (Vec::new(), None));
    assert_eq!(peeked.finished, Vec::<JobId>::new());
    let request = Peek {
        limit: 1,
        ..peek(&token)
    };
    let PeekAnswer::Peeked(peeked) = done(world.store.peek(&request).await) else {
        panic!("lease lost");
    };
    assert_eq!(peeked.due, [due(&first, 0)]);
    assert_eq!(
        peeked.next_due, third.next_fire,
        "of those that are not due yet"
    );
    world.expect(&before, "looking").await;
}

pub async fn the_due_time_moves_and_the_run_appears_in_one_step<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("j")).await;
    world.advance(EVERY).await;
    let request = world.plan_due(&token).await;
    assert_eq!(request.items[0].plan.runs, [stored.next_fire.expect("due")]);
    let before = world.see().await;
    world.dispatch(&request).await;
    let after = dispatched(&before, &request.items, world.now());
    world.expect(&after, "dispatching").await;
}

pub async fn several_runs_of_one_plan_wait_in_their_order<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    let many = NonZeroU32::MIN.saturating_add(9);
    world
        .put(job("j").coalesce(Coalesce::All).max_instances(many))
        .await;
    world.advance(EVERY * 3).await;
    let request = world.plan_due(&token).await;
    let before = world.see().await;
    world.dispatch(&request).await;
    world
        .expect(
            &dispatched(&before, &request.items, world.now()),
            "dispatching",
        )
        .await;
    let claims = world.claim(&mut a, 10).await;
    let times: Vec<_> = claims
        .iter()
        .map(|claim| claim.run.scheduled_at())
        .collect();
    assert_eq!(times, request.items[0].plan.runs);
    assert_eq!(times.len(), 3);
}

pub async fn runs_wait_in_the_queue_of_their_job<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j").queue(name("reports"))).await;
    world.put(job("k")).await;
    world.advance(EVERY).await;
    let request = world.plan_due(&token).await;
    world.dispatch(&request).await;
    let ready: Vec<_> = world.see().await.ready.into_iter().collect();
    assert_eq!(ready, [(name("default"), 1), (name("reports"), 1)]);
}

pub async fn skips_are_recorded_in_the_same_step<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("coalesced")).await;
    let grace = Grace::Within(Duration::from_secs(1));
    world.put(job("misfired").misfire_grace_time(grace)).await;
    world.advance(EVERY * 4 + Duration::from_secs(5)).await;
    let request = world.plan_due(&token).await;
    let before = world.see().await;
    world.dispatch(&request).await;
    let after = dispatched(&before, &request.items, world.now());
    assert_eq!((after.history.len(), after.busy), (2, 1));
    world.expect(&after, "dispatching").await;
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

pub async fn a_plan_that_settles_nothing_only_moves_on<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    world.fire(&token, "j").await;
    world.advance(EVERY).await;
    let mut request = world.plan_due(&token).await;
    let before = world.see().await;
    let fired = before.jobs[&name::<JobId>("j")]
        .fired
        .expect("it has fired");
    let next = request.items[0].due.after(EVERY);
    request.items[0].plan = Plan {
        runs: Vec::new(),
        skips: Vec::new(),
        settled: fired,
        next: Some(next),
    };
    world.dispatch(&request).await;
    let moved = before.but(|world| world.job_mut("j").next_fire = Some(next));
    world.expect(&moved, "moving on").await;
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

pub async fn a_limit_that_was_lowered_does_not_block_the_schedule<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j").max_instances(two())).await;
    world.run_now("j").await;
    world.run_now("j").await;
    world.put(job("j").max_instances(NonZeroU32::MIN)).await;
    world.advance(EVERY).await;
    let request = world.plan_due(&token).await;
    assert_eq!(
        request.items[0].plan.skips[0].reason,
        SkipReason::MaxInstances
    );
    let before = world.see().await;
    world.dispatch(&request).await;
    let after = dispatched(&before, &request.items, world.now());
    world
        .expect(
            &after,
            "skipping a fire time of a job that is more than full",
        )
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
    };
    let answer = world.try_write(Some(stored.version), again).await;
    assert_eq!(answer, scheduler_core::store::Changed::Conflict);
    world
        .expect(&before, "setting a due time that was settled")
        .await;
    let next = world
        .put(job("j").max_instances(two()).name("changed"))
        .await;
    assert!(next.next_fire > Some(fired));
}
