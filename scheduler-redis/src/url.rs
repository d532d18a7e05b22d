//! URLs of stores: from text to [`RedisConfig`].

use crate::certificates::Certificates;
use crate::config::{Address, FAILOVER_GRACE, Host, RedisConfig, Secret, Sentinels};
use crate::durability::Durability;
use scheduler_core::shard::ShardCount;

/// A URL that is not one of ours. Never repeats what may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; a store's URL is redis://[user[:password]@]host[:port][/db], or \
     redis+sentinel://[user[:password]@]host[:port],host[:port]/primary[/db], or \
     redis-cluster://[user[:password]@]host[:port],host[:port], with rediss in place of redis for TLS, and \
     ?shards=N at the end for a namespace in N shards"
)]
pub struct UrlError(String);

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

impl RedisConfig {
    /// Reads `redis://user:password@host:port/db`, or
    /// `redis+sentinel://user:password@host:port,host:port/primary/db`, where `primary` is the name
    /// that the sentinels know it by, or `redis-cluster://user:password@host:port,host:port` with some
    /// servers of a cluster; everything but the hosts and that name may be missing, and
    /// `rediss` means TLS. User and password of the sentinels themselves, where they ask for one, stand
    /// at the end: `?sentinel_user=...&sentinel_password=...`. So does the number of shards:
    /// `?shards=4`.
    ///
    /// The password may hold any characters as they are: what stands before the last `@` is user and
    /// password, and the first `:` in it parts the two. Percent-escapes are understood, too, where
    /// they are complete (`%40`); a single `%` is itself. In the password of the sentinels `@` and
    /// `&` have to be escaped.
    ///
    /// # Errors
    ///
    /// Names the part that is wrong, without repeating user or password.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        read(url).map_err(UrlError)
    }
}

fn read(url: &str) -> Result<RedisConfig, String> {
    let (scheme, rest) = url.split_once("://").ok_or("the URL has no scheme")?;
    let (redis, kind) = scheme.split_at(scheme.find(['+', '-']).unwrap_or(scheme.len()));
    let tls = redis == "rediss";
    if !(tls || redis == "redis") || !["", "+sentinel", "-cluster"].contains(&kind) {
        return Err(format!("the scheme {scheme:?} is unknown"));
    }
    let (credentials, place) = match rest.rsplit_once('@') {
        Some((credentials, place)) => (credentials, place),
        None => ("", rest),
    };
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let (place, query) = place.split_once('?').unwrap_or((place, ""));
    let (query, shards) = read_shards(query)?;
    if !query.is_empty() && kind != "+sentinel" {
        // Not repeated: it may be a piece of a password.
        return Err("after the ? stands only shards".to_owned());
    }
    let (address, db) = match kind {
        "+sentinel" => sentinels(place, &query)?,
        "-cluster" => (cluster(place)?, ""),
        _ => {
            let (host, db) = place.split_once('/').unwrap_or((place, ""));
            (Address::Server(read_host(host, REDIS_PORT)?), db)
        }
    };
    Ok(RedisConfig {
        address,
        db: read_db(db)?,
        username: non_empty(user),
        password: non_empty(password).map(Secret::new),
        tls,
        certificates: Certificates::default(),
        failover_grace: FAILOVER_GRACE,
        durability: Durability::None,
        shards,
    })
}

/// The number of shards, and what else stands after the `?`.
fn read_shards(query: &str) -> Result<(Vec<&str>, ShardCount), String> {
    let mut rest = Vec::new();
    let mut shards = ShardCount::ONE;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.strip_prefix("shards=") {
            None => rest.push(pair),
            Some(number) => {
                // Not repeated: it may be a piece of a password.
                let number = number.parse();
                shards = number.map_err(|_| "shards is no number of shards, 1 to 64")?;
            }
        }
    }
    Ok((rest, shards))
}

/// The sentinels, and the text of the database.
fn sentinels<'p>(place: &'p str, query: &[&str]) -> Result<(Address, &'p str), String> {
    let (hosts, path) = place.split_once('/').unwrap_or((place, ""));
    let (primary, db) = path.split_once('/').unwrap_or((path, ""));
    if primary.is_empty() {
        return Err("the URL does not name the primary that the sentinels watch".to_owned());
    }
    let hosts = hosts.split(',').map(|host| read_host(host, SENTINEL_PORT));
    let mut sentinels = Sentinels {
        hosts: hosts.collect::<Result<_, _>>()?,
        primary: unescape(primary),
        username: None,
        password: None,
    };
    for pair in query {
        match pair.split_once('=') {
            Some(("sentinel_user", user)) => sentinels.username = non_empty(user),
            Some(("sentinel_password", password)) => {
                sentinels.password = non_empty(password).map(Secret::new);
            }
            // Not repeated: it may be a piece of a password.
            _ => {
                let message = "after the ? stand only shards, sentinel_user and sentinel_password";
                return Err(message.to_owned());
            }
        }
    }
    Ok((Address::Sentinels(sentinels), db))
}

/// Some servers of a cluster.
fn cluster(place: &str) -> Result<Address, String> {
    let (hosts, db) = place.split_once('/').unwrap_or((place, ""));
    if !["", "0"].contains(&db) {
        return Err("a cluster has no database but 0".to_owned());
    }
    let hosts = hosts.split(',').map(|host| read_host(host, REDIS_PORT));
    Ok(Address::Cluster(hosts.collect::<Result<_, _>>()?))
}

fn read_db(db: &str) -> Result<i64, String> {
    if db.is_empty() {
        return Ok(0);
    }
    let number = db.parse().ok().filter(|db| *db >= 0);
    number.ok_or_else(|| "the database is no number".to_owned())
}

fn read_host(address: &str, default_port: u16) -> Result<Host, String> {
    let (name, port) = if let Some(rest) = address.strip_prefix('[') {
        let (name, port) = rest.split_once(']').ok_or("the address misses its ]")?;
        (name, port.strip_prefix(':'))
    } else {
        match address.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (address, None),
        }
    };
    if name.is_empty() {
        return Err("the URL has no host".to_owned());
    }
    let port = match port {
        None | Some("") => default_port,
        // Not repeated: where the `@` is missing, this is the password.
        Some(port) => port
            .parse()
            .map_err(|_| "the port is no number up to 65535")?,
    };
    let name = name.to_owned();
    Ok(Host { name, port })
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| unescape(text))
}

/// Percent-escapes that are complete; everything else as it is.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let escaped = (bytes[i] == b'%')
            .then(|| text.get(i + 1..i + 3))
            .flatten()
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escaped {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> RedisConfig {
        RedisConfig::from_url(url).unwrap()
    }

    #[test]
    fn everything_but_the_host_may_be_missing() {
        assert_eq!(read("redis://cache").to_string(), "redis://cache:6379/0");
        assert_eq!(
            read("rediss://cache:7000/3").to_string(),
            "rediss://cache:7000/3"
        );
        assert_eq!(
            read("redis://[::1]:7000").to_string(),
            "redis://[::1]:7000/0"
        );
        assert_eq!(read("redis://127.0.0.1:6379/").db, 0);
    }

    #[test]
    fn a_password_may_hold_any_characters() {
        for password in [
            "p@ss/w#rd:x?",
            "100%",
            "%zz",
            "a b",
            "ключ",
            "://",
            "@",
            "[x]",
        ] {
            let config = read(&format!("redis://app:{password}@cache:6380/2"));
            assert_eq!(
                config.password,
                Some(Secret::new(password.to_owned())),
                "{password}"
            );
            assert_eq!(config.username.as_deref(), Some("app"));
            assert_eq!(config.to_string(), "redis://cache:6380/2");
        }
        assert_eq!(
            read("redis://:p%40ss@h").password,
            Some(Secret::new("p@ss".to_owned()))
        );
        assert_eq!(read("redis://:x@h").username, None);
    }

    #[test]
    fn sentinels_name_their_primary() {
        let url = "rediss+sentinel://app:p@ss@a,b:7000,[::1]/main/2?sentinel_user=s&sentinel_password=x%40y";
        let config = read(url);
        let host = |name: &str, port| Host {
            name: name.to_owned(),
            port,
        };
        assert_eq!(
            config.address,
            Address::Sentinels(Sentinels {
                hosts: vec![host("a", 26379), host("b", 7000), host("::1", 26379)],
                primary: "main".to_owned(),
                username: Some("s".to_owned()),
                password: Some(Secret::new("x@y".to_owned())),
            })
        );
        assert_eq!(config.password, Some(Secret::new("p@ss".to_owned())));
        let shown = "rediss+sentinel://a:26379,b:7000,[::1]:26379/main/2";
        assert_eq!(config.to_string(), shown);
        let error = |url: &str| RedisConfig::from_url(url).unwrap_err().to_string();
        assert!(error("redis+sentinel://a,b").contains("primary"));
        assert!(error("redis+sentinel://a,,b/main").contains("no host"));
        assert!(error("redis+sentinel://a/main/x").contains("database"));
        assert!(error("redis+sentinel://a/main?password=x").contains("sentinel_password"));
    }

    #[test]
    fn a_cluster_is_named_by_some_of_its_servers() {
        let config = read("rediss-cluster://app:p@ss@a,b:7000/");
        let hosts = [("a", 6379), ("b", 7000)].map(|(name, port)| Host {
            name: name.to_owned(),
            port,
        });
        assert_eq!(config.address, Address::Cluster(hosts.to_vec()));
        assert_eq!(config.password, Some(Secret::new("p@ss".to_owned())));
        assert!(config.tls);
        assert_eq!(config.to_string(), "rediss-cluster://a:6379,b:7000");
        let error = |url: &str| RedisConfig::from_url(url).unwrap_err().to_string();
        assert!(error("redis-cluster://a/1").contains("no database but 0"));
        assert!(error("redis-cluster://a,").contains("no host"));
        assert!(error("redis+cluster://a").contains("scheme \"redis+cluster\""));
        assert!(error("redis-sentinel://a/main").contains("scheme"));
    }

    #[test]
    fn the_number_of_shards_stands_at_the_end() {
        for (url, shown) in [
            (
                "redis://app:p?shards=9@cache?shards=4",
                "redis://cache:6379/0?shards=4",
            ),
            ("redis://cache/2?shards=4", "redis://cache:6379/2?shards=4"),
            (
                "redis-cluster://a,b?shards=6",
                "redis-cluster://a:6379,b:6379?shards=6",
            ),
            ("redis://cache?shards=1", "redis://cache:6379/0"),
        ] {
            assert_eq!(read(url).to_string(), shown);
        }
        let config = read("redis+sentinel://a/main?shards=2&sentinel_password=x");
        assert_eq!(config.shards, ShardCount::new(2).unwrap());
        let password = &config.sentinels().unwrap().password;
        assert_eq!(*password, Some(Secret::new("x".to_owned())));
        let error = |url: &str| RedisConfig::from_url(url).unwrap_err().to_string();
        assert!(error("redis://h?shards=0").contains("1 to 64"));
        assert!(error("redis-cluster://h?shards=x").contains("1 to 64"));
        assert!(error("redis://h?shard=2").contains("only shards"));
    }

    #[test]
    fn a_password_is_never_shown() {
        for url in [
            "redis://app:hunter2@cache",
            "redis+sentinel://app:hunter2@cache/main?sentinel_password=hunter2",
            "redis-cluster://app:hunter2@cache,other",
        ] {
            let config = read(url);
            assert!(!format!("{config} {config:?}").contains("hunter2"));
        }
        let wrong = [
            "redis://app:hunter2",
            "redis://app:hunter2@",
            "redis://app:hunter2@h:x",
            "redis://app/hunter2",
            "http://app:hunter2@h",
            "redis+sentinel://app:hunter2@h",
            "redis+sentinel://h/main?hunter2",
            "redis-cluster://app:hunter2,b",
            "redis-cluster://h/hunter2",
            "redis://h?shards=hunter2",
            "redis://h?hunter2",
            "redis+sentinel://h/main?sentinel_password=hunter2@h",
        ];
        for url in wrong {
            let error = RedisConfig::from_url(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |url: &str| RedisConfig::from_url(url).unwrap_err().to_string();
        assert!(error("localhost").contains("no scheme"));
        assert!(error("http://h").contains("\"http\""));
        assert!(error("redis://h:99999").contains("port"));
        assert!(error("redis://h/x").contains("database"));
        assert!(error("redis://").contains("no host"));
    }
}
