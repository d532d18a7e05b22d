//! What BullMQ's port to Rust does with the load of `carillon bench`:
//! `carillon-peers URL recurring|oneshot JOBS SECONDS CONCURRENCY`
//!
//! Handlers that do nothing, finished jobs removed at once, as its documentation advises for speed. Writes
//! one line of JSON with the figures of the other peers.

mod bullmq;
mod measured;

use anyhow::{Context as _, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, word, jobs, seconds, concurrency] = args.as_slice() else {
        anyhow::bail!("carillon-peers URL recurring|oneshot JOBS SECONDS CONCURRENCY");
    };
    let load = measured::Load {
        url: url.clone(),
        jobs: jobs.parse().context("JOBS")?,
        seconds: seconds.parse().context("SECONDS")?,
        concurrency: concurrency.parse().context("CONCURRENCY")?,
    };
    let figures = match load_of(word)? {
        Kind::Recurring => bullmq::recurring(&load).await?,
        Kind::Oneshot => bullmq::oneshot(&load).await?,
    };
    println!("{figures}");
    Ok(())
}

enum Kind {
    Recurring,
    Oneshot,
}

fn load_of(word: &str) -> Result<Kind> {
    match word {
        "recurring" => Ok(Kind::Recurring),
        "oneshot" => Ok(Kind::Oneshot),
        other => anyhow::bail!("{other:?} is neither recurring nor oneshot"),
    }
}
