//! Serving HTTP, as configured.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Overrides;
use super::check::Check;
use super::typed::HttpTable;

/// Where a worker serves HTTP that was told nothing.
pub const DEFAULT_BIND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// What a worker serves over HTTP, and where.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Where.
    pub bind: HttpBind,
}

/// Where a worker serves HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpBind {
    /// Nowhere.
    Off,
    /// At [`DEFAULT_BIND`], if nobody else is there: several workers on one machine are normal.
    Default,
    /// Here, or not at all.
    At(SocketAddr),
}

impl HttpSettings {
    pub(super) fn check(check: &mut Check<'_>, overrides: &Overrides, table: &HttpTable) -> Self {
        Self {
            bind: bind(check, overrides, table),
        }
    }
}

fn bind(check: &mut Check<'_>, overrides: &Overrides, table: &HttpTable) -> HttpBind {
    let rule = "is no address: give one such as \"127.0.0.1:8080\", or \"off\"";
    if let Some(text) = &overrides.http {
        return read_bind(text).unwrap_or_else(|| {
            check.refuse_flag("--http (CARILLON_HTTP)", format!("{text:?} {rule}"));
            HttpBind::Off
        });
    }
    let Some(text) = &table.bind else {
        return HttpBind::Default;
    };
    read_bind(text).unwrap_or_else(|| {
        check.refuse("http.bind", format!("{text:?} {rule}"));
        HttpBind::Off
    })
}

fn read_bind(text: &str) -> Option<HttpBind> {
    if text.eq_ignore_ascii_case("off") {
        return Some(HttpBind::Off);
    }
    if let Some(port) = text.strip_prefix("localhost:") {
        let address = SocketAddr::new(DEFAULT_BIND.ip(), port.parse().ok()?);
        return Some(HttpBind::At(address));
    }
    text.parse().ok().map(HttpBind::At)
}
