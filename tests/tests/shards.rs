//! A namespace in several shards: the same world as in one, and each shard with a leader of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon::jobs::{JobsError, OnConflict, Put, PutAll, PutWish};
use carillon::{Jobs, Queues};
use scheduler_core::audit::{Audit, AuditQuery, Author, Deed, Via};
use scheduler_core::event::Event;
use scheduler_core::history::Record;
use scheduler_core::job::{JobDefaults, JobSpec};
use scheduler_core::queue::{HoldNote, QueueLimits};
use scheduler_core::shard::{ShardCount, Shards};
use scheduler_core::store::{HistoryQuery, RequestId, StoreErrorKind};
use scheduler_core::{
    Clock, Job, JobId, ManualClock, MemoryStore, Namespace, QueueName, Sharded, Store, Timestamp,
    UniqueKey,
};
use scheduler_redis::{RedisConfig, RedisStore};
use tests::cluster::{Cluster, take};
use tests::node::until;
use tests::oracle::STREAM;
use tests::redis_cluster::RedisCluster;
use tests::redis_server::{Persistence, RedisServer};
use uuid::Uuid;

const START: Timestamp = Timestamp::from_ms(1_763_863_200_000);

fn count(shards: u16) -> ShardCount {
    ShardCount::new(shards).expect("a number of shards")
}

fn job(more: &serde_json::Value) -> Result<Job> {
    let mut spec = serde_json::json!({
        "task": "log", "trigger": { "type": "interval", "seconds": 10 },
    });
    let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) else {
        anyhow::bail!("no object");
    };
    spec.extend(more.clone());
    let spec: JobSpec = serde_json::from_value(serde_json::Value::Object(spec.clone()))?;
    Ok(spec.resolve(&JobDefaults::default())?)
}

/// A clock that a test moves.
trait Hand {
    async fn set(&self, to: Timestamp) -> Result<()>;
}

impl Hand for Arc<ManualClock> {
    async fn set(&self, to: Timestamp) -> Result<()> {
        ManualClock::set(self, to);
        Ok(())
    }
}

impl Hand for Shards<RedisStore> {
    async fn set(&self, to: Timestamp) -> Result<()> {
        for shard in self.shards() {
            shard.set_pinned_clock(to).await?;
        }
        Ok(())
    }
}

/// All that clients see, without what tells shards apart: versions.
async fn seen<S: Store>(store: &S, queue: &QueueName, keys: &[UniqueKey]) -> Result<String> {
    let mut world = Vec::new();
    for stored in Jobs::new(store.clone()).list().await?.jobs {
        let id = stored.job.id().clone();
        let in_flight = store.in_flight(&id).await?.len();
        world.push(format!(
            "{id}: {:?} {:?} {:?} {in_flight}",
            stored.job, stored.state, stored.next_fire
        ));
    }
    let board = store.queues().await?;
    world.push(format!("{:?}", board.hold.map(|hold| hold.note)));
    let state = board.queues.into_iter().find(|state| state.queue == *queue);
    world.push(format!(
        "{:?}",
        state.map(|s| (
            s.limits,
            s.set_by,
            s.hold.map(|hold| hold.note),
            s.waiting,
            s.in_use
        ))
    ));
    let holders = store.holders(keys).await?;
    world.push(format!(
        "{:?}",
        holders.iter().flatten().collect::<Vec<_>>()
    ));
    let mut overview = store.overview().await?;
    overview.leaders.clear();
    world.push(format!("{overview:?}"));
    let mut records: Vec<_> = tests::oracle::history(store).await?.into_iter().collect();
    records.sort_by_key(|entry| (entry.at, entry.record.to_line()));
    world.extend(
        records
            .iter()
            .map(|entry| format!("{} {}", entry.at, entry.record.to_line())),
    );
    let audit = AuditQuery {
        limit: 1000,
        ..AuditQuery::default()
    };
    let deeds = store.audited(&audit).await?.entries;
    world.extend(deeds.iter().map(|entry| entry.deed.to_line()));
    Ok(world.join("\n"))
}

/// What one client does, drawn from a seed; answers with what it was answered.
async fn act<S: Store>(store: &S, hand: &impl Hand, seed: u64) -> Result<Vec<String>> {
    let jobs = Jobs::new(store.clone());
    let queues = Queues::new(store.clone());
    let queue = QueueName::new("mail")?;
    let keys: Vec<_> = (0..4)
        .map(|tag| UniqueKey::new(format!("key {{{tag}}}")))
        .collect::<Result<_, _>>()?;
    let mut draw = seed;
    let mut next = |below: u64| {
        draw = draw
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (draw >> 33) % below
    };
    let mut told = Vec::new();
    let mut now = START;
    for step in 0..60 {
        let (number, tag) = (next(12), next(4));
        let id = JobId::new(format!("job-{number} {{{tag}}}"))?;
        let said = match next(10) {
            0..=2 => {
                let mut more =
                    serde_json::json!({ "id": id.as_str(), "queue": "mail", "args": step });
                if next(3) == 0 {
                    more["unique"] = serde_json::json!({ "key": format!("key {{{tag}}}") });
                    let at = START.after(Duration::from_secs(3600));
                    more["trigger"] =
                        serde_json::json!({ "type": "date", "run_date": at.to_string() });
                }
                if number > 0 && next(4) == 0 {
                    more["after"] = serde_json::json!({ "job": format!("job-0 {{{tag}}}") });
                }
                match jobs.put(job(&more)?, OnConflict::Replace).await {
                    Ok(put) => format!("{put:?}"),
                    Err(error) => error.to_string(),
                }
            }
            3 => format!("{:?}", jobs.pause(&id).await?),
            4 => format!("{:?}", jobs.resume(&id).await?),
            5 => format!("{:?}", jobs.remove(&id).await?),
            6 => {
                let answer = format!("{:?}", jobs.run_now(&id).await?);
                answer
                    .split(['(', ' '])
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            }
            7 => {
                let limits = QueueLimits {
                    concurrency: std::num::NonZeroU32::new(u32::try_from(8 + next(8))?),
                    rate: format!("{}/s", 10 + next(10)).parse().ok(),
                };
                format!("{:?}", queues.limit(&queue, limits).await?)
            }
            8 if next(2) == 0 => format!("{:?}", queues.pause(&queue, HoldNote::default()).await?),
            8 => format!("{:?}", queues.resume(&queue).await?),
            _ => {
                now = now.after(Duration::from_secs(1 + next(20)));
                hand.set(now).await?;
                String::new()
            }
        };
        told.push(said);
        told.push(seen(store, &queue, &keys).await?);
    }
    Ok(told)
}

#[tokio::test]
async fn what_clients_do_comes_to_the_same_in_several_shards_in_memory() -> Result<()> {
    for seed in 0..20 {
        let mut worlds = Vec::new();
        for shards in [1, 4, 7] {
            let clock = Arc::new(ManualClock::new(START));
            let of = Arc::clone(&clock);
            let store = Shards::new(count(shards), |_| {
                MemoryStore::new(Arc::clone(&of) as Arc<dyn Clock>)
            });
            worlds.push(act(&store, &clock, seed).await?);
        }
        for (shards, world) in [4, 7].iter().zip(&worlds[1..]) {
            for (step, (one, several)) in worlds[0].iter().zip(world).enumerate() {
                assert_eq!(one, several, "seed {seed}, {shards} shards, step {step}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_clients_do_comes_to_the_same_in_several_shards_on_redis() -> Result<()> {
    let server = RedisServer::start()?;
    for seed in 100..104 {
        let mut worlds = Vec::new();
        for shards in [1, 3] {
            let config = RedisConfig::from_url(&server.url())?.with_shards(count(shards));
            let namespace = Namespace::new(format!("same-{seed}-{shards}"))?;
            let store = RedisStore::shards_with_pinned_clocks(config, namespace);
            store.set(START).await?;
            worlds.push(act(&store, &store, seed).await?);
        }
        for (step, (one, several)) in worlds[0].iter().zip(&worlds[1]).enumerate() {
            assert_eq!(one, several, "seed {seed}, step {step}");
        }
    }
    Ok(())
}

/// Jobs in all shards, each paused for a while: as many records, at different times.
async fn with_records<S: Store>(store: &S, hand: &impl Hand, jobs: u32) -> Result<()> {
    hand.set(START).await?;
    let desk = Jobs::new(store.clone());
    let mut now = START;
    for pair in 0..jobs / 2 {
        let ids = [2 * pair, 2 * pair + 1].map(|number| JobId::new(format!("job-{number}")));
        for id in &ids {
            let id = id.as_ref().map_err(Clone::clone)?;
            let more = serde_json::json!({ "id": id.as_str() });
            desk.put(job(&more)?, OnConflict::Refuse).await?;
            desk.pause(id).await?;
        }
        now = now.after(Duration::from_secs(15));
        hand.set(now).await?;
        // Both at one instant.
        for id in ids {
            desk.resume(&id?).await?;
        }
    }
    Ok(())
}

async fn history_is_whole(store: &impl Store, records: usize) -> Result<()> {
    let of = |record: &Record| record.job().to_string();
    let mut newest: Option<Vec<String>> = None;
    for limit in [1, 2, 3, 7, 1000] {
        let mut query = HistoryQuery {
            limit,
            ..HistoryQuery::default()
        };
        let (mut back, mut times) = (Vec::new(), Vec::new());
        loop {
            let page = store.history(&query).await?;
            ensure!(page.entries.len() <= limit, "{limit}");
            for entry in &page.entries {
                back.push(of(&entry.record));
                times.push(entry.at);
                // Onward from each: what is newer, and nothing else.
                let query = HistoryQuery {
                    after: Some(entry.position.clone()),
                    limit: 1000,
                    ..HistoryQuery::default()
                };
                let newer: BTreeSet<_> = store
                    .history(&query)
                    .await?
                    .entries
                    .into_iter()
                    .map(|e| of(&e.record))
                    .collect();
                let shown: BTreeSet<_> = back[..back.len() - 1].iter().cloned().collect();
                assert_eq!(
                    newer,
                    shown,
                    "limit {limit}, behind {}",
                    back[back.len() - 1]
                );
            }
            query.before = page.older;
            if query.before.is_none() {
                break;
            }
        }
        assert_eq!(back.len(), records, "limit {limit}");
        assert!(
            times.is_sorted_by(|a, b| a >= b),
            "limit {limit}: {times:?}"
        );
        assert_eq!(
            *newest.get_or_insert_with(|| back.clone()),
            back,
            "limit {limit}"
        );

        let mut query = HistoryQuery {
            after: Some("0".to_owned()),
            limit,
            ..HistoryQuery::default()
        };
        let mut onward = Vec::new();
        loop {
            let page = store.history(&query).await?;
            onward.extend(page.entries.iter().map(|entry| of(&entry.record)));
            let is_end = page.entries.is_empty() && query.after.as_ref() == Some(&page.position);
            query.after = Some(page.position);
            if is_end {
                break;
            }
        }
        let all: BTreeSet<_> = onward.iter().collect();
        assert_eq!(
            (onward.len(), all.len()),
            (records, records),
            "limit {limit}"
        );
    }
    let query = HistoryQuery {
        before: Some("1,2".to_owned()),
        limit: 1,
        ..HistoryQuery::default()
    };
    let error = store
        .history(&query)
        .await
        .expect_err("no place in 4 shards");
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    Ok(())
}

#[tokio::test]
async fn history_of_several_shards_is_read_once_and_in_order() -> Result<()> {
    let clock = Arc::new(ManualClock::new(START));
    let of = Arc::clone(&clock);
    let memory = Shards::new(count(4), |_| {
        MemoryStore::new(Arc::clone(&of) as Arc<dyn Clock>)
    });
    with_records(&memory, &clock, 30).await?;
    history_is_whole(&memory, 30).await?;

    let server = RedisServer::start()?;
    let config = RedisConfig::from_url(&server.url())?.with_shards(count(4));
    let redis = RedisStore::shards_with_pinned_clocks(config, Namespace::default_namespace());
    with_records(&redis, &redis, 30).await?;
    history_is_whole(&redis, 30).await
}

#[tokio::test]
async fn what_must_be_together_is_refused_apart_and_made_together_where_it_can_be() -> Result<()> {
    let clock = Arc::new(ManualClock::new(START));
    let store = Shards::new(count(8), |_| {
        MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>)
    });
    let jobs = Jobs::new(store.clone());
    let at = START.after(Duration::from_secs(3600)).to_string();
    let unique = |id: &str, key: &str| {
        job(&serde_json::json!({
            "id": id, "unique": { "key": key }, "trigger": { "type": "date", "run_date": at },
        }))
    };
    let error = jobs.put(unique("foo", "bar")?, OnConflict::Refuse).await;
    let Err(JobsError::Apart(apart)) = error else {
        anyhow::bail!("{error:?}");
    };
    assert!(apart.to_string().contains("same tag in braces"), "{apart}");
    assert_eq!(jobs.list().await?.jobs.len(), 0);
    let put = jobs
        .put(unique("foo {7}", "bar {7}")?, OnConflict::Refuse)
        .await?;
    assert_eq!(put, Put::Added);
    // Ids that are made are made to fit; the second finds the first.
    for number in 0..20 {
        let key = UniqueKey::new(format!("order {number}"))?;
        let mut ids = BTreeSet::new();
        for _ in 0..2 {
            let unique = scheduler_core::Unique::new(key.clone());
            let with = |job: scheduler_core::JobBuilder| job.unique(Some(unique));
            let task = scheduler_core::TaskName::new("log")?;
            let when = carillon::jobs::Once::After(Duration::from_secs(60));
            ids.insert(jobs.once(task, when, with).await?);
        }
        assert_eq!(ids.len(), 1, "one job for one key");
        let holder = jobs.holder(&key).await?.context("a holder")?;
        assert!(ids.contains(&holder.job));
    }
    // A limit that cannot be divided.
    let queue = QueueName::new("mail")?;
    let limits = QueueLimits {
        concurrency: std::num::NonZeroU32::new(7),
        rate: None,
    };
    let error = Queues::new(store)
        .limit(&queue, limits)
        .await
        .expect_err("7 for 8");
    assert!(
        error
            .to_string()
            .contains("cannot be divided among 8 shards"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn listeners_hear_all_shards() -> Result<()> {
    let server = RedisServer::start()?;
    let config = RedisConfig::from_url(&server.url())?.with_shards(count(4));
    let store = RedisStore::shards(config, Namespace::default_namespace());
    let mut feed = store.listen().await?;
    let jobs = Jobs::new(store.clone());
    let mut wanted = BTreeSet::new();
    for number in 0..12 {
        let id = format!("job-{number}");
        jobs.put(job(&serde_json::json!({ "id": id }))?, OnConflict::Refuse)
            .await?;
        let id = JobId::new(id)?;
        jobs.run_now(&id).await?;
        let run = store.in_flight(&id).await?.pop().context("a run")?.run;
        jobs.cancel(&run, None, None).await?;
        wanted.insert(id);
    }
    let mut added = BTreeSet::new();
    while added != wanted {
        for event in feed.next().await.context("the feed ended")? {
            if let Event::JobAdded { job, .. } = event {
                added.insert(job);
            }
        }
    }
    let request = RequestId(Uuid::now_v7());
    let deeds = vec![Deed::new(Author::new("me", Via::Library), "looked", None)];
    store.audit(&Audit { request, deeds }).await?;
    let query = AuditQuery {
        by: Some("me".to_owned()),
        limit: 10,
        ..AuditQuery::default()
    };
    assert_eq!(store.audited(&query).await?.entries.len(), 1);
    Ok(())
}

#[tokio::test]
async fn whoever_was_told_another_number_of_shards_is_refused() -> Result<()> {
    let server = RedisServer::start()?;
    let store = |shards, namespace: &str| -> Result<_> {
        let config = RedisConfig::from_url(&server.url())?.with_shards(count(shards));
        Ok(RedisStore::shards(config, Namespace::new(namespace)?))
    };
    for (first, other) in [(4, 1), (1, 4), (4, 3), (3, 4), (2, 6), (6, 2)] {
        let namespace = format!("from-{first}-to-{other}");
        let right = store(first, &namespace)?;
        for number in 0..20 {
            let job = job(&serde_json::json!({ "id": format!("job-{number}") }))?;
            Jobs::new(right.clone())
                .put(job, OnConflict::Refuse)
                .await?;
        }
        let wrong = store(other, &namespace)?;
        for number in 0..20 {
            let id = format!("job-{number}");
            for error in [
                Jobs::new(wrong.clone())
                    .get(&JobId::new(&id)?)
                    .await
                    .map(drop),
                Jobs::new(wrong.clone())
                    .put(job(&serde_json::json!({ "id": id }))?, OnConflict::Replace)
                    .await
                    .map(drop),
            ] {
                let Err(JobsError::Store(error)) = error else {
                    anyhow::bail!("{namespace}, {id}: {error:?}");
                };
                assert_eq!(error.kind(), StoreErrorKind::Mismatch, "{error}");
                let text = error.to_string();
                let says = format!("has {first} shard");
                assert!(
                    text.contains(&says) && text.contains(&format!("told {other}")),
                    "{text}"
                );
            }
        }
        assert_eq!(Jobs::new(right).list().await?.jobs.len(), 20);
    }
    // One that is not split has nothing written down.
    let mut redis = server.connect().await?;
    let mut command = redis::cmd("HEXISTS");
    command.arg("carillon:{from-1-to-4/0}:meta").arg("shards");
    let is_there: bool = command.query_async(&mut redis).await?;
    assert!(!is_there);
    Ok(())
}

/// How many shards each of these nodes leads; none while a shard has no leader.
async fn leads(store: &Shards<RedisStore>) -> Result<Option<BTreeMap<String, usize>>> {
    let mut led = BTreeMap::new();
    for leader in store.overview().await?.leaders {
        let Some(token) = leader else {
            return Ok(None);
        };
        *led.entry(token.session.node().to_owned()).or_default() += 1;
    }
    Ok(Some(led))
}

async fn until_led_by(store: &Shards<RedisStore>, nodes: &[&str]) -> Result<()> {
    let each = store.shards().len() / nodes.len();
    until("leaders on all nodes", || async {
        let led = leads(store).await?.unwrap_or_default();
        let is_even = led.values().all(|led| (each..=each + 1).contains(led));
        Ok(is_even && led.keys().map(String::as_str).eq(nodes.iter().copied()))
    })
    .await
}

const QUICK: &str = "[worker]\nsession_ttl = \"2s\"\n";

#[tokio::test]
async fn each_node_leads_its_part_and_what_a_dead_one_led_goes_to_the_others() -> Result<()> {
    let server = RedisServer::with(Persistence::None, None)?;
    let url = format!("{}?shards=4", server.url());
    let redis = server.connect().await?;
    let mut cluster = Cluster::on(server, &url, redis, 24, QUICK)?;
    let mut nodes = vec![cluster.node("a")?, cluster.node("b")?, cluster.node("c")?];
    until_led_by(&cluster.store, &["a", "b", "c"]).await?;
    cluster.ring(2).await?;
    let mut dead = take(&mut nodes, "b");
    dead.kill().await?;
    cluster.ring(2).await?;
    until_led_by(&cluster.store, &["a", "c"]).await?;
    nodes.push(cluster.node("d")?);
    until_led_by(&cluster.store, &["a", "c", "d"]).await?;
    cluster.ring(2).await?;
    // Each job in the shard where its id says, and all of them ring.
    for shard in cluster.store.shards() {
        assert!(shard.overview().await?.jobs > 0);
    }
    let starts = cluster.check(&mut nodes).await?;
    let jobs: BTreeSet<_> = starts.iter().map(|start| &start.job).collect();
    assert_eq!(jobs.len(), 24);
    Ok(())
}

#[tokio::test]
async fn shards_of_a_cluster_ring_on_while_the_server_of_one_is_gone() -> Result<()> {
    let all = RedisCluster::start().await?;
    let url = format!("{}?shards=4", all.url().await?);
    let stream = all.connect_to(STREAM).await?;
    let mut cluster = Cluster::on(all, &url, stream, 24, QUICK)?;
    let mut nodes = vec![cluster.node("a")?, cluster.node("b")?, cluster.node("c")?];
    until_led_by(&cluster.store, &["a", "b", "c"]).await?;
    cluster.ring(2).await?;
    let mut servers = BTreeSet::new();
    for shard in 0..4 {
        servers.insert(cluster.server.owner_of_shard(shard).await?);
    }
    ensure!(servers.len() > 1, "all shards on one server");
    let old = cluster.server.owner().await?;
    cluster.server.servers[old].kill()?;
    // The others', before anybody has taken over the first.
    let shards = cluster.store.shard_count();
    let first: BTreeSet<String> = (0..24)
        .map(|number| format!("job-{number}"))
        .filter(|id| JobId::new(id).is_ok_and(|id| shards.of_job(&id).0 == 0))
        .collect();
    {
        let mut redis = cluster.redis.clone();
        let before = tests::oracle::starts(&mut redis).await?.len();
        let redis = &redis;
        let first = &first;
        until("the other shards' fires", || async move {
            let starts = tests::oracle::starts(&mut redis.clone()).await?;
            let new = starts.get(before..).unwrap_or_default();
            let rang: BTreeSet<_> = new.iter().map(|start| &start.job).collect();
            Ok(rang.iter().filter(|job| !first.contains(**job)).count() == 24 - first.len())
        })
        .await?;
    }
    cluster.server.moved_from(old).await?;
    cluster.ring(2).await?;
    cluster.check(&mut nodes).await?;
    Ok(())
}

async fn puts_all_or_none<S: Store>(store: S) -> Result<()> {
    let jobs = Jobs::new(store);
    let wish = |id: String| {
        let on_conflict = OnConflict::Refuse;
        job(&serde_json::json!({ "id": id })).map(|job| PutWish { job, on_conflict })
    };
    let wishes: Vec<_> = (0..1_000)
        .map(|number| wish(format!("job-{number}")))
        .collect::<Result<_>>()?;
    let mut told = Vec::new();
    let put = jobs
        .put_all_or_none(&wishes, |done| told.push(done))
        .await?;
    assert_eq!(put, PutAll::Done(vec![Put::Added; 1_000]));
    assert_eq!(
        (told.len(), told.last()),
        (4, Some(&1_000)),
        "a step a shard"
    );
    for wish in &wishes {
        let stored = jobs.get(wish.job.id()).await?.context("it is there")?;
        assert_eq!(stored.job, wish.job);
    }

    let mut wishes: Vec<_> = (0..100)
        .map(|number| wish(format!("other-{number}")))
        .collect::<Result<_>>()?;
    wishes.push(wish("job-7".to_owned())?);
    let put = jobs
        .put_all_or_none(&wishes, |_| panic!("nothing is put"))
        .await?;
    assert_eq!(put, PutAll::Refused(vec![(100, Put::Exists)]));
    assert_eq!(jobs.list().await?.jobs.len(), 1_000);
    Ok(())
}

#[tokio::test]
async fn many_jobs_are_put_all_or_none_in_a_step_for_each_shard() -> Result<()> {
    let clock = Arc::new(ManualClock::new(START));
    let memory = Shards::new(count(4), |_| {
        MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>)
    });
    puts_all_or_none(memory).await?;
    let server = RedisServer::start()?;
    let config = RedisConfig::from_url(&server.url())?.with_shards(count(4));
    let redis = RedisStore::shards_with_pinned_clocks(config, Namespace::default_namespace());
    redis.set(START).await?;
    puts_all_or_none(redis).await
}
