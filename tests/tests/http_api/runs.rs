//! Runs.

use anyhow::{Context, Result};
use carillon::task::BoxError;
use serde_json::{Value, json};
use tests::node::until;
use tests::served::Served;

use super::{encoded, get, job, post, send, tasks};

#[tokio::test]
async fn a_run_that_was_asked_for_can_be_followed() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let mut bad = job("a");
    bad["task"] = json!("bad");
    send(&served, "POST", "/jobs", &bad, &[]).await?;
    let made = send(&served, "POST", "/jobs/a/run", &Value::Null, &[]).await?;
    assert_eq!(made.status, 202);
    let run = made.body["run"].as_str().context("a run")?.to_owned();
    let (served_, path) = (&served, &format!("/runs/{run}"));
    until("its end", || async move {
        Ok(get(served_, path).await?.body["state"] == "failed")
    })
    .await?;
    let history = get(&served, path).await?.body;
    let attempt = &history["attempts"][0];
    assert_eq!(
        (&attempt["outcome"], &attempt["detail"]),
        (&json!("failed"), &json!("broken"))
    );
    let listed = get(&served, "/runs?job=a&limit=5").await?.body;
    assert_eq!(listed["items"][0]["run"], json!(run));
    assert_eq!(listed["items"][0]["outcome"], "failed");
    assert!(listed["items"][0]["took_ms"].is_u64());
    // What came since is told to who asks from there on.
    let position = listed["position"].as_str().context("a position")?;
    let after = get(&served, &format!("/runs?after={position}")).await?.body;
    assert_eq!(after["items"], json!([]));
    served.stop().await
}

/// Waits until a run stands so.
async fn stands(served: &Served, run: &str, state: &str) -> Result<()> {
    let path = &format!("/runs/{}", encoded(run));
    until(state, || async move {
        Ok(get(served, path).await?.body["state"] == state)
    })
    .await
}

#[tokio::test]
async fn failed_runs_are_run_again_or_forgotten() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let mut runs = Vec::new();
    for id in ["a", "b", "c"] {
        let mut bad = job(id);
        bad["task"] = json!("bad");
        post(&served, "/jobs", &bad).await?;
        let made = post(&served, &format!("/jobs/{id}/run"), &Value::Null).await?;
        let run = made.body["run"].as_str().context("a run")?.to_owned();
        stands(&served, &run, "failed").await?;
        runs.push(run);
    }
    let failed = get(&served, "/failed?limit=2").await?.body;
    assert_eq!(failed["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(failed["items"][0]["detail"], "broken");
    let next = failed["next"].as_str().context("more")?;
    let rest = get(&served, &format!("/failed?limit=2&after={}", encoded(next)))
        .await?
        .body;
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(1), "{rest}");
    assert_eq!(get(&served, "/failed?after=x").await?.status, 422);

    let path = format!("/runs/{}/rerun", encoded(&runs[0]));
    let again = post(&served, &path, &Value::Null).await?;
    assert_eq!(again.status, 202, "{}", again.body);
    let again = again.body["run"].as_str().context("a run")?;
    stands(&served, again, "failed").await?;
    assert_eq!(post(&served, &path, &Value::Null).await?.status, 404);

    let some = json!({"runs": [runs[1], "none@1"]});
    let done = post(&served, "/failed/rerun", &some).await?.body;
    assert_eq!(done["items"].as_array().map(Vec::len), Some(2), "{done}");
    let made = done["items"][0]["made"].as_str().context("a run")?;
    assert!(done["items"][1]["why"].is_string(), "{done}");
    stands(&served, made, "failed").await?;
    let of_job = post(&served, "/failed/rerun", &json!({"job": "c"}))
        .await?
        .body;
    let made = of_job["items"][0]["made"].as_str().context("a run")?;
    stands(&served, made, "failed").await?;

    let purged = post(&served, "/failed/purge", &json!({"all": true}))
        .await?
        .body;
    assert_eq!(
        (&purged["purged"], &purged["next"]),
        (&json!(3), &Value::Null)
    );
    assert_eq!(get(&served, "/failed").await?.body["items"], json!([]));
    for wrong in [
        json!({}),
        json!({"all": true, "job": "a"}),
        json!({"runs": ["x"]}),
    ] {
        assert_eq!(
            post(&served, "/failed/purge", &wrong).await?.status,
            422,
            "{wrong}"
        );
    }
    served.stop().await
}

#[tokio::test]
async fn a_run_shows_how_far_it_is_and_is_cancelled() -> Result<()> {
    let mut tasks = tasks()?;
    tasks.register("slow", |context: carillon::Context| async move {
        context.log("begun");
        context.progress(0.5, "half of it")?;
        context.cancellation().cancelled().await;
        Err::<(), BoxError>("stopped".into())
    })?;
    let served = Served::start("", tasks).await?;
    let mut slow = job("a");
    slow["task"] = json!("slow");
    post(&served, "/jobs", &slow).await?;
    let made = post(&served, "/jobs/a/run", &json!({"args": {"n": 1}})).await?;
    assert_eq!(made.status, 202, "{}", made.body);
    let run = made.body["run"].as_str().context("a run")?;
    assert_eq!(
        post(&served, "/jobs/a/run", &json!({"args": 5}))
            .await?
            .status,
        422
    );
    let (served_, path) = (&served, &format!("/runs/{}", encoded(run)));
    until("its progress", || async move {
        let run = get(served_, path).await?.body;
        Ok(run["attempts"][0]["progress"]["fraction"] == 0.5)
    })
    .await?;
    let shown = get(&served, path).await?.body;
    assert_eq!(
        (&shown["state"], &shown["attempt"]),
        (&json!("running"), &json!(1))
    );
    let log = get(&served, &format!("{path}/log")).await?.body;
    assert_eq!(
        (&log["state"], &log["log"][0]["text"]),
        (&json!("running"), &json!("begun"))
    );
    let in_flight = get(&served, "/jobs/a/runs").await?.body;
    assert_eq!(in_flight["items"][0]["run"], json!(run));
    let why = json!({"by": "anna", "why": "wrong file"});
    let cancelled = post(&served, &format!("{path}/cancel"), &why).await?;
    assert_eq!(
        (cancelled.status, &cancelled.body["ended"]),
        (200, &json!(false))
    );
    stands(&served, run, "cancelled").await?;
    let over = post(&served, &format!("{path}/cancel"), &Value::Null).await?;
    assert_eq!(over.status, 409, "{}", over.body);
    assert_eq!(
        post(&served, "/runs/a@1/cancel", &Value::Null)
            .await?
            .status,
        404
    );
    served.stop().await
}

#[tokio::test]
async fn what_became_of_fire_times_is_counted_over_time() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    for (id, task) in [("a", "good"), ("b", "bad")] {
        let mut job = job(id);
        job["task"] = json!(task);
        post(&served, "/jobs", &job).await?;
        let made = post(&served, &format!("/jobs/{id}/run"), &Value::Null).await?;
        let run = made.body["run"].as_str().context("a run")?.to_owned();
        let state = if task == "good" {
            "succeeded"
        } else {
            "failed"
        };
        stands(&served, &run, state).await?;
    }
    let series = get(&served, "/stats/series?bucket=1h").await?.body;
    let buckets = series["buckets"].as_array().context("buckets")?;
    let sum = |of: &str| -> u64 {
        let counts = buckets.iter().filter_map(|b| b["outcomes"][of].as_u64());
        counts.sum()
    };
    assert_eq!((sum("succeeded"), sum("failed")), (1, 1), "{series}");
    assert_eq!(series["complete"], true);
    let runs: u64 = buckets.iter().filter_map(|b| b["runs"].as_u64()).sum();
    assert_eq!(runs, 2);
    assert!(
        buckets.iter().any(|b| b["duration"]["max_ms"].is_u64()),
        "{series}"
    );
    let one = get(&served, "/stats/series?bucket=1h&job=a").await?.body;
    assert!(one.to_string().contains("succeeded") && !one.to_string().contains("failed"));
    for query in [
        "bucket=0s",
        "bucket=x",
        "since=2026-01-01T00:00:00Z&bucket=1s",
        "since=2199-01-01T00:00:00Z",
    ] {
        let said = get(&served, &format!("/stats/series?{query}")).await?;
        assert_eq!(said.status, 422, "{query}: {}", said.body);
    }
    served.stop().await
}
