//! TLS: the certificate, read from its files and again when they change, and the handshake.
//!
//! Neither the key nor a line of its file ever stands in a message.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

/// A client has so long for its part of the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the files are looked at; looking is two calls that read nothing.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A chain is a few kilobytes; whatever is larger is something else.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// HTTP/2 for whoever offers it.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

const CERT: &str = "http.tls_cert";
const KEY: &str = "http.tls_key";

/// What a connection becomes a TLS connection by. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

/// The certificate that is shown, and where it is from.
#[derive(Debug)]
struct Certificate {
    files: Files,
    shown: RwLock<Arc<CertifiedKey>>,
}

#[derive(Debug, Clone)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

/// What tells a file from its successor, whether that was written into it or put in its place.
type Version = (u64, i64, i64, u64);

impl Tls {
    /// # Errors
    ///
    /// `Invalid` names the setting whose file is missing, is no PEM, or does not belong to the other.
    pub fn load(cert: &Path, key: &Path) -> Result<Self> {
        let files = Files { cert: cert.to_owned(), key: key.to_owned() };
        let provider = Arc::new(ring::default_provider());
        let shown = RwLock::new(Arc::new(files.load(&provider)?));
        let certificate = Arc::new(Certificate { files, shown });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::internal("setting up TLS", error))?
            .with_no_client_auth()
            .with_cert_resolver(certificate.clone());
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate })
    }

    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(stream)).await {
            Ok(accepted) => accepted,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Shows a new certificate to those who connect after its files have changed, until `shutdown`. One that
    /// cannot be used leaves the one before in place. Connections that are open do not notice.
    pub async fn stay_current(self, shutdown: CancellationToken) {
        let files = self.certificate.files.clone();
        let mut seen = files.versions().await;
        // What came between the loading and this first look is loaded once more.
        self.certificate.reload().await;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
            let found = files.versions().await;
            if found != seen {
                seen = found;
                self.certificate.reload().await;
            }
        }
    }
}

impl Certificate {
    async fn reload(&self) {
        let files = self.files.clone();
        let load = move || files.load(&Arc::new(ring::default_provider()));
        let loaded = match tokio::task::spawn_blocking(load).await {
            Ok(loaded) => loaded,
            Err(error) => Err(Error::internal("reading the certificate", error)),
        };
        match loaded {
            Ok(new) => {
                let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
                if shown.cert != new.cert {
                    tracing::info!(file = %self.files.cert.display(), "Showing a new certificate");
                }
                *shown = Arc::new(new);
            }
            // Certificate and key are two files: between the change of one and of the other they do not match.
            Err(error) => {
                tracing::warn!(
                    error = error.chain(),
                    "The certificate has changed and cannot be used: showing the one before"
                );
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Files {
    fn load(&self, provider: &Arc<CryptoProvider>) -> Result<CertifiedKey> {
        let text = read(CERT, &self.cert)?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<_, pem::Error>>()
            .map_err(|_| unusable(CERT, &self.cert, "is not PEM"))?;
        if chain.is_empty() {
            return Err(unusable(CERT, &self.cert, "holds no certificate (-----BEGIN CERTIFICATE-----)"));
        }
        let text = read(KEY, &self.key)?;
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
            pem::Error::NoItemsFound => {
                unusable(KEY, &self.key, "holds no key that can be used: a key with a passphrase cannot")
            }
            _ => unusable(KEY, &self.key, "is not PEM"),
        })?;
        CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let reason = format!("is not the key of the certificate in {}", self.cert.display());
                unusable(KEY, &self.key, &reason)
            }
            rustls::Error::InvalidCertificate(_) => unusable(CERT, &self.cert, "holds no valid certificate"),
            _ => unusable(KEY, &self.key, "holds a key of a kind that cannot be used"),
        })
    }

    async fn versions(&self) -> [Option<Version>; 2] {
        let version = async |path: &Path| {
            let found = tokio::fs::metadata(path).await.ok()?;
            Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
        };
        [version(&self.cert).await, version(&self.key).await]
    }
}

fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>> {
    let cannot = |error: io::Error| unusable(setting, path, &format!("cannot be read: {error}"));
    if FILE_BYTES_MAX < fs::metadata(path).map_err(cannot)?.len() {
        return Err(unusable(setting, path, "is too large to be one"));
    }
    fs::read(path).map_err(cannot)
}

fn unusable(setting: &'static str, path: &Path, reason: &str) -> Error {
    Error::invalid(setting, format!("{} {reason}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Certificate and key as PEM.
    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn loading(cert: &str, key: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let [cert_path, key_path] = ["cert.pem", "key.pem"].map(|name| dir.path().join(name));
        fs::write(&cert_path, cert).unwrap();
        fs::write(&key_path, key).unwrap();
        match Tls::load(&cert_path, &key_path) {
            Ok(_) => "loaded".to_owned(),
            Err(error) => error.chain(),
        }
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_without_a_word_of_the_key() {
        let (cert, key) = pair();
        let (_, other_key) = pair();
        assert_eq!(loading(&cert, &key), "loaded");
        assert_eq!(loading(&format!("{cert}{}", pair().0), &key), "loaded", "a chain");
        let broken_key = key.replace("-----END", "----END");
        for (cert, key, expected) in [
            (&*cert, &*other_key, "http.tls_key: "),
            (&cert, &cert, "holds no key"),
            (&key, &key, "holds no certificate"),
            (&cert, &broken_key, "key.pem"),
            ("", &key, "http.tls_cert: "),
        ] {
            let said = loading(cert, key);
            assert!(said.contains(expected), "{said}");
            let secret = key.lines().nth(1).unwrap_or_default();
            assert!(!said.contains(secret) || secret.is_empty(), "{said}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let Err(error) = Tls::load(Path::new("/nowhere/cert.pem"), Path::new("/nowhere/key.pem")) else {
            panic!("nothing can be loaded from nowhere");
        };
        assert!(error.chain().starts_with("http.tls_cert: /nowhere/cert.pem cannot be read"), "{error}");
    }
}
