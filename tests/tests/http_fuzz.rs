//! Whatever is sent to a node over HTTP: it answers or hangs up, goes on, and keeps nothing of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use tests::cluster::Cluster;
use tests::http::{ANY_PORT, client, served_by};
use tests::node::Node;
use tests::redis_server::Persistence;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many clients send at once, and how many requests each of them sends in a round.
const CLIENTS: u64 = 8;
const REQUESTS: usize = 250;

/// How many rounds are sent before the memory is looked at, and how many after that.
const WARM: u64 = 3;
const ROUNDS: u64 = 6;

/// How much the node may grow in all those rounds: nothing of 12,000 requests is kept, but what an
/// allocator does not give back.
const GROWTH: u64 = 12 * 1024 * 1024;

const METHODS: [&str; 9] = [
    "GET", "GET", "GET", "POST", "POST", "PUT", "PATCH", "DELETE", "BREW",
];

/// Paths, with a star for what may be anything.
const PATHS: [&str; 40] = [
    "/api/v1/jobs",
    "/api/v1/jobs?*",
    "/api/v1/jobs?limit=*&cursor=*",
    "/api/v1/jobs/*",
    "/api/v1/jobs/*/pause",
    "/api/v1/jobs/*/resume",
    "/api/v1/jobs/*/run",
    "/api/v1/jobs/*/backfill",
    "/api/v1/jobs/*/runs",
    "/api/v1/jobs/*/explain?at=*",
    "/api/v1/jobs/*/preview?count=*",
    "/api/v1/once",
    "/api/v1/unique/*",
    "/api/v1/preview",
    "/api/v1/triggers/preview",
    "/api/v1/bulk/jobs?partial=*",
    "/api/v1/apply",
    "/api/v1/import?on_conflict=*",
    "/api/v1/export",
    "/api/v1/runs?before=*&since=*",
    "/api/v1/runs/*",
    "/api/v1/runs/*/log",
    "/api/v1/runs/*/cancel",
    "/api/v1/runs/*/rerun",
    "/api/v1/failed?after=*",
    "/api/v1/failed/rerun",
    "/api/v1/failed/purge",
    "/api/v1/queues/*",
    "/api/v1/queues/*/pause",
    "/api/v1/queues/*/resume",
    "/api/v1/events?last_event_id=*",
    "/api/v1/stats/series?bucket=*",
    "/api/v1/audit?by=*",
    "/api/v1/openapi.json",
    "/api/v1/*",
    "/scheduler/jobs",
    "/scheduler/jobs/*",
    "/scheduler/jobs/*/pause",
    "/metrics?*",
    "*",
];

const HEADERS: [&str; 14] = [
    "authorization",
    "content-type",
    "content-encoding",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "last-event-id",
    "traceparent",
    "cookie",
    "origin",
    "expect",
    "transfer-encoding",
    "x-forwarded-for",
    "accept",
];

const BODIES: [&str; 8] = [
    r#"{"id": "a", "task": "log", "args": {"message": "m"}, "trigger": {"type": "cron", "month": 1}}"#,
    r#"{"jobs": [{"id": "a", "task": "log", "trigger": {"type": "interval", "days": 300}}]}"#,
    r#"{"trigger": "30 5 * * mon-fri", "count": 3}"#,
    r#"{"task": "log", "args": {"message": "m"}, "delay": "300d"}"#,
    r#"{"owner": "o", "jobs": [], "prune": false, "dry_run": true}"#,
    r#"{"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "max": 3}"#,
    r#"{"id": "f", "func": "log", "trigger": "date", "run_date": "2099-01-01 00:00:00"}"#,
    r#"{"runs": ["a@5"], "concurrency": 5, "rate": "5/s", "reason": "r", "for": "5s"}"#,
];

/// Bytes that break things: some of text, some not.
fn junk(random: &mut Rng, longest: usize) -> Vec<u8> {
    const PIECES: [&[u8]; 16] = [
        b"\0",
        b"%00",
        b"%ff",
        b"%2f",
        b"\"",
        b"\\",
        b"'",
        b"{",
        b"[",
        b"\xff\xfe",
        "\u{202e}ä".as_bytes(),
        b"-1",
        b"99999999999999999999",
        b"1e309",
        b"null",
        b"../..",
    ];
    let mut bytes = Vec::new();
    for _ in 0..random.usize(0..8) {
        match random.u8(0..4) {
            0 => bytes.extend((0..random.usize(0..40)).map(|_| random.u8(..))),
            1 => bytes.extend(std::iter::repeat_n(b'a', random.usize(0..longest))),
            _ => bytes.extend(PIECES[random.usize(0..PIECES.len())]),
        }
    }
    bytes
}

/// The same without what ends a line or a path.
fn plain(random: &mut Rng, longest: usize, more: &[u8]) -> Vec<u8> {
    let mut bytes = junk(random, longest);
    bytes.retain(|byte| !b"\r\n".contains(byte) && !more.contains(byte));
    bytes
}

fn body(random: &mut Rng) -> Vec<u8> {
    match random.u8(0..8) {
        0 => Vec::new(),
        1 => junk(random, 5_000),
        2 => {
            let depth = random.usize(1..20_000);
            [vec![b'['; depth], vec![b']'; random.usize(0..depth)]].concat()
        }
        3 => format!(
            "{{\"id\": {:?}, \"task\": \"log\"}}",
            "x".repeat(random.usize(0..9_000))
        )
        .into(),
        _ => {
            let mut body = BODIES[random.usize(0..BODIES.len())].as_bytes().to_vec();
            for _ in 0..random.usize(0..4) {
                let at = random.usize(0..body.len());
                match random.u8(0..3) {
                    0 => body[at] = random.u8(..),
                    1 => body.truncate(at.max(1)),
                    _ => drop(body.splice(at..at, junk(random, 50)).collect::<Vec<_>>()),
                }
            }
            body
        }
    }
}

fn request(random: &mut Rng) -> Vec<u8> {
    let method = METHODS[random.usize(0..METHODS.len())];
    let mut request = Vec::from(format!("{method} "));
    for (number, part) in PATHS[random.usize(0..PATHS.len())].split('*').enumerate() {
        if number > 0 {
            request.extend(match random.u8(0..4) {
                0 => b"a".to_vec(),
                1 => b"a@5".to_vec(),
                _ => plain(random, 300, b" "),
            });
        }
        request.extend(part.as_bytes());
    }
    let version = if random.u8(0..30) == 0 {
        "HTTP/9"
    } else {
        "HTTP/1.1"
    };
    request.extend(format!(" {version}\r\nhost: 127.0.0.1\r\nconnection: close\r\n").bytes());
    for _ in 0..random.usize(0..5) {
        let name = HEADERS[random.usize(0..HEADERS.len())];
        request.extend(name.bytes());
        request.extend(b": ");
        let value = match random.u8(0..5) {
            0 => b"Bearer ops.0123456789".to_vec(),
            1 => b"Basic b3BzOnNlY3JldA==".to_vec(),
            2 => b"\"5\"".to_vec(),
            _ => plain(random, 9_000, b""),
        };
        request.extend(value);
        request.extend(b"\r\n");
    }
    let body = body(random);
    let said = match random.u8(0..20) {
        0 => body.len() + 5,
        1 => body.len() / 2,
        _ => body.len(),
    };
    request.extend(format!("content-length: {said}\r\n\r\n").bytes());
    request.extend(body);
    request
}

/// Sends bytes; answers with the status that came back, if any did.
async fn send(address: &str, bytes: &[u8]) -> Result<Option<u16>> {
    let mut stream = TcpStream::connect(address).await?;
    // Whoever refuses the head does not read the body.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    // Events never end, and are not waited for.
    while let Ok(Ok(length @ 1..)) =
        timeout(Duration::from_secs(20), stream.read(&mut buffer)).await
    {
        head.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&head);
        if text.contains("\r\n\r\n") && (text.contains("text/event-stream") || head.len() > 64_000)
        {
            break;
        }
    }
    let text = String::from_utf8_lossy(&head);
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok(status)
}

async fn round(address: &str, seed: u64) -> Result<()> {
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let mut random = Rng::with_seed(seed * CLIENTS + number);
        let address = address.to_owned();
        clients.spawn(async move {
            for _ in 0..REQUESTS {
                let bytes = request(&mut random);
                let status = send(&address, &bytes).await?;
                let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(2_000)]).into_owned();
                ensure!(
                    status.is_none_or(|status| status < 500),
                    "{status:?} to {shown}"
                );
            }
            Ok(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    Ok(())
}

#[tokio::test]
async fn whatever_is_sent_breaks_nothing_and_is_not_kept() -> Result<()> {
    let seed = fastrand::u64(..1 << 40);
    eprintln!("seed {seed}");
    let more = "[http]\nrate_limit = 0\nflask_api = true\nmax_body = 65536\n";
    let cluster = Cluster::new(Persistence::None, 0, more).await?;
    let config = cluster.config.to_str().context("a path")?;
    let node = Node::start("one", &["--config", config, ANY_PORT[0], ANY_PORT[1]])?;
    let url = served_by(&node).await?;
    let address = url.strip_prefix("http://").context("an address")?;
    for number in 0..WARM {
        round(address, seed + number).await?;
    }
    let before = node.memory()?;
    for number in WARM..WARM + ROUNDS {
        round(address, seed + number).await?;
    }
    let after = node.memory()?;
    eprintln!("{} KiB before, {} KiB after", before / 1024, after / 1024);
    let log = node.log();
    ensure!(!log.contains("panicked"), "seed {seed}: {log}");
    let alive = client().get(format!("{url}/readyz")).send().await?;
    ensure!(alive.status() == 200, "{}", alive.status());
    ensure!(
        after < before + GROWTH,
        "seed {seed}: {before} bytes became {after}"
    );
    Ok(())
}
