//! A client that decides everything about its connection: TLS or not, and which version of HTTP.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type Sent = Request<Full<Bytes>>;

/// One connection, over which requests go until it is dropped.
pub(super) enum Connection {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>, JoinHandle<hyper::Result<()>>),
}

impl Connection {
    pub(super) async fn http1<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self::Http1(sender)
    }

    pub(super) async fn http2<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        Self::Http2(sender, tokio::spawn(connection))
    }

    pub(super) async fn send(&mut self, request: Sent) -> Response<Incoming> {
        match self {
            Self::Http1(sender) => sender.send_request(request).await.unwrap(),
            Self::Http2(sender, _) => sender.send_request(request).await.unwrap(),
        }
    }

    pub(super) async fn get(&mut self, url: &str) -> Response<Incoming> {
        self.send(request("GET", url, &[], "")).await
    }

    /// How the server ended it.
    pub(super) async fn ended(self) -> hyper::Result<()> {
        match self {
            Self::Http1(_) => Ok(()),
            Self::Http2(sender, connection) => {
                let outcome = connection.await.unwrap();
                drop(sender);
                outcome
            }
        }
    }
}

pub(super) fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Sent {
    let authority = url.split("://").nth(1).unwrap().split('/').next().unwrap();
    let mut request = Request::builder().method(method).uri(url).header("host", authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::from(body.to_owned())).unwrap()
}

pub(super) async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// A TLS connection to whoever shows a certificate of this file.
pub(super) async fn shake_hands(
    address: &str,
    protocols: &[&str],
    cert: &Path,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cert).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}
