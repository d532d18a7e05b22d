//! Carillon rings every scheduled job on time, on exactly one of many identical worker processes.
//!
//! ```no_run
//! use carillon::{Scheduler, shutdown_signal};
//!
//! #[carillon::scheduled(cron, id = "chime", minute = 0)]
//! async fn chime() {
//!     println!("ding");
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let scheduler = Scheduler::in_memory().declared().build()?;
//!     scheduler.run(shutdown_signal()?).await?;
//!     Ok(())
//! }
//! ```
//!
//! A tour:
//!
//! - [`Scheduler`] is one node: [built](SchedulerBuilder) on a store, [run](Scheduler::run) or
//!   [started](Scheduler::start), and asked to [add](Scheduler::add_job), change and remove jobs.
//!   Processes that share a store share the work: each fire runs on one of them.
//! - [`mod@task`] has handlers: async functions whose parameters say what they take ([`Context`], [`Args`],
//!   [`State`]), the [layers](task::Layer) around them, and [`TaskError`] for what is to follow.
//! - [`scheduled`] and [`task`](macro@task) declare functions as jobs and tasks.
//! - [`NewJob`] puts a job together by hand; [`Jobs`] does all that can be done with stored ones.
//! - [`testing`] moves a service's own jobs through time, without sleeping.
//! - [`core`] has the domain: triggers, policies, what becomes of fire times, and the [`Store`](core::Store)
//!   that all of it is kept in.
//!
//! # Features
//!
//! An embedded scheduler is small: with `default-features = false` it brings about fifty crates, and
//! neither an HTTP server nor a command line. What is asked for comes on top:
//!
//! | feature | brings | by default |
//! |---|---|---|
//! | `macros` | [`scheduled`] and [`task`](macro@task) | yes |
//! | `redis` | the store on Redis: `carillon::redis`, `Scheduler::redis` | yes, by `cli` |
//! | `task-http`, `task-shell`, `task-stream` | the [built-in tasks](task::builtin) of these names | yes, by `cli` |
//! | `config` | settings as the binary reads them, from files | yes, by `cli` |
//! | `http` | what a worker serves over HTTP | yes |
//! | `cli` | the binary `carillon` | yes |
//! | `otlp` | `carillon::otlp`: traces and metrics for a collector of OpenTelemetry's | no |

pub mod audit;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod bench;
pub mod clock;
#[cfg(feature = "config")]
pub mod config;
#[cfg(any(feature = "config", feature = "task-shell"))]
mod environment;
pub mod event;
#[cfg(feature = "http")]
pub mod http;
pub mod jobs;
mod mistake;
pub mod node;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(any(feature = "cli", feature = "http"))]
pub mod preview;
pub mod queues;
mod scheduler;
mod signal;
pub mod task;
pub mod testing;
#[cfg(any(feature = "cli", feature = "http"))]
pub mod wire;

/// Declares a function as a job: when it runs, and all that a job may say of itself.
///
/// ```standalone_crate
/// use carillon::{Context, Scheduler, State};
///
/// #[carillon::scheduled(interval, id = "do_job_1", seconds = 30, misfire_grace_time = 900)]
/// async fn job1() {
///     println!("every half a minute");
/// }
///
/// #[carillon::scheduled("30 8 * * mon-fri", timezone = "Europe/Berlin", retry(max_attempts = 5))]
/// async fn report(context: Context) -> std::io::Result<()> {
///     println!("on weekdays: {}", context.run_id());
///     Ok(())
/// }
///
/// # fn main() -> Result<(), carillon::BuildError> {
/// let scheduler = Scheduler::in_memory().declared().build()?;
/// # Ok(())
/// # }
/// ```
///
/// First comes when it runs: `interval`, `cron`, `date` or `calendar_interval`, with the trigger's fields
/// as `key = value`; or the whole trigger as a text. Then come the job's fields, as in a configuration
/// file: `id` (the function's name, where it is left out), `task` (likewise), `args(..)`, `retry(..)`,
/// `misfire_grace_time`, `max_instances` and so on. All of it is checked when it is compiled.
///
/// The function's parameters are extractors, see [`FromRun`](task::FromRun). One without `async` may
/// block: it is called on a blocking thread.
///
/// [`declared`](SchedulerBuilder::declared) collects the functions of all crates that are linked into
/// the program. A library crate that nothing else of is used may be left out by the linker: use
/// something of it.
#[cfg(feature = "macros")]
pub use carillon_macros::scheduled;
/// Declares a function as a task, which jobs name: those of a file, of another service, or added at run
/// time.
///
/// ```standalone_crate
/// use carillon::{Args, NewJob, Scheduler};
///
/// #[carillon::task]
/// async fn greet(Args(name): Args<String>) {
///     println!("hello {name}");
/// }
///
/// /// No `async`: it may block.
/// #[carillon::task("reports.render")]
/// fn render() {}
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let scheduler = Scheduler::in_memory().declared().build()?;
/// scheduler.add_job(NewJob::new("greet-ada", "greet").args("Ada").cron("0 8 * * *")).await?;
/// # Ok(())
/// # }
/// ```
///
/// The task's name is the function's, or the given text.
#[cfg(feature = "macros")]
pub use carillon_macros::task;
pub use clock::SystemClock;
pub use event::{ClusterEvents, Event, Events};
pub use jobs::Jobs;
pub use node::{AtStart, Counts, NodeError, NodeStatus, Readiness, Retention, Timing, Tracing};
pub use queues::Queues;
pub use scheduler::{
    BuildError, Listener, NewJob, Running, Scheduler, SchedulerBuilder, SchedulerError,
    SchedulerState, Wait,
};
pub use scheduler_core as core;
/// The store on Redis.
#[cfg(feature = "redis")]
pub use scheduler_redis as redis;
pub use signal::shutdown_signal;
pub use task::{Args, Context, State, TaskError, Tasks};

/// What the attributes expand to. No part of the public API.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod __private {
    pub use crate::task::Declared;
    pub use inventory;

    use crate::task::FromRun;

    /// Compiles for a parameter of a handler only.
    pub const fn is_parameter<T: FromRun>() {}

    /// Compiles for what may be moved to another thread only.
    pub fn is_send<T: Send>(_: T) {}
}

// The README's example is a doc-test.
#[cfg(all(doctest, feature = "cli"))]
#[doc = include_str!("../../README.md")]
mod readme {}

// And so is the first program of the guide.
#[cfg(all(doctest, feature = "cli"))]
#[doc = include_str!("../../docs/library.md")]
mod library {}
