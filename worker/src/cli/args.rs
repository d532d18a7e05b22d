//! What may be typed.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::apply::ApplyArgs;
use super::attend::RunsCommand;
use super::audit::AuditArgs;
use super::bench::BenchArgs;
use super::doctor::DoctorArgs;
use super::events::EventsArgs;
use super::export::ExportArgs;
use super::failure::Failure;
use super::import::ImportArgs;
use super::job::JobArgs;
use super::preview::PreviewArgs;
use super::queue::{PauseArgs, QueueArgs};

/// Rings every scheduled job on time, on exactly one of many identical workers.
#[derive(Debug, Parser)]
#[command(name = "carillon", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  carillon run --config carillon.toml
      Runs the jobs of a file, in this process alone
  carillon run --store redis://localhost:6379
      Runs a worker; start as many as you like
  carillon --store redis://localhost:6379 job add --id hello --every 10s \\
      --task log --args '{\"message\": \"hello\"}'
      Adds a job for them
  carillon --store redis://localhost:6379 runs --follow
      Shows what becomes of it
  carillon preview '30 5 * * mon-fri' --timezone Asia/Shanghai
      Shows when a trigger fires, before a job has it

  carillon --api http://worker:8080 --token-file ops.token nodes
      Asks a worker over HTTP, where the Redis cannot be reached; all commands that talk to workers can

Settings come from flags, then from the environment (CARILLON_STORE, ...), then from the
configuration file, then from defaults. A Redis password may stand in the URL, in
CARILLON_REDIS_PASSWORD, or in a file (--password-file); it is never shown.

Exit codes: 0 done, 1 refused or not found, 2 usage or configuration, 3 store unreachable, 4 there
would be changes (apply --dry-run).";

/// What each command takes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub(super) struct Global {
    /// Configuration file (TOML)
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CARILLON_CONFIG",
        hide_env_values = true
    )]
    pub(super) config: Option<PathBuf>,
    /// Where the jobs live: redis://user:password@host:port/db, by sentinels
    /// redis+sentinel://user:password@host,host/primary/db, in a cluster
    /// redis-cluster://user:password@host,host, with rediss for TLS, or memory
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "CARILLON_STORE",
        hide_env_values = true
    )]
    pub(super) store: Option<String>,
    /// File that holds the store's password
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CARILLON_PASSWORD_FILE",
        hide_env_values = true
    )]
    pub(super) password_file: Option<PathBuf>,
    /// When claims and changes count as written: none, replicas:N, aof [default: none]
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        env = "CARILLON_DURABILITY",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub(super) durability: Option<String>,
    /// How many shards the namespace has, from its first use on [default: the URL's ?shards=, or 1]
    #[arg(
        long,
        global = true,
        value_name = "NUMBER",
        env = "CARILLON_SHARDS",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub(super) shards: Option<String>,
    /// Ask a worker over HTTP in place of the store: http://host:8080
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "CARILLON_API",
        hide_env_values = true
    )]
    api: Option<String>,
    /// Token for the worker's API; CARILLON_TOKEN keeps it out of lists of processes
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        env = "CARILLON_TOKEN",
        hide_env_values = true,
        hide_short_help = true
    )]
    token: Option<String>,
    /// File that holds the token
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CARILLON_TOKEN_FILE",
        hide_env_values = true,
        hide_short_help = true
    )]
    token_file: Option<PathBuf>,
    /// Authorities that sign the certificate (PEM) of the store, with rediss, or of the worker, with
    /// --api https:// [default: the machine's]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CARILLON_CA_FILE",
        hide_env_values = true,
        hide_short_help = true
    )]
    ca_file: Option<PathBuf>,
    /// Certificate to show to the store (PEM)
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CARILLON_CERT_FILE",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub(super) cert_file: Option<PathBuf>,
    /// Key of that certificate (PEM)
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CARILLON_KEY_FILE",
        hide_env_values = true,
        hide_short_help = true
    )]
    pub(super) key_file: Option<PathBuf>,
    /// One of several independent schedulers on the same store [default: default]
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "CARILLON_NAMESPACE",
        hide_env_values = true
    )]
    pub(super) namespace: Option<String>,
}

impl Global {
    /// The worker that is to be asked, if one is.
    pub(super) fn api(&self) -> Option<&str> {
        self.api.as_deref().filter(|url| !url.is_empty())
    }

    /// Authorities that sign certificates.
    pub(super) fn ca_file(&self) -> Option<&Path> {
        self.ca_file
            .as_deref()
            .filter(|path| !path.as_os_str().is_empty())
    }

    /// The token for the worker's API, if there is one.
    pub(super) fn token(&self) -> Result<Option<String>, Failure> {
        let file = self.token_file.as_deref();
        let file = file.filter(|path| !path.as_os_str().is_empty());
        let token = self.token.clone().filter(|token| !token.is_empty());
        let token = match (token, file) {
            (Some(token), _) => Some(token),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    Failure::Usage(format!("--token-file: {}: {error}", path.display()))
                })?;
                Some(text.trim().to_owned())
            }
            (None, None) => None,
        };
        match token {
            Some(token) if token.is_empty() || !token.bytes().all(|c| c.is_ascii_graphic()) => {
                let message = "--token: is no token: `carillon token new` makes one";
                Err(Failure::Usage(message.to_owned()))
            }
            other => Ok(other),
        }
    }

    /// Refuses to ask a worker for what only this machine can do.
    pub(super) fn on_the_spot(&self, command: &str) -> Result<(), Failure> {
        match self.api() {
            None => Ok(()),
            Some(_) => Err(Failure::Usage(format!(
                "{command} is done on the spot, and not over HTTP: leave out --api (CARILLON_API)"
            ))),
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a worker
    Run(RunArgs),
    /// Add, show and change jobs
    Job(JobArgs),
    /// Show, limit and pause queues
    Queue(QueueArgs),
    /// Pause the whole namespace: nothing is claimed, fire times are recorded as skipped
    Pause(PauseArgs),
    /// End the namespace's pause
    Resume,
    /// Make the store equal to a file of jobs
    Apply(ApplyArgs),
    /// Write all jobs as lines of JSON
    Export(ExportArgs),
    /// Bring back jobs that were exported
    Import(ImportArgs),
    /// Show when a trigger fires
    Preview(PreviewArgs),
    /// Show what became of fire times: runs and skips
    Runs(RunsArgs),
    /// Tell why a job ran at a time, or why it did not
    Explain(ExplainArgs),
    /// Show what happens, as it happens
    Events(EventsArgs),
    /// Show who changed what
    Audit(AuditArgs),
    /// Show the workers
    Nodes(NodesArgs),
    /// Tell what of the server, or the workers, breaks a promise
    Doctor(DoctorArgs),
    /// Make keys for what workers serve over HTTP
    #[cfg(feature = "http")]
    Token(super::token::TokenArgs),
    /// Measure what a Redis can do
    Bench(BenchArgs),
}

const RUN_HELP: &str = "\
Examples:
  carillon run --config carillon.toml
  carillon run --store redis://localhost:6379 --node web-1 --concurrency 16
  carillon run --store redis://localhost:6379 --queue mail=3 --queue default
  CARILLON_STORE=redis://redis CARILLON_LOG=debug carillon run

Jobs of the configuration file are put into the store at start, by any number of workers at
once. The file is the source of truth: a definition that changed there replaces the stored one,
unless the job says replace_existing = false. Jobs that did not change keep their state.

SIGTERM and Ctrl-C stop it in order: it claims no more, and waits for its handlers. Logs go to
standard error; CARILLON_LOG sets their level (debug, warn, carillon=debug,info).";

/// `carillon run`.
#[derive(Args, Debug)]
#[command(after_help = RUN_HELP)]
pub(super) struct RunArgs {
    /// This worker's name, for people [default: host name and process id]
    #[arg(
        long,
        value_name = "NAME",
        env = "CARILLON_NODE",
        hide_env_values = true
    )]
    pub(super) node: Option<String>,
    /// How many runs it executes at once [default: 64]
    #[arg(
        long,
        value_name = "N",
        env = "CARILLON_CONCURRENCY",
        hide_env_values = true
    )]
    pub(super) concurrency: Option<String>,
    /// Queue that it serves, with a weight if it shall have more of the slots than others; give it
    /// again for more [default: default]
    #[arg(
        long = "queue",
        value_name = "NAME[=WEIGHT]",
        env = "CARILLON_QUEUES",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(super) queues: Vec<String>,
    /// Which queue goes first: all by their weights (weighted), or the first until it is empty
    /// (strict) [default: weighted]
    #[arg(
        long,
        value_name = "ORDER",
        env = "CARILLON_QUEUE_ORDER",
        hide_env_values = true
    )]
    pub(super) queue_order: Option<String>,
    /// How long handlers may go on after it was told to stop [default: 30s]
    #[arg(
        long,
        value_name = "TIME",
        env = "CARILLON_SHUTDOWN_GRACE",
        hide_env_values = true
    )]
    pub(super) shutdown_grace: Option<String>,
    /// Where it serves HTTP: an address and a port, or off [default: 127.0.0.1:8080, if it is free]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "CARILLON_HTTP",
        hide_env_values = true
    )]
    pub(super) http: Option<String>,
    /// Serve HTTP to the network without any token or user, if [http] unauthenticated = true says so,
    /// too
    #[arg(long, env = "CARILLON_HTTP_UNAUTHENTICATED", hide_env_values = true)]
    pub(super) http_unauthenticated: bool,
    /// Give up if the store cannot be reached at start, instead of waiting for it
    #[arg(long)]
    pub(super) no_wait: bool,
    /// How logs are written
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        env = "CARILLON_LOG_FORMAT",
        hide_env_values = true
    )]
    pub(super) log_format: LogFormat,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

const RUNS_HELP: &str = "\
Examples:
  carillon runs --limit 100
  carillon runs --job hello --follow
  carillon runs --outcome skipped --since 24h
  carillon runs show hello@1795372342170
  carillon runs cancel hello@1795372342170 --why 'wrong file'
  carillon runs --job hello --json | jq '.[] | select(.outcome == \"failed\")'

With --json: a list of objects, the newest first; with --follow too, one object per line, the
oldest first. A run has kind \"run\", time, run, job, outcome, attempt, fence, node, task, queue,
scheduled_at, started_at, ended_at, late_ms, took_ms, next_attempt_at and detail; a skip has
kind \"skip\", time, job, reason, count, first, last and detail. Times are RFC 3339 in UTC.";

/// `carillon runs`.
#[derive(Args, Debug)]
#[command(after_help = RUNS_HELP, args_conflicts_with_subcommands = true)]
pub(super) struct RunsArgs {
    #[command(subcommand)]
    pub(super) command: Option<RunsCommand>,
    /// Only of this job
    #[arg(long, value_name = "ID")]
    pub(super) job: Option<String>,
    /// Only where this became of it: succeeded, failed, ..., misfired, coalesced, ...; or skipped, for
    /// whatever reason
    #[arg(long, value_name = "WORD")]
    pub(super) outcome: Option<String>,
    /// Only of runs that this worker had claimed
    #[arg(long, value_name = "NAME")]
    pub(super) node: Option<String>,
    /// Only what was recorded since: 2026-12-24T18:00:00Z, or how long ago: 2h
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// Only what was recorded until then
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    pub(super) until: Option<String>,
    /// Go on with what happens from now on
    #[arg(long, short)]
    pub(super) follow: bool,
    /// How many to show at most, the newest
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) limit: u32,
    /// Show them as JSON
    #[arg(long)]
    pub(super) json: bool,
}

const EXPLAIN_HELP: &str = "\
Examples:
  carillon explain report                       the last fire time that was settled
  carillon explain report --at 03:00            today's (or yesterday's), in the job's zone
  carillon explain report --at '2026-12-24 18:00'
  carillon explain report --at 2026-12-24T17:00:00Z --json

Tells what became of a fire time: on which worker it ran, how late and how it ended; why it was
skipped; or why nothing happened. A time without seconds means the fire time of that minute.

With --json: an object with job, fire_time (RFC 3339 in UTC), fate and text (the lines). The fate is
ran, running, waiting, lined_up, the reason of a skip (misfired, coalesced, ...), pending, paused, parked,
not_due_yet, excluded, no_fire_time, forgotten, before_schedule, unreadable or no_job.";

/// `carillon explain`.
#[derive(Args, Debug)]
#[command(after_help = EXPLAIN_HELP)]
pub(super) struct ExplainArgs {
    /// The job
    #[arg(value_name = "JOB")]
    pub(super) job: String,
    /// The time in question [default: the last fire time that was settled]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) at: Option<String>,
    /// Show it as JSON
    #[arg(long)]
    pub(super) json: bool,
}

const NODES_HELP: &str = "\
Examples:
  carillon nodes
  carillon nodes --self    as the health check of a container

With --json: a list of objects with node, session, state, leads, running, concurrency, queues,
weights (of the queues, in their order), host, pid, version, since and deadline. The state is
\"alive\", \"silent\" (no sign of life in time) or \"dead\" (declared so; its runs are being taken
over).";

/// `carillon nodes`.
#[derive(Args, Debug)]
#[command(after_help = NODES_HELP)]
pub(super) struct NodesArgs {
    /// Only the workers of this host (or of the name in CARILLON_NODE); exit code 1 if none is alive
    #[arg(long = "self")]
    pub(super) this: bool,
    /// Show them as JSON
    #[arg(long)]
    pub(super) json: bool,
}
