//! A payment that is made exactly once, though it is asked for over HTTP by whoever has the run.
//!
//! The built-in task `http` says in its headers which run a request is for, and under which fence. All that
//! is to be written is the other side, which keeps the two rules of `fenced_sql`:
//!
//! - a **run** that was paid is not paid again: its answer may have been lost;
//! - a **fence** below one that was seen is refused: the request was overtaken on its way.
//!
//! The job allows one run at a time, as is the default. Where it allows more, fences are compared by run. What is
//! kept here in memory is kept in one transaction with the payment by whoever means it.
//!
//! ```sh
//! cargo run --example fenced_http -- 127.0.0.1:3000
//! carillon job add --id pay --task http --args '{"url": "http://127.0.0.1:3000/pay", "method": "POST"}' \
//!     --cron '0 8 1 * *' --retry 5
//! ```
#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use carillon::shutdown_signal;
use tokio::net::TcpListener;

#[derive(Default)]
struct Books {
    balance: u64,
    paid: HashSet<String>,
    /// The highest fence of each job.
    fences: HashMap<String, u64>,
}

type Bank = Arc<Mutex<Books>>;

async fn pay(State(bank): State<Bank>, headers: HeaderMap) -> (StatusCode, &'static str) {
    let answer = settle(&bank, &headers);
    println!("{}", answer.1);
    answer
}

fn settle(bank: &Bank, headers: &HeaderMap) -> (StatusCode, &'static str) {
    let header = |name| headers.get(name)?.to_str().ok().map(str::to_owned);
    let fence = header("x-carillon-fence").and_then(|fence| fence.parse().ok());
    let (Some(job), Some(run), Some(fence)) =
        (header("x-carillon-job"), header("x-carillon-run"), fence)
    else {
        return (StatusCode::BAD_REQUEST, "by no run");
    };
    let mut books = bank.lock().unwrap_or_else(PoisonError::into_inner);
    let highest = books.fences.entry(job).or_default();
    if fence < *highest {
        return (StatusCode::PRECONDITION_FAILED, "overtaken");
    }
    *highest = fence;
    if !books.paid.insert(run) {
        return (StatusCode::OK, "was paid before");
    }
    books.balance += 100;
    (StatusCode::OK, "paid")
}

async fn balance(State(bank): State<Bank>) -> String {
    let books = bank.lock().unwrap_or_else(PoisonError::into_inner);
    books.balance.to_string()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args()
        .nth(1)
        .ok_or("which address to listen on?")?;
    let shutdown = shutdown_signal()?;
    let bank = Router::new()
        .route("/pay", post(pay))
        .route("/balance", get(balance))
        .with_state(Bank::default());
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, bank)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await?;
    Ok(())
}
