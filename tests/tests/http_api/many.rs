//! Many jobs at once.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::served::Served;

use super::{get, job, post, send, tasks};

fn jobs(count: usize) -> Vec<Value> {
    (0..count)
        .map(|number| job(&format!("job-{number}")))
        .collect()
}

#[tokio::test]
async fn many_jobs_are_added_all_or_none() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    post(&served, "/jobs", &job("job-7")).await?;
    let many = json!({ "jobs": jobs(10) });
    let refused = post(&served, "/bulk/jobs", &many).await?;
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert_eq!(refused.body["errors"][0]["field"], "jobs[7]");
    assert_eq!(get(&served, "/stats").await?.body["jobs"], 1);
    let mut wrong = many.clone();
    wrong["jobs"][3]["trigger"] = json!({"type": "cron", "minute": "61"});
    let said = post(&served, "/bulk/jobs", &wrong).await?;
    assert_eq!(
        (said.status, &said.body["errors"][0]["field"]),
        (422, &json!("jobs[3].trigger.minute"))
    );
    assert_eq!(said.body["errors"][0]["value"], "61");
    wrong["jobs"][3] = json!({"id": "s", "task": "shell", "args": {"command": ["true"]}, "trigger": {"type": "interval"}});
    let said = post(&served, "/bulk/jobs", &wrong).await?;
    assert_eq!(
        (said.status, &said.body["errors"][0]["field"]),
        (422, &json!("jobs[3].task"))
    );
    let some = post(&served, "/bulk/jobs?partial=true", &many).await?.body;
    assert_eq!(
        (&some["added"], &some["refused"][0]["index"]),
        (&json!(9), &json!(7))
    );
    let all = post(&served, "/bulk/jobs?replace=true", &many).await?.body;
    assert_eq!(
        (&all["unchanged"], &all["refused"]),
        (&json!(10), &json!([]))
    );
    served.stop().await
}

#[tokio::test]
async fn ten_thousand_jobs_fit_one_request_and_no_more() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let many = json!({ "jobs": jobs(10_000) });
    let done = post(&served, "/bulk/jobs", &many).await?;
    assert_eq!(
        (done.status, &done.body["added"]),
        (200, &json!(10_000)),
        "{}",
        done.body
    );
    assert_eq!(get(&served, "/stats").await?.body["jobs"], 10_000);
    let many = json!({ "jobs": jobs(10_001) });
    let said = post(&served, "/bulk/jobs", &many).await?;
    assert_eq!(
        (said.status, &said.body["errors"][0]["field"]),
        (422, &json!("jobs"))
    );
    // An export of them is one line each.
    let lines = get(&served, "/export").await?.body;
    assert_eq!(
        lines.as_str().map(|lines| lines.lines().count()),
        Some(10_000)
    );
    served.stop().await
}

#[tokio::test]
async fn a_file_owns_its_jobs_over_http() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let file = |jobs: Vec<Value>, more: Value| {
        let mut request = json!({"owner": "jobs.toml", "jobs": jobs});
        for (field, value) in more.as_object().into_iter().flatten() {
            request[field] = value.clone();
        }
        request
    };
    let both = vec![job("a"), job("b")];
    let dry = post(
        &served,
        "/apply",
        &file(both.clone(), json!({"dry_run": true})),
    )
    .await?
    .body;
    assert_eq!(
        (&dry["changes"], &dry["applied"]),
        (&json!(true), &json!(false)),
        "{dry}"
    );
    assert_eq!(
        (&dry["steps"][0]["step"], &dry["steps"][0]["task"]),
        (&json!("add"), &json!("good"))
    );
    assert_eq!(get(&served, "/stats").await?.body["jobs"], 0);
    let done = post(&served, "/apply", &file(both.clone(), Value::Null))
        .await?
        .body;
    assert_eq!(
        (&done["applied"], &done["refused"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(get(&served, "/jobs/a").await?.body["owner"], "jobs.toml");
    let same = post(&served, "/apply", &file(both, json!({"dry_run": true})))
        .await?
        .body;
    assert_eq!(same["changes"], false);

    let mut changed = job("a");
    changed["name"] = json!("renamed");
    let plan = file(vec![changed], json!({"prune": true}));
    let done = post(&served, "/apply", &plan).await?.body;
    assert_eq!(done["steps"][0]["fields"][0]["field"], "name", "{done}");
    assert_eq!(done["steps"][1]["step"], "remove");
    assert_eq!(get(&served, "/jobs/b").await?.status, 404);

    post(&served, "/jobs", &job("by-hand")).await?;
    let theirs = post(&served, "/apply", &file(vec![job("by-hand")], Value::Null))
        .await?
        .body;
    assert_eq!(
        (&theirs["refused"], &theirs["applied"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(theirs["steps"][1]["step"], "foreign", "{theirs}");
    let adopted = post(
        &served,
        "/apply",
        &file(vec![job("by-hand")], json!({"adopt": true})),
    )
    .await?
    .body;
    assert_eq!(adopted["applied"], true);
    assert_eq!(
        post(&served, "/apply", &json!({"owner": " ", "jobs": []}))
            .await?
            .status,
        422
    );
    served.stop().await
}

async fn import(served: &Served, query: &str, lines: &str) -> Result<super::Answer> {
    super::send_text(served, &format!("/import{query}"), lines).await
}

#[tokio::test]
async fn what_is_exported_can_be_brought_back() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    for id in ["a", "b", "c"] {
        post(&served, "/jobs", &job(id)).await?;
    }
    post(&served, "/jobs/b/pause", &json!({"reason": "x"})).await?;
    let lines = get(&served, "/export").await?;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let lines = lines.body.as_str().context("lines")?.to_owned();
    for id in ["a", "b"] {
        send(&served, "DELETE", &format!("/jobs/{id}"), &Value::Null, &[]).await?;
    }
    let dry = import(&served, "?dry_run=true", &lines).await?.body;
    assert_eq!(
        (&dry["added"], &dry["unchanged"], &dry["dry_run"]),
        (&json!(2), &json!(1), &json!(true))
    );
    assert_eq!(get(&served, "/stats").await?.body["jobs"], 1);
    let done = import(&served, "", &lines).await?.body;
    assert_eq!((&done["added"], &done["refused"]), (&json!(2), &json!([])));
    let back = get(&served, "/jobs/b").await?.body;
    assert_eq!(
        (&back["state"], &back["pause"]["reason"]),
        (&json!("paused"), &json!("x"))
    );

    send(&served, "PATCH", "/jobs/a", &json!({"name": "other"}), &[]).await?;
    let refused = import(&served, "", &lines).await?.body;
    assert_eq!(refused["refused"][0]["id"], "a", "{refused}");
    let kept = import(&served, "?on_conflict=keep", &lines).await?.body;
    assert_eq!((&kept["kept"], &kept["unchanged"]), (&json!(1), &json!(2)));
    let replaced = import(&served, "?on_conflict=replace", &lines).await?.body;
    assert_eq!(replaced["replaced"], 1);

    for (wrong, field) in [
        ("{}".to_owned(), "[0]"),
        (format!("{lines}{lines}"), "[3].job.id"),
        (lines.replace("\"good\"", "\"shell\""), "[0].job.task"),
        (
            lines.replace("\"hours\":1", "\"hours\":-1"),
            "[0].job.trigger.hours",
        ),
        (
            "{\"unreadable\": {\"id\": \"x\", \"why\": \"y\"}}".to_owned(),
            "[0]",
        ),
    ] {
        let said = import(&served, "", &wrong).await?;
        assert_eq!(
            (said.status, &said.body["errors"][0]["field"]),
            (422, &json!(field)),
            "{}",
            said.body
        );
    }
    assert_eq!(import(&served, "?on_conflict=x", "").await?.status, 422);
    served.stop().await
}
