//! The files that hold the certificates of connections to the store.

use std::path::{Path, PathBuf};

use scheduler_redis::{CertificateError, Certificates, RedisConfig};

use super::document::Document;
use super::error::Problem;
use super::settings::Overrides;
use super::typed::StoreTable;

/// A file, and where it was named.
struct Named<'a> {
    path: PathBuf,
    problem: Box<dyn Fn(String) -> Problem + 'a>,
}

impl Named<'_> {
    fn read(&self) -> Result<Vec<u8>, Problem> {
        let read = std::fs::read(&self.path);
        read.map_err(|error| self.refused(error.to_string()))
    }

    fn refused(&self, why: impl std::fmt::Display) -> Problem {
        (self.problem)(format!("{}: {why}", self.path.display()))
    }
}

/// Adds the certificates that were named, those of the command line and the environment before those of
/// the file.
pub(super) fn add(
    config: RedisConfig,
    overrides: &Overrides,
    table: &StoreTable,
    document: &Document,
    directory: &Path,
) -> Result<RedisConfig, Problem> {
    let named =
        |flag: &'static str, key: &'static str, given: &Option<PathBuf>, own: &Option<PathBuf>| {
            let by_flag = given.as_ref().map(|path| Named {
                path: path.clone(),
                problem: Box::new(move |message| Problem::new(flag, message)),
            });
            by_flag.or_else(|| {
                own.as_ref().map(|path| Named {
                    path: directory.join(path),
                    problem: Box::new(move |message| document.problem(key, message)),
                })
            })
        };
    let ca = named(
        "--ca-file (CARILLON_CA_FILE)",
        "store.ca_file",
        &overrides.ca_file,
        &table.ca_file,
    );
    let cert = named(
        "--cert-file (CARILLON_CERT_FILE)",
        "store.cert_file",
        &overrides.cert_file,
        &table.cert_file,
    );
    let key = named(
        "--key-file (CARILLON_KEY_FILE)",
        "store.key_file",
        &overrides.key_file,
        &table.key_file,
    );
    let any = ca.as_ref().or(cert.as_ref()).or(key.as_ref());
    if let (Some(file), false) = (any, config.tls) {
        let message = "the store's URL does not ask for encryption: it begins with rediss://, \
                       rediss+sentinel:// or rediss-cluster:// where it does";
        return Err((file.problem)(message.to_owned()));
    }
    let mut certificates = Certificates::default();
    if let Some(ca) = ca {
        let pem = ca.read()?;
        certificates = certificates
            .with_authority(pem)
            .map_err(|error| ca.refused(error))?;
    }
    match (cert, key) {
        (None, None) => {}
        (Some(cert), Some(key)) => {
            let (pem, secret) = (cert.read()?, key.read()?);
            let with_own = certificates.with_own(pem, secret);
            certificates = with_own.map_err(|error: CertificateError| cert.refused(error))?;
        }
        (Some(alone), None) | (None, Some(alone)) => {
            let message = "a certificate and its key come together: cert_file and key_file";
            return Err((alone.problem)(message.to_owned()));
        }
    }
    Ok(config.with_certificates(certificates))
}
