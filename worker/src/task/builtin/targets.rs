//! Where the task `http` may send requests.
//!
//! Whoever may write jobs could otherwise ask what only this machine may ask: a cloud's metadata
//! service hands out credentials to whoever reaches its link-local address. Names are resolved first,
//! and each address is looked at, so that no name can lead to one that is denied.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Link-local addresses, and those of metadata services that lie elsewhere.
const DENIED: [&str; 5] = [
    "169.254.0.0/16",
    "fe80::/10",
    "fd00:ec2::254",
    "100.100.100.200",
    "metadata.google.internal",
];

/// Which hosts may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpTargets {
    pub(super) allow: Vec<Target>,
    pub(super) deny: Vec<Target>,
}

/// A host by its name, all hosts below a name, or a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// This name.
    Host(String),
    /// All names that end so: `.example.org`.
    Below(String),
    /// Addresses that begin with so many bits of this one.
    Network(IpAddr, u32),
}

impl Default for HttpTargets {
    fn default() -> Self {
        let deny = DENIED.iter().filter_map(|text| text.parse().ok()).collect();
        Self {
            allow: Vec::new(),
            deny,
        }
    }
}

impl HttpTargets {
    /// Only what is allowed, if anything is named, and nothing that is denied. `deny` stands in place
    /// of the default, which denies link-local addresses and those of metadata services.
    #[must_use]
    pub fn new(allow: Vec<Target>, deny: Option<Vec<Target>>) -> Self {
        let deny = deny.unwrap_or_else(|| Self::default().deny);
        Self { allow, deny }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rule = || {
            format!(
                "{text:?} is no host: give a name, \"*.example.org\", an address or a network such as \"10.0.0.0/8\""
            )
        };
        if let Ok(address) = text.parse::<IpAddr>() {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            return Ok(Self::Network(address, bits));
        }
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| rule())?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits
                .parse()
                .ok()
                .filter(|bits| *bits <= most)
                .ok_or_else(rule)?;
            return Ok(Self::Network(address, bits));
        }
        let (name, below) = match text.strip_prefix('*') {
            Some(end) if end.starts_with('.') => (end, true),
            _ => (text, false),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if name.trim_matches('.').is_empty() || !name.chars().all(is_name) {
            return Err(rule());
        }
        let name = name.to_lowercase();
        Ok(if below {
            Self::Below(name)
        } else {
            Self::Host(name)
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Below(end) => write!(f, "*{end}"),
            Self::Network(address, bits) => write!(f, "{address}/{bits}"),
        }
    }
}
