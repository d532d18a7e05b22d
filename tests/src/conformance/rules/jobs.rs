//! Jobs as stored: written if they still are as they were read, under versions that never return.

use std::sync::Arc;

use std::collections::BTreeSet;
use std::time::Duration;

use scheduler_core::after::{After, On};
use scheduler_core::change::{self, Change, JobState};
use scheduler_core::history::{Record, SkipRecord};
use scheduler_core::store::{
    Changed, Definition, JobWrite, MAX_ALL_OR_NONE, PutJob, RunNowAnswer, StoreErrorKind,
};
use scheduler_core::unique::Unique;
use scheduler_core::{Job, JobBuilder, JobId, Shard, Store, StoredJob, Timestamp, Version};

use crate::conformance::{EVERY, Harness, START, World, done, job, name, request};

fn active(job: &Job, next: Timestamp) -> Change {
    Change {
        job: job.clone(),
        state: JobState::Active,
        next_fire: Some(next),
        skips: Vec::new(),
        detail: None,
    }
}

pub async fn a_job_reads_back_as_it_was_put<H: Harness>(world: World<H>) {
    let before = world.see().await;
    let job = job("täglich um acht")
        .name("Report")
        .args(serde_json::json!({ "to": [1] }))
        .build();
    let change = change::put_new(job.clone(), None, START).expect("a schedule");
    let next_fire = change.next_fire;
    let version = world.write(None, change).await;
    let stored = StoredJob {
        job: job.clone(),
        version,
        state: JobState::Active,
        next_fire,
        parked: None,
        fired: None,
        in_flight: 0,
    };
    let after = before.but(|world| drop(world.jobs.insert(job.id().clone(), stored.clone())));
    world.expect(&after, "putting").await;
    let ids = [name("none"), job.id().clone()];
    let nothing = JobWrite {
        stored: None,
        unreadable: None,
        fired: None,
        now: START,
    };
    let something = JobWrite {
        stored: Some(stored),
        ..nothing.clone()
    };
    assert_eq!(done(world.store.jobs(&ids).await), [nothing, something]);
    let wanted = [
        (job.id().clone(), version),
        (job.id().clone(), Version(version.0 + 1)),
        (name("none"), version),
    ];
    let found = [
        Definition::Found(Arc::new(job)),
        Definition::Gone,
        Definition::Gone,
    ];
    assert_eq!(done(world.store.definitions(&wanted).await), found);
}

pub async fn a_change_of_what_was_read_differently_is_a_conflict<H: Harness>(world: World<H>) {
    let stored = world.put(job("j")).await;
    world.put(job("gone")).await;
    let gone = world.stored("gone").await;
    world.remove("gone").await;
    let before = world.see().await;
    let next = START.after(EVERY * 2);
    let conflicts = [
        (None, &stored.job, "put as new where there is one"),
        (
            Some(Version(stored.version.0 + 1)),
            &stored.job,
            "another version",
        ),
        (Some(gone.version), &gone.job, "a job that was removed"),
    ];
    for (expected, job, what) in conflicts {
        let answer = world.try_write(expected, active(job, next)).await;
        assert_eq!(answer, Changed::Conflict, "{what}");
    }
    world.expect(&before, "conflicts").await;
}

pub async fn each_change_of_a_request_is_judged_on_its_own<H: Harness>(world: World<H>) {
    let stored = world.put(job("b")).await;
    let next = START.after(EVERY);
    let job_of = |id: &str| job(id).build();
    let changes = vec![
        (None, active(&job_of("a"), next)),
        (None, active(&stored.job, next)),
        (None, active(&job_of("c"), next)),
    ];
    let request = request();
    let answers = done(
        world
            .store
            .put(&PutJob {
                request,
                changes,
                all_or_none: false,
            })
            .await,
    );
    let [Changed::Done(a), Changed::Conflict, Changed::Done(c)] = answers[..] else {
        panic!("{answers:?}");
    };
    assert!(stored.version < a && a < c, "{answers:?}");
    let versions = ["a", "b", "c"].map(|id| (name::<JobId>(id), id));
    let sight = world.see().await;
    let seen = versions.map(|(id, _)| sight.jobs[&id].version);
    assert_eq!(seen, [a, stored.version, c]);
}

pub async fn changes_that_are_put_all_or_none_are_one_step<H: Harness>(world: World<H>) {
    let put = async |changes: Vec<_>| {
        let request = PutJob {
            request: request(),
            all_or_none: true,
            changes,
        };
        let answers = done(world.store.put(&request).await);
        // Asked again: the same.
        assert_eq!(done(world.store.put(&request).await), answers);
        answers
    };
    let next = START.after(EVERY);
    let new = |job: JobBuilder| (None, active(&job.build(), next));
    let keyed = |id: &str, key: &str| job(id).unique(Some(Unique::new(name(key))));
    let following = |id: &str, leader: &str| {
        let after = After {
            job: name(leader),
            on: On::Any,
        };
        let job = job(id).after(Some(after)).build();
        (
            None,
            change::put_new(job, None, world.now()).expect("a change"),
        )
    };
    world.put(job("b")).await;
    world.put(keyed("k", "held")).await;
    let before = world.see().await;
    let refused = [
        (["a", "b", "c"].map(|id| new(job(id))).to_vec(), 1),
        (vec![new(keyed("a", "free")), new(keyed("c", "held"))], 1),
        (vec![new(keyed("a", "free")), new(keyed("d", "free"))], 1),
        (vec![following("x", "y"), following("y", "x")], 1),
    ];
    for (changes, at) in refused {
        let is_keyed = changes[at].1.job.unique().is_some();
        let mut expected = vec![Changed::Conflict; changes.len()];
        if is_keyed {
            expected[at] = Changed::Taken;
        }
        assert_eq!(put(changes).await, expected);
        world.expect(&before, "one of them is refused").await;
    }
    // Far more than other calls take, and than the arguments of one command.
    let many = (0..3_000).map(|n| new(job(&format!("m{n}"))));
    let answers = put(many.collect()).await;
    let version = |answer| match answer {
        Changed::Done(version) => version,
        refused => panic!("{refused:?}"),
    };
    let versions: Vec<_> = answers.into_iter().map(version).collect();
    assert!(versions.is_sorted());
    let last = world.stored("m2999").await;
    assert_eq!(
        (last.next_fire, Some(last.version)),
        (Some(next), versions.last().copied())
    );
    // There is a bound to it.
    let changes = (0..=MAX_ALL_OR_NONE).map(|n| new(job(&format!("n{n}"))));
    let request = PutJob {
        request: request(),
        all_or_none: true,
        changes: changes.collect(),
    };
    let error = world.store.put(&request).await.expect_err("too many");
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
}

pub async fn versions_are_never_given_twice<H: Harness>(world: World<H>) {
    let mut versions = Vec::new();
    for _ in 0..3 {
        versions.push(world.put(job("j")).await.version);
        versions.push(world.put(job("j").name("changed")).await.version);
        world.remove("j").await;
    }
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

pub async fn a_removed_job_leaves_only_what_was_settled<H: Harness>(mut world: World<H>) {
    let mut a = world.node("a").await;
    let token = world.lead(&a).await;
    let before = world.see().await;
    world.put(job("j")).await;
    world.fire(&token, "j").await;
    let fired = world.now();
    let claim = world.claim_one(&mut a).await;
    let record = world
        .hand_in(
            &mut a,
            &claim,
            &scheduler_core::run::Ending::Succeeded(None),
        )
        .await;
    world.remove("j").await;
    let after = before.but(|world| world.add_record(fired, record));
    world.expect(&after, "a job's whole life").await;
    let left = world.read(&name("j")).await;
    assert_eq!((left.stored, left.fired), (None, Some(fired)));
}

pub async fn a_job_that_is_put_again_does_not_repeat_what_was_settled<H: Harness>(
    mut world: World<H>,
) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let stored = world.put(job("j")).await;
    world.fire(&token, "j").await;
    let fired = world.now();
    world.remove("j").await;
    let before = world.see().await;
    let answer = world.try_write(None, active(&stored.job, fired)).await;
    assert_eq!(answer, Changed::Conflict);
    world
        .expect(&before, "putting a job at a settled fire time")
        .await;
    let again = world.put(job("j")).await;
    assert_eq!(again.fired, Some(fired));
    assert!(again.next_fire > Some(fired));
}

pub async fn a_removal_of_what_was_read_differently_is_a_conflict<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    world.put(job("j")).await;
    let mut other_version = world.removal("j").await;
    other_version.version.0 += 1;
    let fired_since = world.removal("j").await;
    world.fire(&token, "j").await;
    let mut none = world.removal("j").await;
    none.job = name("none");
    let before = world.see().await;
    for request in [other_version, fired_since, none] {
        let answer = done(world.store.remove(&request).await);
        assert_eq!(answer, Changed::Conflict, "{request:?}");
    }
    world.expect(&before, "conflicts").await;
}

pub async fn a_removal_records_what_was_due<H: Harness>(mut world: World<H>) {
    world.put(job("j")).await;
    world.advance(EVERY * 3).await;
    let before = world.see().await;
    let request = world.removal("j").await;
    assert_eq!(request.skips[0].count, 3);
    assert!(matches!(
        done(world.store.remove(&request).await),
        Changed::Done(_)
    ));
    let now = world.now();
    let after = before.but(|world| {
        world.jobs.clear();
        let record = SkipRecord::new(name("j"), &request.skips[0]);
        world.add_record(now, Record::Skip(record));
    });
    world.expect(&after, "removing a job that is due").await;
    assert_eq!(
        world.read(&name("j")).await.fired,
        Some(request.skips[0].last)
    );
}

pub async fn pages_show_each_job_once<H: Harness>(world: World<H>) {
    let ids: BTreeSet<JobId> = (0..25).map(|i| name(&format!("job {i}"))).collect();
    for id in &ids {
        world.put(job(id.as_str())).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = done(world.store.job_page(cursor.as_deref(), 10).await);
        assert_eq!(page.unreadable, []);
        for stored in page.jobs {
            assert_eq!(world.stored(stored.job.id().as_str()).await, stored);
            seen.push(stored.job.id().clone());
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    // At least once is the promise; a store that repeats itself is not wrong.
    assert_eq!(BTreeSet::from_iter(seen), ids);
}

pub async fn a_run_that_is_asked_for_waits_at_once<H: Harness>(world: World<H>) {
    world.put(job("j")).await;
    let before = world.see().await;
    world.run_now("j").await;
    let after = before.but(|world| world.add_waiting("j"));
    world.expect(&after, "asking for a run").await;
}

pub async fn a_run_is_not_made_of_a_job_that_is_full<H: Harness>(world: World<H>) {
    world.put(job("j")).await;
    world.run_now("j").await;
    let before = world.see().await;
    let request = world.run_request("j").await;
    let answer = done(world.store.run_now(&request).await);
    assert_eq!(answer, RunNowAnswer::Full { in_flight: 1 });
    world
        .expect(&before, "asking for a run of a full job")
        .await;
}

pub async fn a_run_is_not_made_of_what_was_read_differently<H: Harness>(world: World<H>) {
    world.put(job("j")).await;
    world.put(job("gone")).await;
    let changed = world.run_request("j").await;
    let gone = world.run_request("gone").await;
    world.put(job("j").name("changed")).await;
    world.remove("gone").await;
    let before = world.see().await;
    for request in [changed, gone] {
        let answer = done(world.store.run_now(&request).await);
        assert_eq!(answer, RunNowAnswer::Conflict);
    }
    world
        .expect(&before, "asking for runs of what is not there")
        .await;
}

pub async fn a_paused_job_runs_when_it_is_asked_to<H: Harness>(world: World<H>) {
    let stored = world.put(job("j")).await;
    let paused = change::pause(&stored).expect("a pause");
    world.write(Some(stored.version), paused).await;
    world.run_now("j").await;
    let sight = world.see().await;
    assert_eq!((sight.busy, sight.waiting()), (1, 1));
}

pub async fn an_interval_goes_on_from_its_due_time<H: Harness>(mut world: World<H>) {
    let a = world.node("a").await;
    let token = world.lead(&a).await;
    let first = world.put(job("j")).await.next_fire.expect("due");
    world
        .set_clock(first.after(Duration::from_millis(300)))
        .await;
    world.fire(&token, "j").await;
    assert_eq!(world.stored("j").await.next_fire, Some(first.after(EVERY)));
}
