//! A request's body on its way to the procedure, piece by piece, as it arrives.
//!
//! The body itself stays with whoever answers the request, who has to know afterwards what of it is still on the
//! connection. The procedure may outlive that: a mutation goes on when its client leaves, and then sees a body that
//! ends early.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::stream::{Stream, StreamExt};
use tokio::sync::{mpsc, oneshot};

use super::error::CallError;

/// One piece, the proper end, or why there is no more.
type Piece = Result<Option<Bytes>, CallError>;

/// The bytes of a request, as its client sends them. At most `Options::body_bytes_max` of them come.
///
/// Nothing is read from the connection before the first piece is asked for, and no more than a piece ahead after.
/// After an error nothing comes.
#[derive(Debug)]
pub struct ByteStream {
    /// Until the first piece is asked for.
    begin: Option<oneshot::Sender<()>>,
    /// `None` after the end or an error.
    pieces: Option<mpsc::Receiver<Piece>>,
}

/// The other end of a [`ByteStream`].
pub(super) struct ByteSender {
    begun: oneshot::Receiver<()>,
    pieces: mpsc::Sender<Piece>,
}

pub(super) fn channel() -> (ByteSender, ByteStream) {
    let (begin, begun) = oneshot::channel();
    let (sender, receiver) = mpsc::channel(1);
    (ByteSender { begun, pieces: sender }, ByteStream { begin: Some(begin), pieces: Some(receiver) })
}

impl ByteSender {
    /// Waits until somebody wants the first piece. False if nobody ever will.
    pub(super) async fn is_wanted(&mut self) -> bool {
        (&mut self.begun).await.is_ok()
    }

    /// Waits until there is room. False if nobody wants more.
    pub(super) async fn send(&self, piece: Piece) -> bool {
        self.pieces.send(piece).await.is_ok()
    }
}

impl ByteStream {
    /// The next piece, which is not empty; `None` at the end.
    ///
    /// # Errors
    /// `PAYLOAD_TOO_LARGE`, `TIMEOUT` if the client is too slow, `BAD_REQUEST` if it leaves before the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, CallError> {
        self.next().await.transpose()
    }

    /// All of it, in memory.
    ///
    /// # Errors
    /// As [`ByteStream::chunk`].
    pub async fn whole(mut self) -> Result<Bytes, CallError> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.chunk().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }
}

impl Stream for ByteStream {
    type Item = Result<Bytes, CallError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(begin) = this.begin.take() {
            // Whoever answers the request may be gone, which shows in the pieces.
            begin.send(()).ok();
        }
        let Some(pieces) = &mut this.pieces else { return Poll::Ready(None) };
        let piece = match std::task::ready!(pieces.poll_recv(cx)) {
            Some(Ok(Some(piece))) => return Poll::Ready(Some(Ok(piece))),
            Some(Ok(None)) => None,
            Some(Err(error)) => Some(Err(error)),
            None => Some(Err(ended_early())),
        };
        this.pieces = None;
        Poll::Ready(piece)
    }
}

pub(super) fn ended_early() -> CallError {
    CallError::bad_request("The request's body ended early")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_whose_sender_is_gone_did_not_end_properly() {
        let (mut sender, mut stream) = channel();
        let sending = tokio::spawn(async move {
            assert!(sender.is_wanted().await);
            sender.send(Ok(Some(Bytes::from_static(b"a")))).await;
        });
        assert_eq!(stream.chunk().await.unwrap().unwrap(), "a");
        sending.await.unwrap();
        assert_eq!(stream.chunk().await.unwrap_err(), ended_early());
        assert!(stream.chunk().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_body_that_nobody_wants_is_not_read() {
        let (mut sender, stream) = channel();
        drop(stream);
        assert!(!sender.is_wanted().await);
    }
}
