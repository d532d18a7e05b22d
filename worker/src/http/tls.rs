//! TLS of the server: a certificate from files, read anew when they change.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsFiles;

/// How often, at most, it is looked whether the files have changed: when somebody connects.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The certificate that is shown to clients.
#[derive(Debug)]
pub(super) struct Tls {
    files: TlsFiles,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// What the files were like when they were read.
    read: Seen,
    looked_at: Instant,
}

/// What of files shows that they changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen([Option<(SystemTime, u64)>; 2]);

impl Seen {
    fn of(files: &TlsFiles) -> Self {
        let seen = |path: &Path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        Self([seen(&files.certificate), seen(&files.key)])
    }
}

impl Tls {
    /// The certificate in these files.
    pub(super) fn read(files: TlsFiles) -> io::Result<Self> {
        // Looked at first: what changes while it is read is read again.
        let read = Seen::of(&files);
        let config = config(&files).map_err(io::Error::other)?;
        Ok(Self {
            current: Mutex::new(Current {
                config: Arc::new(config),
                read,
                looked_at: Instant::now(),
            }),
            files,
        })
    }

    /// What accepts a connection, with the certificate as it is by now.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.lock();
        let mut current = current.unwrap_or_else(PoisonError::into_inner);
        if current.looked_at.elapsed() >= LOOK_EVERY {
            current.looked_at = Instant::now();
            let seen = Seen::of(&self.files);
            if seen != current.read {
                current.read = seen;
                self.renew(&mut current);
            }
        }
        TlsAcceptor::from(Arc::clone(&current.config))
    }

    fn renew(&self, current: &mut Current) {
        match config(&self.files) {
            Ok(config) => {
                current.config = Arc::new(config);
                tracing::info!("HTTP shows another certificate from now on");
            }
            Err(why) => tracing::warn!("HTTP goes on with the certificate that it had: {why}"),
        }
    }
}

/// Reads both files.
fn config(files: &TlsFiles) -> Result<ServerConfig, String> {
    let read = |path: &Path| {
        let text = fs::read(path);
        text.map_err(|error| format!("{}: {error}", path.display()))
    };
    let (certificate, key) = (read(&files.certificate)?, read(&files.key)?);
    let wrong = |path: &Path, why: String| format!("{}: {why}", path.display());
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
    let chain = chain.map_err(|error| wrong(&files.certificate, error.to_string()))?;
    if chain.is_empty() {
        let why = "there is no certificate in it, in PEM form".to_owned();
        return Err(wrong(&files.certificate, why));
    }
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| wrong(&files.key, "there is no key in it, in PEM form".to_owned()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let mut config = config.map_err(|error| wrong(&files.certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
