//! Jobs, one at a time.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::http::client;
use tests::served::Served;

use super::{encoded, get, job, post, send, tasks};

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
        let told = said.body["errors"][0].get("value");
        assert_eq!(
            told,
            body.pointer(&format!("/{}", field.replace('.', "/"))),
            "{field}"
        );
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
        412
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
        path = format!("/jobs?limit=2&task=bad&cursor={}", encoded(next));
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
async fn a_trigger_is_explained_before_a_job_has_it() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let asked = json!({"trigger": "30 5 * * mon-fri", "timezone": "Asia/Shanghai", "now": "2026-01-01T00:00:00Z", "count": 2});
    let shown = send(&served, "POST", "/triggers/preview", &asked, &[])
        .await?
        .body;
    assert_eq!(shown["fire_times"][0]["utc"], "2026-01-01T21:30:00Z");
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

/// Asks for page after page; the ids in the order in which they came.
async fn walk(served: &Served, query: &str) -> Result<Vec<String>> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let after = cursor.map_or_else(String::new, |c: String| format!("&cursor={}", encoded(&c)));
        let page = get(served, &format!("/jobs?{query}{after}")).await?;
        assert_eq!(page.status, 200, "{}", page.body);
        let items = page.body["items"].as_array().context("items")?;
        found.extend(
            items
                .iter()
                .filter_map(|job| job["id"].as_str().map(str::to_owned)),
        );
        match page.body["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(found),
        }
    }
}

#[tokio::test]
async fn however_jobs_are_paged_each_is_seen() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let jobs: Vec<Value> = (0..700)
        .map(|number| {
            let mut job = job(&format!("job~{number:03}"));
            job["trigger"]["hours"] = json!(1 + (number * 7) % 700);
            job
        })
        .collect();
    let done = post(&served, "/bulk/jobs", &json!({ "jobs": jobs })).await?;
    assert_eq!(
        (done.status, &done.body["added"]),
        (200, &json!(700)),
        "{}",
        done.body
    );
    let all: Vec<String> = (0..700).map(|number| format!("job~{number:03}")).collect();
    for limit in [7, 100, 1000] {
        let mut found = walk(&served, &format!("limit={limit}")).await?;
        found.sort();
        found.dedup();
        assert_eq!(found, all, "pages of {limit}");
    }
    assert_eq!(walk(&served, "limit=90&sort=id").await?, all);
    let by_next = walk(&served, "limit=90&sort=next").await?;
    let hours = |id: &String| id[4..].parse::<u64>().map(|number| 1 + (number * 7) % 700);
    let hours: Result<Vec<u64>, _> = by_next.iter().map(hours).collect();
    let hours = hours?;
    assert_eq!(hours.len(), 700);
    assert!(hours.is_sorted(), "{hours:?}");
    for query in [
        "cursor=x",
        "cursor=1.9.a",
        "sort=id&cursor=x",
        "sort=name",
        "cursor=0.0.x",
    ] {
        let said = get(&served, &format!("/jobs?{query}")).await?;
        assert_eq!(said.status, 422, "{query}: {}", said.body);
    }
    served.stop().await
}

#[tokio::test]
async fn a_pause_says_who_and_why_and_until_when() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    post(&served, "/jobs", &job("a")).await?;
    let pause = json!({"by": "anna", "reason": "moving", "for": "2h"});
    let paused = post(&served, "/jobs/a/pause", &pause).await?;
    assert_eq!(paused.status, 200, "{}", paused.body);
    assert_eq!(paused.body["pause"]["by"], "anna");
    assert_eq!(paused.body["pause"]["reason"], "moving");
    assert!(paused.body["pause"]["until"].is_string());
    for (pause, field) in [
        (json!({"until": "1999-01-01"}), "until"),
        (json!({"until": "2199-01-01", "for": "1h"}), "for"),
        (json!({"for": "long"}), "for"),
        (json!({"why": "x"}), "why"),
    ] {
        let said = post(&served, "/jobs/a/pause", &pause).await?;
        assert_eq!(
            (said.status, &said.body["errors"][0]["field"]),
            (422, &json!(field))
        );
    }
    served.stop().await
}

#[tokio::test]
async fn what_a_job_did_and_will_do_is_told() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let mut past = job("a");
    past["trigger"] = json!({"type": "interval", "hours": 1, "start_date": "2026-01-01T00:00:00Z"});
    past["max_instances"] = json!(3);
    post(&served, "/jobs", &past).await?;
    let next = get(&served, "/jobs/a/preview?count=2").await?.body;
    assert_eq!(
        next["fire_times"].as_array().map(Vec::len),
        Some(2),
        "{next}"
    );
    assert_eq!(
        next["fire_times"][0]["utc"],
        get(&served, "/jobs/a").await?.body["next_run_time"]
    );

    let asked =
        json!({"from": "2026-01-02T00:00:00Z", "to": "2026-01-02T09:30:00Z", "dry_run": true});
    let dry = post(&served, "/jobs/a/backfill", &asked).await?.body;
    assert_eq!(dry["items"].as_array().map(Vec::len), Some(10), "{dry}");
    assert_eq!(
        (&dry["items"][0]["run"], &dry["next"]),
        (&Value::Null, &Value::Null)
    );
    let (mut made, mut from) = (0, asked["from"].clone());
    loop {
        let asked = json!({"from": from, "to": asked["to"]});
        let done = post(&served, "/jobs/a/backfill", &asked).await?;
        assert_eq!(done.status, 200, "{}", done.body);
        let items = done.body["items"].as_array().context("items")?;
        assert!(items.len() <= 10, "{}", done.body);
        made += items.len();
        if done.body["next"].is_null() {
            break;
        }
        from = done.body["next"].clone();
    }
    assert_eq!(made, 10);
    for (asked, field) in [
        (
            json!({"from": "2026-01-02T00:00:00Z", "to": "2999-01-01T00:00:00Z"}),
            "to",
        ),
        (
            json!({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}),
            "to",
        ),
        (
            json!({"from": "noon", "to": "2026-01-01T00:00:00Z"}),
            "from",
        ),
    ] {
        let said = post(&served, "/jobs/a/backfill", &asked).await?;
        assert_eq!(
            (said.status, &said.body["errors"][0]["field"]),
            (422, &json!(field))
        );
    }

    let told = get(&served, "/jobs/a/explain?at=2026-01-02T00:30:00Z")
        .await?
        .body;
    assert_eq!(
        (&told["job"], &told["fire_time"]),
        (&json!("a"), &json!("2026-01-02T00:30:00Z"))
    );
    assert!(
        told["fate"].is_string() && told["text"].is_array(),
        "{told}"
    );
    assert_eq!(
        get(&served, "/jobs/none/explain").await?.body["fate"],
        "no_job"
    );
    assert_eq!(get(&served, "/jobs/a/explain?at=noon").await?.status, 422);

    let checked = post(&served, "/preview", &job("b")).await?.body;
    assert_eq!(checked["job"]["task"], "good");
    assert_eq!(
        checked["preview"]["fire_times"].as_array().map(Vec::len),
        Some(5)
    );
    assert_eq!(get(&served, "/jobs/b").await?.status, 404);
    served.stop().await
}

#[tokio::test]
async fn a_job_that_runs_once_gets_an_id_and_a_unique_key_is_held_once() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let once =
        json!({"task": "good", "delay": "1h", "args": {"order": 7}, "unique": {"key": "bill 7"}});
    let made = post(&served, "/once", &once).await?;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.body["id"].as_str().context("an id")?;
    assert!(id.starts_with("good-"), "{id}");
    let again = post(&served, "/once", &once).await?;
    assert_eq!((again.status, &again.body["id"]), (200, &json!(id)));
    let holder = get(&served, "/unique/bill%207").await?;
    assert_eq!((holder.status, &holder.body["job"]), (200, &json!(id)));
    assert_eq!(get(&served, "/unique/other").await?.status, 404);
    let mut error = once.clone();
    error["unique"]["on_conflict"] = json!("error");
    assert_eq!(post(&served, "/once", &error).await?.status, 409);
    for (field, value) in [
        ("id", json!("a")),
        ("at", json!("2199-01-01")),
        ("delay", json!("x")),
    ] {
        let mut wrong = once.clone();
        wrong[field] = value;
        let said = post(&served, "/once", &wrong).await?;
        assert_eq!(said.status, 422, "{field}: {}", said.body);
    }
    served.stop().await
}

#[tokio::test]
async fn a_job_says_itself_whether_it_replaces_another() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    post(&served, "/jobs", &job("a")).await?;
    let mut other = job("a");
    other["name"] = json!("other");
    other["replace_existing"] = json!(true);
    let done = post(&served, "/jobs", &other).await?;
    assert_eq!((done.status, &done.body["name"]), (200, &json!("other")));
    let said = send(&served, "PUT", "/jobs/a", &other, &[]).await?;
    assert_eq!(
        (said.status, &said.body["errors"][0]["field"]),
        (422, &json!("replace_existing"))
    );
    served.stop().await
}
