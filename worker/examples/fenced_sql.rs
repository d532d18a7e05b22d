//! A payment that is made exactly once, in SQL, though a run may be executed twice.
//!
//! A process may die after it has paid and before it could tell; or it freezes, another takes its run
//! over, and then it wakes up and goes on. Two things that every attempt is given settle that, in the
//! transaction of the payment itself:
//!
//! - the **run id** is the same in each attempt: a run that was paid is not paid again;
//! - the **fence** is greater in each later attempt: one that was overtaken finds a greater one there,
//!   and may not write at all.
//!
//! The job allows one run at a time, as is the default. Where it allows more, fences are compared by run.
//!
//! ```sh
//! cargo run --example fenced_sql -- redis://localhost:6379 bank.db
//! ```
#![allow(clippy::print_stdout, reason = "an example tells what it does")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "a handler owns what it takes"
)]

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use carillon::{Context, Scheduler, State, TaskError, shutdown_signal};
use rusqlite::{Connection, TransactionBehavior, params};

const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS account (balance INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS paid (run TEXT PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS fence (job TEXT PRIMARY KEY, highest INTEGER NOT NULL);
    INSERT INTO account SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM account);";

#[derive(Clone)]
struct Bank(PathBuf);

impl Bank {
    fn open(&self) -> rusqlite::Result<Connection> {
        let bank = Connection::open(&self.0)?;
        bank.busy_timeout(Duration::from_secs(60))?;
        Ok(bank)
    }
}

/// Without `async`: SQLite blocks, and so it is called on a thread where it may.
#[carillon::task]
fn pay(context: Context, State(bank): State<Bank>) -> Result<String, Box<dyn Error + Send + Sync>> {
    let run = context.run_id().to_string();
    let fence = i64::try_from(context.fence().0)?;
    println!("attempt {}", context.attempt());

    let mut bank = bank.open()?;
    let transaction = bank.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let holds = transaction.execute(
        "INSERT INTO fence VALUES (?1, ?2)
         ON CONFLICT (job) DO UPDATE SET highest = ?2 WHERE highest <= ?2",
        params![context.job_id().as_str(), fence],
    )?;
    if holds == 0 {
        println!("overtaken");
        return Err(TaskError::fatal("a later attempt has been here").into());
    }
    let first = transaction.execute(
        "INSERT INTO paid VALUES (?1) ON CONFLICT DO NOTHING",
        [&run],
    )?;
    if first == 1 {
        transaction.execute("UPDATE account SET balance = balance + 100", [])?;
    }
    transaction.commit()?;

    let told = if first == 1 {
        "paid"
    } else {
        "was paid before"
    };
    println!("{told}");
    Ok(told.to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("which Redis?")?;
    let bank = Bank(args.next().ok_or("which file?")?.into());
    bank.open()?.execute_batch(TABLES)?;

    let scheduler = Scheduler::redis(&url)?.state(bank).declared().build()?;
    let shutdown = shutdown_signal()?;
    println!("the bank is open");
    scheduler.run(shutdown).await?;
    Ok(())
}
