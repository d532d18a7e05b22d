//! Where the Redis is, and how to get in.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

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

/// A URL that is not one of ours. Never repeats what may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; a store's URL is redis://[user[:password]@]host[:port][/db], or rediss:// for TLS")]
pub struct UrlError(String);

/// Where the Redis is, and how to get in.
///
/// Shown (`Display`) as a URL without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisConfig {
    /// Host name or address.
    pub host: String,
    /// Port. Defaults to 6379.
    pub port: u16,
    /// Number of the database. Defaults to 0.
    pub db: i64,
    /// ACL user, if any.
    pub username: Option<String>,
    /// Password, if any.
    pub password: Option<Secret>,
    /// Whether the connection is encrypted (`rediss://`).
    pub tls: bool,
}

impl RedisConfig {
    /// Reads `redis://user:password@host:port/db`; everything but the host may be missing, and
    /// `rediss` means TLS.
    ///
    /// The password may hold any characters as they are: what stands before the last `@` is user and
    /// password, and the first `:` in it parts the two. Percent-escapes are understood, too, where
    /// they are complete (`%40`); a single `%` is itself.
    ///
    /// # Errors
    ///
    /// Names the part that is wrong, without repeating user or password.
    pub fn from_url(url: &str) -> Result<Self, UrlError> {
        let error = |what: String| UrlError(what);
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| error("the URL has no scheme".to_owned()))?;
        let tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(error(format!("the scheme {scheme:?} is unknown"))),
        };
        let (credentials, address) = match rest.rsplit_once('@') {
            Some((credentials, address)) => (Some(credentials), address),
            None => (None, rest),
        };
        let (username, password) = match credentials {
            None => (None, None),
            Some(credentials) => {
                let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
                let non_empty = |text: &str| (!text.is_empty()).then(|| unescape(text));
                (non_empty(user), non_empty(password).map(Secret::new))
            }
        };
        let (address, db) = match address.split_once('/') {
            Some((address, db)) => (address, db),
            None => (address, ""),
        };
        let db = match db {
            "" => 0,
            db => db
                .parse()
                .ok()
                .filter(|db| *db >= 0)
                .ok_or_else(|| error("the database is no number".to_owned()))?,
        };
        let (host, port) = split_port(address).map_err(|what| error(what.to_owned()))?;
        if host.is_empty() {
            return Err(error("the URL has no host".to_owned()));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            db,
            username,
            password,
            tls,
        })
    }

    /// The same with this password, taken as it is.
    #[must_use]
    pub fn with_password(mut self, password: String) -> Self {
        self.password = Some(Secret::new(password));
        self
    }

    pub(crate) fn connection_info(&self) -> redis::RedisResult<ConnectionInfo> {
        let addr = if self.tls {
            ConnectionAddr::TcpTls {
                host: self.host.clone(),
                port: self.port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(self.host.clone(), self.port)
        };
        let mut settings = RedisConnectionInfo::default().set_db(self.db);
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password.reveal());
        }
        Ok(addr.into_connection_info()?.set_redis_settings(settings))
    }
}

impl fmt::Display for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let (open, close) = if self.host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        write!(
            f,
            "{scheme}://{open}{}{close}:{}/{}",
            self.host, self.port, self.db
        )
    }
}

fn split_port(address: &str) -> Result<(&str, u16), &'static str> {
    let (host, port) = if let Some(rest) = address.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or("the address misses its ]")?;
        (host, port.strip_prefix(':'))
    } else {
        match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        }
    };
    match port {
        None | Some("") => Ok((host, 6379)),
        Some(port) => {
            // Not repeated: where the `@` is missing, this is the password.
            let number = port
                .parse()
                .map_err(|_| "the port is no number up to 65535")?;
            Ok((host, number))
        }
    }
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
            assert_eq!(
                (config.host.as_str(), config.port, config.db),
                ("cache", 6380, 2)
            );
        }
        assert_eq!(
            read("redis://:p%40ss@h").password,
            Some(Secret::new("p@ss".to_owned()))
        );
        assert_eq!(read("redis://:x@h").username, None);
    }

    #[test]
    fn a_password_is_never_shown() {
        let config = read("redis://app:hunter2@cache");
        assert!(!format!("{config} {config:?}").contains("hunter2"));
        let wrong = [
            "redis://app:hunter2",
            "redis://app:hunter2@",
            "redis://app:hunter2@h:x",
            "redis://app/hunter2",
            "http://app:hunter2@h",
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
