//! Asking nodes over HTTP.

use anyhow::{Context, Result};

use crate::node::Node;

/// Options of a node that serves HTTP at any free port.
pub const ANY_PORT: [&str; 2] = ["--http", "127.0.0.1:0"];

const SERVED: &str = "HTTP is served at ";

/// A client. It follows no redirects and uses no proxies.
///
/// # Panics
///
/// Where none can be made.
#[must_use]
pub fn client() -> reqwest::Client {
    // Whoever installed one before did as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tls_certs_only([])
        .build()
        .expect("a client")
}

/// Waits until the node serves HTTP, and answers with the beginning of its URLs.
///
/// # Errors
///
/// Where it never says so.
pub async fn served_by(node: &Node) -> Result<String> {
    node.says(SERVED).await?;
    let log = node.log();
    let said = log.split(SERVED).nth(1).context("an address")?;
    let url = said.split_whitespace().next().context("an address")?;
    Ok(url.to_owned())
}
