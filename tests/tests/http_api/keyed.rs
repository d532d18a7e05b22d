//! Requests that are sent again under the same key.

use anyhow::{Context, Result};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::served::Served;

use super::{Answer, get, job, send, tasks};

async fn keyed(served: &Served, path: &str, body: &Value, key: &str) -> Result<Answer> {
    send(served, "POST", path, body, &[("idempotency-key", key)]).await
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_done_once() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let many = json!({"jobs": [job("c"), job("d")]});
    let once = json!({"task": "good", "delay": "1h"});
    for (number, (path, body)) in [
        ("/jobs", job("a")),
        ("/once", once),
        ("/bulk/jobs", many),
        ("/jobs/a/run", Value::Null),
        ("/jobs/a/run", json!({"args": {"n": 1}})),
    ]
    .iter()
    .enumerate()
    {
        let key = format!("key {number}");
        let first = keyed(&served, path, body, &key).await?;
        assert!((200..300).contains(&first.status), "{path}: {}", first.body);
        assert_eq!(first.header("idempotent-replayed"), "");
        let again = keyed(&served, path, body, &key).await?;
        assert_eq!(
            (again.status, &again.body),
            (first.status, &first.body),
            "{path}"
        );
        assert_eq!(again.header("idempotent-replayed"), "true");
        for header in ["content-type", "etag", "location"] {
            assert_eq!(again.header(header), first.header(header), "{path}");
        }
        let other = keyed(&served, path, &json!({"other": 1}), &key).await?;
        assert_eq!(other.status, 422, "{path}: {}", other.body);
        assert_eq!(other.body["errors"][0]["field"], "Idempotency-Key");
        let elsewhere = keyed(&served, "/jobs/c/run", &Value::Null, &key).await?;
        assert_eq!(elsewhere.status, 422);
    }
    // Without a key, each is another.
    let run = |answer: Answer| answer.body["run"].as_str().map(str::to_owned);
    let first = run(super::post(&served, "/jobs/c/run", &Value::Null).await?).context("a run")?;
    let path = &format!("/runs/{}", super::encoded(&first));
    let served_ = &served;
    tests::node::until("its end", || async move {
        Ok(get(served_, path).await?.body["state"] == "succeeded")
    })
    .await?;
    let second = run(super::post(&served, "/jobs/c/run", &Value::Null).await?).context("a run")?;
    assert_ne!(first, second);
    assert_eq!(get(&served, "/stats").await?.body["jobs"], 4);
    served.stop().await
}

#[tokio::test]
async fn what_was_refused_leaves_its_key_free() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    assert_eq!(
        keyed(&served, "/jobs/a/run", &Value::Null, "k")
            .await?
            .status,
        404
    );
    super::post(&served, "/jobs", &job("a")).await?;
    assert_eq!(
        keyed(&served, "/jobs/a/run", &Value::Null, "k")
            .await?
            .status,
        202
    );
    let long = "x".repeat(256);
    for key in ["", long.as_str()] {
        let said = keyed(&served, "/jobs/a/run", &Value::Null, key).await?;
        assert_eq!(
            (said.status, &said.body["errors"][0]["field"]),
            (422, &json!("Idempotency-Key"))
        );
    }
    served.stop().await
}

#[tokio::test]
async fn of_many_at_once_one_is_done() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let mut slow = job("a");
    slow["max_instances"] = json!(100);
    super::post(&served, "/jobs", &slow).await?;
    let asked = (0..20).map(|_| keyed(&served, "/jobs/a/run", &Value::Null, "k"));
    let mut runs = Vec::new();
    for answer in join_all(asked).await {
        let answer = answer?;
        match answer.status {
            202 => runs.push(answer.body["run"].clone()),
            409 => assert_eq!(answer.header("retry-after"), "1"),
            other => panic!("{other}: {}", answer.body),
        }
    }
    assert!(!runs.is_empty());
    runs.dedup();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let again = keyed(&served, "/jobs/a/run", &Value::Null, "k").await?;
    assert_eq!(again.body["run"], runs[0]);
    served.stop().await
}
