//! Serving HTTP, as configured.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use scheduler_core::{Grace, JobDefaults, Namespace};
use serde::Deserialize;

use super::Overrides;
use super::check::Check;
use super::typed::{HttpTable, JobDefaultsTable, KeyTable};

/// Where a worker serves HTTP that was told nothing.
pub const DEFAULT_BIND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

const DEFAULT_PREFIX: &str = "/scheduler";
const DEFAULT_MAX_BODY: usize = 1024 * 1024;
const MAX_BODY: usize = 64 * 1024 * 1024;
const DEFAULT_RATE: u32 = 1000;
/// Each of them makes some thirty lines of a page that is read every few seconds.
const MAX_METRICS_JOBS: usize = 10_000;

/// APScheduler's own: a fire time that is more than a second late is missed.
const FLASK_GRACE: Grace = Grace::Within(Duration::from_secs(1));

/// What a worker serves over HTTP, where, and to whom.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Where.
    pub bind: HttpBind,
    /// The certificate for encrypted connections; none where they are not.
    pub tls: Option<TlsFiles>,
    /// Flask-APScheduler's API, if it is served.
    pub flask: Option<FlaskSettings>,
    /// What jobs take where they are silent.
    pub job_defaults: JobDefaults,
    /// The namespace that is served.
    pub namespace: Namespace,
    /// Tokens that open something.
    pub tokens: Vec<HttpKey>,
    /// Users, whose passwords open something.
    pub users: Vec<HttpKey>,
    /// The names under which this server answers.
    pub allowed_hosts: AllowedHosts,
    /// Whether jobs that run commands may be made over HTTP.
    pub allow_shell: bool,
    /// How large a body may be, in bytes.
    pub max_body: usize,
    /// How many jobs have a label of their own in metrics.
    pub metrics_jobs: usize,
    /// How many requests a client may make per second; none for however many.
    pub rate_limit: Option<NonZeroU32>,
}

/// The files that hold a certificate and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, with the authorities in between behind it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
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

/// Flask-APScheduler's API.
#[derive(Clone, Debug)]
pub struct FlaskSettings {
    /// How its paths begin.
    pub prefix: String,
    /// What jobs take that are made through it: APScheduler's defaults, where ours were not set.
    pub job_defaults: JobDefaults,
}

/// The names under which a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHosts {
    /// Those of this machine, where nobody has to show a key; else any.
    Default,
    /// Any.
    Any,
    /// These.
    These(Vec<String>),
}

/// What a key allows. Each role also has what those before it have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// To look.
    Viewer,
    /// To change jobs, and to run them.
    Operator,
    /// To stop everything.
    Admin,
}

impl Role {
    /// The role as one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A token or a user.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpKey {
    /// Whose it is.
    pub name: String,
    /// An Argon2 hash of the token or the password.
    pub hash: String,
    /// What it allows.
    pub role: Role,
    /// The only namespace that it opens; none for any.
    pub namespace: Option<Namespace>,
}

impl fmt::Debug for HttpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpKey")
            .field("name", &self.name)
            .field("hash", &"***")
            .field("role", &self.role)
            .field("namespace", &self.namespace)
            .finish()
    }
}

/// What the rest of a configuration says to this part.
pub(super) struct Around<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) job_defaults: &'a JobDefaults,
    pub(super) typed_defaults: &'a JobDefaultsTable,
    /// Where relative paths begin.
    pub(super) directory: &'a Path,
}

impl HttpSettings {
    pub(super) fn check(
        check: &mut Check<'_>,
        overrides: &Overrides,
        table: &HttpTable,
        around: &Around<'_>,
    ) -> Self {
        let settings = Self {
            bind: bind(check, overrides, table),
            tls: tls(check, table, around.directory),
            flask: flask(check, table, around),
            job_defaults: around.job_defaults.clone(),
            namespace: around.namespace.clone(),
            tokens: keys(check, "http.tokens", &table.tokens),
            users: keys(check, "http.users", &table.users),
            allowed_hosts: allowed_hosts(table),
            allow_shell: table.allow_shell,
            max_body: max_body(check, table),
            metrics_jobs: metrics_jobs(check, table),
            rate_limit: NonZeroU32::new(table.rate_limit.unwrap_or(DEFAULT_RATE)),
        };
        settings.check_exposure(check, overrides, table);
        settings
    }

    /// Whoever reaches an address of the network may do everything where no key is wanted: that must
    /// be meant, and said twice.
    fn check_exposure(&self, check: &mut Check<'_>, overrides: &Overrides, table: &HttpTable) {
        let HttpBind::At(address) = self.bind else {
            return;
        };
        let is_open = self.tokens.is_empty() && self.users.is_empty();
        let is_meant = table.unauthenticated && overrides.http_unauthenticated;
        if is_open && !address.ip().is_loopback() && !is_meant {
            let message = format!(
                "{address} can be reached from elsewhere, and nobody has to show a key: give \
                 [[http.tokens]] or [[http.users]] (see `carillon token --help`); or say twice that \
                 this is meant, with [http] unauthenticated = true and --http-unauthenticated"
            );
            if overrides.http.is_some() {
                check.refuse_flag("--http (CARILLON_HTTP)", message);
            } else {
                check.refuse("http.bind", message);
            }
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

fn tls(check: &mut Check<'_>, table: &HttpTable, directory: &Path) -> Option<TlsFiles> {
    let (certificate, key) = match (&table.cert_file, &table.key_file) {
        (None, None) => return None,
        (Some(certificate), Some(key)) => (directory.join(certificate), directory.join(key)),
        (certificate, _) => {
            let field = match certificate {
                Some(_) => "http.cert_file",
                None => "http.key_file",
            };
            let message = "a certificate and its key come together: cert_file and key_file";
            check.refuse(field, message);
            return None;
        }
    };
    Some(TlsFiles { certificate, key })
}

fn flask(check: &mut Check<'_>, table: &HttpTable, around: &Around<'_>) -> Option<FlaskSettings> {
    let prefix = table.flask_prefix.as_deref().unwrap_or(DEFAULT_PREFIX);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_-.".contains(c);
    if !prefix.starts_with('/') || prefix.ends_with('/') || !prefix.chars().all(is_plain) {
        let message = format!(
            "{prefix:?} is no beginning of a path: it must start with a slash and not end with one, \
             as in {DEFAULT_PREFIX:?}, of letters, digits and _ - . /"
        );
        check.refuse("http.flask_prefix", message);
    }
    if !table.flask_api {
        if table.flask_prefix.is_some() {
            let message = "means nothing without flask_api = true";
            check.refuse("http.flask_prefix", message);
        }
        return None;
    }
    let mut job_defaults = around.job_defaults.clone();
    if around.typed_defaults.misfire_grace_time.is_none() {
        job_defaults.policy.misfire_grace_time = FLASK_GRACE;
    }
    Some(FlaskSettings {
        prefix: prefix.to_owned(),
        job_defaults,
    })
}

fn keys(check: &mut Check<'_>, path: &str, typed: &[KeyTable]) -> Vec<HttpKey> {
    let mut keys: Vec<HttpKey> = Vec::new();
    for (index, table) in typed.iter().enumerate() {
        let place = |field: &str| format!("{path}[{index}].{field}");
        let name = &table.name;
        if name.is_empty() || name.len() > 100 || name.chars().any(|c| c.is_control() || c == ':') {
            let message = format!("{name:?} is no name: 1 to 100 bytes, without a colon");
            check.refuse(&place("name"), message);
        }
        if keys.iter().any(|key| key.name == *name) {
            check.refuse(&place("name"), format!("{name:?} is named twice"));
        }
        if !is_hash(&table.hash) {
            let message = "is no Argon2 hash: `carillon token` makes one";
            check.refuse(&place("hash"), message);
        }
        let namespace = match table.namespace.as_deref().map(Namespace::new) {
            None => None,
            Some(Ok(namespace)) => Some(namespace),
            Some(Err(error)) => {
                check.refuse(&place("namespace"), error.to_string());
                None
            }
        };
        keys.push(HttpKey {
            name: name.clone(),
            hash: table.hash.clone(),
            role: table.role,
            namespace,
        });
    }
    keys
}

#[cfg(feature = "http")]
fn is_hash(text: &str) -> bool {
    argon2::password_hash::phc::PasswordHash::new(text)
        .is_ok_and(|hash| hash.algorithm.as_str().starts_with("argon2") && hash.hash.is_some())
}

/// Nobody compares anything with it here.
#[cfg(not(feature = "http"))]
fn is_hash(text: &str) -> bool {
    text.starts_with("$argon2")
}

fn allowed_hosts(table: &HttpTable) -> AllowedHosts {
    match &table.allowed_hosts {
        None => AllowedHosts::Default,
        Some(names) if names.iter().any(|name| name == "*") => AllowedHosts::Any,
        Some(names) => AllowedHosts::These(names.clone()),
    }
}

fn metrics_jobs(check: &mut Check<'_>, table: &HttpTable) -> usize {
    let jobs = table.metrics_jobs.unwrap_or(0);
    if jobs > MAX_METRICS_JOBS {
        let message = format!("{jobs} are too many: at most {MAX_METRICS_JOBS}");
        check.refuse("http.metrics_jobs", message);
    }
    jobs
}

fn max_body(check: &mut Check<'_>, table: &HttpTable) -> usize {
    let bytes = table.max_body.unwrap_or(DEFAULT_MAX_BODY);
    if !(1024..=MAX_BODY).contains(&bytes) {
        let message = format!("{bytes} is out of range: allowed are 1024 to {MAX_BODY} bytes");
        check.refuse("http.max_body", message);
    }
    bytes
}
