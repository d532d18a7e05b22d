//! Certificates of encrypted connections: whom to trust, and as whom.

use std::fmt;
use std::sync::Arc;

use redis::{Client, ClientTlsConfig, TlsCertificates};

/// Certificates that are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The authority's.
    #[error("not a certificate authority in PEM form: {0}")]
    Authority(String),
    /// The client's own, or its key.
    #[error("not a certificate and its key in PEM form: {0}")]
    Own(String),
}

/// Whom to trust, and as whom, on encrypted connections. Never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Certificates {
    authority: Option<Arc<[u8]>>,
    own: Option<Arc<Own>>,
}

#[derive(Clone, PartialEq, Eq)]
struct Own {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Certificates {
    /// Trusts servers whose certificates these authorities have signed, in place of those that the
    /// machine trusts. PEM, one or more of them.
    ///
    /// # Errors
    ///
    /// What cannot be read.
    pub fn with_authority(mut self, pem: Vec<u8>) -> Result<Self, CertificateError> {
        if !holds(&pem, "CERTIFICATE") {
            let message = "there is no certificate in it".to_owned();
            return Err(CertificateError::Authority(message));
        }
        self.authority = Some(pem.into());
        self.check().map_err(CertificateError::Authority)?;
        Ok(self)
    }

    /// Shows this certificate where the server wants to know who connects. PEM, with the authorities in
    /// between behind it, and its key.
    ///
    /// # Errors
    ///
    /// What cannot be read.
    pub fn with_own(
        mut self,
        certificate: Vec<u8>,
        key: Vec<u8>,
    ) -> Result<Self, CertificateError> {
        if !holds(&certificate, "CERTIFICATE") {
            let message = "there is no certificate in it".to_owned();
            return Err(CertificateError::Own(message));
        }
        self.own = Some(Arc::new(Own { certificate, key }));
        self.check().map_err(CertificateError::Own)?;
        Ok(self)
    }

    /// As the library takes them; nothing where the machine's authorities are trusted and nobody asks.
    pub(crate) fn reveal(&self) -> Option<TlsCertificates> {
        if *self == Self::default() {
            return None;
        }
        Some(TlsCertificates {
            client_tls: self.own.as_ref().map(|own| ClientTlsConfig {
                client_cert: own.certificate.clone(),
                client_key: own.key.clone(),
            }),
            root_cert: self.authority.as_deref().map(<[u8]>::to_vec),
        })
    }

    /// That the library takes them.
    fn check(&self) -> Result<(), String> {
        let Some(certificates) = self.reveal() else {
            return Ok(());
        };
        let built = Client::build_with_tls("rediss://localhost", certificates);
        built.map(drop).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.authority.as_ref().map(|_| "***");
        let own = self.own.as_ref().map(|_| "***");
        f.debug_struct("Certificates")
            .field("authority", &authority)
            .field("own", &own)
            .finish()
    }
}

/// The library takes a file without any for one that trusts nobody.
fn holds(pem: &[u8], what: &str) -> bool {
    let begin = format!("-----BEGIN {what}-----");
    pem.windows(begin.len())
        .any(|text| text == begin.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused() {
        let junk = || b"junk".to_vec();
        let empty = || b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".to_vec();
        for pem in [junk(), empty()] {
            let error = Certificates::default().with_authority(pem).unwrap_err();
            assert!(error.to_string().starts_with("not a certificate authority"));
        }
        let error = Certificates::default()
            .with_own(empty(), junk())
            .unwrap_err();
        assert!(error.to_string().contains("key"), "{error}");
    }
}
