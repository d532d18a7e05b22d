//! What happens, told as Server-Sent Events.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::Response;
use serde_json::{Value, json};
use tests::http::client;
use tests::node::until;
use tests::served::Served;
use tokio::time::timeout;

use super::{encoded, get, job, post, tasks};

/// What was told: an id, an event, or both.
#[derive(Clone, Debug, Default, PartialEq)]
struct Told {
    id: Option<String>,
    event: Value,
}

impl Told {
    /// What it is about: the name of an event, or what became of a run.
    fn word(&self) -> &str {
        let word = self.event["event"].as_str();
        word.or(self.event["outcome"].as_str()).unwrap_or_default()
    }
}

/// A client that listens.
struct Listener {
    response: Response,
    read: String,
}

impl Listener {
    async fn new(served: &Served, query: &str, last: Option<&str>) -> Result<Self> {
        let mut request = client().get(format!("{}/api/v1/events{query}", served.url));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await?.error_for_status()?;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Ok(Self {
            response,
            read: String::new(),
        })
    }

    async fn next(&mut self) -> Result<Told> {
        loop {
            if let Some((text, rest)) = self.read.split_once("\n\n") {
                let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
                let told = Told {
                    id: field("id: ").map(str::to_owned),
                    event: field("data: ").map_or(Ok(Value::Null), serde_json::from_str)?,
                };
                self.read = rest.to_owned();
                if told != Told::default() {
                    return Ok(told);
                }
                continue;
            }
            let chunk = timeout(Duration::from_secs(30), self.response.chunk()).await??;
            self.read += std::str::from_utf8(&chunk.context("the stream has ended")?)?;
        }
    }

    /// The next event of this word, and all that came before.
    async fn hears(&mut self, word: &str) -> Result<Vec<Told>> {
        let mut all = Vec::new();
        loop {
            all.push(self.next().await?);
            if all.last().is_some_and(|told| told.word() == word) {
                return Ok(all);
            }
        }
    }
}

/// Runs a job, and waits for its end.
async fn run(served: &Served, id: &str) -> Result<String> {
    let made = post(served, &format!("/jobs/{id}/run"), &Value::Null).await?;
    let run = made.body["run"].as_str().context("a run")?.to_owned();
    let path = &format!("/runs/{}", encoded(&run));
    until("its end", || async move {
        let state = get(served, path).await?.body["state"].clone();
        Ok(state == "succeeded" || state == "failed")
    })
    .await?;
    Ok(run)
}

#[tokio::test]
async fn what_happens_is_told_live_and_what_is_recorded_has_an_id() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let mut listener = Listener::new(&served, "", None).await?;
    // Who is cut off at once goes on from here.
    let first = listener.next().await?;
    assert!(first.id.is_some() && first.event.is_null(), "{first:?}");
    post(&served, "/jobs", &job("a")).await?;
    let added = listener.hears("job_added").await?.pop().context("it")?;
    assert_eq!((added.event["job"].as_str(), added.id), (Some("a"), None));
    let made = run(&served, "a").await?;
    let ended = listener.hears("succeeded").await?.pop().context("it")?;
    assert_eq!(ended.event["run"], made.as_str());
    assert!(ended.id.is_some(), "{ended:?}");
    served.stop().await
}

#[tokio::test]
async fn who_comes_back_is_told_each_record_since_once_and_in_order() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    post(&served, "/jobs", &job("a")).await?;
    post(&served, "/jobs", &job("b")).await?;
    let mut listener = Listener::new(&served, "", None).await?;
    let heard = run(&served, "a").await?;
    let told = listener.hears("succeeded").await?.pop().context("it")?;
    assert_eq!(told.event["run"], heard.as_str());
    let last = told.id.context("an id")?;
    drop(listener);

    let mut missed = Vec::new();
    for id in ["b", "a", "b"] {
        missed.push(run(&served, id).await?);
    }
    for (header, query) in [
        (Some(last.as_str()), String::new()),
        (None, format!("?last_event_id={}", encoded(&last))),
    ] {
        let mut listener = Listener::new(&served, &query, header).await?;
        let mut runs = Vec::new();
        let mut ids = vec![last.clone()];
        while runs.len() < missed.len() {
            let told = listener.next().await?;
            if told.word() == "succeeded" {
                runs.push(told.event["run"].as_str().unwrap_or_default().to_owned());
                ids.extend(told.id);
            }
        }
        assert_eq!(runs, missed);
        ids.dedup();
        assert_eq!(ids.len(), missed.len() + 1, "{ids:?}");
        // And then what comes.
        let new = run(&served, "a").await?;
        let told = listener.hears("succeeded").await?.pop().context("it")?;
        assert_eq!(told.event["run"], new.as_str());
        missed.push(new);
    }
    // Only what was asked for.
    let query = format!("?job=b&only=succeeded&last_event_id={}", encoded(&last));
    let mut listener = Listener::new(&served, &query, None).await?;
    let mut of_b = Vec::new();
    while of_b.len() < 2 {
        let told = listener.next().await?;
        if !told.event.is_null() {
            let run = told.event["run"].as_str().unwrap_or_default();
            assert!(
                told.word() == "succeeded" && run.starts_with("b!"),
                "{told:?}"
            );
            of_b.push(told.event["run"].clone());
        }
    }
    assert_eq!(of_b, [json!(missed[0]), json!(missed[2])]);
    served.stop().await
}

#[tokio::test]
async fn an_id_that_is_none_is_refused_and_one_that_is_forgotten_is_told() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    post(&served, "/jobs", &job("a")).await?;
    run(&served, "a").await?;
    let refused = get(&served, "/events?last_event_id=x").await?;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.body["errors"][0]["field"], "Last-Event-ID");
    let mut listener = Listener::new(&served, "?only=succeeded", Some("1-0")).await?;
    let told = listener.hears("succeeded").await?;
    assert!(told.iter().any(|told| told.word() == "unheard"), "{told:?}");
    served.stop().await
}

#[tokio::test]
async fn so_many_may_listen_to_one_worker_and_no_more() -> Result<()> {
    let served = Served::start("", tasks()?).await?;
    let mut listeners = Vec::new();
    for _ in 0..256 {
        listeners.push(Listener::new(&served, "", None).await?);
    }
    let one_more = get(&served, "/events").await?;
    assert_eq!(one_more.status, 503, "{}", one_more.body);
    assert!(!one_more.header("retry-after").is_empty());
    // All of them hear what happens, and who goes makes room.
    post(&served, "/jobs", &job("a")).await?;
    for listener in &mut listeners {
        listener.hears("job_added").await?;
    }
    drop(listeners.pop());
    let served_ = &served;
    until("room", || async move {
        let again = Listener::new(served_, "", None).await;
        Ok(again.is_ok())
    })
    .await?;
    served.stop().await
}
