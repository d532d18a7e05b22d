//! Encrypted HTTP, with a certificate of one's own, that may be renewed while it is served.

use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use reqwest::{Certificate, Client};
use tests::cluster::Cluster;
use tests::http::served_by;
use tests::node::{Node, carillon, until};
use tests::redis_server::Persistence;

/// An authority that signs a certificate for this machine into `directory`; its own as PEM.
fn signed(directory: &Path, authority: &str) -> Result<String> {
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, authority);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    let certificate = params.signed_by(&key, &issuer)?;
    std::fs::write(directory.join("http.key"), key.serialize_pem())?;
    std::fs::write(directory.join("http.pem"), certificate.pem())?;
    Ok(issuer.pem())
}

/// A client that trusts this authority alone, and keeps no connection.
fn trusting(authority: &str) -> Result<Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = Certificate::from_pem(authority.as_bytes())?;
    Ok(Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .tls_certs_only([authority])
        .build()?)
}

#[tokio::test]
async fn http_is_encrypted_with_a_certificate_that_may_be_renewed() -> Result<()> {
    let http =
        "[http]\nbind = \"127.0.0.1:0\"\ncert_file = \"http.pem\"\nkey_file = \"http.key\"\n";
    let cluster = Cluster::new(Persistence::None, 0, http).await?;
    let directory = cluster.config.parent().context("a directory")?;
    let first = signed(directory, "the first")?;
    let mut node = Node::start(
        "one",
        &["--config", cluster.config.to_str().context("a path")?],
    )?;
    let url = served_by(&node).await?;
    assert!(url.starts_with("https://"), "{url}");
    let healthz = format!("{url}/healthz");
    let answer = trusting(&first)?.get(&healthz).send().await?;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");

    // Who speaks plainly, or trusts somebody else, gets nothing.
    let other = tempfile::tempdir()?;
    let stranger = trusting(&signed(other.path(), "a stranger")?)?;
    assert!(stranger.get(&healthz).send().await.is_err());
    let plain = healthz.replace("https://", "http://");
    assert!(stranger.get(plain).send().await.is_err());

    // A pair that does not fit changes nothing; the next one that does is shown.
    std::fs::copy(other.path().join("http.key"), directory.join("http.key"))?;
    until("the log", || async {
        let answer = trusting(&first)?.get(&healthz).send().await?;
        anyhow::ensure!(answer.status() == 200);
        Ok(node
            .log()
            .contains("goes on with the certificate that it had"))
    })
    .await?;
    let second = signed(directory, "the second")?;
    let renewed = trusting(&second)?;
    until("the other certificate", || async {
        Ok(renewed.get(&healthz).send().await.is_ok())
    })
    .await?;
    assert!(trusting(&first)?.get(&healthz).send().await.is_err());
    node.signal(rustix::process::Signal::TERM)?;
    assert!(node.ended().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_cannot_be_had_is_told_at_start() -> Result<()> {
    for (tables, code, wanted) in [
        (
            "cert_file = \"none.pem\"\n",
            2,
            "http.cert_file: a certificate and its key come together",
        ),
        (
            "key_file = \"none.key\"\n",
            2,
            "http.key_file: a certificate and its key come together",
        ),
        (
            "cert_file = \"none.pem\"\nkey_file = \"none.key\"\n",
            1,
            "none.pem: No such file",
        ),
        (
            "cert_file = \"carillon.toml\"\nkey_file = \"none.key\"\n",
            1,
            "none.key: No such file",
        ),
        (
            "cert_file = \"carillon.toml\"\nkey_file = \"carillon.toml\"\n",
            1,
            "no certificate in it",
        ),
    ] {
        let directory = tempfile::tempdir()?;
        let config = directory.path().join("carillon.toml");
        std::fs::write(&config, format!("[http]\nbind = \"127.0.0.1:0\"\n{tables}"))?;
        let mut command = carillon();
        command.arg("run").arg("--config").arg(&config);
        let output = command.output().await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(wanted), "{tables}: {said}");
    }
    Ok(())
}
