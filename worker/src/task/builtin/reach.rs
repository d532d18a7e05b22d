//! Which hosts and addresses the task `http` reaches: what its targets mean for a URL, and for what a
//! name is resolved to.

use std::io;
use std::net::IpAddr;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::targets::{HttpTargets, Target};

impl HttpTargets {
    /// Whether a URL may be called, as far as it says so itself.
    pub(super) fn check(&self, url: &Url) -> Result<(), String> {
        let host = url.host_str().unwrap_or_default();
        let host = host
            .trim_matches(['[', ']'])
            .trim_end_matches('.')
            .to_lowercase();
        let allowed = match host.parse::<IpAddr>() {
            Ok(address) => self.admits(&host, address),
            Err(_) => self.may_admit(&host),
        };
        allowed.then_some(()).ok_or_else(|| refusal(&host))
    }

    /// Whether any address of a name may be called.
    fn may_admit(&self, host: &str) -> bool {
        let is_named = |targets: &[Target]| targets.iter().any(|target| target.names(host));
        let by_network = self
            .allow
            .iter()
            .any(|target| matches!(target, Target::Network(..)));
        !is_named(&self.deny) && (self.allow.is_empty() || by_network || is_named(&self.allow))
    }

    /// Whether this address of a name may be called.
    fn admits(&self, host: &str, address: IpAddr) -> bool {
        let is_in = |targets: &[Target]| {
            targets
                .iter()
                .any(|target| target.names(host) || target.holds(address))
        };
        !is_in(&self.deny) && (self.allow.is_empty() || is_in(&self.allow))
    }
}

fn refusal(host: &str) -> String {
    format!("{host} may not be called: see [tasks.http] allow and deny")
}

impl Target {
    fn names(&self, host: &str) -> bool {
        match self {
            Self::Host(name) => name == host,
            Self::Below(end) => host.ends_with(end.as_str()),
            Self::Network(..) => false,
        }
    }

    fn holds(&self, address: IpAddr) -> bool {
        let Self::Network(network, bits) = self else {
            return false;
        };
        match (*network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.checked_shr(32 - bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.checked_shr(128 - bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// Resolves names to those of their addresses that may be called.
#[derive(Debug)]
pub(super) struct Resolver(pub(super) HttpTargets);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let targets = self.0.clone();
        Box::pin(async move {
            let host = name.as_str().trim_end_matches('.').to_lowercase();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let admitted: Vec<_> = found.filter(|at| targets.admits(&host, at.ip())).collect();
            if admitted.is_empty() {
                return Err(io::Error::other(refusal(&host)).into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(allow: &[&str], deny: Option<&[&str]>) -> HttpTargets {
        let read = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        HttpTargets::new(read(allow), deny.map(read))
    }

    fn allows(targets: &HttpTargets, url: &str) -> bool {
        targets.check(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn metadata_services_are_denied_by_default_however_they_are_written() {
        let default = HttpTargets::default();
        for url in [
            "http://169.254.169.254/latest/meta-data",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://0251.0376.0251.0376/",
            "http://[::ffff:169.254.169.254]/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://100.100.100.200/",
            "http://metadata.google.internal/",
            "http://METADATA.google.internal./",
        ] {
            assert!(!allows(&default, url), "{url}");
        }
        for url in [
            "http://localhost/",
            "http://10.0.0.1/",
            "https://example.org/",
            "http://[::1]/",
        ] {
            assert!(allows(&default, url), "{url}");
        }
    }

    #[test]
    fn only_what_is_allowed_is_called_where_anything_is_named() {
        let targets = targets(&["*.example.org", "10.0.0.0/8", "db"], None);
        for url in ["http://a.example.org/", "http://10.1.2.3/", "http://db:80/"] {
            assert!(allows(&targets, url), "{url}");
        }
        for url in ["http://11.0.0.1/", "http://169.254.169.254/"] {
            assert!(!allows(&targets, url), "{url}");
        }
        // A name may lead into an allowed network; whether it does is seen when it is resolved.
        assert!(!targets.admits("elsewhere.org", "11.0.0.1".parse().unwrap()));
        assert!(targets.admits("elsewhere.org", "10.0.0.1".parse().unwrap()));
        assert!(!targets.admits("db", "169.254.1.1".parse().unwrap()));
    }

    #[test]
    fn what_is_denied_can_be_said_otherwise() {
        let nothing = targets(&[], Some(&[]));
        assert!(allows(&nothing, "http://169.254.169.254/"));
        let more = targets(&[], Some(&["127.0.0.0/8", "*.internal"]));
        assert!(!allows(&more, "http://127.1.2.3/") && !allows(&more, "http://a.internal/"));
        for wrong in ["", "*", "10.0.0.0/33", "a b", "http://x"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }
}
