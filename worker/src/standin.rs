//! Stand-ins for parts that are written elsewhere, by the names that they will have.
//!
//! Replace `crate::standin::` by `scheduler_redis::` (and so on) when they are there, and remove
//! this file.

use std::fmt;

/// Where a Redis is, and how to get in.
#[derive(Clone)]
pub struct RedisConfig {
    url: String,
    password: Option<String>,
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl RedisConfig {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// What is no URL.
    pub fn from_url(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
        let (password, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (user.split_once(':').map(|(_, p)| p.to_owned()), rest),
            None => (None, rest),
        };
        let port = rest.split('/').next().and_then(|host| host.split_once(':'));
        if port.is_some_and(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(format!("the port of {rest} is no number"));
        }
        Ok(Self {
            url: format!("{scheme}://{rest}"),
            password,
        })
    }

    /// The same with this password.
    #[must_use]
    pub fn with_password(mut self, password: String) -> Self {
        self.password = Some(password);
        self
    }

    /// Whether there is one.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }
}
