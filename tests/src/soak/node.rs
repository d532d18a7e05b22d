//! A node under test: a process of its own, with handlers that record when they begin and end.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use carillon::{Context, Retention, Scheduler, Timing, shutdown_signal};
use scheduler_core::{Namespace, NodeName};
use scheduler_redis::{RedisConfig, RedisStore};

use super::record::Recorder;
use super::schedule::LONG_MS;

/// How long a session lives in a soak. Short, so that much of its life is lived.
pub(super) const SESSION_TTL: Duration = Duration::from_secs(3);

/// Runs a node until it is told to stop: its name, the URL of its Redis, the file to record in.
///
/// # Errors
///
/// Where it cannot begin.
pub async fn execute(name: &str, url: &str, file: PathBuf) -> Result<()> {
    let recorder = Recorder::open(&file)?;
    let store = RedisStore::new(RedisConfig::from_url(url)?, Namespace::default_namespace());
    let task = |ms: u64| {
        let recorder = recorder.clone();
        move |context: Context| {
            let recorder = recorder.clone();
            async move {
                let _begun = recorder.begin(&context);
                let work = tokio::time::sleep(Duration::from_millis(ms));
                // A handler that listens: it stops when it is told to.
                let stopped = context
                    .cancellation()
                    .run_until_cancelled(work)
                    .await
                    .is_none();
                if stopped {
                    Err(std::io::Error::other("stopped"))
                } else {
                    Ok(())
                }
            }
        }
    };
    Scheduler::builder(store)
        .node(NodeName::new(name)?)
        .task("short", task(5))
        .task("long", task(LONG_MS))
        .concurrency(64)
        // All of it is judged.
        .retention(Retention {
            history: 50_000_000,
            ..Retention::default()
        })
        .timing(Timing {
            session_ttl: SESSION_TTL,
            shutdown_grace: Duration::from_secs(5),
            ..Timing::default()
        })
        .build()?
        .run(shutdown_signal()?)
        .await?;
    Ok(())
}
