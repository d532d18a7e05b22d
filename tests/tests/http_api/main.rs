//! The native API: jobs as they are written down, versions, problems with their fields; many at once;
//! runs; queues; the cluster.

mod cluster;
mod events;
mod jobs;
mod keyed;
mod many;
mod queues;
mod runs;

use anyhow::{Context, Result};
use carillon::Tasks;
use carillon::task::BoxError;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tests::http::client;
use tests::served::Served;

fn tasks() -> Result<Tasks> {
    let mut tasks = Tasks::new();
    tasks.register("good", || async {})?;
    tasks.register("bad", || async { Err::<(), BoxError>("broken".into()) })?;
    Ok(tasks)
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    }
}

async fn send(
    served: &Served,
    method: &str,
    path: &str,
    body: &Value,
    headers: &[(&str, &str)],
) -> Result<Answer> {
    let url = format!("{}/api/v1{path}", served.url);
    let mut request = client().request(method.parse()?, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !body.is_null() {
        request = request.body(body.to_string());
    }
    answered(&format!("{method} {path}"), request).await
}

async fn send_text(served: &Served, path: &str, text: &str) -> Result<Answer> {
    let url = format!("{}/api/v1{path}", served.url);
    answered(path, client().post(url).body(text.to_owned())).await
}

async fn answered(asked: &str, request: reqwest::RequestBuilder) -> Result<Answer> {
    let answer = request.send().await?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await?;
    let kind = headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok());
    let body = match kind {
        None => Value::Null,
        Some(kind) if kind.contains("json") && !kind.contains("ndjson") => {
            serde_json::from_str(&text).with_context(|| text.clone())?
        }
        Some(_) => Value::from(text.clone()),
    };
    if status >= 400 {
        assert_eq!(
            headers["content-type"], "application/problem+json",
            "{asked}: {text}"
        );
        assert_eq!(body["status"], status, "{text}");
        assert!(body["detail"].is_string(), "{text}");
    }
    Ok(Answer {
        status,
        headers,
        body,
    })
}

async fn post(served: &Served, path: &str, body: &Value) -> Result<Answer> {
    send(served, "POST", path, body, &[]).await
}

async fn get(served: &Served, path: &str) -> Result<Answer> {
    send(served, "GET", path, &Value::Null, &[]).await
}

fn job(id: &str) -> Value {
    json!({"id": id, "task": "good", "trigger": {"type": "interval", "hours": 1}, "tags": ["t"]})
}

/// A text as a value of a query, or as a segment of a path.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let one = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}
