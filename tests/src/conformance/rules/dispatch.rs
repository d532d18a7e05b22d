//! Dispatch: each fire time is settled once, as planned, or not at all.

use std::num::NonZeroU32;
use std::time::Duration;

use scheduler_core::history::{Record, SkipRecord};
use scheduler_core::plan::{Plan, SkipReason, plan};
use scheduler_core::policy::{Coalesce, Grace};
use scheduler_core::store::{Dispatch, DispatchAnswer, DispatchItem, DueJob, Peek, PeekAnswer};
use scheduler_core::{JobId, Shard, StoredJob, Timestamp};

use crate::conformance::{EVERY, Harness, Sight, World, done, job, name, peek};

pub(super) fn two() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(1)
}

/// What dispatching these items does to the world.
pub(super) fn dispatched(before: &Sight, items: &[DispatchItem], now: Timestamp) -> Sight {
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
    let due = |stored: &StoredJob, in_flight| DueJob {
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

pub async fn what_comes_to_be_due_is_planned_ahead_and_dispatched_no_earlier<H: Harness>(
    mut world: World<H>,
) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let first = world.put(job("a")).await;
    world.put(job("b")).await;
    let ms = Duration::from_millis;
    world.advance(EVERY - ms(5)).await;
    let ahead = async |ahead| {
        let request = Peek {
            ahead: ms(ahead),
            ..peek(&token)
        };
        match done(world.store.peek(&request).await) {
            PeekAnswer::Peeked(peeked) => peeked,
            PeekAnswer::LeaseLost => panic!("lease lost"),
        }
    };
    let at = first.next_fire.expect("due");
    let peeked = ahead(4).await;
    assert_eq!((peeked.due, peeked.next_due), (Vec::new(), Some(at)));
    let peeked = ahead(5).await;
    let due: Vec<_> = peeked
        .due
        .iter()
        .map(|due| (due.job.as_str(), due.due))
        .collect();
    assert_eq!(due, [("a", at), ("b", at)]);
    assert_eq!((peeked.now, peeked.next_due), (world.now(), None));

    let mut items = Vec::new();
    for due in &peeked.due {
        items.push(DispatchItem {
            plan: plan(&first.job, at, at, 0),
            ..world.plan(due, None).await
        });
    }
    let request = Dispatch {
        token: token.clone(),
        planned_at: at,
        items,
    };
    for left in [5, 1] {
        world.set_clock(at.before(ms(left))).await;
        let before = world.see().await;
        let answer = done(world.store.dispatch(&request).await);
        assert_eq!(answer, DispatchAnswer::Stale, "{left} ms too early");
        world.expect(&before, "a dispatch that is too early").await;
    }
    world.set_clock(at).await;
    let before = world.see().await;
    world.dispatch(&request).await;
    let after = dispatched(&before, &request.items, world.now());
    world.expect(&after, "dispatching on time").await;
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
