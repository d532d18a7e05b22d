//! Unique keys, as those meet them who put jobs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;
use std::time::Duration;

use carillon::core::unique::{OnDuplicate, Unique};
use carillon::core::{
    Job, JobDefaults, JobId, JobSpec, ManualClock, MemoryStore, TaskName, Timestamp, UniqueKey,
};
use carillon::jobs::{Jobs, JobsError, OnConflict, Once, Put};
use serde_json::{Value, json};

fn jobs() -> Jobs<MemoryStore> {
    let clock = ManualClock::new(Timestamp::from_ms(3_600_000));
    Jobs::new(MemoryStore::new(Arc::new(clock)))
}

fn id(text: &str) -> JobId {
    JobId::new(text).unwrap()
}

fn typed(id: &str, extra: Value) -> Value {
    let mut job = json!({
        "id": id,
        "task": "bill",
        "trigger": { "type": "date", "run_date": "1970-01-01T02:00:00Z" },
    });
    if let Value::Object(extra) = extra {
        job.as_object_mut().unwrap().extend(extra);
    }
    job
}

fn checked(job: Value) -> Result<Job, String> {
    let spec: JobSpec = serde_json::from_value(job).map_err(|e| e.to_string())?;
    spec.resolve(&JobDefaults::default())
        .map_err(|e| e.to_string())
}

fn job(id: &str, on_conflict: &str) -> Job {
    let unique = json!({ "unique": { "key": "order 7", "on_conflict": on_conflict } });
    checked(typed(id, unique)).unwrap()
}

async fn ids(jobs: &Jobs<MemoryStore>) -> Vec<String> {
    let list = jobs.list().await.unwrap().jobs;
    list.iter()
        .map(|stored| stored.job.id().to_string())
        .collect()
}

#[tokio::test]
async fn what_becomes_of_a_duplicate_the_duplicate_says() {
    let jobs = jobs();
    let put = |job| jobs.put(job, OnConflict::Refuse);
    assert_eq!(put(job("a", "error")).await.unwrap(), Put::Added);
    assert_eq!(
        put(job("b", "ignore")).await.unwrap(),
        Put::Ignored(id("a"))
    );
    assert_eq!(
        put(job("b", "error")).await.unwrap(),
        Put::KeyTaken(id("a"))
    );
    assert_eq!(ids(&jobs).await, ["a"]);
    assert_eq!(
        put(job("b", "replace")).await.unwrap(),
        Put::Superseded(id("a"))
    );
    assert_eq!(ids(&jobs).await, ["b"]);
    // Its own id comes before its key.
    assert_eq!(put(job("b", "replace")).await.unwrap(), Put::Exists);
    jobs.remove(&id("b")).await.unwrap();
    assert_eq!(put(job("a", "ignore")).await.unwrap(), Put::Added);
}

#[tokio::test]
async fn of_many_with_one_key_the_first_or_the_last_is_left_as_they_say() {
    for (on_conflict, left) in [("ignore", "0"), ("replace", "299")] {
        let jobs = jobs();
        let wishes: Vec<_> = (0..300)
            .map(|number| carillon::jobs::PutWish {
                job: job(&number.to_string(), on_conflict),
                on_conflict: OnConflict::Refuse,
            })
            .collect();
        jobs.put_all(&wishes).await.unwrap();
        assert_eq!(ids(&jobs).await, [left], "{on_conflict}");
    }
}

#[tokio::test]
async fn who_asks_again_for_one_run_is_told_which_job_does_it() {
    let jobs = jobs();
    let once = |on_conflict| {
        let unique = Unique::new(UniqueKey::new("order 7").unwrap())
            .held_for(Duration::from_secs(60))
            .on_conflict(on_conflict);
        let bill = TaskName::new("bill").unwrap();
        jobs.once(bill, Once::Now, move |job| job.unique(Some(unique)))
    };
    let first = once(OnDuplicate::Ignore).await.unwrap();
    assert_eq!(once(OnDuplicate::Ignore).await.unwrap(), first);
    match once(OnDuplicate::Error).await {
        Err(JobsError::KeyTaken { key, by }) => {
            assert_eq!((key.as_str(), by), ("order 7", first.clone()));
        }
        other => panic!("{other:?}"),
    }
    let second = once(OnDuplicate::Replace).await.unwrap();
    assert_ne!(second, first);
    assert_eq!(ids(&jobs).await, [second.to_string()]);
}

#[test]
fn a_unique_key_that_breaks_a_rule_is_told_its_field() {
    let long = "k".repeat(256);
    for (unique, said) in [
        (
            json!({ "key": long }),
            "has 256 bytes: 1 to 255 are allowed",
        ),
        (
            json!({ "key": "k", "ttl": 0 }),
            "unique.ttl: 0 is out of range",
        ),
        (
            json!({ "key": "k", "ttl": "2years" }),
            "unique.ttl: 730 days are out of range",
        ),
        (
            json!({ "key": "k", "on_conflict": "skip" }),
            "unknown variant `skip`",
        ),
    ] {
        let error = checked(typed("a", json!({ "unique": unique }))).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
    let mut daily = typed("a", json!({ "unique": { "key": "k" } }));
    daily["trigger"] = json!({ "type": "cron", "hour": 8 });
    assert_eq!(
        checked(daily).unwrap_err(),
        "unique: is for jobs that run once: their trigger is a date"
    );
}
