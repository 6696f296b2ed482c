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
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Extensions, Response};
use http_body::Frame;
use rspc_procedure::ProcedureStream;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::envelope::{self, Formatting};
use super::error::CallError;
use super::output::{Events, Form, Output, poll_output};
use super::router::Yields;
use super::service::{SseOptions, StreamSlot};
use super::tracked::EventId;

/// How much is gathered into one chunk of the body while the procedure has more.
const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// How many values are gathered into one chunk, so that a stream of tiny values does not keep a thread to itself.
const CHUNK_EVENTS_MAX: usize = 1024;

/// What is told to clients that are turned away for now. Shorter than usual: another server may have a place at once.
const TURNED_AWAY_RETRY: Duration = Duration::from_millis(500);

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
fn write_head(buffer: &mut BytesMut, options: &SseOptions, retry: Option<Duration>) {
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
pub(super) fn turned_away(
    options: &SseOptions,
    formatting: Formatting<'_>,
    path: &str,
    error: &CallError,
) -> Response<Body> {
    respond_with_failure(options, Some(TURNED_AWAY_RETRY), &formatting.error(error, Some(path)), None)
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

/// What a stream is opened with.
pub(super) struct Subscription {
    pub(super) stream: ProcedureStream,
    pub(super) yields: Yields,
    pub(super) path: String,
    pub(super) last_event_id: Option<String>,
    pub(super) extensions: Extensions,
    pub(super) slot: StreamSlot,
}

/// The body of an open subscription. Dropping it drops the procedure and gives its place back.
///
/// Nothing is queued: the procedure is polled when the connection can take more, so a slow client slows the procedure
/// down. While a stream is idle its buffer is empty.
pub(super) struct SubscriptionBody {
    /// `None` once the subscription is over.
    stream: Option<ProcedureStream>,
    yields: Yields,
    path: String,
    extensions: Extensions,
    /// The id that the client holds, which it would attach to events without one.
    current_id: Option<EventId>,
    buffer: BytesMut,
    /// Finished events that come after what is in the buffer.
    finished: Option<Bytes>,
    ping: Option<(Pin<Box<Sleep>>, Duration)>,
    deadline: Option<Pin<Box<Sleep>>>,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    span: tracing::Span,
    slot: StreamSlot,
}

impl SubscriptionBody {
    pub(super) fn new(subscription: Subscription) -> Self {
        let Subscription { stream, yields, path, last_event_id, extensions, slot } = subscription;
        let options = &slot.shared().options.sse;
        let mut buffer = BytesMut::new();
        write_head(&mut buffer, options, options.retry);
        let sleep = |duration| Box::pin(tokio::time::sleep(duration));
        Self {
            stream: Some(stream),
            yields,
            path,
            extensions,
            current_id: last_event_id.as_deref().and_then(EventId::new),
            buffer,
            finished: None,
            ping: options.ping_interval.map(|interval| (sleep(interval), interval)),
            deadline: options.duration_max.map(sleep),
            shutdown: Box::pin(slot.shared().shutdown.clone().cancelled_owned()),
            span: tracing::Span::current(),
            slot,
        }
    }

    /// Whether the stream is to end without `return`, which makes the client reconnect.
    fn interrupted(&mut self, cx: &mut Context<'_>) -> bool {
        let overdue = self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
        overdue || self.shutdown.as_mut().poll(cx).is_ready()
    }

    /// Moves what the procedure has ready into the buffer, up to a bound.
    fn gather(&mut self, cx: &mut Context<'_>) {
        for _ in 0..CHUNK_EVENTS_MAX {
            let Some(stream) = &mut self.stream else { return };
            if self.finished.is_some() || self.buffer.len() >= CHUNK_BYTES_MAX {
                return;
            }
            match poll_output(stream, self.yields, &self.path, cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(output))) => self.write(output),
                Poll::Ready(Some(Err(error))) => {
                    let formatter = &self.slot.shared().options.format_error;
                    let formatting = Formatting { formatter, extensions: &self.extensions };
                    let shape = formatting.error(&error, Some(&self.path));
                    write_event(&mut self.buffer, Some("serialized-error"), &shape, None);
                    self.stream = None;
                }
                Poll::Ready(None) => {
                    write_event(&mut self.buffer, Some("return"), b"", None);
                    self.stream = None;
                }
            }
        }
    }

    fn write(&mut self, output: Output) {
        match output.0 {
            Form::Tracked(id, json) => {
                write_event(&mut self.buffer, None, &json, Some(id.as_str()));
                self.current_id = Some(id);
            }
            // A client cannot parse an event without data, so it gets the nearest value that it can.
            Form::Nothing => self.write_untracked(b"null"),
            Form::Json(json) => self.write_untracked(&json),
            Form::Events(Events { bytes, last_id }) => {
                self.finished = Some(bytes).filter(|bytes| !bytes.is_empty());
                self.current_id = last_id.or(self.current_id.take());
            }
        }
    }

    /// A client takes a value for a tracked one while it holds an id, so the id is cleared and then restored.
    fn write_untracked(&mut self, json: &[u8]) {
        let Some(current) = &self.current_id else {
            return write_event(&mut self.buffer, None, json, None);
        };
        write_event(&mut self.buffer, None, json, Some(""));
        write_event(&mut self.buffer, Some("restore-id"), b"", Some(current.as_str()));
    }

    fn take_chunk(&mut self) -> Option<Bytes> {
        if self.buffer.is_empty() {
            return self.finished.take();
        }
        // A fresh buffer instead of the rest of this one: an idle stream keeps no memory of its last burst.
        Some(std::mem::take(&mut self.buffer).freeze())
    }

    fn poll_ping(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((sleep, _)) = &mut self.ping else { return Poll::Pending };
        std::task::ready!(sleep.as_mut().poll(cx));
        write_event(&mut self.buffer, Some("ping"), b"", None);
        Poll::Ready(())
    }

    fn restart_ping(&mut self) {
        if let Some((sleep, interval)) = &mut self.ping {
            sleep.as_mut().reset(Instant::now() + *interval);
        }
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
        let span = this.span.clone();
        let _entered = span.enter();
        if this.stream.is_some() && this.interrupted(cx) {
            this.stream = None;
        }
        if this.finished.is_none() {
            this.gather(cx);
        }
        if this.buffer.is_empty() && this.finished.is_none() {
            if this.stream.is_none() {
                return Poll::Ready(None);
            }
            std::task::ready!(this.poll_ping(cx));
        }
        this.restart_ping();
        Poll::Ready(this.take_chunk().map(|chunk| Ok(Frame::data(chunk))))
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
        assert!(size_of::<Sleep>() <= 256 && size_of::<WaitForCancellationFutureOwned>() <= 256);
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
