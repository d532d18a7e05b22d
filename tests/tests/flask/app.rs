//! A node with the tasks of the original's test app, and its API.

use std::time::Duration;

use anyhow::Result;
use carillon::task::BoxError;
use carillon::{Args, Tasks};
use serde::Deserialize;
use serde_json::Value;
use tests::served::Served;

/// The tasks of the original's `tasks.py`.
pub(crate) fn tasks() -> Result<Tasks> {
    /// `slow(sec=2)`.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Slow {
        Default(()),
        Args((f64,)),
        Kwargs { sec: f64 },
    }

    /// `add(a, b)`.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Add {
        Args((f64, f64)),
        Kwargs { a: f64, b: f64 },
    }

    let mut tasks = Tasks::new();
    tasks.register("tasks:hello", |_: Value| async {})?;
    tasks.register("tasks:K.st", |_: Value| async {})?;
    tasks.register("tasks:add", |Args(add): Args<Add>| async move {
        let sum = match add {
            Add::Args((a, b)) | Add::Kwargs { a, b } => a + b,
        };
        Ok::<_, BoxError>(sum.to_string())
    })?;
    tasks.register("tasks:boom", || async {
        Err::<(), BoxError>("kaboom".into())
    })?;
    tasks.register("tasks:exits", || async { exits() })?;
    tasks.register("tasks:slow", |Args(slow): Args<Slow>| async move {
        let seconds = match slow {
            Slow::Default(()) => 2.0,
            Slow::Args((seconds,)) | Slow::Kwargs { sec: seconds } => seconds,
        };
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    })?;
    Ok(tasks)
}

/// What comes nearest to Python's `SystemExit`, which is no error.
fn exits() {
    panic!("SystemExit");
}

/// A node with these tasks, and this configuration besides `[http] flask_api = true`.
pub(crate) async fn start(config: &str, http: &str) -> Result<Served> {
    let config = format!("{config}\n[http]\nflask_api = true\n{http}\n");
    Served::start(&config, tasks()?).await
}
