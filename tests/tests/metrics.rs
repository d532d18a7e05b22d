//! What a node shows of itself: in a form that Prometheus reads, and enough for what watches it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use carillon::Tasks;
use carillon::task::BoxError;
use serde_json::Value;
use tests::http::client;
use tests::node::until;
use tests::served::Served;

/// One sample: its name, labels and value.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// A page of metrics, read by the rules of OpenMetrics 1.0.
#[derive(Debug, Default)]
struct Page {
    types: BTreeMap<String, String>,
    helped: BTreeSet<String>,
    samples: Vec<Sample>,
}

const SUFFIXES: [&str; 6] = ["_total", "_bucket", "_count", "_sum", "_info", "_created"];

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn read(text: &str) -> Result<Page> {
    let mut page = Page::default();
    let mut lines: Vec<&str> = text.lines().collect();
    ensure!(lines.pop() == Some("# EOF"), "the page has no end");
    for line in lines {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').context("a type")?;
            ensure!(is_name(name), "{name:?}");
            ensure!(
                page.types.insert(name.into(), kind.into()).is_none(),
                "{name} twice"
            );
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').context("help")?;
            ensure!(help.len() > 5, "{name} is not explained");
            page.helped.insert(name.to_owned());
        } else if line.starts_with("# UNIT ") {
        } else {
            let sample = sample(line).with_context(|| line.to_owned())?;
            ensure!(family(&page, &sample.name).is_some(), "{line}: of no type");
            page.samples.push(sample);
        }
    }
    for name in page.types.keys() {
        ensure!(page.helped.contains(name), "{name} is not explained");
    }
    Ok(page)
}

/// The family that a sample belongs to.
fn family(page: &Page, name: &str) -> Option<String> {
    if page.types.contains_key(name) {
        return Some(name.to_owned());
    }
    let bases = SUFFIXES
        .iter()
        .filter_map(|suffix| name.strip_suffix(suffix));
    bases
        .map(str::to_owned)
        .find(|base| page.types.contains_key(base))
}

fn sample(line: &str) -> Result<Sample> {
    let (name, rest) = line.split_at(line.find(['{', ' ']).context("a name")?);
    ensure!(is_name(name), "{name:?}");
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.split_once("} ").context("labels")?,
        None => ("", rest.trim_start()),
    };
    let mut read = BTreeMap::new();
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (key, text) = label.split_once('=').context("a label")?;
        ensure!(is_name(key), "{key:?}");
        let text = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        read.insert(key.to_owned(), text.context("quotes")?.to_owned());
    }
    let value = match value {
        "+Inf" => f64::INFINITY,
        other => other.parse()?,
    };
    Ok(Sample {
        name: name.to_owned(),
        labels: read,
        value,
    })
}

impl Page {
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let matches = |sample: &&Sample| {
            let of_label = |(key, value): &(&str, &str)| {
                sample.labels.get(*key).map(String::as_str) == Some(*value)
            };
            sample.name == name && labels.iter().all(of_label)
        };
        self.samples.iter().find(matches).map(|sample| sample.value)
    }
}

async fn scrape(served: &Served) -> Result<Page> {
    let answer = client()
        .get(format!("{}/metrics", served.url))
        .send()
        .await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    let content = answer.headers()["content-type"].to_str()?.to_owned();
    ensure!(
        content.starts_with("application/openmetrics-text; version=1.0.0"),
        "{content}"
    );
    read(&answer.text().await?)
}

const JOBS: &str = "
[[jobs]]
id = \"good\"
task = \"good\"
trigger = { type = \"interval\", seconds = 1 }
[[jobs]]
id = \"bad\"
task = \"bad\"
trigger = { type = \"date\" }
[[jobs]]
id = \"missed\"
task = \"good\"
misfire_grace_time = 1
trigger = { type = \"date\", run_date = \"2020-01-01\" }
";

fn tasks() -> Result<Tasks> {
    let mut tasks = Tasks::new();
    tasks.register("good", || async {})?;
    tasks.register("bad", || async { Err::<(), BoxError>("bad".into()) })?;
    Ok(tasks)
}

#[tokio::test]
async fn what_a_node_did_can_be_read_by_prometheus() -> Result<()> {
    let served = Served::start(JOBS, tasks()?).await?;
    let served_ = &served;
    until("runs", || async move {
        let page = scrape(served_).await?;
        let run = |task, outcome| {
            let labels = [("task", task), ("outcome", outcome), ("queue", "default")];
            page.value("carillon_runs_total", &labels)
        };
        let skipped = [("reason", "misfired")];
        Ok(run("good", "succeeded") >= Some(2.0)
            && run("bad", "failed") == Some(1.0)
            && page.value("carillon_fires_skipped_total", &skipped) == Some(1.0))
    })
    .await?;
    let page = scrape(&served).await?;
    for (name, labels) in [
        ("carillon_store_up", &[][..]),
        ("carillon_node_ready", &[]),
        ("carillon_lease_held", &[]),
        (
            "carillon_build_info",
            &[("version", env!("CARGO_PKG_VERSION"))],
        ),
        ("carillon_leader_elected", &[]),
        ("carillon_lease_changes_total", &[("change", "won")]),
    ] {
        assert_eq!(page.value(name, labels), Some(1.0), "{name}");
    }
    let took = [("task", "good")];
    let count = page
        .value("carillon_run_duration_seconds_count", &took)
        .context("durations")?;
    assert!(count >= 2.0);
    // Buckets only grow, and the last holds all.
    let buckets = page.samples.iter().filter(|sample| {
        sample.name == "carillon_run_duration_seconds_bucket" && sample.labels["task"] == "good"
    });
    let buckets: Vec<f64> = buckets.map(|sample| sample.value).collect();
    assert!(buckets.is_sorted() && buckets.len() > 5, "{buckets:?}");
    assert_eq!(buckets.last(), Some(&count));
    assert!(page.value("carillon_run_lateness_seconds_sum", &[("queue", "default")]) > Some(0.0));
    let peek = [("operation", "peek")];
    assert!(page.value("carillon_store_call_seconds_count", &peek) > Some(0.0));
    let waiting = page.value("carillon_queue_oldest_seconds", &[("queue", "default")]);
    assert!(waiting.is_some_and(|seconds| seconds < 60.0), "{waiting:?}");
    // No label holds a job's id.
    for sample in &page.samples {
        assert!(!sample.labels.contains_key("job"), "{sample:?}");
    }
    served.stop().await
}

#[tokio::test]
async fn so_many_jobs_have_a_label_as_were_asked_for() -> Result<()> {
    let config = format!("[http]\nmetrics_jobs = 1\n{JOBS}");
    let served = Served::start(&config, tasks()?).await?;
    let served_ = &served;
    until("runs of both", || async move {
        let page = scrape(served_).await?;
        let outcome = |task| page.value("carillon_runs_total", &[("task", task)]);
        Ok(outcome("good") >= Some(1.0) && outcome("bad") == Some(1.0))
    })
    .await?;
    let page = scrape(&served).await?;
    let labelled = |name: &str| {
        let samples = page.samples.iter().filter(|sample| sample.name == name);
        let jobs = samples.map(|sample| sample.labels.get("job").cloned());
        jobs.collect::<BTreeSet<_>>()
    };
    for name in [
        "carillon_runs_total",
        "carillon_run_lateness_seconds_count",
        "carillon_run_duration_seconds_count",
    ] {
        let jobs = labelled(name);
        ensure!(jobs.contains(&None), "{name}: {jobs:?}");
        ensure!(jobs.iter().flatten().count() == 1, "{name}: {jobs:?}");
    }
    served.stop().await
}

/// The names of metrics in a text that holds queries.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("carillon_"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_ask_for_metrics_that_exist() -> Result<()> {
    let served = Served::start(JOBS, tasks()?).await?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/observability");
    let dashboard = std::fs::read_to_string(folder.join("grafana-dashboard.json"))?;
    let parsed: Value = serde_json::from_str(&dashboard)?;
    ensure!(
        parsed["panels"]
            .as_array()
            .is_some_and(|panels| panels.len() > 5),
        "panels"
    );
    let alerts = std::fs::read_to_string(folder.join("alerts.yml"))?;
    let asked: BTreeSet<String> = names(&dashboard).union(&names(&alerts)).cloned().collect();
    ensure!(asked.len() > 8, "{asked:?}");
    let (served_, asked) = (&served, &asked);
    // Some appear with the first run.
    until(&format!("all of {asked:?}"), || async move {
        let page = scrape(served_).await?;
        Ok(asked.iter().all(|name| family(&page, name).is_some()))
    })
    .await?;
    served.stop().await
}
