//! A Redis Cluster: three primaries, and a replica of the one that has the shard.

use anyhow::{Context, Result};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, cmd};

use crate::cluster::NAMESPACE;
use crate::node::until;
use crate::redis_server::{Persistence, RedisServer, free_port};

/// Password of the servers.
const PASSWORD: &str = "of the cluster";

/// How many primaries there are: the fewest that can agree when one of them is gone.
const PRIMARIES: usize = 3;

/// How many slots there are.
const SLOTS: usize = 16384;

/// How many keys are moved at once with their slot.
const KEYS_AT_ONCE: usize = 100;

/// Four servers that are a cluster.
pub struct RedisCluster {
    /// The primaries, and last the replica.
    pub servers: Vec<RedisServer>,
    /// The slot of the shard.
    slot: usize,
}

impl RedisCluster {
    /// Starts it, and waits until its servers agree and the replica is in step.
    ///
    /// # Errors
    ///
    /// Where one of them does not come up.
    pub async fn start() -> Result<Self> {
        let mut buses = Vec::new();
        let mut servers = Vec::new();
        for _ in 0..=PRIMARIES {
            let bus = free_port()?;
            buses.push(bus);
            let bus = bus.to_string();
            servers.push(RedisServer::with_arguments(
                Persistence::None,
                Some(PASSWORD),
                &[
                    "--masterauth",
                    PASSWORD,
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    &bus,
                    "--cluster-node-timeout",
                    "500",
                    // Who has lost nothing goes on while others have.
                    "--cluster-require-full-coverage",
                    "no",
                    // A server without slots does not become somebody's replica by itself.
                    "--cluster-allow-replica-migration",
                    "no",
                    "--repl-diskless-sync-delay",
                    "0",
                ],
            )?);
        }
        let mut all = Self { servers, slot: 0 };
        all.slot = all
            .slot_of(&format!("carillon:{{{NAMESPACE}/0}}:due"))
            .await?;
        for (server, bus) in buses.iter().enumerate() {
            let epoch = cluster(["SET-CONFIG-EPOCH", &(server + 1).to_string()]);
            all.ask::<()>(server, &epoch).await?;
            // The first has the shard's slot and no other.
            let range = match server {
                0 => Some((all.slot, all.slot)),
                1 => Some((0, all.slot - 1)),
                2 => Some((all.slot + 1, SLOTS - 1)),
                _ => None,
            };
            if let Some((first, last)) = range {
                let range = [first.to_string(), last.to_string()];
                let add = cluster(["ADDSLOTSRANGE", &range[0], &range[1]]);
                all.ask::<()>(server, &add).await?;
            }
            let port = all.servers[server].port().to_string();
            let meet = cluster(["MEET", "127.0.0.1", &port, &bus.to_string()]);
            all.ask::<()>(0, &meet).await?;
        }
        let replica = PRIMARIES;
        let id: String = all.ask(0, &cluster(["MYID"])).await?;
        let knows = &all;
        until("a replica that knows its primary", || async {
            let nodes: String = knows.ask(replica, &cluster(["NODES"])).await?;
            Ok(nodes.contains(&id))
        })
        .await?;
        all.ask::<()>(replica, &cluster(["REPLICATE", &id])).await?;
        all.agree().await?;
        Ok(all)
    }

    /// Where the store is, for a node: by two of its servers, neither of which has the shard.
    ///
    /// # Errors
    ///
    /// Where none answers.
    pub async fn url(&self) -> Result<String> {
        let owner = self.owner().await?;
        let others = (0..PRIMARIES).filter(|server| *server != owner);
        let hosts = others.map(|server| format!("127.0.0.1:{}", self.servers[server].port()));
        let hosts = hosts.collect::<Vec<_>>().join(",");
        Ok(format!("redis-cluster://:{PASSWORD}@{hosts}"))
    }

    /// Where in `servers` the shard is, as the others say.
    ///
    /// # Errors
    ///
    /// Where nobody has it.
    pub async fn owner(&self) -> Result<usize> {
        self.owner_of(self.slot).await
    }

    /// Where in `servers` another shard of the nodes' namespace is.
    ///
    /// # Errors
    ///
    /// Where nobody has it.
    pub async fn owner_of_shard(&self, shard: u16) -> Result<usize> {
        let key = format!("carillon:{{{NAMESPACE}/{shard}}}:due");
        let slot = self.slot_of(&key).await?;
        self.owner_of(slot).await
    }

    /// A connection to the server that has this key.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub async fn connect_to(&self, key: &str) -> Result<MultiplexedConnection> {
        let slot = self.slot_of(key).await?;
        let owner = self.owner_of(slot).await?;
        self.servers[owner].connect().await
    }

    /// The planned failover of the server that has the shard.
    ///
    /// # Errors
    ///
    /// Where its replica refuses.
    pub async fn fail_over(&self) -> Result<()> {
        self.ask(PRIMARIES, &cluster(["FAILOVER"])).await
    }

    /// Waits until another server than this has the shard.
    ///
    /// # Errors
    ///
    /// Where none has it within a minute.
    pub async fn moved_from(&self, old: usize) -> Result<usize> {
        until("another server of the slot", || async {
            let owner = self.owner_but(self.slot, Some(old)).await;
            Ok(owner.is_ok_and(|owner| owner != old))
        })
        .await?;
        self.owner_but(self.slot, Some(old)).await
    }

    /// Moves the shard's slot to another primary, key by key.
    ///
    /// # Errors
    ///
    /// Where a server refuses.
    pub async fn move_slot(&self) -> Result<()> {
        let from = self.owner().await?;
        let others = (0..self.servers.len()).filter(|server| *server != from);
        let mut to = None;
        for server in others {
            let role: redis::Value = self.ask(server, &cmd("ROLE")).await?;
            if format!("{role:?}").contains("master") {
                to = Some(server);
            }
        }
        let to = to.context("another primary")?;
        let slot = self.slot.to_string();
        let port = self.servers[to].port().to_string();
        let ids: [String; 2] = [
            self.ask(from, &cluster(["MYID"])).await?,
            self.ask(to, &cluster(["MYID"])).await?,
        ];
        let importing = cluster(["SETSLOT", &slot, "IMPORTING", &ids[0]]);
        self.ask::<()>(to, &importing).await?;
        let migrating = cluster(["SETSLOT", &slot, "MIGRATING", &ids[1]]);
        self.ask::<()>(from, &migrating).await?;
        loop {
            let count = KEYS_AT_ONCE.to_string();
            let keys = cluster(["GETKEYSINSLOT", &slot, &count]);
            let keys: Vec<String> = self.ask(from, &keys).await?;
            if keys.is_empty() {
                break;
            }
            let mut migrate = cmd("MIGRATE");
            migrate.arg(&["127.0.0.1", &port, "", "0", "5000", "AUTH", PASSWORD]);
            // Keys that ended meanwhile are not there, and that is no error.
            self.ask::<()>(from, migrate.arg("KEYS").arg(keys)).await?;
        }
        let moved = cluster(["SETSLOT", &slot, "NODE", &ids[1]]);
        self.ask::<()>(to, &moved).await?;
        self.ask(from, &moved).await
    }

    async fn slot_of(&self, key: &str) -> Result<usize> {
        self.ask(0, &cluster(["KEYSLOT", key])).await
    }

    async fn owner_of(&self, slot: usize) -> Result<usize> {
        self.owner_but(slot, None).await
    }

    /// Where this slot is, as the first says that answers and is not `silent`.
    async fn owner_but(&self, slot: usize, silent: Option<usize>) -> Result<usize> {
        let asked = (0..PRIMARIES).find(|server| Some(*server) != silent);
        let nodes: String = self
            .ask(asked.context("a server")?, &cluster(["NODES"]))
            .await?;
        let owner = nodes.lines().find_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let has_slot = words.iter().skip(8).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let (first, last) = (first.parse::<usize>(), last.parse::<usize>());
                matches!((first, last), (Ok(first), Ok(last)) if (first..=last).contains(&slot))
            });
            let port = words.get(1)?.split([':', '@']).nth(1)?.parse().ok()?;
            has_slot.then_some(port)
        });
        let owner: u16 = owner.context("a server of the slot")?;
        let owner = self
            .servers
            .iter()
            .position(|server| server.port() == owner);
        owner.context("a server of ours")
    }

    /// Waits until all know all, every slot has its server, and the replica is in step.
    async fn agree(&self) -> Result<()> {
        let owner = self.owner().await?;
        until("a cluster that agrees", || async {
            for server in 0..self.servers.len() {
                let state: String = self.ask(server, &cluster(["INFO"])).await?;
                let nodes: String = self.ask(server, &cluster(["NODES"])).await?;
                let is_known = nodes.lines().count() == self.servers.len();
                let has_replica = nodes.contains("slave") && !nodes.contains("handshake");
                if !(state.contains("cluster_state:ok") && is_known && has_replica) {
                    return Ok(false);
                }
            }
            let mut question = cmd("INFO");
            let state: String = self.ask(owner, question.arg("replication")).await?;
            Ok(state.contains("state=online"))
        })
        .await
    }

    async fn ask<T: FromRedisValue>(&self, server: usize, question: &Cmd) -> Result<T> {
        let mut connection = self.servers[server].connect().await?;
        Ok(question.query_async(&mut connection).await?)
    }
}

fn cluster<const N: usize>(words: [&str; N]) -> Cmd {
    let mut question = cmd("CLUSTER");
    question.arg(&words);
    question
}
