//! The captures, asked again in order.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use scheduler_core::Timestamp;
use serde_json::{Map, Value};
use tests::http::client;

use tests::served::Served;

use crate::app::start;
use crate::capture::{Capture, Step, data, section};
use crate::compare::{Answer, compare};
use crate::differences::{Difference, listed};

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or(Duration::ZERO);
    Timestamp::EPOCH.after(since)
}

async fn ask(
    url: &str,
    (method, path): (&str, &str),
    auth: Option<&str>,
    content_type: Option<&str>,
    body: Option<String>,
) -> Result<Answer> {
    let mut request = client().request(method.parse()?, format!("{url}{path}"));
    if let Some((user, password)) = auth.and_then(|auth| auth.split_once(':')) {
        request = request.basic_auth(user, Some(password));
    }
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    if let Some(body) = body {
        request = request.body(body);
    }
    let now = now();
    let answer = request.send().await?;
    let text = |value: &reqwest::header::HeaderValue| {
        Value::String(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let headers = answer.headers().iter();
    let headers: Map<String, Value> = headers
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect();
    Ok(Answer {
        status: answer.status().as_u16(),
        headers,
        body: answer.text().await?,
        now,
    })
}

async fn take(url: &str, step: &Step) -> Result<()> {
    tests::node::until(&format!("{step:?}"), || async move {
        let body = step.body.as_ref().map(Value::to_string);
        let request = (step.method.as_str(), step.path.as_str());
        Ok(ask(url, request, None, None, body).await?.status == step.until)
    })
    .await
}

async fn replay(
    app: &Served,
    captures: &[Capture],
    captured: &str,
    wanted: impl Fn(&Capture) -> bool,
) -> Result<()> {
    let differences = listed()?;
    let steps: Vec<Step> = data("steps.json")?;
    let mut wrong = Vec::new();
    let mut compared = 0;
    for capture in captures {
        for step in steps.iter().filter(|step| step.before == capture.id) {
            take(&app.url, step).await?;
        }
        let difference = differences.get(&capture.id);
        if difference.is_some_and(|difference| difference.not_replayed) || !wanted(capture) {
            continue;
        }
        let answer = ask(
            &app.url,
            (&capture.method, &capture.path),
            capture.auth.as_deref(),
            capture.content_type.as_deref(),
            capture.body.clone(),
        )
        .await?;
        let none = Difference::default();
        let same = compare(
            capture,
            &answer,
            captured.parse()?,
            difference.unwrap_or(&none),
        );
        compared += 1;
        if let Err(error) = same {
            let (id, method, path) = (capture.id, &capture.method, &capture.path);
            wrong.push(format!("{id} {method} {path}: {error:#}"));
        }
    }
    ensure!(compared > 0, "nothing was compared");
    ensure!(
        wrong.is_empty(),
        "{} of {compared}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

/// Replays a whole section on a fresh node.
async fn replay_section(name: &str, captured: &str, config: &str, http: &str) -> Result<()> {
    let app = start(config, http).await?;
    replay(&app, &section(name)?, captured, |_| true).await?;
    app.stop().await
}

#[tokio::test]
async fn a_client_of_the_original_gets_the_same_answers() -> Result<()> {
    replay_section("A", "2026-11-22T07:14:19Z", "", "").await
}

#[tokio::test]
async fn jobs_go_on_after_what_the_original_does_not_survive() -> Result<()> {
    replay_section("B", "2026-11-22T07:14:22Z", "", "").await
}

#[tokio::test]
async fn the_prefix_of_the_paths_is_the_configured_one() -> Result<()> {
    let prefix = "flask_prefix = \"/api/v1/sched\"";
    replay_section("F", "2026-11-22T07:14:27Z", "", prefix).await
}

#[tokio::test]
async fn times_are_read_and_shown_in_the_configured_zone() -> Result<()> {
    let zone = "timezone = \"America/New_York\"";
    replay_section("H", "2026-11-22T07:14:38Z", zone, "").await
}

#[tokio::test]
async fn jobs_of_the_file_are_listed_as_jobs_of_the_original_configuration() -> Result<()> {
    let jobs = r#"
        [job_defaults]
        misfire_grace_time = 1
        [[jobs]]
        id = "job1"
        task = "tasks:add"
        args = [1, 2]
        trigger = { type = "interval", hours = 1 }
        [[jobs]]
        id = "job2"
        task = "tasks:hello"
        trigger = { type = "cron", day_of_week = "mon-fri", hour = "*/2" }
        [[jobs]]
        id = "job3"
        name = "third"
        task = "tasks:hello"
        trigger = { type = "date", run_date = "2099-01-01T00:00:00+02:00" }
    "#;
    replay_section("I", "2026-11-22T07:14:38Z", jobs, "").await
}

#[tokio::test]
async fn configured_job_defaults_come_before_those_of_the_original() -> Result<()> {
    let defaults = "[job_defaults]\ncoalesce = false\nmax_instances = 3\nmisfire_grace_time = 60";
    replay_section("J", "2026-11-22T07:14:40Z", defaults, "").await
}

#[tokio::test]
async fn only_registered_tasks_run_and_odd_values_are_taken_as_by_the_original() -> Result<()> {
    replay_section("K", "2026-11-22T07:14:41Z", "", "").await
}

/// The original's own map of its routes, as it shows it.
fn original_routes(answer: &str) -> Result<Vec<(String, String)>> {
    let rules: Vec<(String, String, Vec<String>)> = serde_json::from_str(answer)?;
    let mut routes = Vec::new();
    for (path, endpoint, methods) in rules {
        if endpoint == "static" || endpoint == "rules" {
            continue;
        }
        let path = path.replace("<job_id>", "{id}");
        let own = methods
            .into_iter()
            .filter(|m| !["HEAD", "OPTIONS"].contains(&m.as_str()));
        routes.extend(own.map(|method| (path.clone(), method)));
    }
    routes.sort();
    Ok(routes)
}

#[tokio::test]
async fn all_routes_of_the_original_are_there() -> Result<()> {
    let sections = [("A", 1, ""), ("F", 156, "flask_prefix = \"/api/v1/sched\"")];
    for (name, id, http) in sections {
        let captures = section(name)?;
        let rules = captures.iter().find(|capture| capture.id == id);
        let original = original_routes(&rules.context("the map")?.answer)?;
        let app = start("", http).await?;
        let is_served = |(path, method): &&(String, String)| {
            let mut served = app.routes.iter();
            served.any(|route| route.path == *path && route.method == method)
        };
        let missing: Vec<_> = original.iter().filter(|route| !is_served(route)).collect();
        ensure!(missing.is_empty(), "{missing:?}");
        app.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn clients_show_a_name_and_a_password_where_one_is_wanted() -> Result<()> {
    let hash = carillon::http::hash("guest")?;
    let users =
        format!("[[http.users]]\nname = \"guest\"\nhash = \"{hash}\"\nrole = \"operator\"\n");
    replay_section("C", "2026-11-22T07:14:25Z", "", &users).await
}

#[tokio::test]
async fn nobody_is_let_in_whose_name_is_not_known() -> Result<()> {
    let hash = carillon::http::hash("guest")?;
    let users =
        format!("[[http.users]]\nname = \"host\"\nhash = \"{hash}\"\nrole = \"operator\"\n");
    replay_section("D", "2026-11-22T07:14:25Z", "", &users).await
}
