//! Listeners hear what happens: on a node, and in the whole cluster.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::time::Duration;

use carillon::core::plan::SkipReason;
use carillon::core::queue::HoldNote;
use carillon::core::run::Outcome;
use carillon::core::{Edit, JobId, JobPatch, MemoryStore};
use carillon::testing::TestScheduler;
use carillon::{ClusterEvents, Event, Jobs, NewJob, Queues, Scheduler};
use support::*;

type Listening = ClusterEvents<MemoryStore>;

async fn next(events: &mut Listening) -> Event {
    let next = tokio::time::timeout(LIMIT, events.next()).await;
    next.expect("something happens")
}

/// What is heard, word by word, until `last` is.
async fn words(events: &mut Listening, last: &str) -> Vec<&'static str> {
    let mut words = Vec::new();
    while words.last() != Some(&last) {
        words.push(next(events).await.word());
    }
    words
}

/// Runs a job again and again until its start is heard: until its node knows that somebody listens.
async fn is_heard(events: &mut Listening, store: &MemoryStore) {
    let jobs = Jobs::new(store.clone());
    let id = JobId::new("probe").unwrap();
    put(store, [job("probe", "note", serde_json::json!({}))]).await;
    let started = |event: &Event| matches!(event, Event::RunStarted { .. }).then_some(());
    until("a start is heard", || async {
        let _ = jobs.run_now(&id).await.unwrap();
        is_idle(store).await
    })
    .await;
    while events
        .find(Duration::from_millis(50), started)
        .await
        .is_none()
    {
        let _ = jobs.run_now(&id).await.unwrap();
    }
    until("all have ended", || async { is_idle(store).await }).await;
    jobs.remove(&id).await.unwrap();
    words(events, "job_removed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_listener_hears_the_life_of_a_job_wherever_it_runs() {
    let (store, log) = (store(), Log::default());
    let client = Scheduler::builder(store.clone()).build().unwrap();
    let mut events = client.cluster_events().await.unwrap();
    let mut node = Node::start(&store, "a", &noting(&log), timing());
    node.leads().await;
    let begun = words(&mut events, "lease_won").await;
    assert_eq!(begun, ["registered", "scheduler_started", "lease_won"]);
    is_heard(&mut events, &store).await;

    let hourly = NewJob::new("j", "note").every(Duration::from_secs(3600));
    client.add_job(hourly).await.unwrap();
    let patch = JobPatch {
        name: Edit::To("J".to_owned()),
        ..JobPatch::default()
    };
    client.modify_job("j", &patch).await.unwrap();
    client.pause_job("j").await.unwrap();
    client.resume_job("j").await.unwrap();
    let run = client.run_job("j").await.unwrap();
    let (mut of_job, mut of_run) = (Vec::new(), Vec::new());
    while of_run.len() < 3 {
        let event = next(&mut events).await;
        assert_eq!(event.job().map(JobId::as_str), Some("j"), "{event:?}");
        match event {
            Event::RunSubmitted { run: of } | Event::RunStarted { run: of, .. } if of != run => {
                panic!("{of}")
            }
            Event::RunSubmitted { .. } | Event::RunStarted { .. } | Event::Ended(_) => {
                of_run.push(event.word());
            }
            other => of_job.push(other.word()),
        }
    }
    assert_eq!(
        of_job,
        ["job_added", "job_modified", "job_paused", "job_resumed"]
    );
    // Who asks for it, who begins it and what records it are three: any may be heard first.
    of_run.sort_unstable();
    assert_eq!(of_run, ["run_started", "run_submitted", "succeeded"]);
    client.remove_job("j").await.unwrap();
    assert_eq!(words(&mut events, "job_removed").await, ["job_removed"]);

    node.stop().await;
    let ended = words(&mut events, "scheduler_shut_down").await;
    assert_eq!(ended, ["lease_released", "scheduler_shut_down"]);
}

/// Nobody asks for listeners while nothing happens; what happens then is told, whoever hears it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_listens_to_a_quiet_node_hears_the_next_run_begin() {
    let (store, log) = (store(), Log::default());
    let mut node = Node::start(&store, "a", &noting(&log), timing());
    node.leads().await;
    let jobs = Jobs::new(store.clone());
    put(&store, [job("j", "note", serde_json::json!({}))]).await;
    // These are told to nobody, and the node knows.
    jobs.run_now(&JobId::new("j").unwrap()).await.unwrap();
    until("it has ended", || async { is_idle(&store).await }).await;
    tokio::time::sleep(Duration::from_millis(600)).await;

    let mut events = carillon::event::listen(store.clone()).await.unwrap();
    jobs.run_now(&JobId::new("j").unwrap()).await.unwrap();
    let started = |event: &Event| matches!(event, Event::RunStarted { .. }).then_some(());
    let heard = events.find(LIMIT, started).await;
    assert_eq!(heard, Some(()), "the only run that there was");
    node.stop().await;
}

#[tokio::test]
async fn pauses_of_the_namespace_and_of_queues_are_heard() {
    let store = store();
    let client = Scheduler::builder(store.clone()).build().unwrap();
    let mut events = client.cluster_events().await.unwrap();
    let queues = Queues::new(store);
    let queue = "mail".parse().unwrap();
    let note = HoldNote {
        by: Some("anna".to_owned()),
        reason: Some("the mail server is down".to_owned()),
    };
    for _ in 0..2 {
        // What was so already is no event.
        queues.pause(&queue, note.clone()).await.unwrap();
        queues.pause_all(note.clone()).await.unwrap();
    }
    queues.resume_all().await.unwrap();
    queues.resume(&queue).await.unwrap();
    let expected = [
        Event::QueuePaused {
            queue: queue.clone(),
            note: note.clone(),
        },
        Event::SchedulerPaused { note },
        Event::SchedulerResumed,
        Event::QueueResumed { queue },
    ];
    for event in expected {
        assert_eq!(next(&mut events).await, event);
    }
}

#[tokio::test]
async fn a_node_tells_what_became_of_fire_times_and_of_jobs() {
    let mut scheduler = TestScheduler::at("2026-01-01T00:00:00Z", |store| {
        Scheduler::builder(store).task("fails", || async { Err::<(), _>("no") })
    })
    .await;
    let mut events = scheduler.events();
    scheduler
        .add_job(NewJob::new("once", "fails").at("2026-01-01T00:01:00Z"))
        .await
        .unwrap();
    let minutely = NewJob::new("late", "fails")
        .every(Duration::from_secs(60))
        .misfire_grace_time(Duration::ZERO);
    scheduler.add_job(minutely).await.unwrap();
    // The second is due with the first, and nobody was there at any of its times but the last.
    scheduler.down_for(Duration::from_millis(150_500));
    scheduler.run_due().await;
    let mut heard = Vec::new();
    let over = |event: &Event| {
        heard.push(event.clone());
        matches!(event, Event::JobFinished { .. }).then_some(())
    };
    events.find(LIMIT, over).await.unwrap();
    let words: Vec<_> = heard.iter().map(Event::word).collect();
    for word in [
        "run_submitted",
        "run_started",
        "failed",
        "misfired",
        "job_finished",
    ] {
        assert!(words.contains(&word), "{word}: {words:?}");
    }
    assert!(
        heard
            .iter()
            .any(|event| matches!(event, Event::Skipped(skip)
        if skip.skipped == SkipReason::Misfired && skip.job.as_str() == "late"))
    );
    assert!(heard.iter().any(|event| matches!(event, Event::Ended(run)
        if run.outcome == Outcome::Failed && run.run.job.as_str() == "once")));
}
