//! What people may write into a configuration file. Nothing has been checked yet but the types.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use scheduler_core::queue::QueueLimits;
use scheduler_core::{
    Coalesce, Delivery, Grace, HistoryPolicy, JobSpec, OnLost, Overlap, Priority, Retry, duration,
};
use serde::Deserialize;

use super::{Password, Role};

/// A configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct ConfigFile {
    /// The zone of triggers that name none. Defaults to `"UTC"`.
    pub(crate) timezone: Option<String>,
    /// One of several independent schedulers on the same store. Defaults to `"default"`.
    pub(crate) namespace: Option<String>,
    /// Where the jobs live.
    pub(crate) store: StoreTable,
    /// What jobs take where they are silent.
    pub(crate) job_defaults: JobDefaultsTable,
    /// This node.
    pub(crate) worker: WorkerTable,
    /// What is remembered of what became of fire times.
    pub(crate) history: HistoryTable,
    /// What it serves over HTTP.
    pub(crate) http: HttpTable,
    /// What queues are limited to. Defaults to nothing.
    pub(crate) queues: BTreeMap<String, QueueLimits>,
    /// Where traces and metrics go.
    pub(crate) otlp: OtlpTable,
    /// Where the secrets are that args refer to.
    pub(crate) secrets: SecretsTable,
    /// Built-in tasks.
    pub(crate) tasks: TasksTable,
    /// Jobs that are put into the store at start.
    pub(crate) jobs: Vec<JobSpec>,
}

/// What those read of a configuration file who need no more.
#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "a table")]
pub(crate) struct TimezoneOnly {
    /// The zone of triggers that name none. Defaults to `"UTC"`.
    pub(crate) timezone: Option<String>,
}

/// `[store]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct StoreTable {
    /// `redis://user:password@host:port/db`, `redis+sentinel://user:password@host,host/primary/db`,
    /// `redis-cluster://user:password@host,host`, `rediss` for TLS, or `memory`. Defaults to `memory`: the store lives and ends with the process.
    pub(crate) url: Option<String>,
    /// The password, in place of one in the URL. Defaults to the URL's.
    pub(crate) password: Option<Password>,
    /// A file that holds the password, beside the configuration file where it is relative.
    /// Defaults to none.
    pub(crate) password_file: Option<PathBuf>,
    /// The password of the sentinels, in place of one in the URL. Defaults to the URL's.
    pub(crate) sentinel_password: Option<Password>,
    /// A file that holds the password of the sentinels. Defaults to none.
    pub(crate) sentinel_password_file: Option<PathBuf>,
    /// Authorities that sign the servers' certificates (PEM). Defaults to those that the machine trusts.
    pub(crate) ca_file: Option<PathBuf>,
    /// The certificate to show to servers that ask (PEM). Defaults to none.
    pub(crate) cert_file: Option<PathBuf>,
    /// The key of that certificate (PEM). Defaults to none.
    pub(crate) key_file: Option<PathBuf>,
    /// When claims and changes count as written: `none` (at once), `replicas:1` (when so many replicas
    /// have them), `aof` (when they are on disk). Defaults to `none`.
    pub(crate) durability: Option<String>,
    /// How many shards the namespace has: 1 to 64. It stays as it was when the namespace was first used.
    /// Defaults to the URL's `?shards=`, or 1.
    pub(crate) shards: Option<i64>,
    /// How long nothing is dispatched or claimed after a failover or restart of the store, so that workers
    /// can tell it what it has lost. Shorter where all have. Defaults to 1 s.
    #[serde(with = "duration::option")]
    pub(crate) failover_grace: Option<Duration>,
}

/// `[job_defaults]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct JobDefaultsTable {
    /// Defaults to the latest.
    pub(crate) coalesce: Option<Coalesce>,
    /// Defaults to 1.
    pub(crate) max_instances: Option<NonZeroU32>,
    /// Defaults to however late.
    pub(crate) misfire_grace_time: Option<Grace>,
    /// Defaults to another attempt.
    pub(crate) on_lost: Option<OnLost>,
    /// Defaults to 3.
    pub(crate) max_lost: Option<NonZeroU32>,
    /// Defaults to 100.
    pub(crate) max_catch_up: Option<NonZeroU32>,
    /// Defaults to being skipped.
    pub(crate) overlap: Option<Overlap>,
    /// Defaults to no other attempt.
    pub(crate) retry: Option<Retry>,
    /// Defaults to however long.
    #[serde(with = "duration::option")]
    pub(crate) timeout: Option<Duration>,
    /// Defaults to at least once.
    pub(crate) delivery: Option<Delivery>,
    /// Defaults to normal.
    pub(crate) priority: Option<Priority>,
    /// Defaults to not at all.
    #[serde(with = "duration::option")]
    pub(crate) spread: Option<Duration>,
    /// Defaults to no.
    pub(crate) keep: Option<bool>,
    /// Defaults to what is kept of all jobs.
    pub(crate) history: Option<HistoryPolicy>,
}

/// `[history]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct HistoryTable {
    /// How many records are kept. Defaults to 100,000.
    pub(crate) keep: Option<u64>,
    /// How long they are kept. Defaults to however long.
    #[serde(with = "duration::option")]
    pub(crate) keep_for: Option<Duration>,
    /// How long is kept what handlers noted of their runs. Defaults to 7 days.
    #[serde(with = "duration::option")]
    pub(crate) keep_notes_for: Option<Duration>,
    /// How many failed runs are kept. Defaults to 10,000.
    pub(crate) failed: Option<u64>,
    /// How long they are kept. Defaults to 30 days.
    #[serde(with = "duration::option")]
    pub(crate) failed_for: Option<Duration>,
}

/// `[worker]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct WorkerTable {
    /// The node's name. Defaults to the host's name and the process id.
    pub(crate) node: Option<String>,
    /// How many runs it executes at once. Defaults to 64.
    pub(crate) concurrency: Option<u32>,
    /// The queues that it serves. Defaults to `["default"]`.
    pub(crate) queues: Option<Vec<QueueEntry>>,
    /// Which of them goes first, `weighted` or `strict`. Defaults to `weighted`.
    pub(crate) queue_order: Option<String>,
    /// How long the right to dispatch lives without being renewed. Defaults to 5 s.
    #[serde(with = "duration::option")]
    pub(crate) lease_ttl: Option<Duration>,
    /// How long a node counts as alive without a sign of life. Defaults to 10 s.
    #[serde(with = "duration::option")]
    pub(crate) session_ttl: Option<Duration>,
    /// How long handlers may go on after the node was told to stop. Defaults to 30 s.
    #[serde(with = "duration::option")]
    pub(crate) shutdown_grace: Option<Duration>,
}

/// A queue of `[worker]`.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a queue's name, or a table { name = \"mail\", weight = 3 }"
)]
pub(crate) enum QueueEntry {
    Name(String),
    Weighted(WeightedQueue),
}

/// A queue that has more of a node's slots than others, or fewer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WeightedQueue {
    pub(crate) name: String,
    /// Defaults to 1.
    pub(crate) weight: Option<u32>,
}

/// `[http]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct HttpTable {
    /// An address and a port, or `"off"`. Defaults to `"127.0.0.1:8080"` if nobody else is there.
    pub(crate) bind: Option<String>,
    /// A certificate for encrypted connections, PEM. Defaults to none: they are not encrypted.
    pub(crate) cert_file: Option<PathBuf>,
    /// Its key, PEM.
    pub(crate) key_file: Option<PathBuf>,
    /// Whether Flask-APScheduler's API is served. Defaults to no.
    pub(crate) flask_api: bool,
    /// How its paths begin. Defaults to `"/scheduler"`.
    pub(crate) flask_prefix: Option<String>,
    /// Tokens that open something. Defaults to none.
    pub(crate) tokens: Vec<KeyTable>,
    /// Users, whose passwords open something. Defaults to none.
    pub(crate) users: Vec<KeyTable>,
    /// Whether an address of the network may be served without any token or user, if that is said
    /// once more on the command line. Defaults to no.
    pub(crate) unauthenticated: bool,
    /// The names under which this server answers, or `"*"`. Defaults to those of this machine where
    /// nobody has to show a key, else to any.
    pub(crate) allowed_hosts: Option<Vec<String>>,
    /// Whether jobs that run commands may be made over HTTP. Defaults to no.
    pub(crate) allow_shell: bool,
    /// How large a body may be, in bytes. Defaults to 1 MiB.
    pub(crate) max_body: Option<usize>,
    /// How many jobs have a label of their own in metrics. Defaults to none.
    pub(crate) metrics_jobs: Option<usize>,
    /// How many requests a client's address may make per second; 0 for however many. Defaults to
    /// 1000.
    pub(crate) rate_limit: Option<u32>,
}

/// One of `[[http.tokens]]` or `[[http.users]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(crate) struct KeyTable {
    /// Whose it is.
    pub(crate) name: String,
    /// The Argon2 hash of the token or the password.
    pub(crate) hash: String,
    /// What it allows.
    pub(crate) role: Role,
    /// The only namespace that it opens. Defaults to any.
    pub(crate) namespace: Option<String>,
}

/// `[otlp]`.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct OtlpTable {
    /// The collector: `"http://localhost:4318"`. Defaults to none: nothing is sent.
    pub(crate) endpoint: Option<String>,
    /// What is said with each request. Defaults to nothing.
    pub(crate) headers: HashMap<String, String>,
    /// What the node is called among services. Defaults to `"carillon"`.
    pub(crate) service_name: Option<String>,
    /// How often metrics are sent. Defaults to 10 s.
    #[serde(with = "duration::option")]
    pub(crate) interval: Option<Duration>,
    /// Which part of all runs is traced: 0 to 1. Defaults to 1.
    pub(crate) sample: Option<f64>,
}

/// `[secrets]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct SecretsTable {
    /// A directory with a file for each secret, of its name; beside the configuration file where it is
    /// relative. Defaults to none: secrets are found in the environment alone.
    pub(crate) dir: Option<PathBuf>,
}

/// `[tasks]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct TasksTable {
    /// The task `shell`.
    pub(crate) shell: ShellTable,
    /// The task `http`.
    pub(crate) http: HttpTaskTable,
}

/// `[tasks.http]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct HttpTaskTable {
    /// The only hosts and networks that it may call. Defaults to any.
    pub(crate) allow: Vec<String>,
    /// Hosts and networks that it may not call. Defaults to link-local addresses and those of
    /// metadata services.
    pub(crate) deny: Option<Vec<String>>,
}

/// `[tasks.shell]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(crate) struct ShellTable {
    /// Whether jobs may run commands on this node. Defaults to no: whoever may write jobs could
    /// run anything.
    pub(crate) enabled: bool,
}
