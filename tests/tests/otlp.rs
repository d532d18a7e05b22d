//! Traces and metrics reach a collector, and a run's trace context reaches whoever it calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tests::cluster::Cluster;
use tests::http::{ANY_PORT, client, served_by};
use tests::node::{Node, carillon, until};
use tests::redis_server::Persistence;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A request that came: its path, its headers and its body.
#[derive(Clone, Debug)]
struct Came {
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// A service that takes whatever comes, and keeps it.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Vec<Came>>>);

impl Receiver {
    async fn start() -> Result<(String, Self)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let receiver = Self::default();
        let all = receiver.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let receiver = all.clone();
                tokio::spawn(async move {
                    let mut read = Vec::new();
                    let mut buffer = vec![0; 65_536];
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        read.extend_from_slice(&buffer[..length]);
                        while let Some((came, used)) = request(&read) {
                            read.drain(..used);
                            receiver.0.lock().expect("no panic").push(came);
                            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                            if stream.write_all(answer).await.is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
        Ok((url, receiver))
    }

    fn all(&self, path: &str) -> Vec<Came> {
        let came = self.0.lock().expect("no panic");
        came.iter()
            .filter(|came| came.path == path)
            .cloned()
            .collect()
    }

    fn spans(&self) -> Vec<Value> {
        let bodies = self.all("/v1/traces").into_iter();
        let bodies = bodies.filter_map(|came| serde_json::from_str::<Value>(&came.body).ok());
        bodies
            .flat_map(|body| {
                let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
                spans.as_array().cloned().unwrap_or_default()
            })
            .collect()
    }
}

/// The first request of what was read, and how many bytes it has, if it is there as a whole.
fn request(read: &[u8]) -> Option<(Came, usize)> {
    let text = String::from_utf8_lossy(read);
    let (head, _) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers: BTreeMap<_, _> = headers
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers
        .get("content-length")
        .map_or(Some(0), |text| text.parse().ok())?;
    let from = head.len() + 4;
    let body = read.get(from..from + length)?;
    let body = String::from_utf8_lossy(body).into_owned();
    Some((
        Came {
            path,
            headers,
            body,
        },
        from + length,
    ))
}

fn attribute(span: &Value, key: &str) -> Value {
    let attributes = span["attributes"].as_array().into_iter().flatten();
    let mut found = attributes.filter(|attribute| attribute["key"] == key);
    let value = found.next().map(|attribute| attribute["value"].clone());
    value.unwrap_or_default()
}

#[tokio::test]
async fn spans_and_metrics_of_runs_reach_a_collector() -> Result<()> {
    if !has_otlp().await? {
        eprintln!("left out: this carillon was built without the feature `otlp`");
        return Ok(());
    }
    let (collector, spans) = Receiver::start().await?;
    let (service, called) = Receiver::start().await?;
    let jobs = format!(
        r#"
[otlp]
endpoint = "{collector}/"
interval = "1s"
headers = {{ "x-key" = "hunter2" }}
[tasks.shell]
enabled = true
[[jobs]]
id = "call"
task = "http"
args = {{ url = "{service}/called" }}
trigger = {{ type = "date" }}
keep = true
[[jobs]]
id = "fail"
task = "shell"
args = {{ command = ["sh", "-c", "echo $TRACEPARENT; exit 1"] }}
trigger = {{ type = "date" }}
keep = true
"#
    );
    let cluster = Cluster::new(Persistence::None, 0, &jobs).await?;
    let config = cluster.config.to_str().context("a path")?;
    let more = ["--namespace", "traced", "--log-format", "json"];
    let args = [&["--config", config], &ANY_PORT[..], &more[..]].concat();
    let mut node = Node::start_with("one", &args, &[("CARILLON_LOG", "trace")])?;
    // Its log is JSON, in which a quote follows.
    let url = served_by(&node).await?;
    let url = url.split('"').next().context("a URL")?;
    let is_run = |span: &&Value| {
        span["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("run "))
    };
    until("the spans", || async {
        let spans = spans.spans();
        Ok(spans.iter().filter(is_run).count() >= 2 && spans.len() >= 4)
    })
    .await?;
    let all = spans.spans();
    let of_job = |job: &str, name: &str| {
        let wanted = json!({ "stringValue": job });
        let found = all
            .iter()
            .find(|span| attribute(span, "carillon.job") == wanted && span["name"] == name);
        found.with_context(|| format!("{name} of {job} in {all:#?}"))
    };
    // From the dispatch to the handler, and on to the service that it called.
    let (root, run) = (of_job("call", "dispatch")?, of_job("call", "run http")?);
    assert_eq!(run["traceId"], root["traceId"]);
    assert_eq!(run["parentSpanId"], root["spanId"]);
    assert_eq!(
        attribute(run, "carillon.run"),
        attribute(root, "carillon.run")
    );
    let came = called.all("/called").first().cloned().context("a call")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let parent = format!("00-{}-{}-01", text(&run["traceId"]), text(&run["spanId"]));
    assert_eq!(came.headers["traceparent"], parent);
    assert!(run.get("status").is_none(), "{run}");
    let nanos = |span: &Value, end: &str| -> Result<u64> { Ok(text(&span[end]).parse()?) };
    assert!(nanos(run, "startTimeUnixNano")? <= nanos(run, "endTimeUnixNano")?);
    let failed = of_job("fail", "run shell")?;
    assert_eq!(failed["status"]["code"], 2);
    let parent = format!(
        "00-{}-{}-01",
        text(&failed["traceId"]),
        text(&failed["spanId"])
    );
    assert!(
        text(&failed["status"]["message"]).contains(&parent),
        "{failed:#}"
    );
    assert_ne!(failed["traceId"], run["traceId"]);
    // Who asks for a run is linked with it.
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let asked = client()
        .post(format!("{url}/api/v1/jobs/call/run"))
        .header("traceparent", format!("00-{trace}-{span}-01"))
        .send()
        .await?;
    let made: Value = serde_json::from_str(&asked.error_for_status()?.text().await?)?;
    let made = json!({ "stringValue": made["run"] });
    let of_run = || {
        let all = spans.spans().into_iter();
        let mut of_run: Vec<_> = all
            .filter(|span| attribute(span, "carillon.run") == made)
            .collect();
        of_run.sort_by_key(|span| (text(&span["name"]), text(&span["traceId"]) != trace));
        of_run
    };
    until("its spans", || async { Ok(of_run().len() == 3) }).await?;
    let [asking, asked, attempt] = &of_run()[..] else {
        bail!("other spans: {:#?}", of_run());
    };
    assert_eq!(
        (&asking["traceId"], &asking["parentSpanId"]),
        (&json!(trace), &json!(span))
    );
    assert_eq!(asked["traceId"], attempt["traceId"]);
    let link = |span: &Value| {
        (
            span["links"][0]["traceId"].clone(),
            span["links"][0]["spanId"].clone(),
        )
    };
    assert_eq!(
        link(asking),
        (asked["traceId"].clone(), asked["spanId"].clone())
    );
    assert_eq!(link(asked), (json!(trace), json!(span)));
    // The same numbers as on the page.
    let counted = |came: &Came| -> Option<f64> {
        let body: Value = serde_json::from_str(&came.body).ok()?;
        let metrics = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
            .as_array()?
            .clone();
        let runs = metrics
            .iter()
            .find(|metric| metric["name"] == "carillon_runs")?;
        let points = runs["sum"]["dataPoints"].as_array()?;
        points.iter().map(|point| point["asDouble"].as_f64()).sum()
    };
    until("the metrics", || async {
        let metrics = spans.all("/v1/metrics");
        Ok(metrics.iter().filter_map(counted).any(|runs| runs >= 2.0))
    })
    .await?;
    for came in spans
        .all("/v1/metrics")
        .iter()
        .chain(&spans.all("/v1/traces"))
    {
        assert_eq!(came.headers["x-key"], "hunter2");
        let body: Value = serde_json::from_str(&came.body)?;
        let key = if came.path.ends_with("traces") {
            "resourceSpans"
        } else {
            "resourceMetrics"
        };
        let resource = &body[key][0]["resource"];
        assert_eq!(
            attribute(resource, "service.name"),
            json!({ "stringValue": "carillon" })
        );
        assert_eq!(
            attribute(resource, "service.namespace"),
            json!({ "stringValue": "traced" })
        );
    }
    // The log tells the run with whatever is said while its handler runs, as JSON.
    node.signal(rustix::process::Signal::TERM)?;
    assert!(node.ended().await?.success());
    let log = node.log();
    let run = text(&attribute(run, "carillon.run")["stringValue"]);
    let told = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut told = told.filter(|line| line["span"]["run"] == run.as_str());
    assert!(
        told.next().is_some(),
        "no line of the log has the span of {run}: {log}"
    );
    assert!(!log.contains("hunter2"), "a header is in the log");
    Ok(())
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nothing_up() -> Result<()> {
    if !has_otlp().await? {
        return Ok(());
    }
    let away = "[otlp]\nendpoint = \"http://127.0.0.1:1\"\ninterval = \"1s\"\n";
    let mut cluster = Cluster::new(Persistence::None, 2, away).await?;
    let node = cluster.node("one")?;
    cluster.ring(2).await?;
    node.says("what is not sent is dropped").await?;
    cluster.check(&mut [node]).await?;
    Ok(())
}

/// Whether the binary exports at all: one without refuses the table.
async fn has_otlp() -> Result<bool> {
    let directory = tempfile::tempdir()?;
    let config = directory.path().join("carillon.toml");
    std::fs::write(&config, "[otlp]\nendpoint = \"nowhere\"\n")?;
    let mut command = carillon();
    let ended = command.args(["run", "--config"]).arg(&config).output();
    let output = tokio::time::timeout(Duration::from_secs(60), ended).await??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(2), "{said}");
    Ok(said.contains("is no address of a collector"))
}

#[tokio::test]
async fn a_program_without_the_export_says_so() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let config = directory.path().join("carillon.toml");
    std::fs::write(&config, "[otlp]\nservice_name = \"x\"\n")?;
    let output = carillon()
        .args(["run", "--config"])
        .arg(&config)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let wanted = if has_otlp().await? {
        "means nothing without an endpoint"
    } else {
        "built without the feature `otlp`"
    };
    assert!(
        output.status.code() == Some(2) && said.contains(wanted),
        "{said}"
    );
    Ok(())
}
