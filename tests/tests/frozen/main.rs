//! A leader that is frozen at the worst instants: wherever in its work it stands still, it dispatches nothing once
//! another has taken the lease.
//!
//! A node's real loops reach a real Redis through a [`Gate`], which lets the whole node stand still at a chosen
//! moment: before one of the leader's requests, in the middle of it, or when the answer is there and the node has
//! not read it. Meanwhile a robber takes the lease, and does one of several things with it. Then the node thaws.
//!
//! Nothing waits for time to pass but the jobs, which are due many times a second: a plan is always fresh, so that
//! no check but the lease's is in the way of a frozen leader whose due times nobody moved meanwhile.
//!
//! `CARILLON_THAWS` sets how many moments there are, `CARILLON_SEED` which.

mod robber;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use carillon::jobs::OnConflict;
use carillon::{Context, Event, Events, Jobs, Scheduler, Timing};
use scheduler_core::history::Record;
use scheduler_core::run::Outcome;
use scheduler_core::{Job, JobDefaults, JobSpec, Namespace, NodeName, Shard, Timestamp};
use scheduler_redis::{RedisConfig, RedisStore};
use tests::gate::{At, Gate, Moment};
use tests::oracle;
use tests::redis_server::RedisServer;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use robber::Robber;

/// How many nodes are tried at once, each in a namespace of its own.
const WORLDS: usize = 6;

/// Longer than a test takes: only a robber ends a term.
const LONG: Duration = Duration::from_secs(600);

/// For what is waited at most.
const LIMIT: Duration = Duration::from_secs(60);

/// How often the jobs are due, in milliseconds.
const EVERY_MS: [i64; 3] = [40, 70, 110];

/// What the robber does with the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meanwhile {
    /// Nothing: due times and versions are as the frozen leader saw them.
    Nothing,
    /// It settles what is due.
    Dispatches,
    /// It gives the lease back before the thaw.
    GivesBack,
}

const ATS: [At; 3] = [At::Before, At::Within, At::Answered];
const MEANWHILES: [Meanwhile; 3] = [
    Meanwhile::Nothing,
    Meanwhile::Dispatches,
    Meanwhile::GivesBack,
];

type IsMeant = fn(&[u8]) -> bool;

/// Which requests are meant: dispatches, looks, and whatever else needs the lease.
const REQUESTS: [(&str, IsMeant); 3] = [
    ("dispatch", is_dispatch),
    ("peek", is_peek),
    ("any of the leader's", is_of_a_leader),
];

fn has(request: &[u8], word: &str) -> bool {
    request.windows(word.len()).any(|at| at == word.as_bytes())
}

fn is_of_a_leader(request: &[u8]) -> bool {
    has(request, "}:leader\r\n")
}

/// By the keys that no other of the leader's scripts has together.
fn is_dispatch(request: &[u8]) -> bool {
    is_of_a_leader(request) && has(request, "}:fired\r\n") && has(request, "}:lines\r\n")
}

fn is_peek(request: &[u8]) -> bool {
    is_of_a_leader(request) && has(request, "}:openings\r\n") && has(request, "}:buckets\r\n")
}

fn number(name: &str, default: usize) -> usize {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text}"))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_thaws_at_the_worst_instant_dispatches_nothing_after_another_took_over()
-> Result<()> {
    let thaws = number("CARILLON_THAWS", 324);
    let seed = number("CARILLON_SEED", 20_261_123) as u64;
    let server = Arc::new(RedisServer::start()?);
    let worlds = (0..WORLDS).map(|world| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let mut tried = BTreeMap::new();
            let mut world = World::new(&server, world, seed).await?;
            for point in (world.number..thaws).step_by(WORLDS) {
                let what = world.try_point(point / WORLDS).await?;
                *tried.entry(what).or_insert(0) += 1;
            }
            world.check(&server).await?;
            Ok::<_, anyhow::Error>(tried)
        })
    });
    let mut tried = BTreeMap::new();
    for world in worlds.collect::<Vec<_>>() {
        let of_world = world.await?;
        let of_world = of_world.with_context(|| format!("CARILLON_SEED={seed}"))?;
        for (what, times) in of_world {
            *tried.entry(what).or_insert(0) += times;
        }
    }
    let kinds = REQUESTS.len() * ATS.len() * MEANWHILES.len();
    ensure!(tried.len() == kinds || thaws < kinds * WORLDS, "{tried:?}");
    Ok(())
}

/// One node behind its gate, and who takes the lease from it.
struct World {
    number: usize,
    gate: Gate,
    robber: Robber,
    events: Events,
    begun: Arc<Mutex<Vec<(String, u32)>>>,
    jobs: Vec<(Job, i64, i64)>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<Result<(), carillon::NodeError>>,
    random: fastrand::Rng,
}

impl World {
    async fn new(server: &RedisServer, number: usize, seed: u64) -> Result<Self> {
        let namespace = Namespace::new(format!("frozen-{number}"))?;
        let store = server.store(namespace.as_str());
        let jobs = put_jobs(&store).await?;
        let gate = Gate::start(server.port()).await?;
        let begun = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&begun);
        let through = RedisConfig::from_url(&server.url_on(gate.port()))?;
        let scheduler = Scheduler::builder(RedisStore::new(through, namespace.clone()))
            .node(NodeName::new("frozen")?)
            .task("note", move |context: Context| {
                let note = (context.run_id().to_string(), context.attempt());
                notes.lock().expect("no panic").push(note);
                async {}
            })
            .timing(Timing {
                lease_ttl: LONG,
                session_ttl: LONG,
                ..Timing::default()
            })
            .build()?;
        let (events, stop) = (scheduler.events(), CancellationToken::new());
        let running = tokio::spawn(scheduler.run(stop.clone()));
        let definitions = jobs.iter().map(|(job, ..)| job.clone()).collect();
        let redis = server.connect().await?;
        let robber = Robber::new(store, redis, &namespace, definitions).await?;
        let mut world = Self {
            number,
            gate,
            robber,
            events,
            begun,
            jobs,
            stop,
            running,
            random: fastrand::Rng::with_seed(seed + number as u64),
        };
        world
            .sees("the lease", |event| matches!(event, Event::LeaseWon { .. }))
            .await?;
        Ok(world)
    }

    async fn sees(&mut self, what: &str, is_it: impl Fn(&Event) -> bool) -> Result<()> {
        let found = self
            .events
            .find(LIMIT, |event| is_it(event).then_some(()))
            .await;
        found.with_context(|| format!("never saw {what}"))
    }

    /// Freezes the leader at a moment, has its lease taken, and thaws it.
    async fn try_point(&mut self, point: usize) -> Result<(&'static str, At, Meanwhile)> {
        let (what, is_meant) = REQUESTS[point % 3];
        let at = ATS[point / 3 % 3];
        let meanwhile = MEANWHILES[point / 9 % 3];
        let skip = self.random.usize(0..6);
        let moment = Moment { at, skip, is_meant };
        let named = format!("{skip} more, then {at:?} {what}; the robber: {meanwhile:?}");
        tokio::time::timeout(LIMIT, self.gate.stands_still(moment))
            .await
            .context(named.clone())?;
        self.robber.takes_the_lease().await.context(named.clone())?;
        if meanwhile == Meanwhile::Dispatches {
            self.robber.dispatches().await.context(named.clone())?;
        }
        let settled = self.robber.settled().await?;
        if meanwhile == Meanwhile::GivesBack {
            self.robber.gives_back().await?;
        }
        self.gate.go_on();
        self.sees("that the lease is lost", |event| {
            matches!(event, Event::LeaseLost { .. })
        })
        .await
        .context(named.clone())?;
        if meanwhile != Meanwhile::GivesBack {
            // Its request has been answered by now, whatever it was.
            let since = self.robber.settled().await?;
            ensure!(
                settled == since,
                "{named}: it dispatched {settled:?} {since:?}"
            );
            self.robber.gives_back().await?;
        }
        self.sees("the lease again", |event| {
            matches!(event, Event::LeaseWon { .. })
        })
        .await
        .context(named)?;
        Ok((what, at, meanwhile))
    }

    /// Each fire time has become one run, which was begun and ended once.
    async fn check(mut self, server: &RedisServer) -> Result<()> {
        let until = self.robber.now().await?.as_ms();
        let all_after = format!("a run after {until}");
        self.sees(&all_after, |event| {
            matches!(event, Event::Ended(record) if record.run.scheduled_at().as_ms() > until + 500)
        })
        .await?;
        self.stop.cancel();
        tokio::time::timeout(LIMIT, self.running).await???;
        let mut begun = BTreeMap::new();
        for (run, attempt) in self.begun.lock().expect("no panic").drain(..) {
            ensure!(attempt == 1, "{run} was begun again");
            *begun.entry(run).or_insert(0) += 1;
        }
        let mut ended = BTreeMap::new();
        let store = server.store(&format!("frozen-{}", self.number));
        for entry in oracle::history(&store).await? {
            let Record::Run(run) = entry.record else {
                anyhow::bail!("a skip: {:?}", entry.record);
            };
            ensure!(run.outcome == Outcome::Succeeded, "{run:?}");
            *ended.entry(run.run.to_string()).or_insert(0) += 1;
        }
        for (job, first, every) in &self.jobs {
            for fire in (*first..=until).step_by(usize::try_from(*every)?) {
                let run = format!("{}@{fire}", job.id());
                let times = (begun.get(&run), ended.get(&run));
                ensure!(
                    times == (Some(&1), Some(&1)),
                    "{run}: begun, ended {times:?}"
                );
            }
        }
        ensure!(begun.values().all(|times| *times == 1), "{begun:?}");
        Ok(())
    }
}

/// Jobs that are due all the time, each fire time a run: with when each is due first, and how often.
async fn put_jobs(store: &RedisStore) -> Result<Vec<(Job, i64, i64)>> {
    let now = store
        .observe(&robber::session(Uuid::now_v7())?)
        .await?
        .now
        .as_ms();
    let mut jobs = Vec::new();
    for every in EVERY_MS {
        let first = now + 300 + every;
        let seconds: serde_json::Number = format!("0.{every:03}").parse()?;
        let spec: JobSpec = serde_json::from_value(serde_json::json!({
            "id": format!("every-{every}"), "task": "note", "coalesce": "all", "max_instances": 1000,
            "trigger": { "type": "interval", "seconds": seconds,
                         "start_date": Timestamp::from_ms(first).to_string() },
        }))?;
        let job = spec.resolve(&JobDefaults::default())?;
        Jobs::new(store.clone())
            .put(job.clone(), OnConflict::Replace)
            .await?;
        jobs.push((job, first, every));
    }
    Ok(jobs)
}
