//! Accepting connections, and ending them well. HTTP/1.1 and HTTP/2, with TLS or without.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::config::HttpConfig;
use crate::http::forwarded::Connection;
use crate::http::places::{Full, Places};
use crate::http::sending::{self, Sending, Streams, note_unsent};
use crate::http::tls::Tls;

/// A client has so long to send the head of a request, and for idle connections the next one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Room for the head of a request, and for what is read and written at a time: small, since idle streams are
/// many.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// After a failure to accept, such as too many open files.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
/// What a client is told for which there is no place. Before it has said which version of HTTP it speaks, which is
/// the old one but for proxies, and those are told how many connections to open.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-type: text/plain\r\n\
    cache-control: no-store\r\nconnection: close\r\n\r\n\
    too many connections, try again in a while\n";
/// How long a refused client is listened to, since closing a connection on which bytes arrive takes the answer back;
/// and how many are at a time.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(1);
const REFUSALS_MAX: usize = 256;
/// How often it is said that connections are refused.
const REFUSAL_SAID_INTERVAL: Duration = Duration::from_secs(60);
/// Of one HTTP/2 connection: a proxy may carry the streams of many clients over one.
const STREAMS_MAX: u32 = 1_000;
/// How much of a body one HTTP/2 stream, and all of a connection, may send ahead. Bodies are small here, and what has
/// come is held in memory.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// HTTP/2 asks whether the other side is still there. HTTP/1.1 cannot; there, the pings of streams find it out.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Who connected just before the server stops has so long to bring a request, which is answered.
const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);

/// Serves until `shutdown`, then lets requests end for as long as `config` says. `files_max` is how many files this
/// process may have open.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    config: &HttpConfig,
    files_max: usize,
    shutdown: CancellationToken,
) {
    let connections = TaskTracker::new();
    let places = Places::new(config, files_max);
    let mut refusals = Refusals::new(tls.is_some());
    let cut = CancellationToken::new();
    let server = Arc::new(Server {
        builder: builder(config.write_timeout),
        router,
        tls,
        write_timeout: config.write_timeout,
        shutdown: shutdown.clone(),
    });
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok((stream, address)) => (stream, address.ip().to_canonical()),
            Err(error) => {
                tracing::warn!(%error, "A connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                continue;
            }
        };
        let cut = cut.clone();
        match places.take(peer) {
            Ok(place) => {
                let server = Arc::clone(&server);
                connections.spawn(async move {
                    let _place = place;
                    cut.run_until_cancelled(server.connect(stream, peer)).await;
                });
            }
            Err(full) => {
                if let Some(refusing) = refusals.refuse(stream, peer, full) {
                    connections.spawn(async move { cut.run_until_cancelled(refusing).await });
                }
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(config.drain, connections.wait()).await.is_err() {
        tracing::info!(connections = connections.len(), "Cutting the connections that did not end in time");
        cut.cancel();
        connections.wait().await;
    }
}

/// Tells clients for which there is no place to come back.
struct Refusals {
    /// Nothing can be said before a handshake, which would cost more than the connection.
    is_silent: bool,
    places: Arc<Semaphore>,
    said_at: Option<Instant>,
}

impl Refusals {
    fn new(is_silent: bool) -> Self {
        Self { is_silent, places: Arc::new(Semaphore::new(REFUSALS_MAX)), said_at: None }
    }

    /// What is to be done for this client, bounded in time and number.
    fn refuse(
        &mut self,
        mut stream: TcpStream,
        peer: IpAddr,
        full: Full,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        if self.said_at.is_none_or(|at| REFUSAL_SAID_INTERVAL <= at.elapsed()) {
            self.said_at = Some(Instant::now());
            let bound = match full {
                Full::All => "http.connections_max, or the system's bound on open files",
                Full::OfClient => "http.connections_per_client_max",
            };
            tracing::warn!(client.ip = %peer, bound, "Connections are refused");
        }
        if self.is_silent {
            return None;
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            // Told without waiting whether it hears.
            let _ = stream.into_std().and_then(|mut stream| io::Write::write(&mut stream, REFUSAL));
            return None;
        };
        Some(async move {
            let _place = place;
            let telling = async {
                stream.write_all(REFUSAL).await?;
                stream.shutdown().await?;
                tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
            };
            // Whether it was heard makes no difference.
            let _ = tokio::time::timeout(REFUSAL_TIME_MAX, telling).await;
        })
    }
}

/// What all connections are served with.
struct Server {
    builder: Builder<Streams>,
    router: Router,
    tls: Option<Tls>,
    write_timeout: Duration,
    shutdown: CancellationToken,
}

/// Which version a connection speaks is seen by its first bytes. HTTP/2 without TLS is for proxies that are told to
/// speak it; nobody is upgraded to it.
fn builder(write_timeout: Duration) -> Builder<Streams> {
    let mut builder = Builder::new(Streams { timeout: write_timeout });
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(BUFFER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(BUFFER_BYTES_MAX)
        .max_header_list_size(BUFFER_BYTES_MAX as u32)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

impl Server {
    async fn connect(&self, stream: TcpStream, peer: IpAddr) {
        let connection = Connection { peer, is_tls: false };
        // One that has ended already is found out below.
        let _ = sending::prepare(&stream, self.write_timeout);
        let Some(tls) = &self.tls else {
            let version = tokio::select! {
                version = version(&stream) => version,
                () = self.grace() => return,
            };
            let stream = Sending::new(stream, self.write_timeout);
            match version {
                // Boxed, since what both versions need would otherwise be kept for each connection of the old one.
                Version::MaybeHttp2 => Box::pin(self.converse(stream, connection)).await,
                Version::Http1 => self.converse_http1(stream, connection).await,
                Version::Unknown => {}
            }
            return;
        };
        let accepted = tokio::select! {
            // Boxed, as below: what TLS needs would otherwise be kept for each connection without it too.
            accepted = Box::pin(tls.accept(Sending::new(stream, self.write_timeout))) => accepted,
            () = self.grace() => return,
        };
        match accepted {
            Ok(stream) => Box::pin(self.converse(stream, Connection { is_tls: true, ..connection })).await,
            Err(error) => tracing::debug!(%error, client.ip = %connection.peer, "A TLS handshake failed"),
        }
    }

    /// Ends when the server has been stopping for long enough to give up those who have asked for nothing yet.
    async fn grace(&self) {
        self.shutdown.cancelled().await;
        tokio::time::sleep(FIRST_REQUEST_GRACE).await;
    }

    /// Ends when a connection is to be told that no further request is taken: once it has brought one, or could have.
    async fn leave_taking(&self, requests: &mut watch::Receiver<Requests>) {
        self.shutdown.cancelled().await;
        let _ =
            tokio::time::timeout(FIRST_REQUEST_GRACE, requests.wait_for(|requests| 0 < requests.begun)).await;
    }

    /// The old version alone, as most connections without TLS speak it: an idle stream of it costs less so.
    async fn converse_http1(&self, stream: Sending<TcpStream>, connection: Connection) {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(BUFFER_BYTES_MAX);
        let service = Conversation { router: self.router.clone(), connection, requests: None };
        let mut conversation = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            // First, so that the request which is there is read: a connection without one would be closed.
            biased;
            outcome = conversation.as_mut() => return note(outcome.map_err(Into::into)),
            () = self.shutdown.cancelled() => conversation.as_mut().graceful_shutdown(),
        }
        note(conversation.await.map_err(Into::into));
    }

    async fn converse<S>(&self, stream: S, connection: Connection)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let requests = watch::Sender::new(Requests::default());
        let mut open = requests.subscribe();
        let mut begun = requests.subscribe();
        let service =
            Conversation { router: self.router.clone(), connection, requests: Some(Arc::new(requests)) };
        let conversation = self.builder.serve_connection(TokioIo::new(stream), service);
        let mut conversation = std::pin::pin!(conversation);
        tokio::select! {
            outcome = conversation.as_mut() => return note(outcome),
            () = self.leave_taking(&mut begun) => conversation.as_mut().graceful_shutdown(),
            () = idle(&mut open, HEAD_TIMEOUT) => {
                conversation.as_mut().graceful_shutdown();
                // Nothing is under way, so that whoever does not take its leave is cut off.
                match tokio::time::timeout(PING_TIMEOUT, conversation).await {
                    Ok(outcome) => note(outcome),
                    Err(_) => tracing::debug!("An idle connection was cut"),
                }
                return;
            }
        }
        note(conversation.await);
    }
}

/// What the first bytes of a connection tell.
enum Version {
    Http1,
    MaybeHttp2,
    /// Nothing came, or not in time.
    Unknown,
}

/// Looks at the first bytes without taking them.
async fn version(stream: &TcpStream) -> Version {
    const BEGINNING: &[u8] = b"PRI ";
    let mut first = [0; BEGINNING.len()];
    match tokio::time::timeout(HEAD_TIMEOUT, stream.peek(&mut first)).await {
        Ok(Ok(bytes)) if 0 < bytes && !BEGINNING.starts_with(&first[..bytes]) => Version::Http1,
        Ok(Ok(bytes)) if 0 < bytes => Version::MaybeHttp2,
        _ => Version::Unknown,
    }
}

/// Waits until no request was begun or under way for as long as `patience`. HTTP/1.1 has a timeout of its
/// own for that; this one is for HTTP/2, and for who does not say which of them it speaks.
async fn idle(requests: &mut watch::Receiver<Requests>, patience: Duration) {
    loop {
        let begun = requests.borrow().begun;
        // The sender lives as long as the conversation, which is what both waits belong to.
        let next = requests.wait_for(|requests| 0 < requests.open);
        let is_quiet = tokio::time::timeout(patience, next).await.is_err();
        if is_quiet && requests.borrow().begun == begun {
            return;
        }
        if requests.wait_for(|requests| requests.open == 0).await.is_err() {
            return;
        }
    }
}

/// What a connection has carried.
#[derive(Debug, Clone, Copy, Default)]
struct Requests {
    open: usize,
    /// A request may come and go between two looks.
    begun: u64,
}

/// What answers the requests of one connection.
struct Conversation {
    router: Router,
    connection: Connection,
    /// None where nobody asks how many there are.
    requests: Option<Arc<watch::Sender<Requests>>>,
}

impl hyper::service::Service<Request<Incoming>> for Conversation {
    type Response = Response<Answering>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.connection);
        let under_way = self.requests.as_ref().map(UnderWay::new);
        let answer = self.router.clone().oneshot(request.map(Body::new));
        Box::pin(async move {
            let answer = answer.await?;
            note_unsent(true);
            Ok(answer.map(|body| Answering { body, _under_way: under_way }))
        })
    }
}

/// Counts a request from its head to the last byte of its answer.
struct UnderWay(Arc<watch::Sender<Requests>>);

impl UnderWay {
    fn new(requests: &Arc<watch::Sender<Requests>>) -> Self {
        requests.send_modify(|requests| {
            requests.open += 1;
            requests.begun += 1;
        });
        Self(Arc::clone(requests))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|requests| requests.open -= 1);
    }
}

/// The body of an answer that is being sent.
struct Answering {
    body: Body,
    _under_way: Option<UnderWay>,
}

impl http_body::Body for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        note_unsent(polled.is_ready());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Clients come and go as they like; why one went is of interest only to who looks for it.
fn note(outcome: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = outcome {
        tracing::debug!(error, "A connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_idle_only_while_nothing_is_under_way() {
        const PATIENCE: Duration = Duration::from_millis(10);
        let sender = Arc::new(watch::Sender::new(Requests::default()));
        let mut open = sender.subscribe();
        let stream = UnderWay::new(&sender);
        assert!(tokio::time::timeout(PATIENCE * 10, idle(&mut open, PATIENCE)).await.is_err());
        drop(stream);
        idle(&mut open, PATIENCE).await;
        assert_eq!((open.borrow().open, open.borrow().begun), (0, 1));
    }
}
