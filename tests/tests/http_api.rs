//! The native API: jobs as they are written down, versions, problems with their fields.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use carillon::Tasks;
use carillon::task::BoxError;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tests::http::client;
use tests::node::until;
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
    let answer = request.send().await?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await?;
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).with_context(|| text.clone())?
    };
    if status >= 400 {
        assert_eq!(
            headers["content-type"], "application/problem+json",
            "{method} {path}: {text}"
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

async fn get(served: &Served, path: &str) -> Result<Answer> {
    send(served, "GET", path, &Value::Null, &[]).await
}

fn job(id: &str) -> Value {
    json!({"id": id, "task": "good", "trigger": {"type": "interval", "hours": 1}, "tags": ["t"]})
}

#[tokio::test]
async fn a_job_lives_its_life_over_http() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let added = send(&served, "POST", "/jobs", &job("a b"), &[]).await?;
    assert_eq!(added.status, 201, "{}", added.body);
    assert_eq!(added.header("location"), "/api/v1/jobs/a%20b");
    let etag = added.header("etag");
    assert_eq!(etag, format!("\"{}\"", added.body["version"]));
    let again = send(&served, "POST", "/jobs", &job("a b"), &[]).await?;
    assert_eq!(again.status, 409);

    let shown = get(&served, "/jobs/a%20b").await?;
    assert_eq!(shown.body, added.body);
    let seen = [("if-match", etag.as_str())];
    let patch = json!({"name": "renamed", "misfire_grace_time": "5m"});
    let patched = send(&served, "PATCH", "/jobs/a%20b", &patch, &seen).await?;
    assert_eq!(
        (patched.status, &patched.body["name"]),
        (200, &json!("renamed")),
        "{}",
        patched.body
    );
    assert_ne!(patched.header("etag"), etag);
    // Whoever saw it as it was before may change nothing any more.
    for (method, path, body) in [
        ("PATCH", "/jobs/a%20b", json!({"name": "late"})),
        ("PUT", "/jobs/a%20b", job("a b")),
        ("DELETE", "/jobs/a%20b", Value::Null),
        ("POST", "/jobs/a%20b/pause", Value::Null),
        ("POST", "/jobs/a%20b/resume", Value::Null),
    ] {
        let late = send(&served, method, path, &body, &seen).await?;
        assert_eq!(late.status, 412, "{method} {path}: {}", late.body);
    }
    assert_eq!(get(&served, "/jobs/a%20b").await?.body, patched.body);

    let paused = send(&served, "POST", "/jobs/a%20b/pause", &Value::Null, &[]).await?;
    assert_eq!(
        (&paused.body["state"], &paused.body["next_run_time"]),
        (&json!("paused"), &Value::Null)
    );
    let resumed = send(&served, "POST", "/jobs/a%20b/resume", &Value::Null, &[]).await?;
    assert_eq!(resumed.body["state"], "active");
    let replaced = send(&served, "PUT", "/jobs/a%20b", &job("a b"), &[]).await?;
    assert_eq!(
        (replaced.status, &replaced.body["name"]),
        (200, &json!("a b"))
    );
    let new = [("if-none-match", "*")];
    assert_eq!(
        send(&served, "PUT", "/jobs/a%20b", &job("a b"), &new)
            .await?
            .status,
        412
    );
    assert_eq!(
        send(&served, "PUT", "/jobs/c", &job("c"), &new)
            .await?
            .status,
        201
    );
    let removed = send(&served, "DELETE", "/jobs/a%20b", &Value::Null, &[]).await?;
    assert_eq!((removed.status, removed.body), (204, Value::Null));
    assert_eq!(get(&served, "/jobs/a%20b").await?.status, 404);
    served.stop().await
}

#[tokio::test]
async fn what_breaks_a_rule_is_told_with_its_field() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let with = |field: &str, value: Value| {
        let mut job = job("a");
        job[field] = value;
        job
    };
    let mut shell = with("task", json!("shell"));
    shell["args"] = json!({"command": ["true"]});
    for (body, field) in [
        (
            with("trigger", json!({"type": "cron", "minute": "61"})),
            "trigger.minute",
        ),
        (with("max_instances", json!(5000)), "max_instances"),
        (with("tsk", json!("x")), "tsk"),
        (with("id", json!("")), "id"),
        (shell, "task"),
    ] {
        let said = send(&served, "POST", "/jobs", &body, &[]).await?;
        assert_eq!(said.status, 422, "{}", said.body);
        assert_eq!(said.body["errors"][0]["field"], field, "{}", said.body);
        assert!(said.body["errors"][0]["rule"].is_string());
    }
    let no_json = client()
        .post(format!("{}/api/v1/jobs", served.url))
        .body("{");
    assert_eq!(no_json.send().await?.status(), 400);
    assert_eq!(get(&served, "/jobs?limit=0").await?.status, 422);
    assert_eq!(get(&served, "/jobs?lmit=5").await?.status, 400);
    assert_eq!(get(&served, "/jobs/none").await?.status, 404);
    assert_eq!(get(&served, "/runs/none").await?.status, 404);
    assert_eq!(get(&served, "/runs?before=x").await?.status, 422);
    assert_eq!(get(&served, "/nowhere").await?.status, 404);
    let wrong = send(&served, "PUT", "/jobs", &Value::Null, &[]).await?;
    assert_eq!(
        (wrong.status, wrong.header("allow").contains("POST")),
        (405, true)
    );
    let odd = [("if-match", "W/12")];
    assert_eq!(
        send(&served, "DELETE", "/jobs/a", &Value::Null, &odd)
            .await?
            .status,
        400
    );
    served.stop().await
}

#[tokio::test]
async fn jobs_are_found_page_by_page() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    for number in 0..7 {
        let mut job = job(&format!("job-{number}"));
        if number % 2 == 0 {
            job["task"] = json!("bad");
        }
        assert_eq!(send(&served, "POST", "/jobs", &job, &[]).await?.status, 201);
    }
    let mut found = Vec::new();
    let mut path = "/jobs?limit=2&task=bad".to_owned();
    loop {
        let page = get(&served, &path).await?.body;
        let items = page["items"].as_array().context("items")?;
        assert!(items.len() <= 2);
        found.extend(items.iter().map(|job| job["id"].clone()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/jobs?limit=2&task=bad&cursor={next}");
    }
    assert_eq!(found, ["job-0", "job-2", "job-4", "job-6"]);
    for (query, count) in [
        ("search=JOB-3", 1),
        ("tag=t", 7),
        ("tag=u", 0),
        ("state=paused", 0),
        ("queue=default", 7),
    ] {
        let page = get(&served, &format!("/jobs?{query}")).await?.body;
        assert_eq!(
            page["items"].as_array().map(Vec::len),
            Some(count),
            "{query}"
        );
    }
    served.stop().await
}

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
        Ok(get(served_, path).await?.status == 200)
    })
    .await?;
    let history = get(&served, path).await?.body;
    let attempt = &history["attempts"][0];
    assert_eq!(
        (&attempt["outcome"], &attempt["detail"]),
        (&json!("failed"), &json!("broken"))
    );
    let listed = get(&served, "/runs?job=a&limit=5").await?.body;
    assert_eq!(listed["items"][0], *attempt);
    served.stop().await
}

#[tokio::test]
async fn a_trigger_is_explained_before_a_job_has_it() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let asked = json!({"trigger": "30 5 * * mon-fri", "timezone": "Asia/Shanghai", "now": "2026-01-01T00:00:00Z", "count": 2});
    let shown = send(&served, "POST", "/triggers/preview", &asked, &[])
        .await?
        .body;
    assert_eq!(shown["fire_times"][0]["at"], "2026-01-01T21:30:00Z");
    assert_eq!(shown["fire_times"][0]["local"], "2026-01-02T05:30:00+08:00");
    assert_eq!(shown["exhausted"], false);
    assert!(
        shown["description"]
            .as_str()
            .is_some_and(|text| text.contains("05:30")),
        "{shown}"
    );
    let once = json!({"trigger": {"type": "date", "run_date": "2030-01-01"}});
    let shown = send(&served, "POST", "/triggers/preview", &once, &[])
        .await?
        .body;
    assert_eq!(
        (
            &shown["exhausted"],
            shown["fire_times"].as_array().map(Vec::len)
        ),
        (&json!(true), Some(1))
    );
    let wrong = json!({"trigger": {"type": "cron", "hour": 25}});
    let said = send(&served, "POST", "/triggers/preview", &wrong, &[]).await?;
    assert_eq!(
        (said.status, &said.body["errors"][0]["field"]),
        (422, &json!("trigger.hour"))
    );
    served.stop().await
}

#[tokio::test]
async fn the_cluster_shows_itself_and_the_document_tells_every_route() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let nodes = get(&served, "/nodes").await?.body;
    assert_eq!(nodes["items"][0]["state"], "alive");
    let leader = get(&served, "/leader").await?.body;
    assert_eq!(leader["node"], nodes["items"][0]["node"]);
    let stats = get(&served, "/stats").await?.body;
    assert_eq!(stats["jobs"], 0);
    let document = get(&served, "/openapi.json").await?.body;
    assert_eq!(document["openapi"], "3.1.0");
    let mut told = BTreeSet::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        for method in item.as_object().context("methods")?.keys() {
            told.insert((path.clone(), method.to_uppercase()));
        }
    }
    let native = served
        .routes
        .iter()
        .filter(|route| route.path.starts_with("/api/v1"));
    let served_: BTreeSet<_> = native
        .map(|route| (route.path.clone(), route.method.to_owned()))
        .collect();
    assert_eq!(told, served_);
    served.stop().await
}
