//! Sending to clients that do not take what is sent: neither a connection nor a stream waits for them for ever.
//!
//! A client that reads nothing need not be dead, so no option of a socket finds all of them out: its system goes on
//! to confirm that it has no room. And what hyper cannot send it does not ask for either, so that what is behind it
//! never learns.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// What the system holds of an answer that it has not begun to send: of a client that reads nothing no more than that
/// is kept, while what is on its way may be as much as the line takes.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;
/// After how much silence the system asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Has the system find out who is gone.
pub(super) fn prepare(stream: &TcpStream, timeout: Duration) -> io::Result<()> {
    let socket = SockRef::from(stream);
    // Lines are to arrive when they are printed, not when a packet is full.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    socket.set_tcp_user_timeout(Some(timeout))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(timeout))
}

/// A wait that is over after a while, and costs nothing while there is none.
#[derive(Debug)]
struct Patience {
    timeout: Duration,
    ends: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(timeout: Duration) -> Self {
        Self { timeout, ends: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.ends.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.timeout))).as_mut().poll(cx)
    }

    fn renew(&mut self) {
        self.ends = None;
    }
}

/// A connection that fails once nothing of what is to be sent was taken for too long.
#[derive(Debug)]
pub(super) struct Sending<S> {
    stream: S,
    patience: Patience,
}

impl<S> Sending<S> {
    pub(super) fn new(stream: S, timeout: Duration) -> Self {
        Self { stream, patience: Patience::new(timeout) }
    }

    fn bounded<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.patience.renew();
            return written;
        }
        ready!(self.patience.poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sending<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sending<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

tokio::task_local! {
    /// What the body of the stream that is being polled has said meanwhile: whether something of it is still to be
    /// sent.
    static UNSENT: Cell<Option<bool>>;
}

/// Says of the stream of HTTP/2 that is being polled whether it was given something to send, or has sent all that
/// there was. Of HTTP/1.1 the connection itself tells.
pub(super) fn note_unsent(has_unsent: bool) {
    let _ = UNSENT.try_with(|unsent| unsent.set(Some(has_unsent)));
}

/// Runs the streams of HTTP/2, each until its client has taken nothing of it for too long, whatever else it takes of
/// the connection: such a stream alone is reset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams {
    pub(super) timeout: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
{
    fn execute(&self, stream: F) {
        tokio::spawn(while_taken(stream, self.timeout));
    }
}

async fn while_taken(stream: impl Future, timeout: Duration) {
    let mut stream = std::pin::pin!(stream);
    let mut patience = Patience::new(timeout);
    let mut has_unsent = false;
    poll_fn(|cx| {
        let (polled, said) = UNSENT.sync_scope(Cell::new(None), || {
            let polled = stream.as_mut().poll(cx);
            (polled, UNSENT.with(Cell::get))
        });
        if polled.is_ready() {
            return Poll::Ready(());
        }
        if let Some(said) = said {
            has_unsent = said;
            patience.renew();
        }
        if has_unsent { patience.poll(cx) } else { Poll::Pending }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_connection_fails_once_nothing_is_taken() {
        let (mut client, server) = tokio::io::duplex(16);
        let mut sending = Sending::new(server, TIMEOUT);
        sending.write_all(&[0; 16]).await.unwrap();
        // Nothing is waited for now, so that no time runs.
        tokio::time::sleep(TIMEOUT * 5).await;
        let taken = async { client.read_exact(&mut [0; 20]).await };
        let (sent, taken) = tokio::join!(sending.write_all(&[0; 20]), taken);
        assert!(sent.is_ok() && taken.is_ok());
        assert_eq!(sending.write_all(&[0; 1]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_stream_ends_once_nothing_of_it_is_taken_and_may_be_idle_for_ever() {
        let idle = async {
            note_unsent(true);
            tokio::task::yield_now().await;
            note_unsent(false);
            std::future::pending::<()>().await;
        };
        assert!(tokio::time::timeout(TIMEOUT * 5, while_taken(idle, TIMEOUT)).await.is_err());
        let stuck = async {
            note_unsent(true);
            std::future::pending::<()>().await;
        };
        while_taken(stuck, TIMEOUT).await;
    }
}
