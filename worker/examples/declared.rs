//! Jobs declared beside the functions that do them. Start it as often as you like: each fire still
//! runs once.
//!
//! ```sh
//! cargo run --example declared -- redis://localhost:6379
//! ```
#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use std::error::Error;

use carillon::{Args, Context, Scheduler, shutdown_signal};
use serde::Deserialize;

#[carillon::scheduled(interval, id = "tick", seconds = 1)]
async fn tick(context: Context) {
    println!("tick of {}", context.scheduled_at());
}

#[derive(Deserialize)]
struct Report {
    recipient: String,
}

#[carillon::scheduled(
    "30 8 * * mon-fri",
    timezone = "Europe/Berlin",
    args(recipient = "ops@example.org"),
    retry(max_attempts = 5)
)]
async fn report(Args(report): Args<Report>) -> Result<String, Box<dyn Error + Send + Sync>> {
    println!("report to {}", report.recipient);
    Ok("sent".to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("which Redis?")?;
    let scheduler = Scheduler::redis(&url)?.declared().build()?;
    let shutdown = shutdown_signal()?;
    println!("the clock is wound up");
    scheduler.run(shutdown).await?;
    Ok(())
}
