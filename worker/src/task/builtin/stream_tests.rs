use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use scheduler_core::store::{StoreError, StoreErrorKind};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

use super::super::testing::{args, context, following};
use super::*;

/// A Redis of its own, on a socket in a directory of its own.
struct Server {
    process: Child,
    directory: TempDir,
}

impl Server {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket", "redis.sock"])
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests need redis-server on the PATH");
        let server = Self { process, directory };
        while server.connection().await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        let path = self.directory.path().join("redis.sock");
        let client = redis::Client::open(format!("redis+unix://{}", path.display())).unwrap();
        client.get_multiplexed_async_connection().await
    }
}

impl Streams for Server {
    fn append<'a>(
        &'a self,
        stream: &'a str,
        fields: &'a [(&'a str, &'a str)],
    ) -> BoxFuture<'a, StoreResult<String>> {
        Box::pin(async move {
            let mut redis = self.connection().await.unwrap();
            let id = redis::cmd("XADD")
                .arg(stream)
                .arg("*")
                .arg(fields)
                .query_async(&mut redis)
                .await;
            id.map_err(|error: redis::RedisError| {
                StoreError::new(StoreErrorKind::Refused, "append", error.to_string())
            })
        })
    }
}

#[tokio::test]
async fn an_entry_tells_which_run_it_is_of() {
    let server = Arc::new(Server::start().await);
    let mut redis = server.connection().await.unwrap();
    let writer = Writer::new(Some(server.clone()));
    let wish = json!({ "stream": "mails", "fields": { "to": "me", "n": 3, "x": { "y": null } } });
    let output = writer.run(context("a"), args(wish)).await.unwrap();
    let entries: Vec<(String, Vec<(String, String)>)> = redis::cmd("XRANGE")
        .arg(&["mails", "-", "+"])
        .query_async(&mut redis)
        .await
        .unwrap();
    let [(id, fields)] = &entries[..] else {
        panic!("{entries:?}");
    };
    assert_eq!(output, format!("mails {id}"));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(
        fields,
        [
            ("run_id", "a@1766595600123"),
            ("job_id", "a"),
            ("scheduled_at_ms", "1766595600123"),
            ("attempt", "2"),
            ("node", "node-1"),
            ("fence", "77"),
            ("started_at_ms", "1766595600456"),
            ("n", "3"),
            ("to", "me"),
            ("x", "{\"y\":null}"),
        ]
    );
}

#[tokio::test]
async fn an_entry_tells_which_run_it_follows() {
    let server = Arc::new(Server::start().await);
    let mut redis = server.connection().await.unwrap();
    let writer = Writer::new(Some(server.clone()));
    let wish = args(json!({ "stream": "mails", "fields": { "to": "me" } }));
    writer.run(following("a"), wish).await.unwrap();
    let entries: Vec<(String, Vec<(String, String)>)> = redis::cmd("XRANGE")
        .arg(&["mails", "-", "+"])
        .query_async(&mut redis)
        .await
        .unwrap();
    let fields: Vec<(&str, &str)> = entries[0].1.iter().map(|(k, v)| (&**k, &**v)).collect();
    let expected = [
        ("followed_run", "first@1766595600000"),
        ("followed_outcome", "failed"),
        ("to", "me"),
    ];
    assert_eq!(fields[7..], expected);
}

#[tokio::test]
async fn a_refusal_is_told() {
    let server = Arc::new(Server::start().await);
    let mut redis = server.connection().await.unwrap();
    let () = redis::cmd("SET")
        .arg(&["text", "x"])
        .query_async(&mut redis)
        .await
        .unwrap();
    let run = Writer::new(Some(server)).run(context("a"), args(json!({ "stream": "text" })));
    let error = run.await.unwrap_err();
    assert!(error.starts_with("stream \"text\": "), "{error}");
    assert!(error.contains("WRONGTYPE"), "{error}");
}

#[tokio::test]
async fn without_redis_it_says_so() {
    let error = Writer::new(None).run(context("a"), args(json!({ "stream": "s" })));
    assert_eq!(
        error.await.unwrap_err(),
        "stream \"s\" needs Redis: this node has the embedded store (give --store redis://...)"
    );
}
