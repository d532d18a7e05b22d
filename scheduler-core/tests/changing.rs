//! What changes do to a schedule: nothing fires twice, and no fire time is lost.

use std::time::Duration;

use proptest::prelude::*;
use scheduler_core::change::{self, Change, ChangeError, JobState, Pause, Saved, StoredJob};
use scheduler_core::plan::{Skip, SkipReason, plan};
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::{Job, Policy, Timestamp, Trigger, Version};
use serde_json::{Value, json};

const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_ms(seconds * 1000)
}

fn job(trigger: Value) -> Job {
    let spec: TriggerSpec = serde_json::from_value(trigger).expect("a trigger");
    let trigger: Trigger = spec.resolve(chrono_tz::UTC).expect("a trigger");
    let names = ("j".parse().expect("an id"), "task".parse().expect("a task"));
    Job::builder(names.0, names.1, trigger).build()
}

fn every(seconds: u32) -> Job {
    job(json!({ "type": "interval", "seconds": seconds }))
}

fn once(second: i64) -> Job {
    job(json!({ "type": "date", "run_date": at(second).to_string() }))
}

fn stored(job: Job, next: Option<i64>, fired: Option<i64>) -> StoredJob {
    StoredJob {
        job,
        version: Version(3),
        state: JobState::Active,
        next_fire: next.map(at),
        parked: None,
        fired: fired.map(at),
        in_flight: 0,
    }
}

fn paused(job: Job, from: Option<i64>, fired: Option<i64>) -> StoredJob {
    StoredJob {
        state: JobState::paused(from.map(at)),
        ..stored(job, None, fired)
    }
}

fn skip(first: i64, last: i64, count: u64, reason: SkipReason) -> Vec<Skip> {
    vec![Skip {
        first: at(first),
        last: at(last),
        count,
        reason,
    }]
}

fn active(job: Job, next: Option<i64>) -> Change {
    Change {
        job,
        state: JobState::Active,
        next_fire: next.map(at),
        skips: Vec::new(),
        detail: None,
    }
}

#[test]
fn a_new_job_begins_now_and_past_all_that_was_settled() {
    // (job, settled before, now): when it is due first
    let table = [
        (every(10), None, 5, Some(15)),
        (every(10), Some(3), 5, Some(15)),
        (every(10), Some(15), 5, Some(25)),
        (every(10), Some(100), 5, Some(110)),
        (once(20), None, 5, Some(20)),
        (once(20), None, 50, Some(20)),
        (once(20), Some(19), 50, Some(20)),
        (once(20), Some(20), 5, None),
        (once(20), Some(20), 50, None),
    ];
    for (job, fired, now, due) in table {
        let change = change::put_new(job.clone(), fired.map(at), at(now));
        let expected = match due {
            Some(_) => Ok(active(job.clone(), due)),
            None => Err(ChangeError::NeverFires {
                after: fired.map_or(at(now), at),
            }),
        };
        assert_eq!(change, expected, "{job:?} {fired:?} {now}");
    }
}

#[test]
fn a_replaced_job_keeps_what_is_due_and_else_begins_anew() {
    // (new job, stored due time, settled, now): the due time
    let table = [
        (
            "the same schedule",
            every(10),
            Some(20),
            Some(10),
            15,
            Some(20),
        ),
        (
            "the same schedule, due",
            every(10),
            Some(20),
            Some(10),
            25,
            Some(20),
        ),
        (
            "the same schedule, over",
            every(10),
            None,
            Some(10),
            25,
            None,
        ),
        (
            "another, not due",
            every(7),
            Some(20),
            Some(10),
            15,
            Some(22),
        ),
        (
            "another, due now",
            every(7),
            Some(20),
            Some(10),
            20,
            Some(20),
        ),
        (
            "another, overdue",
            every(7),
            Some(20),
            Some(10),
            99,
            Some(20),
        ),
        (
            "another, of one that is over",
            every(7),
            None,
            Some(10),
            15,
            Some(22),
        ),
        (
            "another, after the clock went back",
            every(7),
            Some(50),
            Some(40),
            15,
            Some(47),
        ),
    ];
    for (what, new, due, fired, now, expected) in table {
        let stored = stored(every(10), due, fired);
        let change = change::replace(&stored, new.clone(), at(now));
        assert_eq!(change, Ok(active(new, expected)), "{what}");
    }
    let over = change::replace(&stored(every(10), Some(20), Some(10)), once(10), at(15));
    assert_eq!(over, Err(ChangeError::NeverFires { after: at(10) }));
}

/// After the fire that was pending, the new schedule begins where it says, not where the old one
/// stood.
#[test]
fn after_the_kept_fire_a_new_schedule_begins_as_it_says() {
    let minute = |n: i64| at(n * 60).to_string();
    // (new trigger, the fire times that follow the kept one, which was due at 00:00:25)
    let table = [
        (json!({ "type": "date", "run_date": minute(10) }), vec![600]),
        (json!({ "type": "date", "run_date": minute(0) }), vec![]),
        (
            json!({ "type": "interval", "seconds": 10, "start_date": minute(10) }),
            vec![600, 610],
        ),
        (
            json!({ "type": "interval", "seconds": 10, "start_date": minute(0) }),
            vec![30, 40],
        ),
        (json!({ "type": "interval", "seconds": 10 }), vec![35, 45]),
        (
            json!({ "type": "cron", "second": "*/10", "start_date": minute(10) }),
            vec![600, 610],
        ),
        (
            json!({ "type": "calendar_interval", "days": 1, "minute": 5, "start_date": "1970-01-03" }),
            vec![173_100, 259_500],
        ),
        (
            json!({ "type": "calendar_interval", "months": 1, "start_date": "1969-12-15" }),
            vec![1_209_600, 3_888_000],
        ),
        (
            json!({ "type": "calendar_interval", "months": 1, "minute": 5 }),
            vec![300, 2_678_700],
        ),
    ];
    for (trigger, expected) in table {
        let new = job(trigger.clone());
        let replaced = change::replace(&stored(every(10), Some(25), Some(15)), new.clone(), at(26));
        assert_eq!(replaced, Ok(active(new.clone(), Some(25))), "{trigger}");
        let plan = plan(&new, at(25), at(26), 0);
        assert_eq!(plan.runs, [at(25)], "the kept fire: {trigger}");
        let mut following = Vec::new();
        let mut next = plan.next;
        while let Some(at) = next.filter(|_| following.len() < 2) {
            following.push(at);
            next = new.trigger().following(at);
        }
        let expected: Vec<_> = expected.into_iter().map(at).collect();
        assert_eq!(following, expected, "{trigger}");

        // The same through a pause that began before.
        let paused = paused(every(10), Some(25), Some(15));
        let replaced = change::replace(&paused, new.clone(), at(26)).expect("a schedule");
        let paused = StoredJob {
            job: new,
            state: replaced.state,
            ..paused
        };
        let resumed = change::resume(&paused, at(27)).expect("an end of the pause");
        assert_eq!(resumed.skips, skip(25, 25, 1, SkipReason::Paused));
        assert_eq!(resumed.next_fire, expected.first().copied(), "{trigger}");
    }
}

/// From off the grid as from on it: by arithmetic, however long the stretch.
#[test]
fn a_kept_fire_before_the_grid_is_counted_with_it() {
    let start = json!({ "type": "interval", "seconds": 1, "start_date": at(100).to_string() });
    let now = at(20 * 86_400);
    let resumed = change::resume(&paused(job(start), Some(25), None), now);
    let resumed = resumed.expect("an end of the pause");
    let count = 20 * 86_400 - 100 + 1 + 1;
    assert_eq!(
        resumed.skips,
        skip(25, 20 * 86_400, count, SkipReason::Paused)
    );
    assert_eq!(resumed.next_fire, Some(at(20 * 86_400 + 1)));
}

#[test]
fn a_replaced_job_stays_paused() {
    // (new job, paused from, now): paused from
    let table = [
        (every(10), Some(20), 15, Some(20)),
        (every(10), Some(20), 99, Some(20)),
        (every(10), None, 99, None),
        (every(7), Some(20), 15, Some(22)),
        (every(7), Some(20), 99, Some(20)),
        (every(7), None, 99, Some(106)),
    ];
    for (new, from, now, expected) in table {
        let stored = paused(every(10), from, Some(10));
        let change = change::replace(&stored, new.clone(), at(now)).expect("a schedule");
        let state = JobState::paused(expected.map(at));
        let expected = Change {
            state,
            ..active(new, None)
        };
        assert_eq!(change, expected, "{from:?} {now}");
    }
}

#[test]
fn a_schedule_is_over_since_its_last_fire_time() {
    let until = |end: i64| {
        let end = at(end).to_string();
        job(
            json!({ "type": "interval", "seconds": 10, "start_date": "1970-01-01", "end_date": end }),
        )
    };
    // (job, past): whether all lies there, as seen from second 1000
    let table = [
        (once(20), 19, false),
        (once(20), 20, true),
        (once(20), 500, true),
        (once(2000), 500, false),
        (every(10), 500, false),
        (until(400), 500, true),
        (until(600), 500, true),
        (until(1000), 500, false),
        (job(json!({ "type": "date" })), 500, false),
    ];
    for (job, past, over) in table {
        let found = change::is_over_since(&job, at(past), at(1000));
        assert_eq!(found, over, "{job:?} {past}");
    }
}

#[test]
fn a_pause_remembers_where_it_began() {
    for due in [Some(20), None] {
        let change = change::pause(&stored(every(10), due, Some(10)));
        let expected = Change {
            state: JobState::paused(due.map(at)),
            ..active(every(10), None)
        };
        assert_eq!(change, Some(expected));
    }
    assert_eq!(change::pause(&paused(every(10), Some(20), None)), None);
}

#[test]
fn the_end_of_a_pause_records_what_passed_and_goes_on() {
    // (job, paused from, now): skips, next
    let table = [
        (every(10), Some(20), 15, vec![], Some(20)),
        (
            every(10),
            Some(20),
            20,
            skip(20, 20, 1, SkipReason::Paused),
            Some(30),
        ),
        (
            every(10),
            Some(20),
            57,
            skip(20, 50, 4, SkipReason::Paused),
            Some(60),
        ),
        (every(10), None, 57, vec![], None),
        (once(20), Some(20), 15, vec![], Some(20)),
        (
            once(20),
            Some(20),
            57,
            skip(20, 20, 1, SkipReason::Paused),
            None,
        ),
    ];
    for (job, from, now, skips, next) in table {
        let change = change::resume(&paused(job.clone(), from, Some(10)), at(now));
        let expected = Change {
            skips,
            ..active(job, next)
        };
        assert_eq!(change, Some(expected), "{from:?} {now}");
    }
    assert_eq!(
        change::resume(&stored(every(10), Some(20), None), at(99)),
        None
    );
}

/// Parked at 20, with all before settled; looked at much later.
#[test]
fn a_parked_job_comes_back_with_any_change() {
    let parked = |job: Job| StoredJob {
        parked: Some(at(20)),
        ..stored(job, None, Some(20))
    };
    let cron = || job(json!({ "type": "cron", "second": "*/10" }));
    for new in [every(10), cron(), every(10)] {
        let changed = change::replace(&parked(new.clone()), new.clone(), at(55));
        let next = changed.as_ref().ok().and_then(|change| change.next_fire);
        assert!(next > Some(at(55)), "{changed:?}");
        let resumed = change::resume(&parked(new.clone()), at(55));
        assert_eq!(resumed, Some(active(new, next.map(|at| at.as_ms() / 1000))));
    }
    let other = change::replace(&parked(every(10)), cron(), at(55));
    assert_eq!(other, Ok(active(cron(), Some(60))));

    let paused = change::pause(&parked(cron())).expect("a pause");
    let from = Some(at(30));
    assert_eq!(paused.state, JobState::paused(from));
    let paused = StoredJob {
        state: paused.state,
        ..stored(cron(), None, Some(20))
    };
    let resumed = change::resume(&paused, at(55)).expect("an end of the pause");
    assert_eq!(resumed.skips, skip(30, 50, 3, SkipReason::Paused));
    assert_eq!(resumed.next_fire, Some(at(60)));

    // The fire time that it was parked with has been settled: nothing is left of a date.
    let over = change::replace(&parked(once(20)), once(20), at(55));
    assert_eq!(over, Err(ChangeError::NeverFires { after: at(20) }));
}

#[test]
fn a_removal_records_what_was_due_or_passed_in_a_pause() {
    // (stored, now): skips
    let table = [
        (stored(every(10), Some(20), Some(10)), 15, vec![]),
        (
            stored(every(10), Some(20), Some(10)),
            45,
            skip(20, 40, 3, SkipReason::Removed),
        ),
        (stored(every(10), None, Some(10)), 45, vec![]),
        (paused(every(10), Some(20), Some(10)), 15, vec![]),
        (
            paused(every(10), Some(20), Some(10)),
            45,
            skip(20, 40, 3, SkipReason::Paused),
        ),
        (paused(every(10), None, Some(10)), 45, vec![]),
    ];
    for (stored, now, skips) in table {
        assert_eq!(change::remove(&stored, at(now)), skips, "{stored:?} {now}");
    }
}

/// Twenty days of seconds are more than anybody counts one by one; the grid lies off the moment at
/// which the pause ends.
#[test]
fn an_interval_keeps_its_grid_through_the_longest_pause() {
    let (from, days) = (Timestamp::from_ms(300), Duration::from_secs(20 * 86_400));
    let stored = StoredJob {
        state: JobState::paused(Some(from)),
        ..stored(every(1), None, None)
    };
    let now = Timestamp::from_ms(900).after(days);
    let change = change::resume(&stored, now).expect("an end of the pause");
    let last = from.after(days);
    let expected = Skip {
        first: from,
        last,
        count: 20 * 86_400 + 1,
        reason: SkipReason::Paused,
    };
    assert_eq!(change.skips, [expected]);
    assert_eq!(change.next_fire, Some(last.after(Duration::from_secs(1))));
}

#[test]
fn a_schedule_that_nobody_counts_to_the_end_goes_on_after_now() {
    let cron = job(json!({ "type": "cron", "second": "*" }));
    let days = Duration::from_secs(20 * 86_400);
    let stored = paused(cron, Some(0), None);
    let now = Timestamp::from_ms(900).after(days);
    let change = change::resume(&stored, now).expect("an end of the pause");
    let skip = change.skips[0];
    assert_eq!((change.skips.len(), skip.first, skip.last), (1, at(0), now));
    assert_eq!(skip.count, 1_000_000, "at least so many");
    assert_eq!(change.next_fire, Some(Timestamp::from_ms(1000).after(days)));
}

fn any_job() -> impl Strategy<Value = Job> {
    prop_oneof![
        (1_u32..60).prop_map(every),
        (1_u32..30).prop_map(|step| job(json!({ "type": "cron", "second": format!("*/{step}") }))),
        (1_i64..500).prop_map(once),
    ]
}

/// The job runs next when somebody says, on its grid or off it, and goes on from there.
#[test]
fn a_next_run_time_is_whatever_somebody_sets_past_what_was_settled() {
    let settled = |at_: i64, fired: i64| {
        Err(ChangeError::Settled {
            at: at(at_),
            fired: at(fired),
        })
    };
    let due = |due| Err(ChangeError::Due { due: at(due) });
    let active_at = |next| Ok(active(every(10), Some(next)));
    // (stored, wish, now): the change
    let table = [
        (stored(every(10), Some(20), Some(10)), 15, 15, active_at(15)),
        (stored(every(10), Some(20), Some(10)), 17, 15, active_at(17)),
        (stored(every(10), Some(20), Some(10)), 99, 15, active_at(99)),
        (stored(every(10), Some(20), Some(10)), 11, 15, active_at(11)),
        (
            stored(every(10), Some(20), Some(10)),
            10,
            15,
            settled(10, 10),
        ),
        (stored(every(10), Some(20), None), 5, 15, active_at(5)),
        (stored(every(10), Some(20), Some(10)), 99, 20, due(20)),
        (stored(every(10), Some(20), Some(10)), 15, 20, due(20)),
        (stored(every(10), Some(20), Some(10)), 20, 25, active_at(20)),
        (stored(every(10), None, Some(10)), 30, 25, active_at(30)),
        (paused(every(10), Some(20), Some(10)), 17, 15, active_at(17)),
        (
            paused(every(10), Some(20), Some(10)),
            20,
            25,
            settled(20, 20),
        ),
        (
            paused(every(10), Some(20), Some(10)),
            47,
            45,
            Ok(Change {
                skips: skip(20, 40, 3, SkipReason::Paused),
                ..active(every(10), Some(47))
            }),
        ),
    ];
    for (stored, wish, now, expected) in table {
        let change = change::run_next_at(&stored, stored.job.clone(), at(wish), at(now));
        assert_eq!(change, expected, "{stored:?} {wish} {now}");
    }
}

#[test]
fn a_rescheduled_job_begins_anew_with_the_very_same_trigger_too() {
    // (stored, now): when it is due, or paused from
    let table = [
        (stored(every(10), Some(20), Some(10)), 15, Some(25)),
        (stored(every(10), Some(20), Some(10)), 20, Some(20)),
        (stored(every(10), None, Some(10)), 15, Some(25)),
        (paused(every(10), Some(20), Some(10)), 15, Some(25)),
        (paused(every(10), Some(20), Some(10)), 33, Some(20)),
    ];
    for (stored, now, expected) in table {
        let change = change::reschedule(&stored, every(10), at(now)).expect("a schedule");
        let next = pending(&change.state, change.next_fire);
        assert_eq!(next, expected.map(at), "{stored:?} {now}");
        assert_eq!(change.state.is_paused(), stored.state.is_paused());
    }
}

/// What was to come where a job was saved still is to come; what is due here, too; and nothing that
/// was settled here comes again.
#[test]
fn a_job_is_brought_back_as_it_stood() {
    let saved = |job: Job, state: JobState, next: Option<i64>| Saved {
        job,
        state,
        next_fire: next.map(at),
        begins_anew: false,
    };
    let kept = |job: Job| {
        let policy = Policy {
            keep: true,
            ..Policy::default()
        };
        job.into_builder().policy(policy).build()
    };
    // (saved next, what is here, settled here): when it is due, at second 100
    let table = [
        (Some(120), None, None, Some(120)),
        (Some(37), None, None, Some(37)),
        (Some(37), None, Some(36), Some(37)),
        (Some(37), None, Some(37), Some(110)),
        (
            Some(120),
            Some(stored(every(7), Some(114), Some(90))),
            Some(90),
            Some(120),
        ),
        (
            Some(120),
            Some(stored(every(7), Some(97), Some(90))),
            Some(90),
            Some(97),
        ),
    ];
    for (next, here, fired, expected) in table {
        let saved = saved(every(10), JobState::Active, next);
        let change = change::restore(saved, here.as_ref(), fired.map(at), at(100));
        assert_eq!(change, Ok(active(every(10), expected)), "{next:?} {here:?}");
    }
    let asleep = JobState::Paused {
        from: Some(at(37)),
        pause: until(200),
    };
    let change = change::restore(
        saved(every(10), asleep.clone(), Some(37)),
        None,
        None,
        at(100),
    );
    let expected = active(every(10), Some(37)).paused(until(200));
    assert_eq!((change, expected.state.clone()), (Ok(expected), asleep));
    // What passed here in a pause is recorded.
    let here = paused(every(10), Some(80), Some(70));
    let change = change::restore(
        saved(every(10), JobState::Active, Some(37)),
        Some(&here),
        Some(at(70)),
        at(100),
    );
    let change = change.expect("a schedule");
    assert_eq!(change.skips, skip(80, 100, 3, SkipReason::Paused));
    assert_eq!(change.next_fire, Some(at(110)));
    // A schedule that is over: only what is to be kept comes back.
    let over = saved(once(20), JobState::Active, None);
    let refused = change::restore(over.clone(), None, None, at(100));
    assert_eq!(refused, Err(ChangeError::NeverFires { after: at(100) }));
    let over = Saved {
        job: kept(once(20)),
        ..over
    };
    let change = change::restore(over, None, None, at(100));
    assert_eq!(change, Ok(active(kept(once(20)), None)));
    // What stood still begins anew.
    let parked = Saved {
        begins_anew: true,
        ..saved(every(10), JobState::Active, None)
    };
    let change = change::restore(parked, None, None, at(100));
    assert_eq!(change, Ok(active(every(10), Some(110))));
}

fn until(second: i64) -> Pause {
    Pause {
        until: Some(at(second)),
        ..Pause::default()
    }
}

fn paused_until(second: i64, job: Job, from: Option<i64>) -> StoredJob {
    StoredJob {
        state: JobState::Paused {
            from: from.map(at),
            pause: until(second),
        },
        ..stored(job, None, Some(10))
    }
}

/// What lies before the end has passed; what lies from the end on is the job's, whoever comes when.
#[test]
fn a_pause_with_an_end_is_over_then_however_late_somebody_writes_it_down() {
    // (job, paused from, until, now): skips, next
    let table = [
        (
            every(10),
            Some(20),
            50,
            50,
            skip(20, 40, 3, SkipReason::Paused),
            Some(50),
        ),
        (
            every(10),
            Some(20),
            51,
            51,
            skip(20, 50, 4, SkipReason::Paused),
            Some(60),
        ),
        (
            every(10),
            Some(20),
            51,
            99,
            skip(20, 50, 4, SkipReason::Paused),
            Some(60),
        ),
        (every(10), Some(20), 15, 99, vec![], Some(20)),
        (every(10), None, 50, 99, vec![], None),
        (once(20), Some(20), 20, 99, vec![], Some(20)),
        (
            once(20),
            Some(20),
            21,
            99,
            skip(20, 20, 1, SkipReason::Paused),
            None,
        ),
    ];
    for (job, from, end, now, skips, next) in table {
        let stored = paused_until(end, job.clone(), from);
        let expected = Change {
            skips: skips.clone(),
            ..active(job, next)
        };
        let what = format!("{from:?} {end} {now}");
        assert_eq!(
            change::end_pause(&stored, at(now)),
            Some(expected.clone()),
            "{what}"
        );
        assert_eq!(change::resume(&stored, at(now)), Some(expected), "{what}");
        assert_eq!(change::end_pause(&stored, at(end - 1)), None, "{what}");
        let removed = change::remove(&stored, at(now));
        assert_eq!(removed[..skips.len()], skips, "{what}");
        for skip in &removed[skips.len()..] {
            assert_eq!(
                (skip.reason, Some(skip.first)),
                (SkipReason::Removed, next.map(at))
            );
        }
    }
    let endless = paused(every(10), Some(20), None);
    assert_eq!(change::end_pause(&endless, at(99)), None);
    assert_eq!(
        change::end_pause(&stored(every(10), Some(20), None), at(99)),
        None
    );
}

#[test]
fn a_pause_says_who_and_why_and_its_end_tells_history() {
    let pause = Pause {
        since: Some(at(15)),
        by: Some("kim@desk".to_owned()),
        reason: Some("the move".to_owned()),
        ..until(50)
    };
    let stored = stored(every(10), Some(20), Some(10));
    let change = change::pause_with(&stored, pause.clone(), at(15)).expect("a pause");
    let expected = JobState::Paused {
        from: Some(at(20)),
        pause: pause.clone(),
    };
    assert_eq!(change.state, expected);
    let paused = StoredJob {
        state: change.state,
        next_fire: None,
        ..stored
    };
    let ended = change::end_pause(&paused, at(60)).expect("an end");
    assert_eq!(ended.detail.as_deref(), Some("by kim@desk: the move"));

    // Said once more, or nothing said: as it is. Said otherwise: changed, and begun when it was.
    let later = Pause {
        since: Some(at(30)),
        ..pause
    };
    for same in [later, Pause::default()] {
        assert_eq!(change::pause_with(&paused, same, at(30)), None);
    }
    assert_eq!(change::pause(&paused), None);
    let longer = Pause {
        since: Some(at(30)),
        ..until(90)
    };
    let changed = change::pause_with(&paused, longer.clone(), at(30)).expect("a longer one");
    let expected = JobState::Paused {
        from: Some(at(20)),
        pause: Pause {
            since: Some(at(15)),
            ..until(90)
        },
    };
    assert_eq!((changed.state, changed.skips), (expected, vec![]));
    // One that is over is not made longer: what followed it was the job's again.
    let another = change::pause_with(&paused, longer.clone(), at(65)).expect("another one");
    let expected = JobState::Paused {
        from: Some(at(50)),
        pause: longer,
    };
    assert_eq!(another.state, expected);
    assert_eq!(another.skips, skip(20, 40, 3, SkipReason::Paused));
}

#[test]
fn how_a_job_stands_is_one_word() {
    let parked = StoredJob {
        parked: Some(at(20)),
        ..stored(every(10), None, Some(20))
    };
    let table = [
        (stored(every(10), Some(20), None), "active"),
        (stored(once(10), None, Some(10)), "finished"),
        (paused(once(10), None, Some(10)), "paused"),
        (paused(every(10), Some(20), None), "paused"),
        (parked, "parked"),
    ];
    for (stored, word) in table {
        assert_eq!(stored.standing().as_str(), word, "{stored:?}");
    }
}

#[derive(Clone, Debug)]
enum Wish {
    /// For so many milliseconds.
    PauseFor(i64),
    EndPause,
    Replace(Box<Job>),
    Reschedule(Box<Job>),
    /// So many milliseconds from now.
    RunNextAt(i64),
    Pause,
    Resume,
    Remove,
}

fn any_wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        any_job().prop_map(|job| Wish::Replace(Box::new(job))),
        any_job().prop_map(|job| Wish::Reschedule(Box::new(job))),
        (-50_000_i64..100_000).prop_map(Wish::RunNextAt),
        Just(Wish::Pause),
        (1_i64..100_000).prop_map(Wish::PauseFor),
        Just(Wish::EndPause),
        Just(Wish::Resume),
        Just(Wish::Remove),
    ]
}

/// The fire times from `from` on, one by one.
fn fires(job: &Job, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let next = |at: &Timestamp| job.trigger().following(*at);
    std::iter::successors(Some(from), next)
        .take_while(|at| *at <= until)
        .collect()
}

/// The fire time that is next, also in a pause.
fn pending(state: &JobState, next: Option<Timestamp>) -> Option<Timestamp> {
    match state {
        JobState::Active => next,
        JobState::Paused { from, .. } => *from,
    }
}

proptest! {
    /// A job that is changed now and then, and never dispatched: whatever was pending and is due
    /// stays pending or is recorded, all of it and once.
    #[test]
    fn no_change_loses_or_repeats_a_fire_time(
        first in any_job(),
        wishes in prop::collection::vec((any_wish(), 0_i64..100_000), 1..12),
    ) {
        let mut now = at(0);
        let begun = change::put_new(first, None, now).expect("a schedule");
        let mut stored = StoredJob { next_fire: begun.next_fire, ..stored(begun.job, None, None) };
        for (wish, ms) in wishes {
            now = Timestamp::from_ms(now.as_ms() + ms);
            let before = pending(&stored.state, stored.next_fire);
            let passed_until = match stored.state.pause().and_then(|pause| pause.until) {
                Some(until) if until <= now => Timestamp::from_ms(until.as_ms() - 1),
                _ => now,
            };
            let mut set_by_hand = false;
            let change = match wish {
                Wish::Replace(job) => change::replace(&stored, *job, now).ok(),
                Wish::Reschedule(job) => change::reschedule(&stored, *job, now).ok(),
                Wish::RunNextAt(ms) => {
                    let wish = Timestamp::from_ms(now.as_ms() + ms);
                    let change = change::run_next_at(&stored, stored.job.clone(), wish, now).ok();
                    if let Some(change) = &change {
                        prop_assert_eq!((&change.state, change.next_fire), (&JobState::Active, Some(wish)));
                    }
                    set_by_hand = change.is_some();
                    change
                }
                Wish::Pause => change::pause(&stored),
                Wish::PauseFor(ms) => {
                    let until = Timestamp::from_ms(now.as_ms() + ms);
                    let pause = Pause { until: Some(until), ..Pause::default() };
                    change::pause_with(&stored, pause, now)
                }
                Wish::EndPause => change::end_pause(&stored, now),
                Wish::Resume => change::resume(&stored, now),
                Wish::Remove => {
                    let skips = change::remove(&stored, now);
                    let lost = before.map_or_else(Vec::new, |at| fires(&stored.job, at, now));
                    let recorded: u64 = skips.iter().map(|skip| skip.count).sum();
                    prop_assert_eq!(recorded, lost.len() as u64);
                    prop_assert_eq!(skips.last().map(|s| s.last), lost.last().copied());
                    return Ok(());
                }
            };
            let Some(change) = change else { continue };
            let after = pending(&change.state, change.next_fire);
            if let Some(skip) = change.skips.first() {
                let passed = fires(&change.job, skip.first, passed_until);
                prop_assert_eq!(Some(skip.first), before);
                prop_assert_eq!((skip.count, Some(&skip.last)), (passed.len() as u64, passed.last()));
                prop_assert!(set_by_hand || after == change.job.trigger().following(skip.last));
                stored.fired = Some(skip.last);
            } else if before.is_some_and(|at| at <= now) {
                prop_assert_eq!(after, before, "it was due");
            }
            if let (Some(after), Some(fired)) = (after, stored.fired) {
                prop_assert!(after > fired, "{} after {}", after, fired);
            }
            prop_assert!(matches!(change.state, JobState::Active) || change.next_fire.is_none());
            stored = StoredJob {
                job: change.job,
                state: change.state,
                next_fire: change.next_fire,
                ..stored
            };
        }
    }

    #[test]
    fn a_pause_that_ends_before_anything_was_due_changes_nothing(
        job in any_job(),
        ms in 0_i64..1000,
    ) {
        let begun = change::put_new(job, None, at(0)).expect("a schedule");
        let before = StoredJob { next_fire: begun.next_fire, ..stored(begun.job.clone(), None, None) };
        let paused = change::pause(&before).expect("a pause");
        let paused = StoredJob {
            state: paused.state,
            next_fire: None,
            ..before
        };
        let now = Timestamp::from_ms(ms.min(begun.next_fire.expect("due").as_ms() - 1));
        let resumed = change::resume(&paused, now).expect("an end of the pause");
        prop_assert_eq!(resumed, Change { skips: Vec::new(), ..begun });
    }
}
