//! The body of a response that carries several subscriptions.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{SelectAll, Stream, StreamExt};
use http_body::Frame;

use super::feed::{Bounds, Feed, Outgoing};
use super::pulse::Pulse;
use super::service::Shared;
use super::sse::{write_event, write_head};

/// What goes into one chunk of the body, beside finished events. Its values are turns.
const CHUNK: Bounds = Bounds { bytes_max: 64 * 1024, values_max: 1024 };
/// What one subscription writes before the next has its turn.
const TURN: Bounds = Bounds { bytes_max: 8 * 1024, values_max: 64 };

/// Says whose the events are that follow.
pub(super) fn write_key(buffer: &mut BytesMut, key: &str) {
    write_event(buffer, Some("key"), key.as_bytes(), None);
}

/// Several subscriptions, the ready ones in turn. Dropping it drops them all. While the stream is idle its buffer is
/// empty.
pub(super) struct LiveBody {
    /// Polls only those that were woken, and puts each behind all other ready ones once it has had its turn: so a
    /// subscription that always has something ready keeps none of the others from theirs, and a hundred idle ones
    /// cost nothing.
    subscriptions: SelectAll<Keyed>,
    /// Whose events were written last.
    owner: Option<Arc<str>>,
    out: Outgoing,
    pulse: Pulse,
    span: tracing::Span,
}

impl LiveBody {
    /// `failed` are the events of subscriptions that never began.
    pub(super) fn new(
        shared: &Shared,
        retry: Option<Duration>,
        failed: &[u8],
        opened: Vec<(Arc<str>, Feed)>,
    ) -> Self {
        let mut out = Outgoing::default();
        write_head(&mut out.buffer, &shared.options.sse, retry);
        out.buffer.put_slice(failed);
        let subscriptions = opened.into_iter().map(|(key, feed)| Keyed { key, feed }).collect();
        Self { subscriptions, owner: None, out, pulse: Pulse::new(shared), span: tracing::Span::current() }
    }

    /// Writes what is ready, within bounds. Whether there may be more.
    fn gather(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..CHUNK.values_max {
            if self.out.is_full(CHUNK.bytes_max) {
                return true;
            }
            let Poll::Ready(Some((key, turn))) = self.subscriptions.poll_next_unpin(cx) else { return false };
            if self.owner.as_ref() != Some(&key) {
                write_key(&mut self.out.buffer, &key);
                self.owner = Some(key);
            }
            self.out.buffer.unsplit(turn.buffer);
            self.out.finished = turn.finished;
        }
        true
    }
}

impl http_body::Body for LiveBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let span = this.span.clone();
        // The span belongs to the request, which is over for whoever polls this.
        let _entered = span.enter();
        if !this.subscriptions.is_empty() && this.pulse.interrupts(cx) {
            this.subscriptions.clear();
        }
        let may_have_more = this.gather(cx);
        if this.out.is_empty() {
            if this.subscriptions.is_empty() {
                return Poll::Ready(None);
            }
            if may_have_more {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            std::task::ready!(this.pulse.poll_ping(cx, &mut this.out.buffer));
        }
        this.pulse.restart();
        Poll::Ready(this.out.take().map(|chunk| Ok(Frame::data(chunk))))
    }
}

/// A subscription with the name that its client gave it, as a stream of its turns.
struct Keyed {
    key: Arc<str>,
    feed: Feed,
}

impl Stream for Keyed {
    type Item = (Arc<str>, Outgoing);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let mut turn = Outgoing::default();
        let may_have_more = this.feed.gather(cx, &mut turn, TURN);
        if !turn.is_empty() {
            return Poll::Ready(Some((Arc::clone(&this.key), turn)));
        }
        if this.feed.is_over() {
            return Poll::Ready(None);
        }
        if may_have_more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
