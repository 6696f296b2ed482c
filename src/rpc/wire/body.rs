//! The request's body: read within bounds, and only if a call wants it.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, EXPECT, HeaderMap, HeaderValue};
use http::{Response, Version};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::byte_stream::{ByteSender, ended_early};
use super::codes::ErrorCode;
use super::error::CallError;

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
    /// The client waits for an interim response before it sends anything; reading is what makes hyper send that.
    awaits_continue: bool,
    too_large: bool,
}

impl RequestBody {
    pub(super) fn new(headers: &HeaderMap, body: Body, bytes_max: usize, time_max: Duration) -> Self {
        let awaits_continue = headers.contains_key(EXPECT);
        Self { body, bytes_max, time_max, awaits_continue, too_large: false }
    }

    /// The whole body. A body of exactly the limit is allowed.
    pub(super) async fn read(&mut self) -> Result<Bytes, CallError> {
        let time_max = self.time_max;
        tokio::time::timeout(time_max, self.read_whole()).await.unwrap_or_else(|_| Err(too_slow()))
    }

    async fn read_whole(&mut self) -> Result<Bytes, CallError> {
        let declared = self.begin()?;
        // A length that is only announced reserves little.
        let mut whole = BytesMut::with_capacity(declared.min(RESERVED_BYTES_MAX));
        while let Some(frame) = self.body.frame().await {
            let Ok(data) = frame.map_err(|_| ended_early())?.into_data() else { continue };
            if whole.len() + data.len() > self.bytes_max {
                return Err(self.refuse());
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
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
            let asked = Instant::now();
            let frame = tokio::time::timeout(time_left, self.body.frame()).await;
            time_left = time_left.saturating_sub(asked.elapsed());
            let piece = match frame {
                Err(_) => Err(too_slow()),
                Ok(None) => Ok(None),
                Ok(Some(Err(_))) => Err(ended_early()),
                Ok(Some(Ok(frame))) => match frame.into_data() {
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

fn too_slow() -> CallError {
    CallError::new(ErrorCode::Timeout, "The request's body took too long to arrive")
}
