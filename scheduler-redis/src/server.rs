//! Which server the store is on: the one at an address, whichever the sentinels call the primary, or
//! whichever of a [cluster](crate::cluster) has the slot of the shard.
//!
//! Sentinels also announce that another server became the primary. What is under way with the earlier
//! one is then given up at once: where it hangs, it would be waited for in vain, and where it does
//! not (a planned failover leaves it a primary for seconds), what it is told is lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, RedisResult, TlsMode,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::config::{Address, Host, RedisConfig, Secret, Sentinels};

/// How long finding the primary may take: each of the sentinels, and each server that one names, has a
/// shorter time of its own.
const FIND_TIMEOUT: Duration = Duration::from_secs(3);

/// How long to wait before a subscription to a sentinel is made anew.
const LISTEN_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Where a sentinel announces another primary.
const SWITCHED: &str = "+switch-master";

/// The server that the store is on. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Server(Arc<Origin>);

enum Origin {
    Fixed(Client),
    Watched(Watched),
    Clustered(Cluster),
}

/// The time in which one server is the primary, as far as is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tenure(Option<CancellationToken>);

impl Tenure {
    /// Whether another server was announced.
    pub(crate) fn is_over(&self) -> bool {
        self.0.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// Returns when another server is announced.
    pub(crate) async fn over(self) {
        match self.0 {
            None => std::future::pending().await,
            Some(over) => over.cancelled_owned().await,
        }
    }

    /// Does this, or gives up where another server is announced before it is done.
    pub(crate) async fn within<T>(
        &self,
        work: impl Future<Output = RedisResult<T>>,
    ) -> RedisResult<T> {
        self.within_or(work).await
    }

    /// The same for work that may fail otherwise, too.
    pub(crate) async fn within_or<T, E: From<RedisError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match &self.0 {
            None => work.await,
            Some(over) => tokio::select! {
                biased;
                done = work => done,
                () = over.cancelled() => Err(moved().into()),
            },
        }
    }
}

/// Sent, and not answered.
fn moved() -> RedisError {
    std::io::Error::other("another server became the primary").into()
}

impl Server {
    /// The server of the shard that `key`, any of its keys, belongs to.
    pub(crate) fn new(config: &RedisConfig, key: String) -> RedisResult<Self> {
        let settings = settings(
            config.db,
            config.username.as_ref(),
            config.password.as_ref(),
        );
        let origin = match &config.address {
            Address::Server(host) => Origin::Fixed(client(host, config, settings)?),
            Address::Sentinels(sentinels) => Origin::Watched(Watched::new(config, sentinels)?),
            Address::Cluster(seeds) => Origin::Clustered(Cluster::new(config, seeds, key, true)?),
        };
        Ok(Self(Arc::new(origin)))
    }

    /// Where a key of others is, which may be in another slot than the shard; none where all keys are on
    /// one server.
    pub(crate) fn elsewhere(config: &RedisConfig, key: String) -> Option<RedisResult<Self>> {
        let Address::Cluster(seeds) = &config.address else {
            return None;
        };
        let cluster = Cluster::new(config, seeds, key, false);
        Some(cluster.map(|cluster| Self(Arc::new(Origin::Clustered(cluster)))))
    }

    /// A connection to the primary, and for how long it is good.
    pub(crate) async fn connect(
        &self,
        settings: &AsyncConnectionConfig,
    ) -> RedisResult<(MultiplexedConnection, Tenure)> {
        let (client, tenure) = self.find().await?;
        let connecting = client.get_multiplexed_async_connection_with_config(settings);
        Ok((tenure.within(connecting).await?, tenure))
    }

    /// How willing each replica is to be promoted, as a sentinel says; none where there is none, or it does
    /// not say.
    pub(crate) async fn replica_priorities(&self) -> Option<Vec<u32>> {
        let Origin::Watched(watched) = &*self.0 else {
            return None;
        };
        let mut question = redis::cmd("SENTINEL");
        question.arg("REPLICAS").arg(&watched.primary);
        for sentinel in &watched.sentinels {
            let asking = async {
                let mut connection = sentinel.get_multiplexed_async_connection().await?;
                let found: Vec<HashMap<String, String>> =
                    question.query_async(&mut connection).await?;
                RedisResult::Ok(found)
            };
            let Ok(Ok(found)) = tokio::time::timeout(FIND_TIMEOUT, asking).await else {
                continue;
            };
            let priorities = found
                .iter()
                .filter_map(|replica| replica.get("slave-priority"));
            return priorities.map(|priority| priority.parse().ok()).collect();
        }
        None
    }

    /// How to reach the primary, and for how long that is so.
    pub(crate) async fn find(&self) -> RedisResult<(Client, Tenure)> {
        match &*self.0 {
            Origin::Fixed(client) => Ok((client.clone(), Tenure::default())),
            Origin::Watched(watched) => watched.find().await,
            Origin::Clustered(cluster) => cluster.find().await,
        }
    }
}

/// A primary that sentinels watch.
struct Watched {
    finder: tokio::sync::Mutex<SentinelClient>,
    sentinels: Vec<Client>,
    primary: String,
    latest: Arc<Mutex<Latest>>,
    listeners: OnceLock<JoinSet<()>>,
}

/// What is known of the primary.
#[derive(Default)]
pub(crate) struct Latest {
    /// None as long as nobody was asked.
    address: Option<Host>,
    /// Ends when it is another one.
    over: CancellationToken,
}

impl Latest {
    /// Where it is.
    pub(crate) fn host(&self) -> Option<Host> {
        self.address.clone()
    }

    /// For how long it is there.
    pub(crate) fn tenure(&self) -> Tenure {
        Tenure(Some(self.over.clone()))
    }

    /// It was found here.
    fn first(&mut self, host: &str, port: u16) {
        if self.address.is_none() {
            self.told(host, port);
        }
    }

    /// Somebody who watches it says that it is here. Each of them says it.
    pub(crate) fn told(&mut self, host: &str, port: u16) {
        let name = host.to_owned();
        let host = Host { name, port };
        if self.address.as_ref() == Some(&host) {
            return;
        }
        if self.address.is_some() {
            tracing::info!(server = %host, "another server became the primary");
        }
        let earlier = std::mem::take(self);
        self.address = Some(host);
        if earlier.address.is_some() {
            earlier.over.cancel();
        } else {
            self.over = earlier.over;
        }
    }
}

impl Watched {
    fn new(config: &RedisConfig, sentinels: &Sentinels) -> RedisResult<Self> {
        let addresses = sentinels.hosts.iter().map(|host| address(host, config.tls));
        let kind = SentinelServerType::Master;
        let mut finder = SentinelClientBuilder::new(addresses, &sentinels.primary, kind)?
            .set_client_to_redis_db(config.db);
        if config.tls {
            finder = finder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_tls_mode(TlsMode::Secure);
        }
        if let Some(certificates) = config.certificates.reveal() {
            finder = finder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates);
        }
        if let Some(username) = &config.username {
            finder = finder.set_client_to_redis_username(username);
        }
        if let Some(password) = &config.password {
            finder = finder.set_client_to_redis_password(password.reveal());
        }
        if let Some(username) = &sentinels.username {
            finder = finder.set_client_to_sentinel_username(username);
        }
        if let Some(password) = &sentinels.password {
            finder = finder.set_client_to_sentinel_password(password.reveal());
        }
        let to_sentinel = || {
            let Sentinels {
                username, password, ..
            } = sentinels;
            settings(0, username.as_ref(), password.as_ref())
        };
        let hosts = sentinels.hosts.iter();
        Ok(Self {
            finder: tokio::sync::Mutex::new(finder.build()?),
            sentinels: hosts
                .map(|host| client(host, config, to_sentinel()))
                .collect::<RedisResult<_>>()?,
            primary: sentinels.primary.clone(),
            latest: Arc::default(),
            listeners: OnceLock::new(),
        })
    }

    async fn find(&self) -> RedisResult<(Client, Tenure)> {
        self.listeners.get_or_init(|| self.listen());
        let tenure = self.latest().tenure();
        let finding = async { self.finder.lock().await.async_get_client().await };
        let found = tokio::time::timeout(FIND_TIMEOUT, finding).await;
        let client = found.map_err(|_| {
            let text = format!("no primary found within {} s", FIND_TIMEOUT.as_secs());
            std::io::Error::new(std::io::ErrorKind::TimedOut, text)
        })??;
        if let ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } =
            client.get_connection_info().addr()
        {
            self.latest().first(host, *port);
        }
        Ok((client, tenure))
    }

    fn latest(&self) -> std::sync::MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to each of the sentinels: any of them may be the first to know.
    fn listen(&self) -> JoinSet<()> {
        let mut listeners = JoinSet::new();
        for sentinel in &self.sentinels {
            let listener = Listener {
                sentinel: sentinel.clone(),
                primary: self.primary.clone(),
                latest: Arc::clone(&self.latest),
            };
            listeners.spawn(listener.listen());
        }
        listeners
    }
}

/// Hears what one sentinel announces.
struct Listener {
    sentinel: Client,
    primary: String,
    latest: Arc<Mutex<Latest>>,
}

impl Listener {
    async fn listen(self) {
        loop {
            if let Err(error) = self.hear().await {
                tracing::debug!(%error, "no announcements of a sentinel");
            }
            tokio::time::sleep(LISTEN_AGAIN_AFTER).await;
        }
    }

    /// Hears until the connection ends.
    async fn hear(&self) -> RedisResult<()> {
        let mut subscription = self.sentinel.get_async_pubsub().await?;
        subscription.subscribe(SWITCHED).await?;
        // What was announced before.
        let mut connection = self.sentinel.get_multiplexed_async_connection().await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.primary);
        let (host, port): (String, u16) = question.query_async(&mut connection).await?;
        drop(connection);
        self.told(&host, port);
        let mut announcements = subscription.into_on_message();
        while let Some(announcement) = announcements.next().await {
            self.take(&announcement.get_payload::<String>()?);
        }
        Ok(())
    }

    /// `<primary> <old host> <old port> <new host> <new port>`.
    fn take(&self, announcement: &str) {
        let words: Vec<&str> = announcement.split(' ').collect();
        if let [primary, _, _, host, port] = words[..]
            && primary == self.primary
            && let Ok(port) = port.parse()
        {
            self.told(host, port);
        }
    }

    fn told(&self, host: &str, port: u16) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.told(host, port);
    }
}

fn address(host: &Host, tls: bool) -> ConnectionAddr {
    let Host { name, port } = host.clone();
    if tls {
        ConnectionAddr::TcpTls {
            host: name,
            port,
            insecure: false,
            tls_params: None,
        }
    } else {
        ConnectionAddr::Tcp(name, port)
    }
}

pub(crate) fn settings(
    db: i64,
    username: Option<&String>,
    password: Option<&Secret>,
) -> RedisConnectionInfo {
    let mut settings = RedisConnectionInfo::default().set_db(db);
    if let Some(username) = username {
        settings = settings.set_username(username);
    }
    if let Some(password) = password {
        settings = settings.set_password(password.reveal());
    }
    settings
}

pub(crate) fn client(
    host: &Host,
    config: &RedisConfig,
    settings: RedisConnectionInfo,
) -> RedisResult<Client> {
    let info = address(host, config.tls).into_connection_info()?;
    let info = info.set_redis_settings(settings);
    match config.certificates.reveal() {
        Some(certificates) if config.tls => Client::build_with_tls(info, certificates),
        _ => Client::open(info),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tenure_ends_with_the_announcement_of_another_server() {
        let listener = Listener {
            sentinel: Client::open("redis://127.0.0.1:1").unwrap(),
            primary: "main".to_owned(),
            latest: Arc::default(),
        };
        let tenure = || listener.latest.lock().unwrap().tenure();
        listener.told("10.0.0.1", 1);
        let first = tenure();
        listener.take("other 10.0.0.1 1 10.0.0.2 1");
        listener.take("main");
        assert!(!first.is_over());
        listener.take("main 10.0.0.1 1 10.0.0.2 1");
        assert!(first.is_over());
        let never = std::future::pending::<RedisResult<()>>();
        let given_up = first.within(never).await.unwrap_err();
        assert!(given_up.to_string().contains("became the primary"));
        let second = tenure();
        // The other sentinels say the same.
        listener.take("main 10.0.0.1 1 10.0.0.2 1");
        assert!(!second.is_over());
        listener.take("main 10.0.0.2 1 10.0.0.1 1");
        assert!(second.is_over());
    }
}
