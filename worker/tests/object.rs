//! The scheduler object: everything that APScheduler's scheduler does.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use carillon::core::patch::JobPatch;
use carillon::core::run::Outcome;
use carillon::core::trigger::TriggerSpec;
use carillon::core::{Grace, JobDefaults, JobState, TaskName};
use carillon::jobs::Put;
use carillon::{Event, NewJob, Scheduler, SchedulerError, Wait};
use serde_json::json;
use support::*;

fn hourly(id: &str) -> NewJob {
    NewJob::new(id, "note").every(Duration::from_secs(3600))
}

#[tokio::test]
async fn jobs_are_added_read_paused_resumed_and_removed() {
    let scheduler = Scheduler::builder(store())
        .task("note", || async {})
        .timezone("Europe/Berlin")
        .build()
        .unwrap();
    assert_eq!(scheduler.add_job(hourly("a")).await.unwrap(), Put::Added);
    let error = scheduler.add_job(hourly("a")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "job \"a\": there is one already; say `replace_existing()` or `keep_existing()`"
    );
    let again = || hourly("a").name("again");
    let kept = scheduler.add_job(again().keep_existing()).await.unwrap();
    assert_eq!(kept, Put::Kept);
    let replaced = scheduler.add_job(again().replace_existing()).await.unwrap();
    assert_eq!(replaced, Put::Replaced);
    // As typed in a file, and as made in code.
    scheduler
        .add_job(job("b", "note", every(60.0)))
        .await
        .unwrap();
    let cron = NewJob::new("c", "note").cron("0 8 * * *");
    scheduler.add_job(cron).await.unwrap();

    let c = scheduler.get_job("c").await.unwrap().unwrap();
    assert_eq!(c.job.trigger().timezone().name(), "Europe/Berlin");
    assert_eq!(scheduler.get_job("d").await.unwrap(), None);
    let list = scheduler.get_jobs().await.unwrap();
    let ids: Vec<_> = list
        .jobs
        .iter()
        .map(|stored| stored.job.id().as_str())
        .collect();
    assert_eq!(ids, ["a", "b", "c"]);

    scheduler.pause_job("a").await.unwrap();
    scheduler.pause_job("a").await.unwrap();
    let a = scheduler.get_job("a").await.unwrap().unwrap();
    assert!(matches!(a.state, JobState::Paused { .. }));
    scheduler.resume_job("a").await.unwrap();
    let a = scheduler.get_job("a").await.unwrap().unwrap();
    assert_eq!(a.state, JobState::Active);

    scheduler.remove_job("a").await.unwrap();
    for error in [
        scheduler.remove_job("a").await.unwrap_err(),
        scheduler.pause_job("a").await.unwrap_err(),
        scheduler.resume_job("a").await.unwrap_err(),
        scheduler.run_job("a").await.unwrap_err(),
    ] {
        assert!(matches!(error, SchedulerError::NotFound { .. }), "{error}");
    }
    assert_eq!(scheduler.remove_all_jobs().await.unwrap(), 2);
    assert_eq!(scheduler.get_jobs().await.unwrap().jobs, []);
}

#[tokio::test]
async fn jobs_are_modified_and_rescheduled() {
    let scheduler = Scheduler::in_memory().build().unwrap();
    scheduler.add_job(hourly("a")).await.unwrap();
    let patch: JobPatch = serde_json::from_value(json!({ "queue": "slow", "args": [1] })).unwrap();
    scheduler.modify_job("a", &patch).await.unwrap();
    let daily = TriggerSpec::from_text("30 8 * * *").unwrap();
    scheduler.reschedule_job("a", daily).await.unwrap();
    let a = scheduler.get_job("a").await.unwrap().unwrap();
    assert_eq!(
        (a.job.queue().as_str(), a.job.args()),
        ("slow", &json!([1]))
    );
    assert!(a.next_fire.unwrap().to_string().ends_with("T08:30:00Z"));
    let wrong: JobPatch = serde_json::from_value(json!({ "queue": "" })).unwrap();
    let error = scheduler.modify_job("a", &wrong).await.unwrap_err();
    assert!(error.to_string().starts_with("job \"a\": queue"), "{error}");
    let gone = scheduler.modify_job("b", &patch).await.unwrap_err();
    assert!(matches!(gone, SchedulerError::NotFound { .. }), "{gone}");
}

#[tokio::test]
async fn what_a_job_does_not_say_is_taken_from_the_defaults() {
    let mut defaults = JobDefaults::default();
    defaults.policy.misfire_grace_time = Grace::Within(Duration::from_secs(900));
    let scheduler = Scheduler::in_memory()
        .job_defaults(defaults)
        .timezone("Asia/Shanghai")
        .build()
        .unwrap();
    scheduler.add_job(hourly("a")).await.unwrap();
    let says = hourly("b").misfire_grace_time(Duration::from_secs(1));
    scheduler.add_job(says.timezone("UTC")).await.unwrap();
    for (id, grace, zone) in [("a", 900, "Asia/Shanghai"), ("b", 1, "UTC")] {
        let stored = scheduler.get_job(id).await.unwrap().unwrap().job;
        let grace = Grace::Within(Duration::from_secs(grace));
        assert_eq!(stored.policy().misfire_grace_time, grace);
        assert_eq!(stored.trigger().timezone().name(), zone);
    }
}

#[tokio::test]
async fn a_job_that_is_wrong_is_refused_with_its_field() {
    let scheduler = Scheduler::in_memory().build().unwrap();
    for (job, said) in [
        (
            NewJob::new("a", "note").cron("61 * * * *"),
            "job \"a\": trigger.expression: ",
        ),
        (NewJob::new("a", "no\ttask"), "job \"a\": task: "),
        (
            hourly("a").timezone("Mars"),
            "job \"a\": trigger.timezone: ",
        ),
        (
            NewJob::new("a", "note").at("2001-01-01T00:00:00Z"),
            "job \"a\": ",
        ),
    ] {
        let error = scheduler.add_job(job).await;
        match error {
            Err(error) => assert!(error.to_string().starts_with(said), "{error}"),
            // However late, a date still fires.
            Ok(put) => assert_eq!((put, said), (Put::Added, "job \"a\": ")),
        }
    }
    let error = scheduler.get_job("").await.unwrap_err();
    assert!(matches!(error, SchedulerError::Name { .. }), "{error}");
    let error = Scheduler::in_memory().timezone("Mars").build().unwrap_err();
    assert!(
        error.to_string().starts_with("timezone \"Mars\": "),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_starts_in_the_background_tells_what_happens_and_shuts_down() {
    let store = store();
    let scheduler = Scheduler::builder(store.clone())
        .task("note", || async {})
        .job(hourly("a"))
        .build()
        .unwrap();
    let heard: Arc<Mutex<Vec<Event>>> = Arc::default();
    let hearing = Arc::clone(&heard);
    let listener = scheduler.add_listener(move |event| {
        hearing.lock().unwrap().push(event.clone());
    });
    let running = scheduler.start().unwrap();
    assert!(running.is_running());
    let error = scheduler.start().unwrap_err();
    assert_eq!(error.to_string(), "the scheduler runs already");
    // Its declared job is put as soon as it begins.
    until("the job is put", || async {
        running.get_job("a").await.unwrap().is_some()
    })
    .await;
    let run = running.run_job("a").await.unwrap();
    let succeeded = |event: &Event| {
        matches!(event, Event::Ended(record)
            if record.run == run && record.outcome == Outcome::Succeeded)
    };
    until("its listener hears of the end", || async {
        heard.lock().unwrap().iter().any(succeeded)
    })
    .await;
    listener.remove();
    running.shutdown(Wait::ForRuns).await.unwrap();
    let nodes = carillon::core::Store::nodes(&store).await.unwrap();
    assert_eq!(nodes, [], "it left");
    // It may be started again.
    scheduler
        .start()
        .unwrap()
        .shutdown(Wait::ForRuns)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_waits_for_handlers_or_does_not() {
    for (wait, outcome) in [
        (Wait::ForRuns, Outcome::Succeeded),
        (Wait::NotAtAll, Outcome::Retrying),
    ] {
        let store = store();
        let let_go = Arc::new(tokio::sync::Notify::new());
        let waiting = Arc::clone(&let_go);
        let waits = move || {
            let waiting = Arc::clone(&waiting);
            async move { waiting.notified().await }
        };
        let scheduler = Scheduler::builder(store.clone())
            .task("note", waits)
            .build()
            .unwrap();
        let mut events = scheduler.events();
        let running = scheduler.start().unwrap();
        running.add_job(hourly("a")).await.unwrap();
        running.run_job("a").await.unwrap();
        let begun = |event: &Event| matches!(event, Event::RunStarted { .. }).then_some(());
        events.find(LIMIT, begun).await.unwrap();
        let began = Instant::now();
        let shutdown = tokio::spawn(running.shutdown(wait));
        if wait == Wait::ForRuns {
            let_go.notify_one();
        }
        shutdown.await.unwrap().unwrap();
        assert!(began.elapsed() < Duration::from_secs(25), "no whole grace");
        let records = run_records(&store).await;
        assert_eq!(records[0].outcome, outcome, "{wait:?}");
    }
}

#[tokio::test]
async fn a_running_scheduler_that_is_dropped_shuts_down() {
    let store = store();
    let scheduler = Scheduler::builder(store).build().unwrap();
    let mut events = scheduler.events();
    drop(scheduler.start().unwrap());
    let ended = |event: &Event| matches!(event, Event::SchedulerShutDown { .. }).then_some(());
    events.find(LIMIT, ended).await.unwrap();
}

#[test]
fn names_are_checked_as_those_of_jobs_are() {
    assert!(TaskName::new("note").is_ok());
    let bad = Scheduler::in_memory().job(NewJob::new("", "note"));
    let error = bad.build().unwrap_err().to_string();
    assert!(error.starts_with("job \"\": id: "), "{error}");
}
