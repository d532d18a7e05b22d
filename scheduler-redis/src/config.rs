//! Where the Redis is, and how to get in.

use std::fmt;
use std::time::Duration;

use crate::certificates::Certificates;
use crate::durability::Durability;
use scheduler_core::shard::ShardCount;

/// A password. Never shown: not by `Debug`, not by `Display`, not in errors.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides this text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the server only.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Name or address.
    pub name: String,
    /// Port.
    pub port: u16,
}

/// Sentinels, which know where the primary is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentinels {
    /// Where they are. Any of them may be away.
    pub hosts: Vec<Host>,
    /// What they call the primary and its replicas: the name in `sentinel monitor`.
    pub primary: String,
    /// ACL user on the sentinels, if any.
    pub username: Option<String>,
    /// Password on the sentinels, if any: it is not the primary's.
    pub password: Option<Secret>,
}

/// Which server the store is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// This one.
    Server(Host),
    /// The one that is the primary at this moment.
    Sentinels(Sentinels),
    /// The one of a cluster that has the slot of the shard, found by asking any of these.
    Cluster(Vec<Host>),
}

/// Where the Redis is, and how to get in.
///
/// Shown (`Display`) as a URL without any password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisConfig {
    /// Which server it is.
    pub address: Address,
    /// Number of the database. Defaults to 0, the only one that a cluster has.
    pub db: i64,
    /// ACL user, if any.
    pub username: Option<String>,
    /// Password, if any.
    pub password: Option<Secret>,
    /// Whether connections are encrypted (`rediss://`, `rediss+sentinel://`, `rediss-cluster://`), those
    /// to sentinels too.
    pub tls: bool,
    /// Whom to trust, and as whom, where they are encrypted. Defaults to the machine's authorities, and
    /// nobody.
    pub certificates: Certificates,
    /// How long runs are neither dispatched nor claimed after the store is found on another server than
    /// before, so that nodes can tell it what it has lost. Shorter where all have. Defaults to 1 s.
    pub failover_grace: Duration,
    /// When claims and what clients change count as written. Defaults to at once.
    pub durability: Durability,
    /// How many shards the namespace has: in a cluster, they may be on as many servers. Defaults to 1.
    pub shards: ShardCount,
}

/// How long nodes have to tell a store what it has lost, unless it is said otherwise.
pub(crate) const FAILOVER_GRACE: Duration = Duration::from_secs(1);

impl RedisConfig {
    /// The same with this durability.
    #[must_use]
    pub const fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The same with so many shards.
    #[must_use]
    pub const fn with_shards(mut self, shards: ShardCount) -> Self {
        self.shards = shards;
        self
    }

    /// The same with this grace after a failover.
    #[must_use]
    pub const fn with_failover_grace(mut self, grace: Duration) -> Self {
        self.failover_grace = grace;
        self
    }

    /// The same with this password, taken as it is.
    #[must_use]
    pub fn with_password(mut self, password: String) -> Self {
        self.password = Some(Secret::new(password));
        self
    }

    /// The same with these certificates.
    #[must_use]
    pub fn with_certificates(mut self, certificates: Certificates) -> Self {
        self.certificates = certificates;
        self
    }

    /// The sentinels, if it is they who know where the store is.
    #[must_use]
    pub const fn sentinels(&self) -> Option<&Sentinels> {
        match &self.address {
            Address::Sentinels(sentinels) => Some(sentinels),
            Address::Server(_) | Address::Cluster(_) => None,
        }
    }

    /// The same with this password for the sentinels, taken as it is; nothing where there are none.
    #[must_use]
    pub fn with_sentinel_password(mut self, password: String) -> Self {
        if let Address::Sentinels(sentinels) = &mut self.address {
            sentinels.password = Some(Secret::new(password));
        }
        self
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

impl fmt::Display for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "rediss" } else { "redis" })?;
        match &self.address {
            Address::Server(host) => write!(f, "://{host}/{}", self.db),
            Address::Sentinels(sentinels) => {
                let hosts = joined(&sentinels.hosts);
                write!(f, "+sentinel://{hosts}/{}/{}", sentinels.primary, self.db)
            }
            Address::Cluster(hosts) => write!(f, "-cluster://{}", joined(hosts)),
        }?;
        if self.shards.is_one() {
            return Ok(());
        }
        write!(f, "?shards={}", self.shards)
    }
}

fn joined(hosts: &[Host]) -> String {
    let hosts: Vec<String> = hosts.iter().map(Host::to_string).collect();
    hosts.join(",")
}
