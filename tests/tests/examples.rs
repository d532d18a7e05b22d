//! The examples do what they say: real processes, as many as they claim, on a real Redis.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command as Cargo;
use std::sync::Arc;

use anyhow::{Context, Result};
use carillon::core::run::Outcome;
use carillon::core::store::HistoryQuery;
use carillon::core::{Retry, Store};
use carillon::{NewJob, Scheduler};
use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::json;
use tests::http::client;
use tests::node::{Node, until};
use tests::proxy::Proxy;
use tests::redis_server::RedisServer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::Notify;

/// An example's executable, built as the tests were; by the same call of `cargo`, mostly.
fn executable(example: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let profile = here.ancestors().nth(2).unwrap();
    let mut cargo = Cargo::new(env!("CARGO"));
    cargo.args(["build", "--workspace", "--locked", "--example", example]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let built = cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    assert!(built.status().unwrap().success());
    profile.join("examples").join(example)
}

fn start(example: &str, name: &str, args: &[&str]) -> Result<Node> {
    let mut command = Command::new(executable(example));
    command.args(args);
    Node::spawn(name, command)
}

/// Three processes of an example.
fn three(example: &str, args: &[&str]) -> Result<Vec<Node>> {
    ["one", "two", "three"]
        .iter()
        .map(|name| start(example, name, args))
        .collect()
}

/// Ends processes as a service's manager does; each of them is content.
async fn stop(nodes: &mut [Node]) -> Result<()> {
    for node in &*nodes {
        node.signal(Signal::TERM)?;
    }
    for node in nodes {
        assert!(node.ended().await?.success(), "{}", node.log());
    }
    Ok(())
}

/// What the processes have said after `begin`, line by line.
fn said(nodes: &[Node], begin: &str) -> Vec<String> {
    let logs: Vec<_> = nodes.iter().map(Node::log).collect();
    let lines = logs.iter().flat_map(|log| log.lines());
    lines
        .filter_map(|line| line.strip_prefix(begin))
        .map(str::to_owned)
        .collect()
}

/// The address that a service says it listens on.
async fn address(node: &Node) -> Result<String> {
    node.says("listening on ").await?;
    let said = said(std::slice::from_ref(node), "listening on ");
    said.into_iter().next().context("an address")
}

#[tokio::test]
async fn declared_jobs_run_once_per_fire_on_three_processes() -> Result<()> {
    let redis = RedisServer::start()?;
    let mut nodes = three("declared", &[&redis.url()])?;
    for node in &nodes {
        node.says("the clock is wound up").await?;
    }
    until("five ticks", async || {
        Ok(said(&nodes, "tick of ").len() >= 5)
    })
    .await?;
    stop(&mut nodes).await?;
    let ticks = said(&nodes, "tick of ");
    let different: BTreeSet<_> = ticks.iter().collect();
    assert_eq!(different.len(), ticks.len(), "{ticks:?}");
    Ok(())
}

#[tokio::test]
async fn a_program_of_apscheduler_does_the_same_here() -> Result<()> {
    let mut node = start("from_apscheduler", "one", &[])?;
    node.says("greet: next at ").await?;
    node.says("report: paused").await?;
    node.says("a run of report failed").await?;
    node.says("hello Ada").await?;
    node.says("a run of greet succeeded").await?;
    stop(std::slice::from_mut(&mut node)).await
}

#[tokio::test]
async fn the_service_of_the_testing_example_runs_what_its_test_tested() -> Result<()> {
    let mut node = start("testing", "one", &[])?;
    node.says("waiting for half past two").await?;
    stop(std::slice::from_mut(&mut node)).await
}

#[tokio::test]
async fn a_store_of_ones_own_is_asked_for_everything() -> Result<()> {
    let mut node = start("custom_store", "one", &[])?;
    node.says("tick").await?;
    stop(std::slice::from_mut(&mut node)).await?;
    for operation in ["put", "acquire", "dispatch", "exchange", "leave"] {
        let calls = said(std::slice::from_ref(&node), &format!("{operation}: "));
        assert_eq!(calls.len(), 1, "{operation} in {}", node.log());
    }
    Ok(())
}

#[tokio::test]
async fn each_reminder_of_a_web_service_is_sent_by_one_of_three_processes() -> Result<()> {
    const REMINDERS: usize = 12;
    let redis = RedisServer::start()?;
    let mut nodes = three("axum_service", &[&redis.url(), "127.0.0.1:0"])?;
    let mut addresses = Vec::new();
    for node in &nodes {
        addresses.push(address(node).await?);
    }
    let client = client();
    let add = async |number: usize, at: &str| {
        let reminder =
            json!({ "id": format!("tea-{number}"), "at": at, "text": format!("cup {number}") });
        let request = client
            .post(format!("http://{}/reminders", addresses[number % 3]))
            .header("content-type", "application/json")
            .body(reminder.to_string());
        anyhow::Ok(request.send().await?)
    };
    let refused = add(0, "teatime").await?;
    assert_eq!(refused.status().as_u16(), 422);
    assert!(refused.text().await?.contains("teatime"));
    for number in 0..REMINDERS {
        let added = add(number, "2026-01-01 17:00:00").await?;
        assert_eq!(added.status().as_u16(), 201, "{}", added.text().await?);
    }
    until("all reminders", async || {
        let mut sent = 0;
        for address in &addresses {
            let answer = client.get(format!("http://{address}/sent")).send().await?;
            sent += answer.text().await?.parse::<usize>()?;
        }
        Ok(sent >= REMINDERS)
    })
    .await?;
    stop(&mut nodes).await?;
    let mut cups = said(&nodes, "reminder: cup ");
    cups.sort_by_key(|cup| cup.parse::<usize>().ok());
    let expected: Vec<_> = (0..REMINDERS).map(|number| number.to_string()).collect();
    assert_eq!(cups, expected);
    Ok(())
}

// ----- exactly once in SQL ------------------------------------------------------------------

/// The file that is paid from, and a Redis.
struct Bank {
    redis: RedisServer,
    dir: tempfile::TempDir,
}

impl Bank {
    fn open() -> Result<Self> {
        let redis = RedisServer::start()?;
        let dir = tempfile::tempdir()?;
        Ok(Self { redis, dir })
    }

    fn file(&self) -> String {
        self.dir.path().join("bank.db").display().to_string()
    }

    /// A process that pays, through this port of the Redis.
    async fn clerk(&self, name: &str, port: u16) -> Result<Node> {
        let redis = self.redis.url_on(port);
        let node = start("fenced_sql", name, &[&redis, &self.file()])?;
        node.says("the bank is open").await?;
        Ok(node)
    }

    /// Lets the clerk begin to pay, and keeps it waiting before its transaction for as long as the
    /// answer lives.
    async fn pay(&self, clerk: &Node) -> Result<Connection> {
        let lock = Connection::open(self.file())?;
        lock.execute_batch("BEGIN IMMEDIATE")?;
        let scheduler = Scheduler::redis(&self.redis.url())?.build()?;
        scheduler.add_job(NewJob::new("pay", "pay")).await?;
        clerk.says("attempt 1").await?;
        Ok(lock)
    }

    fn balance(&self) -> Result<i64> {
        let bank = Connection::open(self.file())?;
        bank.query_row("SELECT balance FROM account", [], |row| row.get(0))
            .context("the account")
    }
}

#[tokio::test]
async fn a_clerk_who_died_before_it_could_tell_has_paid_once() -> Result<()> {
    let bank = Bank::open()?;
    let line = Proxy::start(bank.redis.port()).await?;
    let mut first = bank.clerk("first", line.port()).await?;
    let lock = bank.pay(&first).await?;
    line.break_down();
    drop(lock);
    first.says("paid").await?;
    first.kill().await?;
    let second = bank.clerk("second", bank.redis.port()).await?;
    second.says("was paid before").await?;
    assert_eq!(bank.balance()?, 100);
    stop(&mut [second]).await
}

#[tokio::test]
async fn a_clerk_who_was_overtaken_in_its_sleep_pays_nothing() -> Result<()> {
    let bank = Bank::open()?;
    let first = bank.clerk("first", bank.redis.port()).await?;
    let lock = bank.pay(&first).await?;
    first.signal(Signal::STOP)?;
    drop(lock);
    let second = bank.clerk("second", bank.redis.port()).await?;
    second.says("paid").await?;
    first.signal(Signal::CONT)?;
    first.says("overtaken").await?;
    assert_eq!(bank.balance()?, 100);
    stop(&mut [first, second]).await
}

// ----- exactly once over HTTP ---------------------------------------------------------------

/// Lets a bank be asked to pay through this port, with the built-in task `http`.
async fn pay_through(redis: &RedisServer, port: u16) -> Result<()> {
    let retry = Retry {
        max_attempts: 3.try_into()?,
        base: std::time::Duration::from_millis(100),
        ..Retry::default()
    };
    let args = json!({ "url": format!("http://127.0.0.1:{port}/pay"), "method": "POST" });
    let scheduler = Scheduler::redis(&redis.url())?.build()?;
    let job = NewJob::new("pay", "http").args(args).retry(retry);
    scheduler.add_job(job).await?;
    Ok(())
}

async fn balance(address: &str) -> Result<String> {
    let balance = client().get(format!("http://{address}/balance"));
    Ok(balance.send().await?.text().await?)
}

/// How the attempts of all runs ended, in order.
async fn outcomes(redis: &RedisServer) -> Result<Vec<Outcome>> {
    let query = HistoryQuery {
        limit: 100,
        ..HistoryQuery::default()
    };
    let page = redis.store("default").history(&query).await?;
    let runs = page
        .entries
        .into_iter()
        .filter_map(|entry| match entry.record {
            carillon::core::history::Record::Run(run) => Some(run.outcome),
            carillon::core::history::Record::Skip(_) => None,
        });
    let mut outcomes: Vec<_> = runs.collect();
    // The newest come first.
    outcomes.reverse();
    Ok(outcomes)
}

#[tokio::test]
async fn a_payment_whose_answer_was_lost_is_not_made_again() -> Result<()> {
    let redis = RedisServer::start()?;
    let bank = start("fenced_http", "bank", &["127.0.0.1:0"])?;
    let address = address(&bank).await?;
    let line = Proxy::start(address.rsplit(':').next().context("a port")?.parse()?).await?;
    line.cut_next_reply();
    let node = Node::start("one", &["--store", &redis.url()])?;
    pay_through(&redis, line.port()).await?;
    bank.says("was paid before").await?;
    assert_eq!(balance(&address).await?, "100");
    stop(&mut [node, bank]).await?;
    let expected = [Outcome::Retrying, Outcome::Succeeded];
    assert_eq!(outcomes(&redis).await?, expected);
    Ok(())
}

/// Keeps the first connection to a port until it is told to let it through; later ones pass at once.
struct Gate {
    port: u16,
    arrived: Arc<Notify>,
    open: Arc<Notify>,
}

impl Gate {
    async fn before(address: String) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let gate = Self {
            port: listener.local_addr()?.port(),
            arrived: Arc::default(),
            open: Arc::default(),
        };
        let (arrived, open) = (Arc::clone(&gate.arrived), Arc::clone(&gate.open));
        tokio::spawn(async move {
            let mut is_first = true;
            while let Ok((mut client, _)) = listener.accept().await {
                // What it has to say is under way.
                let _ = client.peek(&mut [0]).await;
                let waits = std::mem::take(&mut is_first).then(|| Arc::clone(&open));
                arrived.notify_one();
                let address = address.clone();
                tokio::spawn(async move {
                    if let Some(open) = waits {
                        open.notified().await;
                    }
                    let mut server = TcpStream::connect(address).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Ok(gate)
    }
}

#[tokio::test]
async fn a_request_that_was_overtaken_on_its_way_pays_nothing() -> Result<()> {
    let redis = RedisServer::start()?;
    let bank = start("fenced_http", "bank", &["127.0.0.1:0"])?;
    let address = address(&bank).await?;
    let gate = Gate::before(address.clone()).await?;
    let first = Node::start("first", &["--store", &redis.url()])?;
    pay_through(&redis, gate.port).await?;
    gate.arrived.notified().await;
    first.signal(Signal::STOP)?;
    let second = Node::start("second", &["--store", &redis.url()])?;
    bank.says("paid").await?;
    gate.open.notify_one();
    bank.says("overtaken").await?;
    assert_eq!(balance(&address).await?, "100");
    first.signal(Signal::CONT)?;
    stop(&mut [first, second, bank]).await
}
