//! A web service with a scheduler in it. Start several on one Redis: whichever process is asked for a
//! reminder, one of them sends it.
//!
//! ```sh
//! cargo run --example axum_service -- redis://localhost:6379 127.0.0.1:3000
//! curl localhost:3000/reminders -H 'content-type: application/json' \
//!     -d '{"id": "tea", "at": "2026-12-24 17:00:00", "text": "the tea is ready"}'
//! curl localhost:3000/sent
//! ```
#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use carillon::core::shard::Shards;
use carillon::redis::RedisStore;
use carillon::{Args, NewJob, Scheduler, State, Wait, shutdown_signal};
use serde::Deserialize;
use tokio::net::TcpListener;

/// What requests and jobs share: here would be a pool of connections.
#[derive(Clone, Default)]
struct Outbox(Arc<AtomicU64>);

#[derive(Deserialize)]
struct Reminder {
    id: String,
    at: String,
    text: String,
}

/// A job: on whichever process has a free slot.
async fn remind(State(outbox): State<Outbox>, Args(text): Args<String>) {
    outbox.0.fetch_add(1, Ordering::Relaxed);
    println!("reminder: {text}");
}

/// A request: on the process that it was sent to.
async fn add(
    Shared(scheduler): Shared<Scheduler<Shards<RedisStore>>>,
    Json(reminder): Json<Reminder>,
) -> Result<StatusCode, (StatusCode, String)> {
    let job = NewJob::new(reminder.id, "remind")
        .at(reminder.at)
        .args(reminder.text);
    match scheduler.add_job(job).await {
        Ok(_) => Ok(StatusCode::CREATED),
        Err(error) => Err((StatusCode::UNPROCESSABLE_ENTITY, error.to_string())),
    }
}

/// How many reminders this process has sent.
async fn sent(Shared(outbox): Shared<Outbox>) -> String {
    outbox.0.load(Ordering::Relaxed).to_string()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("which Redis?")?;
    let address = args.next().ok_or("which address to listen on?")?;

    let outbox = Outbox::default();
    let scheduler = Scheduler::redis(&url)?
        .state(outbox.clone())
        .task("remind", remind)
        .build()?;
    let service = Router::new()
        .route("/reminders", post(add).with_state(scheduler.clone()))
        .route("/sent", get(sent).with_state(outbox));

    let shutdown = shutdown_signal()?;
    let running = scheduler.start()?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, service)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await?;
    running.shutdown(Wait::ForRuns).await?;
    Ok(())
}
