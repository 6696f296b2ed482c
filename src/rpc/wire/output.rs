//! What a procedure yields, in the forms that the wire knows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use rspc_procedure::{DynOutput, ProcedureStream};
use serde::Serialize;

use super::error::CallError;
use super::router::Yields;
use super::sse;
use super::tracked::{EventId, Tracked};

/// One value that a procedure yields, encoded where it is made.
///
/// A procedure whose values are of this type is built with `ProcedureStream::from_stream_value` or
/// `from_future_value` and is declared with [`Yields::Output`].
#[derive(Clone, Debug)]
pub struct Output(pub(super) Form);

#[derive(Clone, Debug)]
pub(super) enum Form {
    /// No value: the subscription has begun.
    Begun,
    /// A result without a `data` member, which clients read as `undefined`.
    Nothing,
    Json(Vec<u8>),
    Tracked(EventId, Vec<u8>),
    Events(Events),
}

impl Output {
    /// No value, but the word that a subscription has begun: its caller may, its input is right. It is the first that
    /// a subscription yields, as soon as it knows; one that does not is taken to have begun with its first value.
    /// Clients that have the stream to themselves do not see it, as tRPC tells them before it knows.
    pub fn begun() -> Self {
        Self(Form::Begun)
    }

    /// A result without data. Clients see `undefined`; for a query `null` is the better choice, since caches of
    /// clients refuse `undefined`.
    pub fn nothing() -> Self {
        Self(Form::Nothing)
    }

    /// A plain value.
    ///
    /// # Errors
    /// An internal error if the value does not serialise, such as a map whose keys are not strings.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, CallError> {
        encode(value).map(|json| Self(Form::Json(json)))
    }

    /// An item of a subscription with its id.
    ///
    /// # Errors
    /// As [`Output::json`].
    pub fn tracked<T: Serialize>(item: &Tracked<T>) -> Result<Self, CallError> {
        encode(&item.value).map(|json| Self(Form::Tracked(item.id.clone(), json)))
    }

    /// Finished events of a subscription, which reach the body untouched and uncopied.
    pub fn events(events: Events) -> Self {
        Self(Form::Events(events))
    }
}

/// One or several whole events of an event stream, as bytes. Clones share them, so that many subscribers can be sent
/// what was encoded once.
#[derive(Clone, Debug)]
pub struct Events {
    pub(super) bytes: Bytes,
    pub(super) last_id: Option<EventId>,
}

impl Events {
    /// Takes bytes that are whole events, each with its empty line, and the id of the last of them.
    pub fn new(bytes: Bytes, last_id: Option<EventId>) -> Self {
        Self { bytes, last_id }
    }

    /// Encodes items, in order.
    ///
    /// # Errors
    /// As [`Output::json`].
    pub fn encode<'a, T: Serialize + 'a>(
        items: impl IntoIterator<Item = &'a Tracked<T>>,
    ) -> Result<Self, CallError> {
        let mut buffer = BytesMut::new();
        let mut last_id = None;
        for item in items {
            sse::write_event(&mut buffer, None, &encode(&item.value)?, Some(item.id.as_str()));
            last_id = Some(item.id.clone());
        }
        Ok(Self { bytes: buffer.freeze(), last_id })
    }
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CallError> {
    serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, output = std::any::type_name::<T>(), "a procedure's output does not serialise");
        CallError::internal()
    })
}

/// Polls a procedure for its next value.
///
/// rspc catches the panics of a resolver, but polling the stream of a procedure that panicked before it returned one
/// panics in rspc itself, and serialising may panic too: so nothing escapes from here.
pub(super) fn poll_output(
    stream: &mut ProcedureStream,
    yields: Yields,
    path: &str,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Output, CallError>>> {
    let polled = catch_unwind(AssertUnwindSafe(|| {
        let value = ready!(stream.poll_next(cx));
        Poll::Ready(value.map(|value| match value {
            Ok(value) => take_output(value, yields, path),
            Err(error) => Err(CallError::from_procedure(error, path)),
        }))
    }));
    polled.unwrap_or_else(|payload| Poll::Ready(Some(Err(CallError::from_panic(payload.as_ref(), path)))))
}

fn take_output(value: DynOutput<'_>, yields: Yields, path: &str) -> Result<Output, CallError> {
    let taken = match yields {
        Yields::Serde => value.as_serialize().map(|value| Output::json(&value)),
        Yields::Output => value.as_value::<Output>().map(Ok),
    };
    taken.unwrap_or_else(|| {
        tracing::error!(path, ?yields, "a procedure yields values of another form than it was declared with");
        Err(CallError::internal())
    })
}
