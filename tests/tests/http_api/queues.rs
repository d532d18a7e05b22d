//! Queues, and the pause of the namespace.

use anyhow::Result;
use serde_json::{Value, json};
use tests::served::Served;

use super::{get, post, send, tasks};

#[tokio::test]
async fn queues_are_limited_and_paused() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    assert_eq!(get(&served, "/queues/mail").await?.status, 404);
    let limits = json!({"concurrency": 20, "rate": "100/s"});
    let limited = send(&served, "PATCH", "/queues/mail", &limits, &[]).await?;
    assert_eq!(limited.status, 200, "{}", limited.body);
    assert_eq!(
        (&limited.body["concurrency"], &limited.body["rate"]),
        (&json!(20), &json!("100/s"))
    );
    assert_eq!(limited.body["set_by"], "operator");
    // What is not named stays, and null takes a limit away.
    let limited = send(
        &served,
        "PATCH",
        "/queues/mail",
        &json!({"rate": null}),
        &[],
    )
    .await?;
    assert_eq!(
        (&limited.body["concurrency"], &limited.body["rate"]),
        (&json!(20), &Value::Null)
    );
    let pause = json!({"by": "anna", "reason": "the mail server is down"});
    assert_eq!(
        post(&served, "/queues/mail/pause", &pause).await?.body,
        json!({"changed": true})
    );
    let shown = get(&served, "/queues/mail").await?.body;
    assert_eq!(
        (&shown["paused"], &shown["paused_by"]),
        (&json!(true), &json!("anna"))
    );
    assert_eq!(
        post(&served, "/queues/mail/resume", &Value::Null)
            .await?
            .body["changed"],
        true
    );
    assert_eq!(
        post(&served, "/queues/mail/resume", &Value::Null)
            .await?
            .body["changed"],
        false
    );
    assert_eq!(
        post(&served, "/queues/mail/reset", &Value::Null)
            .await?
            .body["changed"],
        true
    );
    assert_eq!(
        get(&served, "/queues/mail").await?.body["concurrency"],
        Value::Null
    );
    for (wrong, field) in [
        (json!({"concurrency": 0}), "concurrency"),
        (json!({"rate": "fast"}), "rate"),
        (json!({"speed": 1}), "speed"),
    ] {
        let said = send(&served, "PATCH", "/queues/mail", &wrong, &[]).await?;
        assert_eq!(
            (said.status, &said.body["errors"][0]["field"]),
            (422, &json!(field))
        );
    }
    let ends = post(&served, "/queues/mail/pause", &json!({"for": "1h"})).await?;
    assert_eq!(
        (ends.status, &ends.body["errors"][0]["field"]),
        (422, &json!("for"))
    );
    served.stop().await
}

#[tokio::test]
async fn the_namespace_is_paused_and_resumed() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let pause = json!({"by": "anna", "reason": "moving the database"});
    assert_eq!(post(&served, "/pause", &pause).await?.body["changed"], true);
    let board = get(&served, "/queues").await?.body;
    assert_eq!(
        (&board["paused"], &board["reason"]),
        (&json!(true), &pause["reason"])
    );
    let namespaces = get(&served, "/namespaces").await?.body;
    assert_eq!(namespaces["items"][0]["paused_by"], "anna");
    assert_eq!(
        post(&served, "/resume", &Value::Null).await?.body["changed"],
        true
    );
    assert_eq!(get(&served, "/queues").await?.body["paused"], false);
    served.stop().await
}
