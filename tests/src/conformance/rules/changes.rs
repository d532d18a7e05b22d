//! Changes against the clock: no fire time is lost at the moment of a change, and none comes twice.

use std::time::Duration;

use scheduler_core::change::{self, Change, JobState, Pause};
use scheduler_core::history::{Record, SkipRecord};
use scheduler_core::plan::SkipReason;
use scheduler_core::store::Changed;
use scheduler_core::{Store, StoredJob, Timestamp};

use crate::conformance::{EVERY, Harness, World, done, job, name};

/// The job with another schedule, which begins later.
fn rescheduled(stored: &StoredJob) -> Change {
    Change {
        job: stored.job.clone(),
        state: JobState::Active,
        next_fire: stored.next_fire.map(|at| at.after(EVERY * 5)),
        skips: Vec::new(),
        detail: None,
    }
}

pub async fn a_pause_takes_the_job_out_of_the_due_queue<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("j")).await;
    let before = world.see().await;
    let paused = change::pause(&stored).expect("a pause");
    let version = world.write(Some(stored.version), paused).await;
    let after = before.but(|world| {
        let job = world.job_mut("j");
        job.version = version;
        job.state = JobState::paused(stored.next_fire);
        job.next_fire = None;
    });
    world.expect(&after, "pausing").await;
    world.advance(EVERY * 3).await;
    assert_eq!(world.peek(&token).await.due, []);
}

pub async fn a_resumed_job_records_what_passed<H: Harness>(mut world: World<H>) {
    let stored = world.put(job("j")).await;
    let paused = change::pause(&stored).expect("a pause");
    world.write(Some(stored.version), paused).await;
    world.advance(EVERY * 3 + Duration::from_secs(1)).await;
    let paused = world.stored("j").await;
    let resumed = change::resume(&paused, world.now()).expect("an end of the pause");
    let skip = resumed.skips[0];
    assert_eq!((skip.count, skip.reason), (3, SkipReason::Paused));
    let before = world.see().await;
    let version = world.write(Some(paused.version), resumed).await;
    let now = world.now();
    let after = before.but(|world| {
        let job = world.job_mut("j");
        job.version = version;
        job.state = JobState::Active;
        job.fired = Some(skip.last);
        job.next_fire = Some(skip.last.after(EVERY));
        let record = SkipRecord::new(name("j"), &skip);
        world.add_record(now, Record::Skip(record));
    });
    world.expect(&after, "resuming").await;
}

/// A pause that says all that there is to say.
fn wordy<H: Harness>(world: &World<H>, length: Duration) -> Pause {
    Pause {
        since: Some(world.now()),
        until: Some(world.now().after(length)),
        by: Some("kim@desk".to_owned()),
        reason: Some("the move".to_owned()),
    }
}

pub async fn a_pause_keeps_who_and_why_and_tells_history<H: Harness>(mut world: World<H>) {
    for id in ["resumed", "removed"] {
        let stored = world.put(job(id)).await;
        let pause = wordy(&world, EVERY * 60);
        let before = world.see().await;
        let paused = change::pause_with(&stored, pause.clone(), world.now()).expect("a pause");
        let version = world.write(Some(stored.version), paused).await;
        let after = before.but(|world| {
            let job = world.job_mut(id);
            job.version = version;
            job.state = JobState::Paused {
                from: stored.next_fire,
                pause,
            };
            job.next_fire = None;
        });
        world.expect(&after, "pausing").await;
    }
    world.advance(EVERY).await;
    let paused = world.stored("resumed").await;
    let resumed = change::resume(&paused, world.now()).expect("an end of the pause");
    world.write(Some(paused.version), resumed).await;
    world.remove("removed").await;
    let records = world.see().await.records();
    assert_eq!(records.len(), 2, "{records:?}");
    for record in records {
        let Record::Skip(skip) = record else {
            panic!("{record:?}");
        };
        assert_eq!(skip.skipped, SkipReason::Paused);
        assert_eq!(skip.detail.as_deref(), Some("by kim@desk: the move"));
    }
    // Nothing of it is left to the job that comes back.
    assert_eq!(world.stored("resumed").await.state, JobState::Active);
}

pub async fn a_pause_with_an_end_is_shown_when_that_has_come<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("j")).await;
    let end = world.now().after(EVERY * 3);
    let paused = change::pause_with(&stored, wordy(&world, EVERY * 3), world.now());
    world
        .write(Some(stored.version), paused.expect("a pause"))
        .await;
    world.set_clock(end.before(Duration::from_millis(1))).await;
    let peeked = world.peek(&token).await;
    assert_eq!((peeked.resumes, peeked.next_resume), (vec![], Some(end)));
    world.advance(EVERY).await;
    let peeked = world.peek(&token).await;
    assert_eq!(
        (peeked.resumes, peeked.next_resume),
        (vec![name("j")], None)
    );

    let paused = world.stored("j").await;
    let change = change::end_pause(&paused, world.now()).expect("an end of the pause");
    world.write(Some(paused.version), change.clone()).await;
    let back = world.stored("j").await;
    let third = stored.next_fire.map(|first| first.after(EVERY * 2));
    assert_eq!(
        (back.state, back.next_fire),
        (JobState::Active, third),
        "due at the end"
    );
    assert_eq!(world.peek(&token).await.resumes, []);
    // Somebody who led once comes to it, too.
    let before = world.see().await;
    let again = world.try_write(Some(paused.version), change).await;
    assert_eq!(again, Changed::Conflict);
    world.expect(&before, "ending a pause twice").await;
    world.beat(&token).await;
    assert_eq!(world.claim(&mut world.node("b").await, 10).await.len(), 1);
}

pub async fn a_pause_that_was_changed_ends_as_it_says_now<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    for id in ["longer", "endless", "resumed", "removed"] {
        let stored = world.put(job(id)).await;
        let paused = change::pause_with(&stored, wordy(&world, EVERY), world.now());
        world
            .write(Some(stored.version), paused.expect("a pause"))
            .await;
    }
    let changed = |end: Option<Timestamp>| Pause {
        until: end,
        by: Some("lee@desk".to_owned()),
        ..Pause::default()
    };
    let end = world.now().after(EVERY * 2);
    for (id, until) in [("longer", Some(end)), ("endless", None)] {
        let stored = world.stored(id).await;
        let change = change::pause_with(&stored, changed(until), world.now());
        world
            .write(Some(stored.version), change.expect("another pause"))
            .await;
        let pause = world
            .stored(id)
            .await
            .state
            .pause()
            .cloned()
            .expect("a pause");
        assert_eq!((pause.until, pause.reason), (until, None), "{id}");
    }
    let resumed = world.stored("resumed").await;
    let change = change::resume(&resumed, world.now()).expect("an end of the pause");
    world.write(Some(resumed.version), change).await;
    world.remove("removed").await;
    world.set_clock(end.before(Duration::from_millis(1))).await;
    let peeked = world.peek(&token).await;
    assert_eq!((peeked.resumes, peeked.next_resume), (vec![], Some(end)));
    world.set_clock(end).await;
    assert_eq!(world.peek(&token).await.resumes, [name("longer")]);
}

pub async fn a_schedule_that_was_over_when_paused_is_over_when_resumed<H: Harness>(
    world: World<H>,
) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("j")).await;
    let over = Change {
        state: JobState::paused(None),
        next_fire: None,
        ..rescheduled(&stored)
    };
    let version = world.write(Some(stored.version), over).await;
    assert!(world.peek(&token).await.finished.is_empty(), "paused");
    let resumed = change::resume(&world.stored("j").await, world.now());
    let resumed = resumed.expect("an end of the pause");
    assert_eq!(resumed.next_fire, None);
    world.write(Some(version), resumed).await;
    assert_eq!(world.peek(&token).await.finished, [name("j")]);
}

pub async fn a_pause_does_not_begin_with_what_was_settled_meanwhile<H: Harness>(
    mut world: World<H>,
) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("j")).await;
    let paused = change::pause(&stored).expect("a pause");
    world.fire(&token, "j").await;
    let before = world.see().await;
    // Accepted, its end would record the fire time that has just become a run.
    let answer = world.try_write(Some(stored.version), paused).await;
    assert_eq!(answer, Changed::Conflict);
    world
        .expect(&before, "a pause that comes after the fire")
        .await;
}

pub async fn a_change_that_comes_after_the_fire_is_a_conflict<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("j")).await;
    let same_due = Change {
        next_fire: stored.next_fire,
        ..rescheduled(&stored)
    };
    world.fire(&token, "j").await;
    let before = world.see().await;
    let answer = world.try_write(Some(stored.version), same_due).await;
    assert_eq!(answer, Changed::Conflict);
    world
        .expect(&before, "a change that comes after the fire")
        .await;
}

pub async fn a_change_cannot_drop_what_became_due_meanwhile<H: Harness>(mut world: World<H>) {
    let stored = world.put(job("j")).await;
    let due = stored.next_fire.expect("due");
    let change = rescheduled(&stored);
    let removal = world.removal("j").await;
    assert_eq!(removal.skips, [], "nothing was due when it was read");
    world.set_clock(due).await;
    let before = world.see().await;
    let answer = world.try_write(Some(stored.version), change.clone()).await;
    assert_eq!(answer, Changed::Conflict, "neither run nor recorded");
    assert_eq!(done(world.store.remove(&removal).await), Changed::Conflict);
    world
        .expect(&before, "changes that would lose a fire time")
        .await;

    world.set_clock(due.before(Duration::from_millis(1))).await;
    let answer = world.try_write(Some(stored.version), change).await;
    assert!(matches!(answer, Changed::Done(_)), "in time: {answer:?}");
}

pub async fn a_removal_cannot_drop_what_became_due_after_what_it_records<H: Harness>(
    mut world: World<H>,
) {
    let due = world.put(job("j")).await.next_fire.expect("due");
    world.set_clock(due).await;
    let removal = world.removal("j").await;
    assert_eq!(removal.skips.len(), 1, "one was due when it was read");
    world.set_clock(due.after(EVERY)).await;
    let before = world.see().await;
    assert_eq!(done(world.store.remove(&removal).await), Changed::Conflict);
    let why = "the second is neither run nor recorded";
    world.expect(&before, why).await;

    let removal = world.removal("j").await;
    assert_eq!(removal.skips[0].count, 2);
    let answer = done(world.store.remove(&removal).await);
    assert!(matches!(answer, Changed::Done(_)), "{answer:?}");
}

pub async fn what_is_due_runs_with_the_changed_definition<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("j")).await;
    world.advance(EVERY + Duration::from_millis(50)).await;
    let changed = world.put(job("j").args("changed")).await;
    assert_eq!(changed.next_fire, stored.next_fire, "it keeps its due time");
    world.beat(&token).await;
    let claim = world.claim_one(&mut a).await;
    assert_eq!(Some(claim.run.scheduled_at()), stored.next_fire);
    assert_eq!(claim.version, changed.version);
}
