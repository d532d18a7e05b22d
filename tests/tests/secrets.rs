//! Secrets of jobs: known to nodes alone, and seen nowhere.

use anyhow::{Context, Result, ensure};
use carillon::config::Role;
use carillon::http::{hash, new_token};
use redis::AsyncCommands as _;
use scheduler_core::Store;
use scheduler_core::history::Record;
use scheduler_core::store::HistoryQuery;
use tests::cluster::Cluster;
use tests::http::{ANY_PORT, client, served_by};
use tests::node::{Node, carillon, until};
use tests::redis_server::Persistence;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Each is looked for in all that is said, stored and shown.
const TOKEN: &str = "Bearer s3cr3t-of-the-header";
const HOOK: &str = "/services/s3cr3t-of-the-path";
const WORD: &str = "s3cr3t-of-the-command";

/// A service that answers each request with all that it got, and tells of it.
async fn echo() -> Result<(String, mpsc::Receiver<String>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (tell, told) = mpsc::channel(100);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut head, mut buffer) = (String::new(), [0; 4096]);
            while !head.contains("\r\n\r\n") {
                match stream.read(&mut buffer).await {
                    Ok(length @ 1..) => head += &String::from_utf8_lossy(&buffer[..length]),
                    _ => break,
                }
            }
            let answer = format!(
                "HTTP/1.1 418 No\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{head}",
                head.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = tell.send(head).await;
        }
    });
    Ok((format!("http://{address}"), told))
}

/// Waits until a job has a run that ended, and tells how.
async fn ended(cluster: &Cluster, job: &str) -> Result<String> {
    let found = std::cell::RefCell::new(None);
    until("the run's end", || async {
        let query = HistoryQuery {
            job: Some(job.parse()?),
            limit: 10,
            ..HistoryQuery::default()
        };
        let page = cluster.store.history(&query).await?;
        *found.borrow_mut() = page
            .entries
            .into_iter()
            .find_map(|entry| match entry.record {
                Record::Run(run) => Some(format!(
                    "{}: {}",
                    run.outcome,
                    run.detail.unwrap_or_default()
                )),
                Record::Skip(_) => None,
            });
        Ok(found.borrow().is_some())
    })
    .await?;
    found.into_inner().context("a record")
}

/// All that stands in the Redis, as text.
async fn all_stored(cluster: &mut Cluster) -> Result<String> {
    let mut all = String::new();
    let keys: Vec<String> = cluster.redis.keys("*").await?;
    for key in keys {
        let dump: Vec<u8> = redis::cmd("DUMP")
            .arg(&key)
            .query_async(&mut cluster.redis)
            .await?;
        all += &key;
        all += &String::from_utf8_lossy(&dump);
    }
    Ok(all)
}

#[tokio::test]
async fn a_secret_reaches_its_handler_and_is_seen_nowhere_else() -> Result<()> {
    let (url, mut told) = echo().await?;
    let token = new_token("ops")?;
    let jobs = format!(
        r#"
[http]
flask_api = true
[[http.tokens]]
name = "ops"
hash = "{}"
role = "{}"
[secrets]
dir = "secrets"
[tasks.shell]
enabled = true
[history]
keep = 1000
[[jobs]]
id = "call"
task = "http"
args = {{ url = "{url}/x", headers = {{ Authorization = {{ secret = "api-token" }} }}, body = {{ deep = [{{ secret = "word" }}] }} }}
trigger = {{ type = "cron", month = 1, day = 1 }}
[[jobs]]
id = "hook"
task = "http"
args = {{ url = {{ secret = "hook" }} }}
trigger = {{ type = "cron", month = 1, day = 1 }}
[[jobs]]
id = "command"
task = "shell"
args = {{ command = ["sh", "-c", "env | grep -e WORD -e SECRET; echo the word is $0; exit 3", {{ secret = "word" }}], env = {{ WORD = {{ secret = "word" }} }} }}
trigger = {{ type = "cron", month = 1, day = 1 }}
[[jobs]]
id = "say"
task = "log"
args = {{ message = {{ secret = "word" }} }}
trigger = {{ type = "cron", month = 1, day = 1 }}
[[jobs]]
id = "nothing"
task = "log"
args = {{ message = {{ secret = "nobody-has-it" }} }}
trigger = {{ type = "cron", month = 1, day = 1 }}
"#,
        hash(&token)?,
        Role::Admin
    );
    let mut cluster = Cluster::new(Persistence::None, 0, &jobs).await?;
    let directory = cluster
        .config
        .parent()
        .context("a directory")?
        .join("secrets");
    std::fs::create_dir(&directory)?;
    std::fs::write(directory.join("hook"), format!("{url}{HOOK}\n"))?;
    let config = cluster.config.to_str().context("a path")?.to_owned();
    let args = ["--config", &config, ANY_PORT[0], ANY_PORT[1]];
    let variables = [
        ("CARILLON_LOG", "trace"),
        ("CARILLON_SECRET_API_TOKEN", TOKEN),
        ("CARILLON_SECRET_WORD", WORD),
    ];
    let mut node = Node::start_with("one", &args, &variables)?;
    let http = served_by(&node).await?;
    node.says("jobs of the configuration: 5 added").await?;
    let mut shown = String::new();
    let mut outcomes = Vec::new();
    for job in ["call", "hook", "command", "say", "nothing"] {
        let run = format!("{http}/api/v1/jobs/{job}/run");
        let asked = client().post(run).bearer_auth(&token).send().await?;
        ensure!(asked.status() == 202, "{job}: {}", asked.text().await?);
        outcomes.push(ended(&cluster, job).await?);
    }
    let [call, hook, command, say, nothing] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    // They arrived where they belong.
    let head = told.recv().await.context("a request")?;
    assert!(head.contains(TOKEN), "{head}");
    let head = told.recv().await.context("a request")?;
    assert!(head.starts_with(&format!("GET {HOOK} ")), "{head}");
    // What came back from there is masked.
    assert!(
        call.starts_with("failed") && call.contains("authorization: ***"),
        "{call}"
    );
    assert!(
        hook.starts_with("failed") && hook.contains("***: 418"),
        "{hook}"
    );
    assert!(
        command.contains("the word is ***") && command.contains("WORD=***"),
        "{command}"
    );
    assert!(!command.contains("CARILLON_SECRET"), "{command}");
    assert!(say.starts_with("succeeded"), "{say}");
    assert!(node.log().contains("***"), "the message is logged");
    assert_eq!(
        nothing,
        &format!(
            "failed: args.message: there is no secret \"nobody-has-it\": \
             CARILLON_SECRET_NOBODY_HAS_IT is not set, and {}: No such file or directory (os error 2)",
            directory.join("nobody-has-it").display()
        )
    );
    // And seen nowhere: not in answers, on the command line, in the log or in the store.
    for path in [
        "api/v1/jobs",
        "api/v1/jobs/call",
        "api/v1/runs",
        "api/v1/audit",
        "api/v1/nodes",
        "scheduler/jobs",
        "scheduler/jobs/command",
        "metrics",
    ] {
        let answer = client().get(format!("{http}/{path}")).bearer_auth(&token);
        let answer = answer.send().await?;
        ensure!(answer.status() == 200, "{path}: {}", answer.status());
        shown += &answer.text().await?;
    }
    assert!(shown.contains(r#"{"secret":"api-token"}"#), "{shown}");
    let commands: [&[&str]; 6] = [
        &["job", "list", "--json"],
        &["job", "show", "call"],
        &["runs", "--json"],
        &["runs", "failed", "--json"],
        &["export"],
        &["audit"],
    ];
    for command in commands {
        let output = carillon()
            .args(["--config", &config])
            .args(command)
            .output()
            .await?;
        ensure!(output.status.success(), "{output:?}");
        shown += &String::from_utf8_lossy(&output.stdout);
        shown += &String::from_utf8_lossy(&output.stderr);
    }
    node.signal(rustix::process::Signal::TERM)?;
    assert!(node.ended().await?.success());
    let log = node.log();
    assert!(log.contains("TRACE"), "the level is not trace");
    let stored = all_stored(&mut cluster).await?;
    for (place, text) in [
        ("what is shown", shown),
        ("the log", log),
        ("the store", stored),
    ] {
        assert!(!text.contains("s3cr3t"), "a secret is in {place}: {text}");
        let secret = token.split_once('.').context("a secret")?.1;
        assert!(!text.contains(secret), "the token is in {place}");
    }
    Ok(())
}
