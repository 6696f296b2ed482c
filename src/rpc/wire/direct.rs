//! Calls without tRPC's protocol: for another transport over the same procedures, which then has the same bounds on
//! bodies and streams, the same treatment of mutations and panics, and the same end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::Stream;
use http::HeaderMap;
use rspc_procedure::ProcedureStream;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::body::{Connection, RequestBody};
use super::call::Prepared;
use super::codes::ErrorCode;
use super::error::{CallError, not_found_message};
use super::input::Input;
use super::output::{Events, Form, Output, poll_output};
use super::router::{Kind, Yields};
use super::service::{Service, StreamSlot};
use super::sse::write_event;

/// A request's body, within the bounds of the service.
pub struct SentBody(RequestBody);

impl SentBody {
    /// The whole body.
    ///
    /// # Errors
    /// `PAYLOAD_TOO_LARGE`, `TIMEOUT`, `SERVICE_UNAVAILABLE`, or `BAD_REQUEST` where it ends early.
    pub async fn read(&mut self) -> Result<Bytes, CallError> {
        self.0.read().await
    }

    /// Takes what was not read off the connection, once the answer is known; whether the connection can be kept.
    pub async fn finish(self) -> bool {
        self.0.finish().await == Connection::Keep
    }
}

/// The place of an open stream among those that may be open at once, given back when it is dropped.
pub struct Place(StreamSlot);

impl Place {
    /// Resolves when open streams have to end.
    pub fn shutdown(&self) -> WaitForCancellationFutureOwned {
        self.0.shared().shutdown.clone().cancelled_owned()
    }
}

/// Why a subscription ended before its end.
#[derive(Debug)]
pub enum Cut {
    /// The server is about to end, or the stream has lasted as long as one may: the client goes on with another.
    Shutdown,
    /// The procedure failed.
    Failed(CallError),
}

/// An open subscription as finished server-sent events, some at a time; none where it says only that it has begun.
/// Nothing is queued: dropping it drops the procedure and gives its place back.
pub struct Subscribed {
    stream: Option<ProcedureStream>,
    yields: Yields,
    path: String,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    deadline: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl<TCtx: Clone + Send + 'static> Service<TCtx> {
    /// The body of a request with these headers.
    pub fn body(&self, headers: &HeaderMap, body: Body) -> SentBody {
        SentBody(RequestBody::new(headers, body, &self.shared))
    }

    /// Takes a place for a stream that no procedure is behind.
    ///
    /// # Errors
    /// `SERVICE_UNAVAILABLE` if there is no place now, or the server is about to end.
    pub fn place(&self) -> Result<Place, CallError> {
        self.shared.open_stream().map(Place).ok_or_else(|| {
            CallError::new(ErrorCode::ServiceUnavailable, "This server takes no more streams now")
        })
    }

    /// Runs a query or mutation to its end; its JSON, `None` for no data. A mutation goes on without its caller.
    ///
    /// # Errors
    /// What the procedure fails with.
    pub async fn call(&self, path: &str, context: TCtx, input: Input) -> Result<Option<Vec<u8>>, CallError> {
        self.prepare(path, context, input)?.run(&self.shared).await
    }

    /// Opens a subscription.
    ///
    /// # Errors
    /// As [`Service::place`]. What the procedure fails with is the first item instead.
    pub fn subscribe(&self, path: &str, context: TCtx, input: Input) -> Result<Subscribed, CallError> {
        let place = self.place()?;
        let prepared = self.prepare(path, context, input)?;
        if prepared.entry.kind != Kind::Subscription {
            return Err(CallError::of(ErrorCode::MethodNotSupported));
        }
        Ok(Subscribed {
            yields: prepared.entry.yields,
            stream: Some(prepared.start()?),
            path: path.to_owned(),
            shutdown: Box::pin(place.shutdown()),
            deadline: self.shared.options.sse.duration_max.map(|age| Box::pin(tokio::time::sleep(age))),
            _place: place,
        })
    }

    fn prepare(&self, path: &str, context: TCtx, input: Input) -> Result<Prepared<TCtx>, CallError> {
        let Some((entry, procedure)) = self.router.get(path) else {
            return Err(CallError::new(ErrorCode::NotFound, not_found_message(path)));
        };
        Ok(Prepared { path: path.to_owned(), entry: *entry, procedure: procedure.clone(), context, input })
    }
}

impl Stream for Subscribed {
    type Item = Result<Bytes, Cut>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
        let is_overdue = this.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
        if is_overdue || this.shutdown.as_mut().poll(cx).is_ready() {
            this.stream = None;
            return Poll::Ready(Some(Err(Cut::Shutdown)));
        }
        let item = match ready!(poll_output(stream, this.yields, &this.path, cx)) {
            Some(Ok(Output(form))) => Some(Ok(finished(form))),
            Some(Err(error)) => Some(Err(Cut::Failed(error))),
            None => None,
        };
        if !matches!(item, Some(Ok(_))) {
            this.stream = None;
        }
        Poll::Ready(item)
    }
}

fn finished(form: Form) -> Bytes {
    let mut event = BytesMut::new();
    match form {
        // It has been begun, which is told by the answer itself.
        Form::Begun => {}
        Form::Events(Events { bytes, .. }) => return bytes,
        Form::Tracked(id, json) => write_event(&mut event, None, &json, Some(id.as_str())),
        Form::Json(json) => write_event(&mut event, None, &json, None),
        Form::Nothing => write_event(&mut event, None, b"null", None),
    }
    event.freeze()
}
