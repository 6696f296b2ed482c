//! Subscriptions as event streams.
//!
//! The bytes are written by hand: axum's own event type leaves the data line out where the data is empty, and clients
//! drop events without one, so that they would never see the end of a subscription and reconnect for ever.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http_body::Frame;

use super::codes::ErrorCode;
use super::envelope::{self, Formatting};
use super::error::CallError;
use super::feed::{Bounds, Feed, Outgoing};
use super::pulse::Pulse;
use super::service::{Shared, SseOptions};

/// What goes into one chunk of the body.
const CHUNK: Bounds = Bounds { bytes_max: 64 * 1024, values_max: 1024 };

/// What is told to clients that are turned away for now. Shorter than usual: another server may have a place at once.
pub(super) const TURNED_AWAY_RETRY: Duration = Duration::from_millis(500);

/// Writes one event: fields, then the empty line that ends it.
///
/// Data of several lines takes several fields. The event has a data line in any case, since clients drop it otherwise.
pub(super) fn write_event(buffer: &mut BytesMut, event: Option<&str>, data: &[u8], id: Option<&str>) {
    if let Some(event) = event {
        write_field(buffer, b"event: ", event.as_bytes());
    }
    let mut rest = data;
    // JSON has no line breaks within strings, but where they are white space they reach this place untouched.
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        write_field(buffer, b"data: ", &rest[..at]);
        rest = &rest[at + 1..];
    }
    write_field(buffer, b"data: ", rest);
    if let Some(id) = id {
        write_field(buffer, b"id: ", id.as_bytes());
    }
    buffer.put_u8(b'\n');
}

fn write_field(buffer: &mut BytesMut, name: &[u8], value: &[u8]) {
    buffer.reserve(name.len() + value.len() + 2);
    buffer.put_slice(name);
    buffer.put_slice(value);
    buffer.put_u8(b'\n');
}

/// What every stream begins with, failed ones too: without `connected` clients never leave their connecting state.
pub(super) fn write_head(buffer: &mut BytesMut, options: &SseOptions, retry: Option<Duration>) {
    if let Some(retry) = retry {
        write_field(buffer, b"retry: ", retry.as_millis().to_string().as_bytes());
        buffer.put_u8(b'\n');
    }
    let client = options.reconnect_after_inactivity.map_or_else(
        || "{}".to_owned(),
        |silence| format!("{{\"reconnectAfterInactivityMs\":{}}}", silence.as_millis()),
    );
    write_event(buffer, Some("connected"), client.as_bytes(), None);
}

/// A subscription that failed before it began. The status is 200: any other ends it for good at the client, which
/// then does not even see the error.
pub(super) fn failed(
    options: &SseOptions,
    formatting: Formatting<'_>,
    path: &str,
    error: &CallError,
    allow: Option<&'static str>,
) -> Response<Body> {
    respond_with_failure(options, options.retry, &formatting.error(error, Some(path)), allow)
}

/// A subscription for which there is no place now, with an error that makes the client come back.
pub(super) fn turned_away(options: &SseOptions, formatting: Formatting<'_>, path: &str) -> Response<Body> {
    let shape = formatting.error(&no_place(), Some(path));
    respond_with_failure(options, Some(TURNED_AWAY_RETRY), &shape, None)
}

/// In tRPC's words, and with its code, which ends the subscription at the client.
pub(super) fn disabled() -> CallError {
    CallError::new(ErrorCode::MethodNotSupported, "Missing experimental flag \"sseSubscriptions\"")
}

/// There are as many streams as there may be, or the server is about to end.
pub(super) fn no_place() -> CallError {
    CallError::new(ErrorCode::ServiceUnavailable, "This server takes no more subscriptions now")
}

fn respond_with_failure(
    options: &SseOptions,
    retry: Option<Duration>,
    shape: &[u8],
    allow: Option<&'static str>,
) -> Response<Body> {
    let mut buffer = BytesMut::new();
    write_head(&mut buffer, options, retry);
    write_event(&mut buffer, Some("serialized-error"), shape, None);
    respond(Body::from(buffer.freeze()), allow)
}

pub(super) fn respond(body: Body, allow: Option<&'static str>) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    // Otherwise nginx gathers events before it passes them on.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    envelope::decorate(&mut response, allow);
    response
}

/// The body of an open subscription. Dropping it drops the procedure and gives its place back. While a stream is idle
/// its buffer is empty.
pub(super) struct SubscriptionBody {
    feed: Feed,
    out: Outgoing,
    pulse: Pulse,
    span: tracing::Span,
}

impl SubscriptionBody {
    pub(super) fn new(shared: &Shared, feed: Feed) -> Self {
        let options = &shared.options.sse;
        let mut out = Outgoing::default();
        write_head(&mut out.buffer, options, options.retry);
        Self { feed, out, pulse: Pulse::new(shared), span: tracing::Span::current() }
    }
}

impl http_body::Body for SubscriptionBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        // The span belongs to the request, which is over for whoever polls this.
        let _entered = this.span.enter();
        if !this.feed.is_over() && this.pulse.interrupts(cx) {
            this.feed.interrupt();
        }
        let may_have_more = this.feed.gather(cx, &mut this.out, CHUNK);
        if this.out.is_empty() {
            if this.feed.is_over() {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn written(event: Option<&str>, data: &[u8], id: Option<&str>) -> String {
        let mut buffer = BytesMut::new();
        write_event(&mut buffer, event, data, id);
        String::from_utf8(buffer.to_vec()).unwrap()
    }

    #[test]
    fn an_idle_stream_is_small() {
        // Tens of thousands of them are open at once, each beside what its connection and its procedure hold.
        assert!(size_of::<SubscriptionBody>() <= 512, "{} bytes", size_of::<SubscriptionBody>());
    }

    #[test]
    fn an_event_without_data_still_has_a_data_line() {
        assert_eq!(written(Some("return"), b"", None), "event: return\ndata: \n\n");
        assert_eq!(written(None, b"1", Some("")), "data: 1\nid: \n\n");
    }

    #[test]
    fn line_breaks_in_data_do_not_end_the_event() {
        assert_eq!(written(None, b"{\n\"a\":\r1}", Some("7")), "data: {\ndata: \"a\":\ndata: 1}\nid: 7\n\n");
    }
}
