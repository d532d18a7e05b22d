//! Where in a cluster the shard is.
//!
//! All keys of a shard share a slot, so the shard is on one server of the cluster, which is spoken to as
//! one that stands alone is. What a cluster adds: the slot may come to be another server's, by failover
//! or because somebody moves it. Servers tell each other, some later than others; of what they say, the
//! highest configuration epoch is right.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::config::{Host, RedisConfig};
use crate::server::{Latest, Tenure, client, settings};

/// How long finding the shard may take.
const FIND_TIMEOUT: Duration = Duration::from_secs(3);

/// How long to wait for what the others say, once one has answered: one that hangs must not hold us up.
const OTHERS_TIMEOUT: Duration = Duration::from_millis(100);

/// How often servers are asked whether the slot is still where it was. Half of it, on average, is added
/// to the silence after a failover of a server that hangs.
const WATCH_EVERY: Duration = Duration::from_millis(500);

/// How long one of them may take for the answer.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(400);

/// How many servers are known at most, besides those of the URL: more would only be asked in vain.
const MOST_KNOWN: usize = 8;

/// A cluster, of which one slot matters. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cluster(Arc<Shared>);

struct Shared {
    config: RedisConfig,
    /// Any key of the shard.
    key: String,
    seen: Mutex<Seen>,
    /// None where nobody has to hear at once that it went elsewhere.
    watcher: Option<OnceLock<JoinSet<()>>>,
}

/// What is known so far.
struct Seen {
    latest: Latest,
    /// How recent that is.
    epoch: u64,
    witnesses: Vec<Arc<Witness>>,
}

/// What one server says.
#[derive(Debug, PartialEq, Eq)]
struct Testimony {
    /// Who has the slot, and since which configuration epoch. None where nobody does.
    owner: Option<(Host, u64)>,
    /// Servers that are not known to have failed.
    servers: Vec<Host>,
}

/// Where a server is asked.
struct Asked {
    host: Host,
    /// Whether servers are to be reached by the names that they announce: certificates hold names.
    by_name: bool,
}

/// A server that may be asked.
struct Witness {
    asked: Asked,
    client: Client,
    connection: tokio::sync::Mutex<Option<MultiplexedConnection>>,
}

impl Witness {
    fn new(host: Host, config: &RedisConfig) -> RedisResult<Self> {
        let settings = settings(0, config.username.as_ref(), config.password.as_ref());
        let client = client(&host, config, settings)?;
        Ok(Self {
            asked: Asked {
                host,
                by_name: config.tls,
            },
            client,
            connection: tokio::sync::Mutex::default(),
        })
    }

    /// Who has the slot of `key`, as this server knows.
    async fn ask(&self, key: &str) -> RedisResult<Testimony> {
        let mut held = self.connection.lock().await;
        // Not kept where it fails, or nobody waits for the answer any longer.
        let mut connection = match held.take() {
            Some(connection) => connection,
            None => {
                let settings = AsyncConnectionConfig::new();
                self.client
                    .get_multiplexed_async_connection_with_config(&settings)
                    .await?
            }
        };
        let mut question = redis::pipe();
        question.cmd("CLUSTER").arg("KEYSLOT").arg(key);
        question.cmd("CLUSTER").arg("NODES");
        let (slot, nodes): (u16, String) = question.query_async(&mut connection).await?;
        *held = Some(connection);
        Ok(Testimony::read(&nodes, slot, &self.asked))
    }
}

impl Cluster {
    /// The cluster of these servers, for the slot of `key`. Where it is not watched, another place of
    /// the slot shows when the earlier one refuses, or is silent.
    pub(crate) fn new(
        config: &RedisConfig,
        seeds: &[Host],
        key: String,
        is_watched: bool,
    ) -> RedisResult<Self> {
        let witnesses = seeds.iter().map(|host| Witness::new(host.clone(), config));
        let witnesses = witnesses.map(|witness| witness.map(Arc::new));
        let seen = Seen {
            latest: Latest::default(),
            epoch: 0,
            witnesses: witnesses.collect::<RedisResult<_>>()?,
        };
        Ok(Self(Arc::new(Shared {
            config: config.clone(),
            key,
            seen: Mutex::new(seen),
            watcher: is_watched.then(OnceLock::new),
        })))
    }

    /// How to reach the server that has the slot, and for how long that is so.
    pub(crate) async fn find(&self) -> RedisResult<(Client, Tenure)> {
        let shared = &self.0;
        if let Some(watcher) = &shared.watcher {
            watcher.get_or_init(|| {
                let mut watcher = JoinSet::new();
                watcher.spawn(watch(Arc::downgrade(shared)));
                watcher
            });
        }
        let witnesses = shared.seen().witnesses.clone();
        let finding = shared.ask_all(witnesses);
        let found = timeout(FIND_TIMEOUT, finding).await;
        found.map_err(|_| no_answer(std::io::ErrorKind::TimedOut))??;
        let (owner, tenure) = {
            let seen = shared.seen();
            (seen.latest.host(), seen.latest.tenure())
        };
        let Some(owner) = owner else {
            let text = format!("no server of the cluster has the slot of {}", shared.key);
            return Err(std::io::Error::other(text).into());
        };
        let config = &shared.config;
        let settings = settings(0, config.username.as_ref(), config.password.as_ref());
        Ok((client(&owner, config, settings)?, tenure))
    }
}

fn no_answer(kind: std::io::ErrorKind) -> redis::RedisError {
    std::io::Error::new(kind, "no server of the cluster answers").into()
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks these all at once, and takes in what they say. The error of the last where none answers.
    async fn ask_all(&self, witnesses: Vec<Arc<Witness>>) -> RedisResult<()> {
        let asked = witnesses.iter().map(|witness| witness.ask(&self.key));
        let mut asked: FuturesUnordered<_> = asked.collect();
        let mut outcome = Err(no_answer(std::io::ErrorKind::NotConnected));
        loop {
            let next = asked.next();
            let answer = if outcome.is_err() {
                next.await
            } else {
                // Whoever is slower is not waited for.
                timeout(OTHERS_TIMEOUT, next).await.unwrap_or_default()
            };
            match answer {
                None => return outcome,
                Some(Ok(testimony)) => {
                    self.take_in(testimony);
                    outcome = Ok(());
                }
                Some(Err(error)) if outcome.is_err() => outcome = Err(error),
                Some(Err(_)) => {}
            }
        }
    }

    fn take_in(&self, testimony: Testimony) {
        let mut seen = self.seen();
        if let Some((Host { name, port }, epoch)) = testimony.owner
            && epoch >= seen.epoch
        {
            seen.epoch = epoch;
            seen.latest.told(&name, port);
        }
        for host in testimony.servers {
            let is_known = seen.witnesses.iter().any(|known| known.asked.host == host);
            if is_known || seen.witnesses.len() >= MOST_KNOWN {
                continue;
            }
            match Witness::new(host, &self.config) {
                Ok(witness) => seen.witnesses.push(Arc::new(witness)),
                Err(error) => tracing::debug!(%error, "an address in the cluster"),
            }
        }
    }

    /// The next two to ask: not the one that has the slot, unless there is no other. It says nothing
    /// where it hangs.
    fn next_two(&self, turn: usize) -> Vec<Arc<Witness>> {
        let seen = self.seen();
        let owner = seen.latest.host();
        let (owners, others): (Vec<_>, Vec<_>) = (seen.witnesses.iter().cloned())
            .partition(|witness| Some(&witness.asked.host) == owner.as_ref());
        let mut asked = if others.is_empty() { owners } else { others };
        let count = asked.len();
        asked.rotate_left(2 * turn % count.max(1));
        asked.truncate(2);
        asked
    }
}

/// Looks after the slot, for as long as somebody has the cluster.
async fn watch(shared: Weak<Shared>) {
    for turn in 0.. {
        sleep(WATCH_EVERY).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let asking = shared.ask_all(shared.next_two(turn));
        match timeout(ANSWER_TIMEOUT, asking).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "no news of the cluster"),
            Err(_) => tracing::debug!("no news of the cluster in time"),
        }
    }
}

impl Testimony {
    /// Reads what `CLUSTER NODES` answers, a line for each server:
    /// `<id> <host>:<port>@<bus>[,<name>] <flags> <primary> <sent> <heard> <epoch> <link> <slots>...`.
    /// One that does not know its own host (yet) is where it was asked.
    fn read(nodes: &str, slot: u16, asked: &Asked) -> Self {
        let mut testimony = Self {
            owner: None,
            servers: Vec::new(),
        };
        for line in nodes.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [_, address, flags, _, _, _, epoch, _, ref slots @ ..] = words[..] else {
                continue;
            };
            let mut flags = flags.split(',');
            let is_gone = flags
                .clone()
                .any(|flag| ["fail", "noaddr", "handshake"].contains(&flag));
            let Some(host) = read_address(address, asked) else {
                continue;
            };
            if is_gone {
                continue;
            }
            let is_primary = flags.any(|flag| flag == "master");
            if is_primary
                && slots.iter().any(|range| holds(range, slot))
                && let Ok(epoch) = epoch.parse()
            {
                testimony.owner = Some((host.clone(), epoch));
            }
            testimony.servers.push(host);
        }
        testimony
    }
}

/// `<host>:<port>@<bus>[,<name>]`.
fn read_address(address: &str, asked: &Asked) -> Option<Host> {
    let (address, more) = address.split_once('@').unwrap_or((address, ""));
    let (number, port) = address.rsplit_once(':')?;
    let announced = more.split(',').nth(1).filter(|_| asked.by_name);
    let names = [announced.unwrap_or_default(), number, &asked.host.name];
    Some(Host {
        name: names.into_iter().find(|name| !name.is_empty())?.to_owned(),
        port: port.parse().ok()?,
    })
}

/// Whether `7`, or `7-9`, holds this slot. What is on its way (`[7->-...]`) is not there yet, or still.
fn holds(range: &str, slot: u16) -> bool {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) => (first..=last).contains(&slot),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        let name = name.to_owned();
        Host { name, port }
    }

    const NODES: &str = "\
        07c3 127.0.0.1:30004@31004,a.local slave e7d1 0 1426238317239 4 connected\n\
        67ed :30002@31002 myself,master - 0 1426238316232 2 connected 5461-10922 [93-<-e7d1]\n\
        292f 2001:db8::1:30003@31003 master - 0 1426238318243 3 connected 10923-16382 16383\n\
        6ec2 127.0.0.1:30005@31005 master,fail - 0 1426238316232 5 disconnected 0-5460\n\
        824f 127.0.0.1:30006@31006 master,fail? - 0 1426238317741 6 connected 100\n\
        7777 :0@0 master,noaddr - 0 1426238317741 7 disconnected\n";

    #[test]
    fn a_server_says_who_has_the_slot() {
        let asked = Asked {
            host: host("here", 30002),
            by_name: false,
        };
        let owner = |slot| Testimony::read(NODES, slot, &asked).owner;
        assert_eq!(owner(5461), Some((host("here", 30002), 2)));
        assert_eq!(owner(16383), Some((host("2001:db8::1", 30003), 3)));
        // Suspected only.
        assert_eq!(owner(100), Some((host("127.0.0.1", 30006), 6)));
        // Its primary has failed, and nobody was promoted yet; being moved here is not being here.
        assert_eq!(owner(7), None);
        assert_eq!(owner(93), None);
        let servers = Testimony::read(NODES, 0, &asked).servers;
        let ports: Vec<u16> = servers.iter().map(|host| host.port).collect();
        assert_eq!(ports, [30004, 30002, 30003, 30006]);
        let by_name = Asked {
            by_name: true,
            ..asked
        };
        let servers = Testimony::read(NODES, 0, &by_name).servers;
        let names: Vec<&str> = servers.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["a.local", "here", "2001:db8::1", "127.0.0.1"]);
    }

    #[test]
    fn what_is_no_line_of_a_server_is_passed_over() {
        let asked = Asked {
            host: host("here", 1),
            by_name: true,
        };
        for nodes in [
            "",
            "\n",
            "x",
            "a b c d e f g h 1-2",
            "a b:1 master - 0 0 x ok 0-9",
        ] {
            assert_eq!(Testimony::read(nodes, 1, &asked).owner, None, "{nodes}");
        }
    }

    #[tokio::test]
    async fn an_older_word_does_not_undo_a_newer_one() {
        let config = RedisConfig::from_url("redis-cluster://a:1").unwrap();
        let cluster = Cluster::new(&config, &[host("a", 1)], "k".to_owned(), true).unwrap();
        let say = |name: &str, epoch| {
            cluster.0.take_in(Testimony {
                owner: Some((host(name, 1), epoch)),
                servers: vec![host(name, 1)],
            });
            let seen = cluster.0.seen();
            (seen.latest.host().unwrap().name, seen.latest.tenure())
        };
        let (first, tenure) = say("a", 3);
        assert_eq!(first, "a");
        assert_eq!(say("b", 4).0, "b");
        assert!(tenure.is_over());
        let (still, tenure) = say("a", 3);
        assert_eq!(still, "b");
        assert!(!tenure.is_over());
        assert_eq!(say("a", 5).0, "a");
        assert_eq!(cluster.0.seen().witnesses.len(), 2);
    }

    #[tokio::test]
    async fn whoever_has_the_slot_is_asked_last() {
        let config = RedisConfig::from_url("redis-cluster://a:1").unwrap();
        let seeds: Vec<Host> = (1..=4).map(|port| host("a", port)).collect();
        let cluster = Cluster::new(&config, &seeds, "k".to_owned(), true).unwrap();
        cluster.0.seen().latest.told("a", 2);
        let asked = |turn| -> Vec<u16> {
            let asked = cluster.0.next_two(turn);
            asked
                .iter()
                .map(|witness| witness.asked.host.port)
                .collect()
        };
        assert_eq!(asked(0), [1, 3]);
        assert_eq!(asked(1), [4, 1]);
        assert_eq!(asked(2), [3, 4]);
        cluster.0.seen().witnesses.truncate(0);
        assert_eq!(asked(3), [0; 0]);
    }
}
