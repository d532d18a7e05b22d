//! The second step: every rule checked, every default filled in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono_tz::Tz;
use scheduler_core::queue::QueueLimits;
use scheduler_core::{JobDefaults, Namespace, Policy, QueueName};

use super::check::Check;
use super::document::Document;
use super::error::Problem;
use super::http::Around;
use super::jobs::check_all;
use super::otlp::{self, OtlpSettings};
use super::typed::{
    ConfigFile, HistoryTable, HttpTaskTable, JobDefaultsTable, SecretsTable, TimezoneOnly,
};
use super::{ConfigError, ConfiguredJob, HttpSettings, Password, StoreSettings, WorkerSettings};
use crate::mistake::nearest;
use crate::node::{Retention, Tracing};
use crate::task::Secrets;
use crate::task::builtin::{HttpTargets, Target};

/// More records than fit a Redis.
const MAX_HISTORY: u64 = 100_000_000;

/// More failed runs than anybody looks at: each is kept with its definition.
const MAX_FAILED: u64 = 1_000_000;

/// Less would be gone before anybody could ask.
const MIN_HISTORY: Duration = Duration::from_secs(60);

/// What was said on the command line or in the environment. It comes before the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The store's URL.
    pub store: Option<String>,
    /// The store's password.
    pub password: Option<Password>,
    /// A file that holds the store's password.
    pub password_file: Option<PathBuf>,
    /// The password of the sentinels.
    pub sentinel_password: Option<Password>,
    /// A file with the authorities that sign the servers' certificates.
    pub ca_file: Option<PathBuf>,
    /// A file with the certificate to show to servers.
    pub cert_file: Option<PathBuf>,
    /// A file with the key of that certificate.
    pub key_file: Option<PathBuf>,
    /// When claims and changes count as written.
    pub durability: Option<String>,
    /// How many shards the namespace has.
    pub shards: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The node's name.
    pub node: Option<String>,
    /// How many runs it executes at once.
    pub concurrency: Option<String>,
    /// The queues that it serves: `mail`, or `mail=3` with a weight.
    pub queues: Vec<String>,
    /// Which of them goes first: `weighted` or `strict`.
    pub queue_order: Option<String>,
    /// How long handlers may go on after the node was told to stop.
    pub shutdown_grace: Option<String>,
    /// Where it serves HTTP.
    pub http: Option<String>,
    /// The collector of traces and metrics.
    pub otlp_endpoint: Option<String>,
    /// What is said to it with each request: `name=value`, with commas between.
    pub otlp_headers: Option<String>,
    /// What the node is called among services.
    pub otlp_service: Option<String>,
    /// Whether HTTP may be served to the network without any key, as the file says, too.
    pub http_unauthenticated: bool,
}

/// A configuration that has been checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// One of several independent schedulers on the same store.
    pub namespace: Namespace,
    /// Where the jobs live.
    pub store: StoreSettings,
    /// What jobs take where they are silent.
    pub job_defaults: JobDefaults,
    /// This node.
    pub worker: WorkerSettings,
    /// How much of history is kept.
    pub retention: Retention,
    /// What it serves over HTTP.
    pub http: HttpSettings,
    /// What queues are limited to, unless an operator has said otherwise.
    pub queues: Vec<(QueueName, QueueLimits)>,
    /// Whether jobs may run commands on this node.
    pub shell_enabled: bool,
    /// Which hosts jobs may call.
    pub http_targets: HttpTargets,
    /// Where the secrets are that args refer to.
    pub secrets: Secrets,
    /// How runs are traced.
    pub tracing: Tracing,
    /// Where traces and metrics go, if they go anywhere.
    pub otlp: Option<OtlpSettings>,
    /// Jobs that are put into the store at start.
    pub jobs: Vec<ConfiguredJob>,
}

impl Settings {
    /// Reads the configuration file, if one was named, and checks everything.
    ///
    /// # Errors
    ///
    /// All broken rules, each with file, line and field, or with the flag.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        let Some(path) = &overrides.config else {
            return Self::check("defaults", "", Path::new(""), overrides);
        };
        let (name, text) = read(path)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        Self::check(&name, &text, directory, overrides)
    }

    /// The zone of triggers that name none, and nothing else of the configuration file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, and a zone that is none.
    pub fn load_timezone(config: Option<&Path>) -> Result<Tz, ConfigError> {
        let Some(path) = config else {
            return Ok(Tz::UTC);
        };
        let (name, text) = read(path)?;
        let document = Document::parse(&name, &text)?;
        let file: TimezoneOnly = document.read()?;
        let mut check = Check::new(&document);
        let zone = timezone(&mut check, file.timezone.as_deref());
        ConfigError::unless_empty(check.problems, zone)
    }

    /// Checks the text of a configuration file; `name` is what messages call it, and relative paths
    /// in it begin at `directory`.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn check(
        name: &str,
        text: &str,
        directory: &Path,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let document = Document::parse(name, text)?;
        let file: ConfigFile = document.read()?;
        let mut check = Check::new(&document);
        let namespace = check.name(
            ("--namespace (CARILLON_NAMESPACE)", &overrides.namespace),
            ("namespace", &file.namespace),
        );
        let namespace = namespace.unwrap_or_else(Namespace::default_namespace);
        let job_defaults = JobDefaults {
            timezone: timezone(&mut check, file.timezone.as_deref()),
            policy: policy(&mut check, &file.job_defaults),
        };
        let worker = WorkerSettings::check(&mut check, overrides, &file.worker);
        let http = {
            let around = Around {
                namespace: &namespace,
                job_defaults: &job_defaults,
                typed_defaults: &file.job_defaults,
                directory,
            };
            HttpSettings::check(&mut check, overrides, &file.http, &around)
        };
        let store = StoreSettings::check(overrides, &file.store, &document, directory);
        let store = check.or(store, StoreSettings::Memory);
        let http_targets = http_targets(&mut check, &file.tasks.http);
        let specs = file.jobs.iter().enumerate();
        let jobs = check_all(
            &document,
            specs.map(|(index, spec)| (format!("jobs[{index}]"), spec)),
            &job_defaults,
            &mut check.problems,
        );
        let secrets = secrets(&file.secrets, directory);
        let tracing = Tracing {
            scope: namespace.to_string(),
            sample: otlp::sample(&mut check, &file.otlp),
        };
        let otlp = OtlpSettings::check(&mut check, overrides, &file.otlp);
        let queues = queues(&mut check, &file.queues);
        let settings = Self {
            namespace,
            store,
            job_defaults,
            worker,
            retention: retention(&mut check, &file.history),
            http,
            queues,
            shell_enabled: file.tasks.shell.enabled,
            http_targets,
            secrets,
            tracing,
            otlp,
            jobs,
        };
        ConfigError::unless_empty(check.problems, settings)
    }
}

fn retention(check: &mut Check<'_>, table: &HistoryTable) -> Retention {
    let default = Retention::default();
    let history = table.keep.unwrap_or(default.history);
    if history == 0 || history > MAX_HISTORY {
        let message = format!("{history} is not between 1 and {MAX_HISTORY}");
        check.refuse("history.keep", message);
    }
    if let Some(keep) = table.keep_for
        && keep < MIN_HISTORY
    {
        let message = format!("{keep:?} is less than {MIN_HISTORY:?}");
        check.refuse("history.keep_for", message);
    }
    if let Some(keep) = table.keep_notes_for
        && keep < MIN_HISTORY
    {
        let message = format!("{keep:?} is less than {MIN_HISTORY:?}");
        check.refuse("history.keep_notes_for", message);
    }
    let failed = table.failed.unwrap_or(default.failed);
    if failed > MAX_FAILED {
        let message = format!("{failed} is not between 0 and {MAX_FAILED}");
        check.refuse("history.failed", message);
    }
    let failed_for = table.failed_for.unwrap_or(default.failed_for);
    if failed_for < MIN_HISTORY {
        let message = format!("{failed_for:?} is less than {MIN_HISTORY:?}");
        check.refuse("history.failed_for", message);
    }
    Retention {
        history,
        history_for: table.keep_for,
        notes_for: table.keep_notes_for.unwrap_or(default.notes_for),
        failed,
        failed_for,
        ..default
    }
}

fn queues(
    check: &mut Check<'_>,
    typed: &BTreeMap<String, QueueLimits>,
) -> Vec<(QueueName, QueueLimits)> {
    let mut queues = Vec::with_capacity(typed.len());
    for (name, limits) in typed {
        match QueueName::new(name) {
            Ok(queue) => queues.push((queue, *limits)),
            Err(error) => check.refuse(&format!("queues.{name}"), error.to_string()),
        }
    }
    queues
}

fn http_targets(check: &mut Check<'_>, table: &HttpTaskTable) -> HttpTargets {
    let mut read = |field: &str, typed: &[String]| {
        let mut targets = Vec::new();
        for (index, text) in typed.iter().enumerate() {
            match text.parse::<Target>() {
                Ok(target) => targets.push(target),
                Err(message) => check.refuse(&format!("tasks.http.{field}[{index}]"), message),
            }
        }
        targets
    };
    let allow = read("allow", &table.allow);
    let deny = table.deny.as_ref().map(|deny| read("deny", deny));
    HttpTargets::new(allow, deny)
}

/// Not looked at here: commands that talk to workers need not be able to read it.
fn secrets(table: &SecretsTable, directory: &Path) -> Secrets {
    match &table.dir {
        None => Secrets::new(),
        Some(dir) => Secrets::in_directory(directory.join(dir)),
    }
}

/// The name and the text of a configuration file.
fn read(path: &Path) -> Result<(String, String), Problem> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((name, text)),
        Err(error) => Err(Problem::new(&*name, format!("cannot be read: {error}"))),
    }
}

fn policy(check: &mut Check<'_>, table: &JobDefaultsTable) -> Policy {
    let default = Policy::default();
    let policy = Policy {
        coalesce: table.coalesce.unwrap_or(default.coalesce),
        misfire_grace_time: table
            .misfire_grace_time
            .unwrap_or(default.misfire_grace_time),
        max_catch_up: table.max_catch_up.unwrap_or(default.max_catch_up),
        max_instances: table.max_instances.unwrap_or(default.max_instances),
        overlap: table.overlap.unwrap_or(default.overlap),
        retry: table.retry.unwrap_or(default.retry),
        timeout: table.timeout.or(default.timeout),
        delivery: table.delivery.unwrap_or(default.delivery),
        on_lost: table.on_lost.unwrap_or(default.on_lost),
        max_lost: table.max_lost.unwrap_or(default.max_lost),
        priority: table.priority.unwrap_or(default.priority),
        spread: table.spread.or(default.spread),
        keep: table.keep.unwrap_or(default.keep),
        history: table.history.unwrap_or(default.history),
    };
    match policy.check() {
        Ok(()) => policy,
        Err((field, message)) => {
            check.refuse(&format!("job_defaults.{field}"), message);
            default
        }
    }
}

fn timezone(check: &mut Check<'_>, typed: Option<&str>) -> Tz {
    let Some(name) = typed else { return Tz::UTC };
    name.parse().unwrap_or_else(|_| {
        let near = nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        let hint = near.map_or_else(
            || "give a name such as \"Europe/Berlin\"".to_owned(),
            |near| format!("did you mean {near:?}?"),
        );
        check.refuse("timezone", format!("{name:?} is no time zone: {hint}"));
        Tz::UTC
    })
}
