//! One open subscription: what its procedure yields, as the bytes of its events.
//!
//! Whose connection it is, when it pings and when it is cut belongs to the bodies: `sse` has one subscription, `live`
//! has many.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::Extensions;
use rspc_procedure::ProcedureStream;

use super::envelope::Formatting;
use super::output::{Events, Form, Output, poll_output};
use super::router::Yields;
use super::service::StreamSlot;
use super::sse::write_event;
use super::tracked::EventId;

/// How much is gathered at a time while a procedure has more.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes_max: usize,
    /// So that a stream of tiny values does not keep a thread to itself.
    pub(super) values_max: usize,
}

/// What has been written and not yet been sent.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) buffer: BytesMut,
    /// Finished events that come after what is in the buffer.
    pub(super) finished: Option<Bytes>,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.finished.is_none()
    }

    /// Whether nothing may be written before something is taken.
    pub(super) fn is_full(&self, bytes_max: usize) -> bool {
        self.finished.is_some() || self.buffer.len() >= bytes_max
    }

    pub(super) fn take(&mut self) -> Option<Bytes> {
        if self.buffer.is_empty() {
            return self.finished.take();
        }
        // A fresh buffer instead of the rest of this one: an idle stream keeps no memory of its last burst.
        Some(std::mem::take(&mut self.buffer).freeze())
    }
}

/// What a subscription is opened with.
pub(super) struct Opened {
    pub(super) stream: ProcedureStream,
    pub(super) yields: Yields,
    pub(super) path: String,
    pub(super) last_event_id: Option<String>,
    pub(super) extensions: Arc<Extensions>,
    pub(super) slot: StreamSlot,
}

/// A subscription and its place. Dropping it drops the procedure and gives the place back.
///
/// Nothing is queued: the procedure is polled when the connection can take more, so a slow client slows the procedure
/// down.
pub(super) struct Feed {
    /// `None` once the subscription is over.
    stream: Option<ProcedureStream>,
    yields: Yields,
    /// Whether the client is still to be told that the subscription has begun.
    unannounced: bool,
    path: String,
    extensions: Arc<Extensions>,
    /// The id that the client holds, which it would attach to events without one.
    current_id: Option<EventId>,
    slot: StreamSlot,
}

impl Feed {
    /// A subscription with a stream of its own, whose head tells that it has begun.
    pub(super) fn new(opened: Opened) -> Self {
        let Opened { stream, yields, path, last_event_id, extensions, slot } = opened;
        let current_id = last_event_id.as_deref().and_then(EventId::new);
        Self { stream: Some(stream), yields, unannounced: false, path, extensions, current_id, slot }
    }

    /// A subscription among others, which tells itself when it has begun.
    pub(super) fn announced(opened: Opened) -> Self {
        Self { unannounced: true, ..Self::new(opened) }
    }

    pub(super) fn is_over(&self) -> bool {
        self.stream.is_none()
    }

    /// Ends the subscription without a word, which makes its client come back.
    pub(super) fn interrupt(&mut self) {
        self.stream = None;
    }

    /// Writes what the procedure has ready, within bounds. Whether there may be more: then nobody wakes the caller
    /// for it, who asks again.
    pub(super) fn gather(&mut self, cx: &mut Context<'_>, out: &mut Outgoing, bounds: Bounds) -> bool {
        for _ in 0..bounds.values_max {
            let Some(stream) = &mut self.stream else { return false };
            if out.is_full(bounds.bytes_max) {
                return true;
            }
            match poll_output(stream, self.yields, &self.path, cx) {
                Poll::Pending => return false,
                Poll::Ready(Some(Ok(output))) => self.write(out, output),
                Poll::Ready(Some(Err(error))) => {
                    let formatter = &self.slot.shared().options.format_error;
                    let formatting = Formatting { formatter, extensions: &self.extensions };
                    let shape = formatting.error(&error, Some(&self.path));
                    write_event(&mut out.buffer, Some("serialized-error"), &shape, None);
                    self.stream = None;
                }
                Poll::Ready(None) => {
                    self.announce(out);
                    write_event(&mut out.buffer, Some("return"), b"", None);
                    self.stream = None;
                }
            }
        }
        true
    }

    fn announce(&mut self, out: &mut Outgoing) {
        if std::mem::take(&mut self.unannounced) {
            write_event(&mut out.buffer, Some("connected"), b"{}", None);
        }
    }

    fn write(&mut self, out: &mut Outgoing, output: Output) {
        self.announce(out);
        match output.0 {
            Form::Begun => {}
            Form::Tracked(id, json) => {
                write_event(&mut out.buffer, None, &json, Some(id.as_str()));
                self.current_id = Some(id);
            }
            // A client cannot parse an event without data, so it gets the nearest value that it can.
            Form::Nothing => self.write_untracked(out, b"null"),
            Form::Json(json) => self.write_untracked(out, &json),
            Form::Events(Events { bytes, last_id }) => {
                out.finished = Some(bytes).filter(|bytes| !bytes.is_empty());
                self.current_id = last_id.or(self.current_id.take());
            }
        }
    }

    /// A client takes a value for a tracked one while it holds an id, so the id is cleared and then restored.
    fn write_untracked(&self, out: &mut Outgoing, json: &[u8]) {
        let Some(current) = &self.current_id else {
            return write_event(&mut out.buffer, None, json, None);
        };
        write_event(&mut out.buffer, None, json, Some(""));
        write_event(&mut out.buffer, Some("restore-id"), b"", Some(current.as_str()));
    }
}
