//! The guide's first steps, taken word for word: its commands, its program, and what it says of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command as Shell;

use anyhow::{Result, ensure};
use carillon::core::history::Record;
use carillon::core::run::Outcome;
use carillon::core::store::HistoryQuery;
use carillon::core::{RunId, Store};
use rustix::process::Signal;
use tests::node::{Node, until};
use tests::redis_server::RedisServer;
use tokio::process::Command;

/// The first block of the guide that begins so.
fn block<'a>(guide: &'a str, fence: &str) -> &'a str {
    let (_, rest) = guide.split_once(&format!("```{fence}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

/// A folder where somebody has checked out Carillon, and is about to begin.
struct Desk {
    folder: PathBuf,
    guide: String,
}

impl Desk {
    /// What was compiled for an earlier newcomer is there still.
    fn set_up() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .canonicalize()?;
        let guide = fs::read_to_string(root.join("docs/library.md"))?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("newcomer");
        // What an earlier run of the test has left, if there was one.
        let _ = fs::remove_dir_all(folder.join("chimes"));
        fs::create_dir_all(&folder)?;
        let _ = fs::remove_file(folder.join("carillon"));
        symlink(&root, folder.join("carillon"))?;
        // A workspace of its own, lest it is taken for a part of the one around it; and the versions that
        // are here already.
        let workspace = "[workspace]\nresolver = \"3\"\nexclude = [\"carillon\"]\n";
        fs::write(folder.join("Cargo.toml"), workspace)?;
        fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
        Ok(Self { folder, guide })
    }

    fn run(&self, folder: &str, commands: &str) -> Result<()> {
        let ended = Shell::new("bash")
            .args(["-euc", commands])
            .current_dir(self.folder.join(folder))
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_INCREMENTAL", "0")
            .output()?;
        let said = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success(), "{commands}\n{said}");
        Ok(())
    }

    /// Writes the program, and compiles it.
    fn write(&self, program: &str) -> Result<()> {
        fs::write(self.folder.join("chimes/src/main.rs"), program)?;
        self.run("chimes", "cargo build")
    }

    fn start(&self, name: &str) -> Result<Node> {
        Node::spawn(name, Command::new(self.folder.join("target/debug/chimes")))
    }
}

fn dings(nodes: &[Node]) -> usize {
    let logs = nodes.iter().map(Node::log);
    logs.map(|log| log.lines().filter(|line| *line == "ding").count())
        .sum()
}

/// Ends processes as Ctrl-C does.
async fn stop(nodes: &mut [Node]) -> Result<()> {
    for node in &*nodes {
        node.signal(Signal::INT)?;
    }
    for node in nodes {
        ensure!(node.ended().await?.success(), "{}", node.log());
    }
    Ok(())
}

#[tokio::test]
async fn the_guides_first_function_fires_and_on_three_processes_still_once() -> Result<()> {
    let begun = std::time::Instant::now();
    let desk = Desk::set_up()?;
    desk.run(".", block(&desk.guide, "sh"))?;
    let program = block(&desk.guide, "rust,no_run");
    assert!(program.lines().count() < 15, "{program}");
    desk.write(program)?;
    let mut alone = [desk.start("alone")?];
    until("two dings", async || Ok(dings(&alone) >= 2)).await?;
    eprintln!(
        "the first function fired {:?} after the guide was opened",
        begun.elapsed()
    );
    stop(&mut alone).await?;

    // "To share the work among processes, write .. in place of ..":
    let (shared, alone) = (
        "Scheduler::redis(\"redis://localhost:6379\")?",
        "Scheduler::in_memory()",
    );
    let sentence = format!("write\n`{shared}` in place of `{alone}`");
    assert!(
        desk.guide.contains(&sentence),
        "the guide no longer says: {sentence}"
    );
    assert!(program.contains(alone));
    let redis = RedisServer::start()?;
    let shared = shared.replace("redis://localhost:6379", &redis.url());
    desk.write(&program.replace(alone, &shared))?;
    let mut nodes = Vec::new();
    for name in ["one", "two", "three"] {
        nodes.push(desk.start(name)?);
    }
    let store = redis.store("default");
    until("three nodes", async || Ok(store.nodes().await?.len() == 3)).await?;
    until("four dings", async || Ok(dings(&nodes) >= 4)).await?;
    stop(&mut nodes).await?;
    let query = HistoryQuery {
        limit: 1000,
        ..HistoryQuery::default()
    };
    let mut fires = Vec::new();
    for entry in store.history(&query).await?.entries {
        let Record::Run(run) = entry.record else {
            continue;
        };
        assert_eq!((run.outcome, run.attempt), (Outcome::Succeeded, 1));
        fires.push(run.run);
    }
    let ran = fires.len();
    fires.sort_by_key(RunId::scheduled_at);
    fires.dedup();
    assert_eq!(
        (fires.len(), dings(&nodes)),
        (ran, ran),
        "one ding for each fire"
    );
    for two in fires.windows(2) {
        let apart = two[1].scheduled_at().as_ms() - two[0].scheduled_at().as_ms();
        assert_eq!(apart % 2_000, 0, "every two seconds: {fires:?}");
    }
    Ok(())
}
