//! HTTP under load, beside a node's work: `cargo bench -p tests --bench http_load`.
//!
//! One real node on a real Redis fires so many jobs a second, first alone, then while so many clients
//! read and write over the native API, each one request after the other with a pause between. Says
//! how late fires were in both, how long the answers took, and whether that is as promised; the exit
//! code is 1 where it is not. Build the node before: `cargo build --release -p carillon`.
//!
//! Node, Redis and clients need little more than one processor. Where others want them all, times tell of
//! those others: `chrt -r 1 cargo bench -p tests --bench http_load`, as root, has the processors first.
//!
//! Arguments: `--fires N` (5000 a second), `--clients N` (200), `--seconds N` (60), `--pause MS` (100).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, RequestBuilder};
use scheduler_core::trigger::TriggerSpec;
use scheduler_core::{Job, JobDefaults, Store};
use scheduler_redis::RedisStore;
use serde_json::json;
use tests::http::{client, served_by};
use tests::node::{Node, until};
use tests::redis_server::RedisServer;
use tokio::task::JoinSet;

/// How long a read may take, of 99 in a hundred.
const READS_WITHIN: Duration = Duration::from_millis(50);

/// How much more of all fires may be later than this, while clients ask, than without.
const LATE: &str = "0.1";
const MORE_LATE: f64 = 0.01;

/// Of a hundred requests, so many change something.
const WRITES: u32 = 20;

struct Plan {
    fires: u64,
    clients: u64,
    span: Duration,
    pause: Duration,
}

impl Plan {
    fn read() -> Result<Self> {
        let mut numbers = BTreeMap::from([
            ("--fires", 5_000),
            ("--clients", 200),
            ("--seconds", 60),
            ("--pause", 100),
        ]);
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(name) = args.next() {
            let number = numbers.get_mut(name.as_str());
            let number = number.with_context(|| format!("{name}: unknown"))?;
            *number = args.next().context("a number")?.parse::<u64>()?;
        }
        Ok(Self {
            fires: numbers["--fires"],
            clients: numbers["--clients"],
            span: Duration::from_secs(numbers["--seconds"]),
            pause: Duration::from_millis(numbers["--pause"]),
        })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let plan = Plan::read()?;
    let redis = RedisServer::start()?;
    let store = redis.store("default");
    put_jobs(&store, plan.fires).await?;
    let config = tempfile::tempdir()?;
    let path = config.path().join("carillon.toml");
    let url = redis.url();
    std::fs::write(
        &path,
        format!(
            "[store]\nurl = \"{url}\"\n[http]\nbind = \"127.0.0.1:0\"\nrate_limit = 0\n\
             [worker]\nconcurrency = 1000\n[history]\nkeep = 1000000\n"
        ),
    )?;
    let node = Node::start("one", &["--config", path.to_str().context("a path")?])?;
    let url = served_by(&node).await?;
    let page = Metrics { url: url.clone() };
    until("fires", || async {
        Ok(page.lateness().await?.all > plan.fires as f64 * 5.0)
    })
    .await?;

    let alone = page.over(plan.span / 2).await?;
    let asking = tokio::spawn(ask(url, plan.clients, plan.span, plan.pause));
    let beside = page.over(plan.span).await?;
    let asked = asking.await??;

    eprintln!("fires alone:        {alone}");
    eprintln!("fires beside HTTP:  {beside}");
    eprintln!("{asked}");
    let mut broken = Vec::new();
    if asked.errors > 0 {
        broken.push(format!(
            "{} requests failed: {}",
            asked.errors, asked.first_error
        ));
    }
    let p99 = quantile(&asked.times(Ask::is_read), 0.99);
    if p99 > READS_WITHIN {
        broken.push(format!("p99 of reads is {p99:?}"));
    }
    if beside.late > alone.late + MORE_LATE {
        broken.push("fires are later than without".to_owned());
    }
    if beside.rate < alone.rate * 0.98 {
        broken.push("fewer fires than without".to_owned());
    }
    ensure!(broken.is_empty(), "{}", broken.join("; "));
    eprintln!("as promised: no error, p99 of reads within {READS_WITHIN:?}, fires not later");
    Ok(())
}

/// So many jobs that are due each second, evenly spread over it, and some that clients change.
async fn put_jobs(store: &RedisStore, fires: u64) -> Result<()> {
    let start = store.overview().await?.now;
    let mut jobs = Vec::new();
    for number in 0..fires {
        let offset = i64::try_from(number * 1_000 / fires)?;
        let first =
            scheduler_core::Timestamp::from_ms(start.as_ms() / 1_000 * 1_000 + 5_000 + offset);
        let trigger = json!({ "type": "interval", "seconds": 1, "start_date": first.to_string() });
        jobs.push(job(&format!("fire-{number}"), &trigger)?);
    }
    for number in 0..200 {
        let yearly = json!({ "type": "cron", "month": 1, "day": 1 });
        jobs.push(job(&format!("mine-{number}"), &yearly)?);
    }
    let wishes = jobs.into_iter().map(|job| carillon::jobs::PutWish {
        job,
        on_conflict: carillon::jobs::OnConflict::Replace,
    });
    let wishes: Vec<_> = wishes.collect();
    carillon::Jobs::new(store.clone()).put_all(&wishes).await?;
    Ok(())
}

fn job(id: &str, trigger: &serde_json::Value) -> Result<Job> {
    let spec: TriggerSpec = serde_json::from_value(trigger.clone())?;
    let trigger = spec.resolve(JobDefaults::default().timezone)?;
    let args = json!({ "message": "fired", "level": "trace" });
    let job = Job::builder(id.parse()?, "log".parse()?, trigger);
    Ok(job
        .args(args)
        .max_instances(std::num::NonZeroU32::MAX)
        .build())
}

/// The node's page of metrics.
struct Metrics {
    url: String,
}

/// How late fires were, as counted so far.
#[derive(Clone, Copy)]
struct Counted {
    all: f64,
    punctual: f64,
    sum: f64,
}

/// How late fires were over a time.
struct Lateness {
    rate: f64,
    mean: f64,
    late: f64,
}

impl std::fmt::Display for Lateness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.0}/s, {:.1} ms late on average, {:.3} % later than {LATE} s",
            self.rate,
            self.mean * 1_000.0,
            self.late * 100.0
        )
    }
}

impl Metrics {
    async fn lateness(&self) -> Result<Counted> {
        let page = client().get(format!("{}/metrics", self.url)).send().await?;
        let page = page.text().await?;
        let value = |beginning: &str| {
            let lines = page.lines().filter(|line| line.starts_with(beginning));
            let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            values.sum::<f64>()
        };
        Ok(Counted {
            all: value("carillon_run_lateness_seconds_count"),
            punctual: value(&format!(
                "carillon_run_lateness_seconds_bucket{{le=\"{LATE}\""
            )),
            sum: value("carillon_run_lateness_seconds_sum"),
        })
    }

    async fn over(&self, span: Duration) -> Result<Lateness> {
        let (before, began) = (self.lateness().await?, Instant::now());
        tokio::time::sleep(span).await;
        let (after, took) = (self.lateness().await?, began.elapsed());
        let all = after.all - before.all;
        ensure!(
            after.punctual > 0.0,
            "the page of metrics has no such bucket"
        );
        Ok(Lateness {
            rate: all / took.as_secs_f64(),
            mean: (after.sum - before.sum) / all,
            late: 1.0 - (after.punctual - before.punctual) / all,
        })
    }
}

/// What clients ask for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ask {
    Job,
    Jobs,
    Runs,
    Nodes,
    Stats,
    Rename,
    Grace,
    Pause,
    Resume,
}

impl Ask {
    const READS: [Self; 5] = [Self::Job, Self::Jobs, Self::Runs, Self::Nodes, Self::Stats];
    const WRITES: [Self; 4] = [Self::Rename, Self::Grace, Self::Pause, Self::Resume];

    const fn is_read(self) -> bool {
        matches!(
            self,
            Self::Job | Self::Jobs | Self::Runs | Self::Nodes | Self::Stats
        )
    }

    const fn told(self) -> &'static str {
        match self {
            Self::Job => "GET /jobs/{id}",
            Self::Jobs => "GET /jobs",
            Self::Runs => "GET /runs",
            Self::Nodes => "GET /nodes",
            Self::Stats => "GET /stats",
            Self::Rename | Self::Grace => "PATCH /jobs/{id}",
            Self::Pause => "POST /jobs/{id}/pause",
            Self::Resume => "POST /jobs/{id}/resume",
        }
    }

    fn request(self, client: &Client, url: &str, job: &str, number: u32) -> RequestBuilder {
        let api = format!("{url}/api/v1");
        let job = format!("{api}/jobs/{job}");
        match self {
            Self::Job => client.get(job),
            Self::Jobs => client.get(format!("{api}/jobs?limit=20")),
            Self::Runs => client.get(format!("{api}/runs?limit=20")),
            Self::Nodes => client.get(format!("{api}/nodes")),
            Self::Stats => client.get(format!("{api}/stats")),
            Self::Rename => client
                .patch(job)
                .body(json!({ "name": number.to_string() }).to_string()),
            Self::Grace => client.patch(job).body("{\"misfire_grace_time\": 60}"),
            Self::Pause => client.post(format!("{job}/pause")),
            Self::Resume => client.post(format!("{job}/resume")),
        }
    }
}

/// What became of the requests.
#[derive(Default)]
struct Asked {
    answers: Vec<(Ask, Duration)>,
    errors: usize,
    first_error: String,
    took: Duration,
}

impl Asked {
    /// How long these took, in order.
    fn times(&self, is_meant: impl Fn(Ask) -> bool) -> Vec<Duration> {
        let meant = self.answers.iter().filter(|(ask, _)| is_meant(*ask));
        let mut times: Vec<_> = meant.map(|(_, took)| *took).collect();
        times.sort_unstable();
        times
    }

    fn line(&self, what: &str, times: &[Duration]) -> String {
        let rate = times.len() as f64 / self.took.as_secs_f64();
        let at = |part| quantile(times, part);
        format!(
            "{what}: {rate:.0}/s, p50 {:.1?}, p99 {:.1?}, longest {:.1?}",
            at(0.5),
            at(0.99),
            at(1.0)
        )
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.line("reads", &self.times(Ask::is_read)))?;
        writeln!(
            f,
            "{}",
            self.line("writes", &self.times(|ask| !ask.is_read()))
        )?;
        let told: BTreeSet<_> = self.answers.iter().map(|(ask, _)| ask.told()).collect();
        for told in told {
            let times = self.times(|ask| ask.told() == told);
            writeln!(f, "  {}", self.line(told, &times))?;
        }
        write!(f, "errors: {}", self.errors)
    }
}

/// Of times in order.
fn quantile(times: &[Duration], part: f64) -> Duration {
    let last = times.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    let place = (last as f64 * part) as usize;
    times.get(place).copied().unwrap_or_default()
}

async fn ask(url: String, clients: u64, span: Duration, pause: Duration) -> Result<Asked> {
    let (client, until) = (client(), Instant::now() + span);
    let mut asking = JoinSet::new();
    for number in 0..clients {
        asking.spawn(one(client.clone(), url.clone(), number, until, pause));
    }
    let mut all = Asked {
        took: span,
        ..Asked::default()
    };
    while let Some(one) = asking.join_next().await {
        let one = one?;
        all.answers.extend(one.answers);
        all.errors += one.errors;
        if all.first_error.is_empty() {
            all.first_error = one.first_error;
        }
    }
    Ok(all)
}

/// One client, from here on.
async fn one(client: Client, url: String, number: u64, until: Instant, pause: Duration) -> Asked {
    let mut random = fastrand::Rng::with_seed(number);
    let mut asked = Asked::default();
    let job = format!("mine-{}", number % 200);
    while Instant::now() < until {
        tokio::time::sleep(pause.mul_f64(random.f64() * 2.0)).await;
        let asks: &[Ask] = if random.u32(0..100) < WRITES {
            &Ask::WRITES
        } else {
            &Ask::READS
        };
        let ask = asks[random.usize(0..asks.len())];
        let request = ask.request(&client, &url, &job, random.u32(..));
        let began = Instant::now();
        let told = match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                answer.bytes().await.map(drop).map_err(|e| e.to_string())
            }
            Ok(answer) => Err(format!("{} {}", answer.url().path(), answer.status())),
            Err(error) => Err(error.to_string()),
        };
        asked.answers.push((ask, began.elapsed()));
        if let Err(why) = told {
            asked.errors += 1;
            if asked.first_error.is_empty() {
                asked.first_error = why;
            }
        }
    }
    asked
}
