//! Real nodes, asked over HTTP: where they serve it, and what probes are told.

use anyhow::Result;
use rustix::process::Signal;
use scheduler_core::store::Store;
use tests::cluster::Cluster;
use tests::http::{ANY_PORT, client, served_by};
use tests::node::{Node, until};
use tests::redis_server::Persistence;

fn node(cluster: &Cluster, name: &str) -> Result<Node> {
    let config = cluster.config.to_str().expect("a path");
    Node::start(name, &["--config", config, ANY_PORT[0], ANY_PORT[1]])
}

/// The status and the body of a `GET`.
async fn get(url: String) -> Result<(u16, String)> {
    let answer = client().get(url).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

#[tokio::test]
async fn a_node_is_ready_when_it_has_begun_and_not_while_it_drains() -> Result<()> {
    let job = "[tasks.shell]\nenabled = true\n[[jobs]]\nid = \"long\"\ntask = \"shell\"\n\
               args = { command = [\"sleep\", \"60\"] }\ntrigger = { type = \"date\" }\n";
    let cluster = Cluster::new(Persistence::None, 0, job).await?;
    let mut node = node(&cluster, "one")?;
    let url = served_by(&node).await?;
    let url = &url;
    until("ready", || async move {
        Ok(get(format!("{url}/readyz")).await?.0 == 200)
    })
    .await?;
    assert_eq!(get(format!("{url}/readyz")).await?.1, "ready\n");
    let store = &cluster.store;
    until("a run under way", || async move {
        Ok(store.nodes().await?.iter().any(|node| node.running == 1))
    })
    .await?;

    node.signal(Signal::TERM)?;
    until("draining", || async move {
        let (status, body) = get(format!("{url}/readyz")).await?;
        Ok(status == 503 && body.contains("shutting down"))
    })
    .await?;
    assert_eq!(get(format!("{url}/healthz")).await?, (200, "ok\n".into()));
    node.kill().await
}

#[tokio::test]
async fn a_node_that_waits_for_its_store_lives_and_is_not_ready() -> Result<()> {
    let mut args = vec!["--store", "redis://127.0.0.1:1"];
    args.extend(ANY_PORT);
    let mut node = Node::start("one", &args)?;
    let url = served_by(&node).await?;
    assert_eq!(get(format!("{url}/healthz")).await?.0, 200);
    let (status, body) = get(format!("{url}/readyz")).await?;
    assert_eq!(status, 503);
    assert!(body.contains("no session yet"), "{body}");
    node.signal(Signal::TERM)?;
    assert!(node.ended().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_node_whose_store_went_away_is_not_ready() -> Result<()> {
    let mut cluster = Cluster::new(Persistence::None, 0, "").await?;
    let mut node = node(&cluster, "one")?;
    let url = served_by(&node).await?;
    let url = &url;
    until("ready", || async move {
        Ok(get(format!("{url}/readyz")).await?.0 == 200)
    })
    .await?;
    cluster.server.kill()?;
    until("not ready", || async move {
        Ok(get(format!("{url}/readyz")).await?.0 == 503)
    })
    .await?;
    assert_eq!(get(format!("{url}/healthz")).await?.0, 200);
    node.kill().await
}

#[tokio::test]
async fn an_address_that_was_configured_and_is_taken_is_an_error_at_start() -> Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let mut node = Node::start("one", &["--http", &address])?;
    assert_eq!(node.ended().await?.code(), Some(1));
    node.says("http.bind: ").await?;
    assert!(node.log().contains(&address), "{}", node.log());
    assert!(node.log().contains("hint: "), "{}", node.log());
    Ok(())
}

#[tokio::test]
async fn where_the_default_address_is_taken_a_node_goes_on_without() -> Result<()> {
    // Whoever has it: this test, another one, or something else on this machine.
    let _taken = std::net::TcpListener::bind("127.0.0.1:8080");
    let mut node = Node::start("one", &[])?;
    node.says("127.0.0.1:8080 is taken").await?;
    node.says("registered").await?;
    node.signal(Signal::TERM)?;
    assert!(node.ended().await?.success());
    Ok(())
}

#[tokio::test]
async fn nothing_is_served_where_that_is_configured() -> Result<()> {
    let mut node = Node::start("one", &["--http", "off"])?;
    node.says("registered").await?;
    node.signal(Signal::TERM)?;
    assert!(node.ended().await?.success());
    assert!(!node.log().contains("HTTP"), "{}", node.log());
    Ok(())
}
