//! A fleet that is rolled from an earlier version's nodes to this one's, one by one, and back again: both live on one
//! Redis meanwhile, lead, and take over from each other. `tests/upgrade COMMIT` builds the earlier version and runs
//! this.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tests::cluster::{Cluster, take};
use tests::node::Node;
use tests::redis_server::Persistence;
use tokio::process::Command;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// A node of the earlier version.
fn earlier(cluster: &Cluster, name: &str) -> Result<Node> {
    let binary = std::env::var_os("CARILLON_EARLIER").context("CARILLON_EARLIER=<its binary>")?;
    let mut command = Command::new(PathBuf::from(binary));
    for (variable, _) in std::env::vars() {
        if variable.starts_with("CARILLON_") {
            command.env_remove(variable);
        }
    }
    command
        .args(["run", "--node", name, "--config"])
        .arg(&cluster.config);
    Node::spawn(name, command)
}

#[tokio::test]
#[ignore = "needs the binary of an earlier version: tests/upgrade COMMIT"]
async fn nodes_of_an_earlier_version_are_replaced_one_by_one_and_back() -> Result<()> {
    let more = "[worker]\nlease_ttl = \"2s\"\nsession_ttl = \"3s\"";
    let mut cluster = Cluster::new(Persistence::AppendOnly, 20, more).await?;
    let mut nodes = Vec::new();
    for name in NAMES {
        nodes.push(earlier(&cluster, name)?);
    }
    cluster.ring(2).await?;
    for to_this in [true, false] {
        for (replaced, name) in NAMES.into_iter().enumerate() {
            let start = |name: &str| match to_this {
                true => cluster.node(name),
                false => earlier(&cluster, name),
            };
            let mut node = take(&mut nodes, name);
            node.signal(Signal::TERM)?;
            ensure!(node.ended().await?.success(), "{}", node.log());
            nodes.push(start(name)?);
            cluster.ring(2).await?;
            if replaced == 1 {
                // In a mixed fleet, whoever leads goes without a word.
                let leader = cluster.leader().await?;
                take(&mut nodes, &leader).kill().await?;
                cluster.ring(2).await?;
                nodes.push(start(&leader)?);
            }
        }
        cluster.ring(3).await?;
    }
    cluster.check(&mut nodes).await?;
    Ok(())
}
