//! Encrypted connections, with an authority of one's own, to a server that wants to know who connects.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use scheduler_core::Namespace;
use scheduler_redis::{Certificates, RedisConfig, RedisStore};
use tempfile::TempDir;
use tests::node::{carillon, until};
use tests::redis_server::{Persistence, RedisServer, free_port};

/// An authority, and certificates by it, in files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("ca.pem"), issuer.pem())?;
        Ok(Self { issuer, dir })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Signs `name`, in `NAME.pem`, with its key in `NAME.key`.
    fn sign(&self, name: &str) -> Result<()> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer)?;
        std::fs::write(self.file(&format!("{name}.pem")), certificate.pem())?;
        std::fs::write(self.file(&format!("{name}.key")), key.serialize_pem())?;
        Ok(())
    }

    fn trusted(&self) -> Result<Certificates> {
        let pem = std::fs::read(self.file("ca.pem"))?;
        Ok(Certificates::default().with_authority(pem)?)
    }

    fn shown(&self, certificates: Certificates, name: &str) -> Result<Certificates> {
        let read = |ending| std::fs::read(self.file(&format!("{name}.{ending}")));
        Ok(certificates.with_own(read("pem")?, read("key")?)?)
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path")
}

/// A server that lets in whom the authority knows, and its encrypted port.
fn server(authority: &Authority) -> Result<(RedisServer, u16)> {
    server_that_is(authority, &[])
}

/// The same with more arguments.
fn server_that_is(authority: &Authority, more: &[&str]) -> Result<(RedisServer, u16)> {
    let port = free_port()?;
    let path = |name: &str| authority.file(name);
    let (ca, cert, key) = (path("ca.pem"), path("server.pem"), path("server.key"));
    let arguments = [
        "--tls-port",
        &port.to_string(),
        "--tls-ca-cert-file",
        text(&ca)?,
        "--tls-cert-file",
        text(&cert)?,
        "--tls-key-file",
        text(&key)?,
        "--tls-auth-clients",
        "yes",
    ];
    let arguments = [&arguments, more].concat();
    let server = RedisServer::with_arguments(Persistence::None, None, &arguments)?;
    Ok((server, port))
}

/// A sentinel, as strict as a [`server`], which watches the one at this port.
struct Sentinel {
    port: u16,
    child: Child,
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn sentinel(authority: &Authority, watched: u16) -> Result<Sentinel> {
    let port = free_port()?;
    let dir = text(authority.dir.path())?;
    let file = authority.file("sentinel.conf");
    let settings = format!(
        "bind 127.0.0.1\nport 0\ntls-port {port}\ndir {dir}\n\
         tls-ca-cert-file {dir}/ca.pem\ntls-cert-file {dir}/server.pem\n\
         tls-key-file {dir}/server.key\ntls-auth-clients yes\ntls-replication yes\n\
         sentinel monitor main 127.0.0.1 {watched} 1\n"
    );
    std::fs::write(&file, settings)?;
    let child = Command::new("redis-server")
        .arg(&file)
        .arg("--sentinel")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("redis-server")?;
    Ok(Sentinel { port, child })
}

async fn answer(port: u16, certificates: Certificates) -> Result<()> {
    answer_at(&format!("rediss://127.0.0.1:{port}"), certificates).await
}

async fn answer_at(url: &str, certificates: Certificates) -> Result<()> {
    let config = RedisConfig::from_url(url)?;
    let config = config.with_certificates(certificates);
    let store = RedisStore::new(config, Namespace::default_namespace());
    Ok(store.ping().await?)
}

#[tokio::test]
async fn both_sides_are_checked_by_the_authority_of_ones_own() -> Result<()> {
    let authority = Authority::new()?;
    authority.sign("server")?;
    authority.sign("node")?;
    let (_server, port) = server(&authority)?;
    let trusted = || authority.trusted();
    answer(port, authority.shown(trusted()?, "node")?).await?;

    let refused = answer(port, trusted()?).await.unwrap_err().to_string();
    assert!(refused.contains("CertificateRequired"), "{refused}");
    let machine = authority.shown(Certificates::default(), "node")?;
    let refused = answer(port, machine).await.unwrap_err().to_string();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    let other = Authority::new()?;
    other.sign("node")?;
    let refused = answer(port, other.shown(trusted()?, "node")?).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("alert"), "{refused}");
    let refused = answer(port, authority.shown(other.trusted()?, "node")?).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("certificate"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn sentinels_and_what_they_watch_are_checked_alike() -> Result<()> {
    let authority = Authority::new()?;
    authority.sign("server")?;
    authority.sign("node")?;
    let (_server, port) = server(&authority)?;
    let sentinel = sentinel(&authority, port)?;
    let url = format!("rediss+sentinel://127.0.0.1:{}/main", sentinel.port);
    until("an answer", || async {
        let certificates = authority.shown(authority.trusted()?, "node")?;
        Ok(answer_at(&url, certificates).await.is_ok())
    })
    .await?;
    let refused = answer_at(&url, authority.trusted()?).await;
    refused.expect_err("nobody comes in without a certificate");
    Ok(())
}

#[tokio::test]
async fn the_servers_of_a_cluster_are_checked_alike() -> Result<()> {
    let authority = Authority::new()?;
    authority.sign("server")?;
    authority.sign("node")?;
    let (server, port) = server_that_is(&authority, &["--tls-cluster", "yes"])?;
    let _server = server.as_a_cluster()?;
    let url = format!("rediss-cluster://127.0.0.1:{port}");
    answer_at(&url, authority.shown(authority.trusted()?, "node")?).await?;
    let refused = answer_at(&url, authority.trusted()?).await;
    refused.expect_err("nobody comes in without a certificate");
    Ok(())
}

#[tokio::test]
async fn commands_take_certificates_from_files() -> Result<()> {
    let authority = Authority::new()?;
    authority.sign("server")?;
    authority.sign("node")?;
    let (_server, port) = server(&authority)?;
    let url = format!("rediss://127.0.0.1:{port}");
    let (ca, cert, key) = (
        authority.file("ca.pem"),
        authority.file("node.pem"),
        authority.file("node.key"),
    );
    let (ca, cert, key) = (text(&ca)?, text(&cert)?, text(&key)?);
    let all = ["--ca-file", ca, "--cert-file", cert, "--key-file", key];
    let run = async |store: &str, files: &[&str]| {
        let mut command = carillon();
        command.args(["job", "list", "--store", store]).args(files);
        let output = command.output().await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok::<_, anyhow::Error>((output.status.code(), said))
    };
    let (code, said) = run(&url, &all).await?;
    assert_eq!(code, Some(0), "{said}");
    for (store, files, wanted) in [
        ("redis://127.0.0.1", &all[..2], "rediss://"),
        (&url, &all[2..4], "come together"),
        (&url, &["--ca-file", key][..], "no certificate"),
        (
            &url,
            &["--ca-file", "/nowhere/ca.pem"][..],
            "/nowhere/ca.pem",
        ),
    ] {
        let (code, said) = run(store, files).await?;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(wanted) && said.contains("-file"), "{said}");
    }
    Ok(())
}
