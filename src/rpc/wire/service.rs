//! The settings of the wire and what all its requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::envelope::{ErrorFormatter, Failure};
use super::router::Router;

pub struct Options {
    /// The path below which procedures are found. Slashes at its ends do not matter.
    pub base_path: String,
    pub batching: bool,
    /// Whether POST reaches queries and subscriptions as well. GET never reaches a mutation.
    pub method_override: bool,
    /// How many calls a batch may hold. They run concurrently.
    pub batch_calls_max: usize,
    /// How long a body may be, in bytes.
    pub body_bytes_max: usize,
    /// How long a body may take to arrive.
    pub body_time_max: Duration,
    pub sse: SseOptions,
    pub lines: LinesOptions,
    pub format_error: ErrorFormatter,
}

/// Batches whose answers are streamed line by line.
pub struct LinesOptions {
    /// How long such an answer may be silent before it sends a space.
    pub ping_interval: Option<Duration>,
    /// `application/json` is what tRPC sends.
    pub content_type: &'static str,
}

pub struct SseOptions {
    /// How long a stream may be silent before it sends a ping. Not above `reconnect_after_inactivity`.
    pub ping_interval: Option<Duration>,
    /// After how long a stream ends, so that its client opens another.
    pub duration_max: Option<Duration>,
    /// After how much silence clients are told to reconnect.
    pub reconnect_after_inactivity: Option<Duration>,
    /// How long clients are told to wait before they reconnect; `None` leaves them their own default.
    pub retry: Option<Duration>,
    /// How many subscriptions may be open at once.
    pub streams_max: usize,
    /// How many subscriptions one stream may carry, where it carries several.
    pub live_subscriptions_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            base_path: "/".into(),
            batching: true,
            method_override: false,
            batch_calls_max: 100,
            body_bytes_max: 1024 * 1024,
            body_time_max: Duration::from_secs(30),
            sse: SseOptions::default(),
            lines: LinesOptions::default(),
            format_error: Arc::new(|failure: &Failure<'_>| failure.shape()),
        }
    }
}

impl Default for LinesOptions {
    fn default() -> Self {
        Self { ping_interval: Some(Duration::from_secs(15)), content_type: "application/json" }
    }
}

impl Default for SseOptions {
    fn default() -> Self {
        Self {
            ping_interval: Some(Duration::from_secs(15)),
            duration_max: None,
            reconnect_after_inactivity: Some(Duration::from_secs(45)),
            retry: Some(Duration::from_secs(1)),
            streams_max: 20_000,
            live_subscriptions_max: 100,
        }
    }
}

/// Settings that contradict each other.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum OptionsError {
    #[error(
        "the ping interval exceeds the silence after which clients reconnect, so idle streams would never last"
    )]
    PingTooRare,
    #[error("a ping interval of zero would send without pause")]
    PingWithoutPause,
}

/// Procedures with their settings, ready to serve. Cheap to clone.
pub struct Service<TCtx> {
    pub(super) router: Arc<Router<TCtx>>,
    pub(super) shared: Arc<Shared>,
}

impl<TCtx> Clone for Service<TCtx> {
    fn clone(&self) -> Self {
        Self { router: Arc::clone(&self.router), shared: Arc::clone(&self.shared) }
    }
}

/// What outlives a request: streams hold on to it.
pub(super) struct Shared {
    pub(super) options: Options,
    /// Once cancelled, open streams end without `return`, so that their clients reconnect elsewhere.
    pub(super) shutdown: CancellationToken,
    pub(super) mutations: TaskTracker,
    streams_open: AtomicUsize,
}

impl<TCtx> Service<TCtx> {
    /// # Errors
    /// If the settings contradict each other.
    pub fn new(
        router: Router<TCtx>,
        options: Options,
        shutdown: CancellationToken,
    ) -> Result<Self, OptionsError> {
        let SseOptions { ping_interval, reconnect_after_inactivity, .. } = options.sse;
        if ping_interval.is_some_and(|interval| interval.is_zero()) {
            return Err(OptionsError::PingWithoutPause);
        }
        if let (Some(interval), Some(silence)) = (ping_interval, reconnect_after_inactivity)
            && interval > silence
        {
            return Err(OptionsError::PingTooRare);
        }
        let shared =
            Shared { options, shutdown, mutations: TaskTracker::new(), streams_open: AtomicUsize::new(0) };
        Ok(Self { router: Arc::new(router), shared: Arc::new(shared) })
    }

    /// How many subscriptions are being streamed now.
    pub fn streams_open(&self) -> usize {
        self.shared.streams_open.load(Ordering::Relaxed)
    }

    /// Waits until the mutations that run now have ended. They go on without their clients, so closed connections do
    /// not mean that nothing runs. For after the last request was taken.
    pub async fn mutations_ended(&self) {
        self.shared.mutations.close();
        self.shared.mutations.wait().await;
    }
}

impl Shared {
    /// A place for one more stream; `None` if there is none or the server is about to end.
    pub(super) fn open_stream(self: &Arc<Self>) -> Option<StreamSlot> {
        if self.shutdown.is_cancelled() {
            return None;
        }
        let more = |open| (open < self.options.sse.streams_max).then_some(open + 1);
        self.streams_open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(StreamSlot(Arc::clone(self)))
    }
}

/// The place of an open stream, given back when it is dropped.
pub(super) struct StreamSlot(Arc<Shared>);

impl StreamSlot {
    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        self.0.streams_open.fetch_sub(1, Ordering::Relaxed);
    }
}
