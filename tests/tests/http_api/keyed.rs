//! Requests that are sent again under the same key.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail};
use futures_util::future::join_all;
use redis::AsyncCommands as _;
use ring::digest::{Context, SHA256};
use scheduler_core::store::{Recall, Recalled, Recalling, RequestId, Store as _};
use serde_json::{Value, json};
use tests::served::Served;
use uuid::Uuid;

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

fn hash(parts: &[&[u8]]) -> Uuid {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&context.finish().as_ref()[..16]);
    Uuid::from_bytes(bytes)
}

/// Somebody took a key for a request, and died a minute ago.
async fn taken_up(served: &Served, key: &str, path: &str) -> Result<()> {
    let request = Recall {
        key: RequestId(hash(&[b"key", key.as_bytes()])),
        by: RequestId(Uuid::new_v4()),
        fingerprint: hash(&[b"POST", format!("/api/v1{path}").as_bytes(), b""])
            .simple()
            .to_string(),
        what: Recalling::Take,
    };
    let Recalled::Yours(since) = served.store.recall(&request).await? else {
        bail!("the key is somebody else's");
    };
    let mut redis = served.redis.connect().await?;
    let names: Vec<String> = redis.keys("*:replies").await?;
    let replies: HashMap<String, String> = redis.hgetall(&names[0]).await?;
    let of_key = replies
        .iter()
        .find(|(_, text)| text.contains(&request.fingerprint));
    let (field, text) = of_key.context("the key")?;
    let long_ago = (since.as_ms() - 61_000).to_string();
    let text = text.replace(&since.as_ms().to_string(), &long_ago);
    let _: usize = redis.hset(&names[0], field, text).await?;
    Ok(())
}

#[tokio::test]
async fn who_takes_up_what_another_worker_left_finds_what_it_had_done() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let mut bad = job("b");
    bad["task"] = json!("bad");
    super::post(&served, "/jobs", &bad).await?;
    let failed = super::post(&served, "/jobs/b/run", &Value::Null)
        .await?
        .body;
    let failed = super::encoded(failed["run"].as_str().context("a run")?);
    let (served_, failed_) = (&served, &failed);
    let has_failed = || async move {
        let shown = get(served_, &format!("/runs/{failed_}")).await?;
        Ok(shown.body["state"] == "failed")
    };
    tests::node::until("it has failed", has_failed).await?;
    for path in ["/jobs/b/run".to_owned(), format!("/runs/{failed}/rerun")] {
        taken_up(&served, &path, &path).await?;
        let first = keyed(&served, &path, &Value::Null, &path).await?;
        assert_eq!(first.status, 202, "{path}: {}", first.body);
        // The key is still that of the one who died: it is looked up what was done.
        let again = keyed(&served, &path, &Value::Null, &path).await?;
        assert_eq!((again.status, &again.body), (202, &first.body), "{path}");
    }
    // Of the failed run nothing is there any more: without the key, that is all there is to say.
    let path = format!("/runs/{failed}/rerun");
    assert_eq!(super::post(&served, &path, &Value::Null).await?.status, 404);
    served.stop().await
}
