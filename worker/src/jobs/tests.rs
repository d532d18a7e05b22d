use std::time::Duration;

use scheduler_core::change::JobState;
use scheduler_core::{
    Job, JobDefaults, JobId, JobPatch, JobSpec, Pause, RunId, TaskName, Timestamp, Version,
};
use serde_json::json;

use super::shelf::{Fault, NOW, Shelf, World};
use super::*;

fn job(id: &str, seconds: u64) -> Job {
    let spec = json!({
        "id": id,
        "task": "log",
        "trigger": { "type": "interval", "seconds": seconds },
    });
    let spec: JobSpec = serde_json::from_value(spec).unwrap();
    spec.resolve(&JobDefaults::default()).unwrap()
}

fn id(text: &str) -> JobId {
    JobId::new(text).unwrap()
}

fn in_seconds(seconds: u64) -> Option<Timestamp> {
    Some(NOW.after(Duration::from_secs(seconds)))
}

struct Desk {
    jobs: Jobs<Shelf>,
    shelf: Shelf,
}

impl Desk {
    fn new() -> Self {
        let shelf = Shelf::default();
        Self {
            jobs: Jobs::new(shelf.clone()),
            shelf,
        }
    }

    fn fault(&self, fault: Fault) {
        self.shelf.0.lock().unwrap().faults.push_back(fault);
    }

    fn meanwhile(&self, other: impl FnOnce(&mut World) + Send + 'static) {
        self.fault(Fault::Meanwhile(Box::new(other)));
    }

    fn park(&self, job: &str) {
        let mut world = self.shelf.0.lock().unwrap();
        let stored = world.jobs.get_mut(&id(job)).unwrap();
        stored.parked = Some(NOW);
        stored.next_fire = None;
    }

    fn writes(&self) -> usize {
        self.shelf.0.lock().unwrap().done.len()
    }
}

#[tokio::test]
async fn what_is_put_is_decided_by_what_is_there() {
    let desk = Desk::new();
    let put = |seconds, on_conflict| desk.jobs.put(job("a", seconds), on_conflict);
    assert_eq!(put(10, OnConflict::Refuse).await.unwrap(), Put::Added);
    let stored = desk.jobs.get(&id("a")).await.unwrap().unwrap();
    assert_eq!(stored.next_fire, in_seconds(10));
    assert_eq!(put(10, OnConflict::Refuse).await.unwrap(), Put::Exists);
    assert_eq!(put(10, OnConflict::Replace).await.unwrap(), Put::Unchanged);
    assert_eq!(put(20, OnConflict::Keep).await.unwrap(), Put::Kept);
    assert_eq!(desk.writes(), 1);
    assert_eq!(desk.jobs.get(&id("a")).await.unwrap(), Some(stored));
    assert_eq!(put(20, OnConflict::Replace).await.unwrap(), Put::Replaced);
    let stored = desk.jobs.get(&id("a")).await.unwrap().unwrap();
    assert_eq!(stored.next_fire, in_seconds(20));
}

#[tokio::test]
async fn a_parked_job_is_brought_back_by_its_own_definition() {
    for on_conflict in [OnConflict::Replace, OnConflict::Keep] {
        let desk = Desk::new();
        let put = |seconds| desk.jobs.put(job("a", seconds), on_conflict);
        assert_eq!(put(10).await.unwrap(), Put::Added);
        desk.park("a");
        assert_eq!(put(10).await.unwrap(), Put::Replaced);
        let stored = desk.jobs.get(&id("a")).await.unwrap().unwrap();
        assert_eq!((stored.parked, stored.next_fire), (None, in_seconds(10)));

        desk.park("a");
        assert_eq!(desk.jobs.resume(&id("a")).await.unwrap(), Switched::Done);
        let stored = desk.jobs.get(&id("a")).await.unwrap().unwrap();
        assert_eq!((stored.parked, stored.next_fire), (None, in_seconds(10)));
    }
    let desk = Desk::new();
    let put = |seconds, on_conflict| desk.jobs.put(job("a", seconds), on_conflict);
    put(10, OnConflict::Refuse).await.unwrap();
    desk.park("a");
    assert_eq!(put(10, OnConflict::Refuse).await.unwrap(), Put::Exists);
    assert_eq!(put(20, OnConflict::Keep).await.unwrap(), Put::Kept);
}

#[tokio::test]
async fn a_date_of_a_file_does_not_come_again_when_the_store_has_forgotten_it() {
    let desk = Desk::new();
    let once = |minute: u32| {
        let spec = json!({
            "id": "a",
            "task": "log",
            "trigger": { "type": "date", "run_date": format!("1970-01-01T00:{minute:02}:00Z") },
        });
        let spec: JobSpec = serde_json::from_value(spec).unwrap();
        spec.resolve(&JobDefaults::default()).unwrap()
    };
    let week = desk.jobs.clone().put_repeatedly(Duration::from_secs(1800));
    // It is 01:00, and nothing is known of the job.
    let put = |minute| week.put(once(minute), OnConflict::Replace);
    for minute in [0, 29, 30] {
        let over = put(minute).await.unwrap();
        assert!(matches!(over, Put::Over(_)), "{minute}: {over:?}");
    }
    assert_eq!(put(31).await.unwrap(), Put::Added, "late, not forgotten");
    // What is stored has not fired, however long ago it was due.
    assert_eq!(put(5).await.unwrap(), Put::Replaced);
    let other = Desk::new();
    let asked = other.jobs.put(once(5), OnConflict::Refuse).await.unwrap();
    assert_eq!(
        asked,
        Put::Added,
        "asked for once, by somebody who means it"
    );
}

#[tokio::test]
async fn of_many_nodes_that_put_the_same_jobs_one_writes() {
    let desk = Desk::new();
    let wishes: Vec<PutWish> = (0..450)
        .map(|n| PutWish {
            job: job(&format!("job {n}"), 10),
            on_conflict: OnConflict::Replace,
        })
        .collect();
    let nodes: Vec<_> = (0..8)
        .map(|_| {
            let (jobs, wishes) = (desk.jobs.clone(), wishes.clone());
            tokio::spawn(async move { jobs.put_all(&wishes).await.unwrap() })
        })
        .collect();
    let mut added = 0;
    for node in nodes {
        for outcome in node.await.unwrap() {
            match outcome {
                Put::Added => added += 1,
                other => assert_eq!(other, Put::Unchanged),
            }
        }
    }
    assert_eq!(added, 450);
    let versions: Vec<u64> = desk
        .jobs
        .list()
        .await
        .unwrap()
        .jobs
        .iter()
        .map(|j| j.version.0)
        .collect();
    assert_eq!(
        versions.iter().max(),
        Some(&450),
        "no job was written twice"
    );
}

#[tokio::test]
async fn a_put_that_somebody_came_before_is_decided_anew() {
    let desk = Desk::new();
    desk.meanwhile(|world| {
        let change = scheduler_core::change::put_new(job("b", 30), None, NOW).unwrap();
        world.write(None, &change);
    });
    let wish = |id, seconds| PutWish {
        job: job(id, seconds),
        on_conflict: OnConflict::Refuse,
    };
    // The others of the batch are not held up by it, and the answers keep their order.
    let wishes = [wish("a", 10), wish("b", 10), wish("c", 10), wish("a", 20)];
    assert_eq!(
        desk.jobs.put_all(&wishes).await.unwrap(),
        [Put::Added, Put::Exists, Put::Added, Put::Exists]
    );
}

#[tokio::test]
async fn endless_conflicts_end() {
    let desk = Desk::new();
    desk.jobs
        .put(job("a", 10), OnConflict::Refuse)
        .await
        .unwrap();
    for seconds in 0..100 {
        desk.meanwhile(move |world| {
            let stored = world.jobs[&id("a")].clone();
            let job = job("a", 100 + seconds);
            let change = scheduler_core::change::replace(&stored, job, NOW).unwrap();
            world.write(Some(stored.version), &change);
        });
    }
    let error = desk.jobs.pause(&id("a")).await.unwrap_err();
    assert!(matches!(error, JobsError::Contended { .. }), "{error}");
    assert!(error.to_string().contains("job a: changed by others"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_again_and_nothing_is_done_twice() {
    let desk = Desk::new();
    desk.fault(Fault::LoseRequest);
    desk.fault(Fault::LoseAnswer);
    desk.fault(Fault::Unreachable);
    let put = desk.jobs.put(job("a", 10), OnConflict::Refuse);
    assert_eq!(put.await.unwrap(), Put::Added, "not: it exists already");
    assert_eq!(desk.writes(), 1);

    desk.fault(Fault::LoseAnswer);
    let RunRequested::Made(run) = desk.jobs.run_now(&id("a")).await.unwrap() else {
        panic!("no run was made");
    };
    let request = desk.shelf.0.lock().unwrap().done[1];
    assert_eq!(run, RunId::request(id("a"), request));
    assert_eq!(run.scheduled_at(), NOW, "by the store's clock");

    desk.fault(Fault::LoseAnswer);
    let removed = desk.jobs.remove(&id("a")).await.unwrap();
    assert_eq!(removed, Removed::Done, "not: there is none");
    assert_eq!(desk.writes(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_stays_unknown_is_told_as_unknown() {
    let desk = Desk::new();
    desk.fault(Fault::LoseRequest);
    (0..20).for_each(|_| desk.fault(Fault::Unreachable));
    let error = desk
        .jobs
        .put(job("a", 10), OnConflict::Refuse)
        .await
        .unwrap_err();
    let JobsError::Store(error) = error else {
        panic!("{error}");
    };
    assert!(error.is_unknown(), "{error}");

    let desk = Desk::new();
    desk.fault(Fault::Unreachable);
    let error = desk
        .jobs
        .put(job("a", 10), OnConflict::Refuse)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("store unreachable"), "{error}");
}

#[tokio::test]
async fn a_pause_ends_where_it_began() {
    let desk = Desk::new();
    desk.jobs
        .put(job("a", 10), OnConflict::Refuse)
        .await
        .unwrap();
    assert_eq!(desk.jobs.resume(&id("a")).await.unwrap(), Switched::Already);
    assert_eq!(desk.jobs.pause(&id("a")).await.unwrap(), Switched::Done);
    assert_eq!(desk.jobs.pause(&id("a")).await.unwrap(), Switched::Already);
    let stored = desk.jobs.get(&id("a")).await.unwrap().unwrap();
    let from = in_seconds(10);
    assert_eq!(
        (stored.state, stored.next_fire),
        (
            JobState::Paused {
                from,
                pause: Pause {
                    since: Some(NOW),
                    ..Pause::default()
                }
            },
            None
        )
    );
    assert_eq!(desk.jobs.resume(&id("a")).await.unwrap(), Switched::Done);
    let stored = desk.jobs.get(&id("a")).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.next_fire), (JobState::Active, from));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let desk = Desk::new();
    let none = id("none");
    assert_eq!(desk.jobs.get(&none).await.unwrap(), None);
    assert_eq!(desk.jobs.pause(&none).await.unwrap(), Switched::NotFound);
    assert_eq!(desk.jobs.resume(&none).await.unwrap(), Switched::NotFound);
    assert_eq!(desk.jobs.remove(&none).await.unwrap(), Removed::NotFound);
    assert_eq!(
        desk.jobs.run_now(&none).await.unwrap(),
        RunRequested::NotFound
    );
    assert_eq!(desk.writes(), 0);
}

#[tokio::test]
async fn a_run_too_many_is_told_with_the_number_in_flight() {
    let desk = Desk::new();
    desk.jobs
        .put(job("a", 10), OnConflict::Refuse)
        .await
        .unwrap();
    assert!(matches!(
        desk.jobs.run_now(&id("a")).await.unwrap(),
        RunRequested::Made(_)
    ));
    let full = RunRequested::Full { in_flight: 1 };
    assert_eq!(desk.jobs.run_now(&id("a")).await.unwrap(), full);
}

#[cfg(feature = "http")]
#[tokio::test]
async fn a_run_that_is_named_by_who_asks_is_one_run_however_often_it_is_asked_for() {
    let desk = Desk::new();
    desk.jobs
        .put(job("a", 10), OnConflict::Refuse)
        .await
        .unwrap();
    let name = (NOW, uuid::Uuid::from_u128(7));
    let run = RunId::request(id("a"), name.1);
    for _ in 0..2 {
        let made = desk.jobs.run_now_as(&id("a"), None, name).await.unwrap();
        assert_eq!(made, RunRequested::Made(run.clone()));
    }
    let other = (NOW, uuid::Uuid::from_u128(8));
    let full = RunRequested::Full { in_flight: 1 };
    let asked = desk.jobs.run_now_as(&id("a"), None, other).await.unwrap();
    assert_eq!(asked, full);
}

#[tokio::test]
async fn a_list_names_each_job_once_by_id() {
    let desk = Desk::new();
    for name in ["b", "c", "a"] {
        desk.jobs
            .put(job(name, 10), OnConflict::Refuse)
            .await
            .unwrap();
    }
    let list = desk.jobs.list().await.unwrap();
    let ids: Vec<&str> = list
        .jobs
        .iter()
        .map(|stored| stored.job.id().as_str())
        .collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(list.unreadable, [("bad".to_owned(), "why".to_owned())]);
}

fn manifest(jobs: &[Job]) -> Manifest {
    Manifest {
        owner: "file".to_owned(),
        jobs: jobs.to_vec(),
        unlisted: Unlisted::Prune,
        foreign: Foreign::Refuse,
    }
}

#[tokio::test]
async fn a_store_becomes_equal_to_a_file_and_nobody_elses_jobs_are_touched() {
    let desk = Desk::new();
    let put = desk.jobs.put(job("mine", 5), OnConflict::Refuse);
    put.await.unwrap();
    let plan = |jobs: &[Job]| {
        let (client, manifest) = (desk.jobs.clone(), manifest(jobs));
        async move { client.plan(&manifest).await.unwrap() }
    };
    let of = |plan: &Plan, name: &str| plan.0.get(&id(name)).cloned();
    let foreign = plan(&[job("a", 10), job("mine", 10)]).await;
    assert_eq!(of(&foreign, "mine"), Some(Step::Foreign(None)));
    assert!(foreign.is_refused());
    desk.jobs.apply(&foreign).await.unwrap();
    assert_eq!(
        desk.jobs.get(&id("a")).await.unwrap(),
        None,
        "nothing at all"
    );

    let first = plan(&[job("a", 10), job("b", 10)]).await;
    let applied = desk.jobs.apply(&first).await.unwrap();
    assert!(
        applied.values().all(|became| *became == Applied::Done),
        "{applied:?}"
    );
    let stored = desk.jobs.get(&id("a")).await.unwrap().unwrap();
    assert_eq!(stored.job.owner(), Some("file"));
    let same = plan(&[job("a", 10), job("b", 10)]).await;
    assert!(!same.has_changes(), "{same:?}");

    let second = plan(&[job("a", 20), job("c", 10)]).await;
    let Some(Step::Change { fields, .. }) = of(&second, "a") else {
        panic!("{second:?}");
    };
    let names: Vec<_> = fields.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(names, ["trigger"]);
    assert!(matches!(of(&second, "b"), Some(Step::Remove(_))));
    assert!(matches!(of(&second, "c"), Some(Step::Add(_))));
    assert_eq!(of(&second, "mine"), None);
    // Somebody changes two of them before it is done: these are left as they are.
    for name in ["a", "b"] {
        desk.jobs.pause(&id(name)).await.unwrap();
    }
    let applied = desk.jobs.apply(&second).await.unwrap();
    let became = |name: &str| applied.get(&id(name)).cloned();
    assert_eq!(became("a"), Some(Applied::ChangedMeanwhile));
    assert_eq!(became("b"), Some(Applied::ChangedMeanwhile));
    assert_eq!(became("c"), Some(Applied::Done));
    let again = plan(&[job("a", 20), job("c", 10)]).await;
    desk.jobs.apply(&again).await.unwrap();
    let list = desk.jobs.list().await.unwrap().jobs;
    let ids: Vec<_> = list.iter().map(|stored| stored.job.id().as_str()).collect();
    assert_eq!(ids, ["a", "c", "mine"]);
    let a = desk.jobs.get(&id("a")).await.unwrap().unwrap();
    assert!(a.state.is_paused(), "that is the operator's");
    assert_eq!(a.state.pause().and_then(|pause| pause.since), Some(NOW));
}

#[tokio::test]
async fn a_job_that_runs_once_gets_an_id_of_its_own() {
    let desk = Desk::new();
    let task: TaskName = "mail".parse().unwrap();
    let mut ids = Vec::new();
    for (when, at) in [
        (Once::Now, Some(NOW)),
        (Once::After(Duration::from_secs(9)), in_seconds(9)),
        (
            Once::At(Timestamp::from_ms(17)),
            Some(Timestamp::from_ms(17)),
        ),
    ] {
        let once = desk
            .jobs
            .once(task.clone(), when, |job| job.args(json!({ "to": 1 })));
        let id = once.await.unwrap();
        let stored = desk.jobs.get(&id).await.unwrap().unwrap();
        assert_eq!(stored.next_fire, at);
        assert_eq!(stored.job.args()["to"], 1);
        assert!(id.as_str().starts_with("mail-"), "{id}");
        ids.push(id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

fn patch(fields: serde_json::Value) -> JobPatch {
    serde_json::from_value(fields).unwrap()
}

#[tokio::test(start_paused = true)]
async fn some_fields_change_and_the_others_stay_whoever_comes_first() {
    let desk = Desk::new();
    let defaults = JobDefaults::default();
    let modify = |fields| {
        let (jobs, patch, defaults) = (desk.jobs.clone(), patch(fields), defaults.clone());
        async move { jobs.modify(&id("a"), &patch, &defaults).await.unwrap() }
    };
    assert_eq!(modify(json!({ "queue": "q" })).await, Modified::NotFound);
    let put = desk.jobs.put(job("a", 10), OnConflict::Refuse);
    put.await.unwrap();
    // Another change comes first, and the answer is lost: both stand, each once.
    desk.meanwhile(|world| {
        let stored = world.jobs[&id("a")].clone();
        let job = stored.job.clone().into_builder().name("Other").build();
        let change = scheduler_core::change::replace(&stored, job, NOW).unwrap();
        world.write(Some(stored.version), &change);
    });
    desk.fault(Fault::LoseAnswer);
    assert_eq!(
        modify(json!({ "queue": "q" })).await,
        Modified::Done(Version(3))
    );
    let stored = desk.jobs.get(&id("a")).await.unwrap().unwrap();
    assert_eq!(stored.job.queue().as_str(), "q");
    assert_eq!(stored.job.name(), "Other");
    assert_eq!(stored.next_fire, in_seconds(10), "its schedule goes on");
    let again = modify(json!({ "queue": "q" })).await;
    assert_eq!(again, Modified::Unchanged(Version(3)));
    // One field that breaks a rule, and none is changed: args are checked against the task.
    let wrong = modify(json!({ "queue": "r", "args": { "massage": "hi" } })).await;
    let Modified::Refused(why) = wrong else {
        panic!("{wrong:?}");
    };
    assert!(why.to_string().starts_with("args"), "{why}");
    assert_eq!(desk.jobs.get(&id("a")).await.unwrap(), Some(stored));
}

#[tokio::test]
async fn what_was_decided_on_another_version_is_refused() {
    let desk = Desk::new();
    let put = desk.jobs.put(job("a", 10), OnConflict::Refuse);
    put.await.unwrap();
    let seen = desk.jobs.get(&id("a")).await.unwrap().unwrap().version;
    let mine = desk.jobs.clone().expecting(seen);
    assert_eq!(mine.pause(&id("a")).await.unwrap(), Switched::Done);
    let refused = [
        mine.resume(&id("a")).await.unwrap_err(),
        mine.remove(&id("a")).await.unwrap_err(),
        mine.run_now(&id("a")).await.unwrap_err(),
        mine.modify(&id("a"), &JobPatch::default(), &JobDefaults::default())
            .await
            .unwrap_err(),
        mine.put(job("a", 20), OnConflict::Replace)
            .await
            .unwrap_err(),
    ];
    for error in refused {
        assert_eq!(
            error.to_string(),
            "job a: changed meanwhile: it has version 2, and 1 was expected"
        );
    }
    // Also where somebody changes it between reading and writing it.
    let seen = desk.jobs.get(&id("a")).await.unwrap().unwrap().version;
    desk.meanwhile(|world| {
        let stored = world.jobs[&id("a")].clone();
        let change = scheduler_core::change::resume(&stored, NOW).unwrap();
        world.write(Some(stored.version), &change);
    });
    let error = desk.jobs.clone().expecting(seen).remove(&id("a")).await;
    assert!(matches!(
        error,
        Err(JobsError::ChangedMeanwhile {
            expected: Version(2),
            found: Version(3),
            ..
        })
    ));
}

fn wish(id: &str) -> PutWish {
    PutWish {
        job: job(id, 10),
        on_conflict: OnConflict::Refuse,
    }
}

#[tokio::test]
async fn many_jobs_are_put_all_or_none() {
    let desk = Desk::new();
    let wishes: Vec<_> = (0..1_000).map(|n| wish(&format!("{n:04}"))).collect();
    let mut told = Vec::new();
    let all = desk.jobs.put_all_or_none(&wishes, |done| told.push(done));
    assert_eq!(all.await.unwrap(), PutAll::Done(vec![Put::Added; 1_000]));
    assert_eq!(told, [1_000], "it is one step");
    assert_eq!(desk.writes(), 1);

    // One is there, and one is named twice: nothing is written.
    let wishes = ["a", "b", "a", "0500"].map(wish);
    let none = desk
        .jobs
        .put_all_or_none(&wishes, |_| panic!("nothing is done"));
    let refused = vec![(2, Put::Exists), (3, Put::Exists)];
    assert_eq!(none.await.unwrap(), PutAll::Refused(refused));
    assert_eq!(desk.writes(), 1);

    // What is named twice on purpose is no single step.
    let mut wishes: Vec<_> = (0..300).map(|n| wish(&format!("many-{n}"))).collect();
    wishes.push(PutWish {
        on_conflict: OnConflict::Replace,
        job: job("many-7", 20),
    });
    let all = desk.jobs.put_all_or_none(&wishes, |_| ()).await.unwrap();
    let PutAll::Done(outcomes) = all else {
        panic!("{all:?}")
    };
    assert_eq!(outcomes.last(), Some(&Put::Replaced));
    assert_eq!(desk.writes(), 4);
}

#[tokio::test]
async fn what_comes_between_the_look_and_the_writing_is_found() {
    let desk = Desk::new();
    desk.meanwhile(|world| {
        let change = scheduler_core::change::put_new(job("b", 99), None, NOW).unwrap();
        world.write(None, &change);
    });
    let wishes = ["a", "b", "c"].map(wish);
    let put = desk.jobs.put_all_or_none(&wishes, |_| ()).await.unwrap();
    assert_eq!(put, PutAll::Refused(vec![(1, Put::Exists)]));
    for id in ["a", "c"] {
        let found = desk.jobs.get(&JobId::new(id).unwrap()).await.unwrap();
        assert_eq!(found, None, "nothing was put");
    }
}
