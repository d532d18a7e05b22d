//! The end of a schedule: a job goes when its last fire time is settled and its last run is over.

use scheduler_core::change;
use scheduler_core::history::{Record, SkipRecord};
use scheduler_core::lease::LeaseToken;
use scheduler_core::plan::Plan;
use scheduler_core::run::Ending;
use scheduler_core::store::{Park, ParkItem, Retire};
use scheduler_core::{JobId, Pause, Policy, Shard, Standing};

use crate::conformance::{EVERY, Harness, World, done, job, name};

/// Fires the job for the last time.
async fn fire_last<H: Harness>(world: &mut World<H>, token: &LeaseToken, id: &str) {
    world.advance(EVERY).await;
    let mut request = world.plan_due(token).await;
    request.items.retain(|item| item.job.as_str() == id);
    let plan = &mut request.items[0].plan;
    *plan = Plan {
        next: None,
        ..plan.clone()
    };
    world.dispatch(&request).await;
}

fn retire(token: &LeaseToken, id: &str) -> Retire {
    Retire {
        token: token.clone(),
        jobs: vec![name(id)],
    }
}

pub async fn a_job_goes_when_its_last_run_has_ended<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    fire_last(&mut world, &token, "j").await;
    let fired = world.now();
    let stored = world.stored("j").await;
    assert_eq!((stored.next_fire, stored.fired), (None, Some(fired)));
    assert_eq!(stored.in_flight, 1);

    let peeked = world.peek(&token).await;
    assert_eq!(peeked.finished, Vec::<JobId>::new(), "its run waits");
    let before = world.see().await;
    assert!(done(world.store.retire(&retire(&token, "j")).await));
    world
        .expect(&before, "retiring a job whose run waits")
        .await;

    let claim = world.claim_one(&mut a).await;
    assert_eq!(
        world.peek(&token).await.finished,
        Vec::<JobId>::new(),
        "its run is held"
    );
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    assert_eq!(world.peek(&token).await.finished, [name::<JobId>("j")]);

    let before = world.see().await;
    assert!(done(world.store.retire(&retire(&token, "j")).await));
    let after = before.but(|world| drop(world.jobs.remove(&name::<JobId>("j"))));
    world.expect(&after, "retiring").await;
    assert_eq!(world.peek(&token).await.finished, Vec::<JobId>::new());
    let left = world.read(&name("j")).await;
    assert_eq!((left.stored, left.fired), (None, Some(fired)));
}

pub async fn a_schedule_that_ends_in_a_skip_is_over_at_once<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    world.advance(EVERY).await;
    let mut request = world.plan_due(&token).await;
    let due = request.items[0].due;
    request.items[0].plan = Plan {
        runs: Vec::new(),
        skips: vec![scheduler_core::plan::Skip {
            first: due,
            last: due,
            count: 1,
            reason: scheduler_core::plan::SkipReason::Misfired,
        }],
        settled: due,
        next: None,
    };
    world.dispatch(&request).await;
    assert_eq!(world.peek(&token).await.finished, [name::<JobId>("j")]);
}

pub async fn a_job_that_is_kept_stays_when_its_schedule_is_over<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    let policy = Policy {
        keep: true,
        ..Policy::default()
    };
    world.put(job("j").policy(policy)).await;
    fire_last(&mut world, &token, "j").await;
    let claim = world.claim_one(&mut a).await;
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    assert_eq!(world.peek(&token).await.finished, [name::<JobId>("j")]);
    let before = world.see().await;
    for _ in 0..2 {
        assert!(done(world.store.retire(&retire(&token, "j")).await));
        world.expect(&before, "retiring a job that is kept").await;
        assert_eq!(world.peek(&token).await.finished, Vec::<JobId>::new());
    }
    assert_eq!(world.stored("j").await.standing(), Standing::Finished);

    // It may run once more, and begin anew; and goes where it is no longer to be kept.
    let run = world.run_now("j").await;
    let claim = world.claim_one(&mut a).await;
    assert_eq!(claim.run, run);
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    assert_eq!(world.peek(&token).await.finished, Vec::<JobId>::new());
    let stored = world.put(job("j")).await;
    assert_eq!(stored.next_fire, None, "its schedule is over");
    assert_eq!(world.peek(&token).await.finished, [name::<JobId>("j")]);
    assert!(done(world.store.retire(&retire(&token, "j")).await));
    assert_eq!(world.read(&name("j")).await.stored, None);
}

pub async fn a_job_that_was_put_again_meanwhile_stays<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    fire_last(&mut world, &token, "j").await;
    let claim = world.claim_one(&mut a).await;
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    let stored = world.stored("j").await;
    let again = change::Change {
        job: stored.job.clone(),
        state: scheduler_core::JobState::Active,
        next_fire: Some(world.now().after(EVERY)),
        skips: Vec::new(),
        detail: None,
    };
    world.write(Some(stored.version), again).await;
    assert_eq!(world.peek(&token).await.finished, Vec::<JobId>::new());
    let before = world.see().await;
    assert!(done(world.store.retire(&retire(&token, "j")).await));
    world
        .expect(&before, "retiring a job that has a due time again")
        .await;
}

pub async fn a_finished_job_that_runs_once_more_stays_until_then<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    fire_last(&mut world, &token, "j").await;
    let claim = world.claim_one(&mut a).await;
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    world.run_now("j").await;
    let before = world.see().await;
    assert!(done(world.store.retire(&retire(&token, "j")).await));
    world.expect(&before, "retiring a job that runs").await;
    let claim = world.claim_one(&mut a).await;
    world
        .hand_in(&mut a, &claim, &Ending::Succeeded(None))
        .await;
    assert_eq!(world.peek(&token).await.finished, [name::<JobId>("j")]);
}

pub async fn a_job_whose_schedule_goes_on_is_never_retired<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("scheduled")).await;
    world.put(job("paused")).await;
    let paused = change::pause(&world.stored("paused").await);
    let version = world.stored("paused").await.version;
    world.write(Some(version), paused.expect("a pause")).await;
    world.set_clock(stored.next_fire.expect("due")).await;
    assert_eq!(world.peek(&token).await.finished, Vec::<JobId>::new());
    let before = world.see().await;
    for id in ["scheduled", "paused", "none"] {
        assert!(done(world.store.retire(&retire(&token, id)).await));
    }
    world.expect(&before, "retiring jobs that go on").await;
}

pub async fn a_due_job_that_nobody_can_plan_is_set_aside<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("j")).await;
    world.put(job("k")).await;
    world.advance(EVERY).await;
    let item = ParkItem {
        job: name("j"),
        due: world.now(),
        version: stored.version,
        reason: "no such field".to_owned(),
    };
    let park = |item: &ParkItem| Park {
        token: token.clone(),
        jobs: vec![item.clone()],
    };
    let before = world.see().await;
    let mut others = [item.clone(), item.clone(), item.clone()];
    others[0].due = item.due.before(EVERY);
    others[1].version.0 += 1;
    others[2].job = name("none");
    for other in others {
        assert!(done(world.store.park(&park(&other)).await));
    }
    world.expect(&before, "parking what is not so").await;

    assert!(done(world.store.park(&park(&item)).await));
    let due = item.due;
    let parked = before.but(|world| {
        let job = world.job_mut("j");
        job.next_fire = None;
        job.parked = Some(due);
        job.fired = Some(due);
        let record = SkipRecord::parked(name("j"), due, item.reason.clone());
        world.add_record(due, Record::Skip(record));
    });
    world.expect(&parked, "parking").await;
    assert!(done(world.store.park(&park(&item)).await));
    world.expect(&parked, "parking again").await;
    let peeked = world.peek(&token).await;
    assert_eq!(
        (peeked.due.len(), peeked.finished.len()),
        (1, 0),
        "only the other is due"
    );

    let back = world.put(job("j")).await;
    assert_eq!(back.parked, None);
    assert!(
        back.next_fire > Some(due),
        "back, and past what was skipped"
    );
}

pub async fn a_job_whose_pause_has_ended_and_that_nobody_can_read_is_set_aside<H: Harness>(
    mut world: World<H>,
) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let end = world.now().after(EVERY * 3);
    let pause = Pause {
        until: Some(end),
        ..Pause::default()
    };
    for id in ["j", "k"] {
        let stored = world.put(job(id)).await;
        let paused = change::pause_with(&stored, pause.clone(), world.now());
        world
            .write(Some(stored.version), paused.expect("a pause"))
            .await;
    }
    let version = world.stored("j").await.version;
    let item = |due| ParkItem {
        job: name("j"),
        due,
        version,
        reason: "no such field".to_owned(),
    };
    let park = |item: &ParkItem| Park {
        token: token.clone(),
        jobs: vec![item.clone()],
    };
    let before = world.see().await;
    let early = item(end.before(EVERY));
    assert!(done(world.store.park(&park(&early)).await));
    world.expect(&before, "parking before the pause ends").await;

    world.set_clock(end).await;
    let mut other = item(end);
    other.version.0 += 1;
    assert!(done(world.store.park(&park(&other)).await));
    let both: [JobId; 2] = [name("j"), name("k")];
    assert_eq!(world.peek(&token).await.resumes, both);
    let before = world.see().await;
    for step in ["parking", "parking again"] {
        let request = park(&item(end.after(EVERY)));
        assert!(done(world.store.park(&request).await));
        let after = before.but(|world| world.job_mut("j").parked = Some(end));
        world.expect(&after, step).await;
    }
    assert_eq!(world.peek(&token).await.resumes, both[1..]);

    // Written anew, it is as it was: its pause is over, and comes to be ended.
    let back = world.put(job("j").args("mended")).await;
    assert_eq!((back.parked, back.next_fire), (None, None));
    assert_eq!(world.peek(&token).await.resumes, both);
    let resumed = change::end_pause(&back, world.now()).expect("its end has come");
    world.write(Some(back.version), resumed).await;
    assert!(world.stored("j").await.next_fire >= Some(end));
}

pub async fn a_parked_job_comes_back_with_a_change<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    for id in ["changed", "resumed", "paused", "removed"] {
        let stored = world.put(job(id)).await;
        world.set_clock(stored.next_fire.expect("due")).await;
        let item = ParkItem {
            job: name(id),
            due: world.now(),
            version: stored.version,
            reason: "no such field".to_owned(),
        };
        let request = Park {
            token: token.clone(),
            jobs: vec![item],
        };
        assert!(done(world.store.park(&request).await));
        let parked = world.stored(id).await;
        assert_eq!((parked.parked, parked.next_fire), (stored.next_fire, None));
        match id {
            "changed" => drop(world.put(job(id).args("changed")).await),
            "resumed" => {
                let resumed = change::resume(&parked, world.now()).expect("a schedule");
                world.write(Some(parked.version), resumed).await;
            }
            "paused" => {
                let paused = change::pause(&parked).expect("a pause");
                world.write(Some(parked.version), paused).await;
                let paused = world.stored(id).await;
                assert_eq!(paused.parked, None);
                let resumed = change::resume(&paused, world.now()).expect("a schedule");
                world.write(Some(paused.version), resumed).await;
            }
            _ => {
                world.remove(id).await;
                world.put(job(id)).await;
            }
        }
        let back = world.stored(id).await;
        assert_eq!(back.parked, None, "{id}");
        assert!(back.next_fire > stored.next_fire, "{id}");
        assert!(world.peek(&token).await.finished.is_empty(), "{id}");
    }
}
