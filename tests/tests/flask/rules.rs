//! What holds beyond the captures.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::http::client;

use tests::served::Served;

use crate::app::start;

async fn send(app: &Served, method: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
    let url = format!("{}/scheduler{path}", app.url);
    let mut request = client().request(method.parse()?, url);
    if !body.is_null() {
        request = request.body(body.to_string());
    }
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let text = answer.text().await?;
    Ok((
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    ))
}

fn hourly(id: &str) -> Value {
    json!({"id": id, "func": "tasks:hello", "trigger": "interval", "hours": 1})
}

#[tokio::test]
async fn a_patch_changes_all_or_nothing() -> Result<()> {
    let app = start("", "").await?;
    let (status, before) = send(&app, "POST", "/jobs", &hourly("a")).await?;
    assert_eq!(status, 200);
    for patch in [
        json!({"trigger": "interval", "minutes": 5, "jitter": 3}),
        json!({"trigger": "interval", "minutes": 5, "max_instances": 0}),
        json!({"trigger": "interval", "minutes": 5, "func": "os:system"}),
        json!({"trigger": "interval", "minutes": 5, "next_run_time": "soon"}),
        json!({"name": "b", "executor": "no such queue!"}),
        json!({"name": "b", "id": "a"}),
        json!({"name": "b", "jobstore": "other"}),
    ] {
        let (status, said) = send(&app, "PATCH", "/jobs/a", &patch).await?;
        assert_eq!(status, 422, "{patch}: {said}");
        assert!(said["error_message"].is_string(), "{said}");
        assert_eq!(
            send(&app, "GET", "/jobs/a", &Value::Null).await?.1,
            before,
            "{patch}"
        );
    }
    app.stop().await
}

#[tokio::test]
async fn a_job_can_be_paused_changed_and_resumed_by_its_next_run_time() -> Result<()> {
    let app = start("", "").await?;
    let mut job = hourly("a");
    job["next_run_time"] = Value::Null;
    let (_, added) = send(&app, "POST", "/jobs", &job).await?;
    assert_eq!(added["next_run_time"], Value::Null);
    let patch = json!({"name": "renamed"});
    let (_, renamed) = send(&app, "PATCH", "/jobs/a", &patch).await?;
    assert_eq!(
        (&renamed["name"], &renamed["next_run_time"]),
        (&json!("renamed"), &Value::Null)
    );
    let patch = json!({"next_run_time": "2099-01-01T10:00:00+02:00"});
    let (status, set) = send(&app, "PATCH", "/jobs/a", &patch).await?;
    assert_eq!(status, 200, "{set}");
    assert_eq!(set["next_run_time"], "2099-01-01T08:00:00+00:00");
    let (_, paused) = send(&app, "POST", "/jobs/a/pause", &Value::Null).await?;
    assert_eq!(paused["next_run_time"], Value::Null);
    // As in APScheduler, the schedule goes on from now.
    let (_, resumed) = send(&app, "POST", "/jobs/a/resume", &Value::Null).await?;
    assert_eq!(resumed["next_run_time"], resumed["start_date"]);
    let (_, rescheduled) = send(&app, "POST", "/jobs/a/pause", &Value::Null).await?;
    assert_eq!(rescheduled["next_run_time"], Value::Null);
    let patch = json!({"trigger": "cron", "hour": 5, "year": 2099});
    let (_, rescheduled) = send(&app, "PATCH", "/jobs/a", &patch).await?;
    assert_eq!(
        rescheduled["next_run_time"], "2099-01-01T05:00:00+00:00",
        "{rescheduled}"
    );
    app.stop().await
}

#[tokio::test]
async fn an_empty_id_with_a_name_gets_one() -> Result<()> {
    let app = start("", "").await?;
    let mut job = hourly("");
    job["name"] = json!("nameless");
    let (status, added) = send(&app, "POST", "/jobs", &job).await?;
    assert_eq!((status, &added["name"]), (200, &json!("nameless")));
    let id = added["id"].as_str().context("an id")?;
    assert_eq!(id.len(), 32, "{id}");
    app.stop().await
}

#[tokio::test]
async fn a_date_that_has_been_is_answered_and_leaves_nothing() -> Result<()> {
    let app = start("", "").await?;
    let job = json!({"id": "a", "func": "tasks:hello", "run_date": "2020-01-01 00:00:00"});
    for _ in 0..2 {
        let (status, added) = send(&app, "POST", "/jobs", &job).await?;
        assert_eq!(status, 200, "{added}");
        assert_eq!(added["next_run_time"], "2020-01-01T00:00:00+00:00");
        let app = &app;
        tests::node::until("missed", || async move {
            Ok(send(app, "GET", "/jobs/a", &Value::Null).await?.0 == 404)
        })
        .await?;
    }
    app.stop().await
}

#[tokio::test]
async fn odd_requests_are_refused_and_never_break_anything() -> Result<()> {
    let app = start("", "max_body = 2048").await?;
    let many = json!({"id": "x", "func": "tasks:hello", "args": ["x".repeat(3000)]});
    assert_eq!(send(&app, "POST", "/jobs", &many).await?.0, 413);
    for (body, status) in [
        (json!({"id": "x\u{0}", "func": "tasks:hello"}), 422),
        (json!({"id": "x", "func": 5}), 422),
        (
            json!({"id": "x", "func": "tasks:hello", "trigger": {"type": "and"}}),
            422,
        ),
        (
            json!({"id": "x", "func": "tasks:hello", "trigger": "interval", "seconds": -5}),
            422,
        ),
        (
            json!({"id": "x", "func": "tasks:hello", "trigger": "interval", "seconds": 1e300}),
            422,
        ),
        (
            json!({"id": "x", "func": "tasks:hello", "trigger": "interval", "seconds": "5"}),
            422,
        ),
        (
            json!({"id": "x", "func": "tasks:hello", "trigger": "interval", "bogus": 1}),
            422,
        ),
        (json!({"id": "x", "func": "tasks:hello", "seconds": 5}), 422),
        (
            json!({"id": "x", "func": "tasks:hello", "run_date": 5}),
            422,
        ),
        (
            json!({"id": "x", "func": "tasks:hello", "kwargs": "abc"}),
            422,
        ),
        (
            json!({"id": "x", "func": "tasks:hello", "misfire_grace_time": 0}),
            422,
        ),
        (
            json!({"id": "x", "func": "tasks:hello", "misfire_grace_time": 1.5}),
            422,
        ),
        (
            json!({"id": "x", "func": "tasks:hello", "executor": 1}),
            422,
        ),
        (json!({"id": "x", "func": "tasks:hello", "name": 1}), 422),
        (json!([1]), 422),
    ] {
        let (got, said) = send(&app, "POST", "/jobs", &body).await?;
        assert_eq!(got, status, "{body}: {said}");
        assert!(said["error_message"].is_string(), "{said}");
    }
    let jobs = send(&app, "GET", "/jobs", &Value::Null).await?.1;
    assert_eq!(jobs, json!([]));
    app.stop().await
}

#[tokio::test]
async fn a_scheduler_that_is_paused_or_shut_down_runs_nothing_until_it_goes_on() -> Result<()> {
    let app = start("", "").await?;
    send(&app, "POST", "/jobs", &hourly("a")).await?;
    let not_running = json!({"error_message": "Scheduler is not running"});
    let paused = json!({"error_message": "Scheduler is paused"});
    for (path, status, said) in [
        ("/jobs/a/run", 200, None),
        ("/pause", 204, None),
        // Asked again, it is as it was asked for.
        ("/pause", 204, None),
        ("/jobs/a/run", 409, Some(&paused)),
        // A shut down scheduler is not only paused.
        ("/shutdown", 204, None),
        ("/shutdown", 409, Some(&not_running)),
        ("/resume", 409, Some(&not_running)),
        ("/jobs/a/run", 409, Some(&not_running)),
        ("/start", 204, None),
        ("/jobs/a/run", 200, None),
        ("/resume", 204, None),
    ] {
        let (got, answer) = send(&app, "POST", path, &Value::Null).await?;
        assert_eq!(got, status, "{path}: {answer}");
        if let Some(said) = said {
            assert_eq!(&answer, said, "{path}");
        }
    }
    app.stop().await
}
