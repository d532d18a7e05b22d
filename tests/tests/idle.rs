//! What nodes without work send to Redis.
#![allow(clippy::print_stdout, reason = "it tells what it counted")]

use std::time::Duration;

use anyhow::{Context, Result};
use tests::node::Node;
use tests::redis_server::{Persistence, RedisServer};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

/// After that long without work a leader takes it slowly.
const SETTLING: f64 = 8.0;

/// For how long commands are counted, by the server's clock.
const SPAN: f64 = 20.0;

/// What an idle node may send a second.
const BOUND: f64 = 2.0;

/// All that clients send to a server.
struct Monitor(Lines<BufReader<TcpStream>>);

impl Monitor {
    async fn of(server: &RedisServer) -> Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await?;
        stream.write_all(b"MONITOR\r\n").await?;
        let mut lines = BufReader::new(stream).lines();
        lines.next_line().await?.context("an answer")?;
        Ok(Self(lines))
    }

    /// The next command that a client sent, not a script: when, and which.
    async fn next(&mut self) -> Result<(f64, String)> {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(60), self.0.next_line());
            let line = next.await??.context("the server has ended")?;
            let (time, command) = line.split_once(' ').context("a time")?;
            if !command.starts_with("[0 lua]") {
                let time = time.trim_start_matches('+').parse()?;
                return Ok((time, command.to_owned()));
            }
        }
    }
}

/// How many commands a second these many nodes send that have nothing to do.
async fn idle_rate(count: usize) -> Result<(f64, String)> {
    let server = RedisServer::with(Persistence::None, None)?;
    let url = server.url();
    let mut nodes = Vec::new();
    for number in 0..count {
        let args = ["--store", &url, "--http", "off"];
        let node = Node::start(&format!("node-{number}"), &args)?;
        node.says("registered").await?;
        nodes.push(node);
    }
    let mut monitor = Monitor::of(&server).await?;
    let (began, _) = monitor.next().await?;
    let mut sent = Vec::new();
    loop {
        let (at, command) = monitor.next().await?;
        if at > began + SETTLING + SPAN {
            let rate = f64::from(u32::try_from(sent.len())?) / SPAN;
            return Ok((rate, sent.join("\n")));
        }
        if at > began + SETTLING {
            sent.push(command);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_nodes_send_redis_two_commands_a_second_each_at_most() -> Result<()> {
    let (alone, together) = tokio::join!(idle_rate(1), idle_rate(3));
    let (alone, together) = (alone?, together?);
    println!("alone {}, three {} commands a second", alone.0, together.0);
    assert!(alone.0 <= BOUND, "{}: {}", alone.0, alone.1);
    assert!(together.0 <= 3.0 * BOUND, "{}: {}", together.0, together.1);
    Ok(())
}
