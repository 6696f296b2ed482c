//! Subscriptions over plain HTTP: server-sent events, or a value a line.
//!
//! The first item is awaited for a moment before the status line, so what fails at once is a proper problem. A subscription that
//! has nothing at all (a client that has everything has come back) is answered 204, which makes an event source stop.
//! One that ends says `end`; one that is cut off by the server's end does not, so its client comes back. A stream of
//! lines has no such event: it is broken off instead, which every client of HTTP notices.

use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::rpc::rest::endpoint::Form;
use crate::rpc::rest::problem::Problem;
use crate::rpc::wire::{CallError, Cut, Subscribed};

/// How long the head of an answer waits for the first item once the subscription has begun. Proxies and clients wait
/// for a head, and there may be nothing to send for hours.
const HEAD_DELAY_MAX: Duration = Duration::from_secs(1);
/// What event sources are told to wait before they come back.
const RETRY: &[u8] = b"retry: 500\n";
const END: Bytes = Bytes::from_static(b"event: end\ndata: {}\n\n");

pub(super) async fn respond(
    mut subscribed: Subscribed,
    form: Form,
    ping: Duration,
    request_id: String,
) -> Result<Response<Body>, CallError> {
    let mut first = subscribed.next().await;
    if let Some(Ok(events)) = &first
        && events.is_empty()
    {
        // It has been begun, and what it has already comes at once.
        first = match tokio::time::timeout(HEAD_DELAY_MAX, subscribed.next()).await {
            Ok(item) => item,
            Err(_) => Some(Ok(Bytes::new())),
        };
    }
    let first = match first {
        Some(Ok(events)) => events,
        Some(Err(Cut::Failed(error))) => return Err(error),
        Some(Err(Cut::Shutdown)) => return Err(going_away()),
        None => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            return Ok(response);
        }
    };
    let body = match form {
        Form::Events => Body::from_stream(events(first, subscribed, ping, request_id)),
        _ => Body::from_stream(lines(first, subscribed, ping, request_id)),
    };
    Ok(streamed(body, form))
}

/// An answer that is sent as it comes.
pub(super) fn streamed(body: Body, form: Form) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let media_type = match form {
        Form::Text => "text/plain; charset=utf-8",
        form => form.media_type(),
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    // Otherwise nginx gathers what it should pass on.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

pub(super) fn going_away() -> CallError {
    CallError::new(crate::rpc::wire::ErrorCode::ServiceUnavailable, "This server is about to end")
}

fn events(
    first: Bytes,
    mut subscribed: Subscribed,
    ping: Duration,
    request_id: String,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    async_stream::stream! {
        let mut head = BytesMut::with_capacity(RETRY.len() + first.len());
        head.put_slice(RETRY);
        head.put_slice(&first);
        yield Ok(head.freeze());
        loop {
            match tokio::time::timeout(ping, subscribed.next()).await {
                Err(_) => yield Ok(Bytes::from_static(b":\n\n")),
                Ok(Some(Ok(events))) => yield Ok(events),
                Ok(Some(Err(Cut::Failed(error)))) => {
                    let mut event = BytesMut::from(&b"event: problem\ndata: "[..]);
                    event.put_slice(&Problem::of(error, &request_id).json());
                    event.put_slice(b"\n\n");
                    yield Ok(event.freeze());
                    return;
                }
                Ok(Some(Err(Cut::Shutdown))) => return,
                Ok(None) => {
                    yield Ok(END);
                    return;
                }
            }
        }
    }
}

fn lines(
    first: Bytes,
    mut subscribed: Subscribed,
    ping: Duration,
    request_id: String,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    async_stream::stream! {
        yield Ok(data_of(&first));
        loop {
            match tokio::time::timeout(ping, subscribed.next()).await {
                // Readers of lines pass over an empty one.
                Err(_) => yield Ok(Bytes::from_static(b"\n")),
                Ok(Some(Ok(events))) => yield Ok(data_of(&events)),
                Ok(Some(Err(cut))) => {
                    if let Cut::Failed(error) = cut {
                        tracing::warn!(request.id = request_id, %error, "A stream of lines was broken off");
                    }
                    yield Err(io::Error::from(io::ErrorKind::ConnectionAborted));
                    return;
                }
                Ok(None) => return,
            }
        }
    }
}

/// The values of finished events, a line each. A value has one `data` line, since JSON that serde writes has no line
/// breaks.
fn data_of(events: &Bytes) -> Bytes {
    let mut lines = BytesMut::with_capacity(events.len());
    for line in events.split_inclusive(|byte| *byte == b'\n') {
        if let Some(data) = line.strip_prefix(b"data: ") {
            lines.put_slice(data);
        }
    }
    lines.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_lines() {
        let events =
            Bytes::from_static(b"data: {\"a\":1}\nid: 1-1\n\ndata: {\"a\":\"data: x\"}\nid: 1-2\n\n");
        assert_eq!(data_of(&events), "{\"a\":1}\n{\"a\":\"data: x\"}\n");
    }
}
