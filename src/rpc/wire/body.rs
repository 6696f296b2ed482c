//! The request's body: read within bounds, and only if a call wants it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, EXPECT, HeaderMap, HeaderValue};
use http::{Response, Version};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::byte_stream::{ByteSender, ended_early};
use super::codes::ErrorCode;
use super::error::CallError;
use super::service::{Options, Shared};

/// How much of a body must arrive in a second on average, once its time has run out: a line that is slow is served,
/// a client that only holds on is not.
const BYTES_PER_SECOND_MIN: u32 = 8 * 1024;
/// How much is reserved for a body before its bytes have come.
const RESERVED_BYTES_MAX: usize = 64 * 1024;
/// How much is read and thrown away so that a client which writes its whole body before it reads gets its answer.
const DRAIN_BYTES_MAX: usize = 16 * 1024 * 1024;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

/// What is to happen with the connection after the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    Keep,
    Close,
}

impl Connection {
    /// Tells the client, and by that hyper, that no further request is read.
    pub(super) fn decide(self, version: Version, mut response: Response<Body>) -> Response<Body> {
        // The header is illegal in HTTP/2, where a body that is not wanted does no harm either.
        if self == Self::Close && version <= Version::HTTP_11 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

pub(super) struct RequestBody {
    body: Body,
    bytes_max: usize,
    time_max: Duration,
    /// Room for what is held of all bodies, a permit for each KiB, and what this one has of it.
    bodies: Arc<Semaphore>,
    room: Option<OwnedSemaphorePermit>,
    /// The client waits for an interim response before it sends anything; reading is what makes hyper send that.
    awaits_continue: bool,
    too_large: bool,
}

impl RequestBody {
    pub(super) fn new(headers: &HeaderMap, body: Body, shared: &Shared) -> Self {
        let Options { body_bytes_max, body_time_max, .. } = shared.options;
        Self {
            body,
            bytes_max: body_bytes_max,
            time_max: body_time_max,
            bodies: Arc::clone(&shared.bodies),
            room: None,
            awaits_continue: headers.contains_key(EXPECT),
            too_large: false,
        }
    }

    /// The whole body. A body of exactly the limit is allowed.
    pub(super) async fn read(&mut self) -> Result<Bytes, CallError> {
        let declared = self.begin()?;
        let mut time_left = self.time_max;
        // A length that is only announced reserves little.
        let mut whole = BytesMut::with_capacity(declared.min(RESERVED_BYTES_MAX));
        while let Some(frame) = self.next_frame(&mut time_left).await? {
            let Ok(data) = frame.into_data() else { continue };
            if whole.len() + data.len() > self.bytes_max {
                return Err(self.refuse());
            }
            self.make_room(whole.len() + data.len())?;
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }

    /// Room for so many bytes in all, until the answer is there.
    fn make_room(&mut self, bytes: usize) -> Result<(), CallError> {
        let has = self.room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let lacks = u32::try_from(bytes.div_ceil(1024).saturating_sub(has)).unwrap_or(u32::MAX);
        if lacks == 0 {
            return Ok(());
        }
        let more = Arc::clone(&self.bodies).try_acquire_many_owned(lacks).map_err(|_| {
            CallError::new(ErrorCode::ServiceUnavailable, "This server holds as many bodies as it can now")
        })?;
        match &mut self.room {
            Some(room) => room.merge(more),
            None => self.room = Some(more),
        }
        Ok(())
    }

    /// What comes next, within the time that is left: waiting takes of it, and each byte adds to it.
    async fn next_frame(&mut self, time_left: &mut Duration) -> Result<Option<Frame<Bytes>>, CallError> {
        let asked = Instant::now();
        let frame = match tokio::time::timeout(*time_left, self.body.frame()).await {
            Err(_) => return Err(too_slow(self.time_max)),
            Ok(frame) => frame.transpose().map_err(|_| ended_early())?,
        };
        let bytes = frame.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len);
        let earned = Duration::from_secs(bytes as u64) / BYTES_PER_SECOND_MIN;
        *time_left = time_left.saturating_sub(asked.elapsed()) + earned;
        Ok(frame)
    }

    /// Hands the body on piece by piece, as soon as and as long as somebody wants it. Only the time in which the
    /// client is waited for counts.
    pub(super) async fn pass_on(&mut self, mut sender: ByteSender) {
        if !sender.is_wanted().await {
            return;
        }
        let mut time_left = self.time_max;
        let mut bytes_left = match self.begin() {
            Ok(_) => self.bytes_max,
            Err(error) => {
                sender.send(Err(error)).await;
                return;
            }
        };
        loop {
            let piece = match self.next_frame(&mut time_left).await {
                Err(error) => Err(error),
                Ok(None) => Ok(None),
                Ok(Some(frame)) => match frame.into_data() {
                    Ok(data) if data.len() > bytes_left => Err(self.refuse()),
                    Ok(data) if !data.is_empty() => {
                        bytes_left -= data.len();
                        Ok(Some(data))
                    }
                    _ => continue,
                },
            };
            let is_last = !matches!(piece, Ok(Some(_)));
            if !sender.send(piece).await || is_last {
                return;
            }
        }
    }

    /// How many bytes are said to come. From here on the client is told to send them.
    fn begin(&mut self) -> Result<usize, CallError> {
        let declared = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        if declared > self.bytes_max {
            return Err(self.refuse());
        }
        self.awaits_continue = false;
        Ok(declared)
    }

    fn refuse(&mut self) -> CallError {
        self.too_large = true;
        CallError::of(ErrorCode::PayloadTooLarge)
    }

    /// Takes what was not read off the connection, within bounds: closing a connection on which unread bytes arrive
    /// resets it, and the client then loses the response.
    pub(super) async fn finish(mut self) -> Connection {
        let ended = self.body.is_end_stream() || (!self.awaits_continue && self.drain().await);
        if ended && !self.too_large { Connection::Keep } else { Connection::Close }
    }

    async fn drain(&mut self) -> bool {
        let drained = async {
            let mut bytes = 0;
            while let Some(frame) = self.body.frame().await {
                let Ok(frame) = frame else { return false };
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if bytes > DRAIN_BYTES_MAX {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(DRAIN_TIME_MAX, drained).await.unwrap_or(false)
    }
}

fn too_slow(time_max: Duration) -> CallError {
    let message = format!(
        "The request's body took too long to arrive: it may take {} seconds, and one more for each {} KiB",
        time_max.as_secs_f32(),
        BYTES_PER_SECOND_MIN / 1024
    );
    CallError::new(ErrorCode::Timeout, message)
}
