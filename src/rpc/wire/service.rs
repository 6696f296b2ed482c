//! The settings of the wire and what all its requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::codes::ErrorCode;
use super::envelope::{ErrorFormatter, Failure};
use super::error::CallError;
use super::form::FormOptions;
use super::router::Router;

/// The settings of a [`Service`]. All have defaults, to which bounds belong: nothing is unlimited.
pub struct Options {
    /// The path below which procedures are found. Slashes at its ends do not matter. Default `/`.
    pub base_path: String,
    /// What may stand in an address for the dot between the names of a path, as clients with `pathSeparator` send
    /// it; dots are understood as well. One of `.`, `_`, `~`, `-`. Names that hold it cannot be reached. Default `.`.
    pub path_separator: char,
    /// Whether several calls may come in one request. Default true.
    pub batching: bool,
    /// Whether POST reaches queries and subscriptions as well. GET never reaches a mutation. Default false.
    pub method_override: bool,
    /// How many calls a batch may hold. They run concurrently. Default 100.
    pub batch_calls_max: usize,
    /// How many queries and mutations may run at once; a further one fails with `SERVICE_UNAVAILABLE`. Default 1,000.
    pub calls_max: usize,
    /// How long a body may be, in bytes, whatever its form. Default 1 MiB.
    pub body_bytes_max: usize,
    /// How much of all bodies that are read as a whole may be held at once; a further one fails with
    /// `SERVICE_UNAVAILABLE`. Default 64 MiB.
    pub bodies_bytes_max: usize,
    /// How long a body may take to arrive beside a second for each 8 KiB of it, not counting the time in which a
    /// procedure does not take what has come. Default 30 seconds.
    pub body_time_max: Duration,
    /// Bounds of forms.
    pub forms: FormOptions,
    /// Subscriptions.
    pub sse: SseOptions,
    /// Batches whose answers are streamed.
    pub lines: LinesOptions,
    /// Makes the error object that callers see. Default: tRPC's own, [`Failure::shape`].
    pub format_error: ErrorFormatter,
}

/// Batches whose answers are streamed line by line.
pub struct LinesOptions {
    /// How long such an answer may be silent before it sends a space, which keeps proxies from cutting it. `None`
    /// for never. Default 15 seconds.
    pub ping_interval: Option<Duration>,
    /// The type of such an answer. Default `application/json`, which is what tRPC sends.
    pub content_type: &'static str,
}

/// Subscriptions, which are streams of server-sent events.
pub struct SseOptions {
    /// Whether subscriptions are served. If not, each fails with `METHOD_NOT_SUPPORTED`. Default true.
    pub enabled: bool,
    /// How long a stream may be silent before it sends a ping; `None` for never. Not above
    /// `reconnect_after_inactivity`. Default 15 seconds.
    pub ping_interval: Option<Duration>,
    /// After how long a stream ends, so that its client opens another; `None` for never. Default never.
    pub duration_max: Option<Duration>,
    /// After how much silence clients are told to reconnect; `None` for never. Default 45 seconds.
    pub reconnect_after_inactivity: Option<Duration>,
    /// How long clients are told to wait before they reconnect; `None` leaves them their own default, which is a few
    /// seconds. Default 1 second.
    pub retry: Option<Duration>,
    /// How many subscriptions may be open at once, whether they have a stream of their own or share one. Default
    /// 20,000.
    pub streams_max: usize,
    /// How many are open at present, for whoever wants to tell. Default a counter of the service's own.
    pub open: Arc<AtomicUsize>,
    /// How many subscriptions one stream may carry, where it carries several. Default 100.
    pub live_subscriptions_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            base_path: "/".into(),
            path_separator: '.',
            batching: true,
            method_override: false,
            batch_calls_max: 100,
            calls_max: 1_000,
            body_bytes_max: 1024 * 1024,
            bodies_bytes_max: 64 * 1024 * 1024,
            body_time_max: Duration::from_secs(30),
            forms: FormOptions::default(),
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
            enabled: true,
            ping_interval: Some(Duration::from_secs(15)),
            duration_max: None,
            reconnect_after_inactivity: Some(Duration::from_secs(45)),
            retry: Some(Duration::from_secs(1)),
            streams_max: 20_000,
            open: Arc::default(),
            live_subscriptions_max: 100,
        }
    }
}

/// Settings that contradict each other.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum OptionsError {
    /// `ping_interval` is above `reconnect_after_inactivity`.
    #[error(
        "the ping interval exceeds the silence after which clients reconnect, so idle streams would never last"
    )]
    PingTooRare,
    /// `ping_interval` is zero.
    #[error("a ping interval of zero would send without pause")]
    PingWithoutPause,
    /// `path_separator` is none of `.`, `_`, `~` and `-`.
    #[error("{0:?} cannot separate the names in a path, only one of . _ ~ - can")]
    PathSeparator(char),
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
    calls: Arc<Semaphore>,
    /// A permit for each KiB.
    pub(super) bodies: Arc<Semaphore>,
}

impl<TCtx> Service<TCtx> {
    /// Puts procedures and settings together. Once `shutdown` is cancelled, open streams end without `return`, so that
    /// their clients reconnect elsewhere, and no others are opened.
    ///
    /// # Errors
    /// If the settings contradict each other.
    pub fn new(
        router: Router<TCtx>,
        options: Options,
        shutdown: CancellationToken,
    ) -> Result<Self, OptionsError> {
        // What clients can be set to; anything else would take the meaning of another character of an address away.
        if !matches!(options.path_separator, '.' | '_' | '~' | '-') {
            return Err(OptionsError::PathSeparator(options.path_separator));
        }
        let SseOptions { ping_interval, reconnect_after_inactivity, .. } = options.sse;
        if ping_interval.is_some_and(|interval| interval.is_zero()) {
            return Err(OptionsError::PingWithoutPause);
        }
        if let (Some(interval), Some(silence)) = (ping_interval, reconnect_after_inactivity)
            && interval > silence
        {
            return Err(OptionsError::PingTooRare);
        }
        let places = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        let (calls, bodies) = (places(options.calls_max), places(options.bodies_bytes_max / 1024));
        let shared = Shared { options, shutdown, mutations: TaskTracker::new(), calls, bodies };
        Ok(Self { router: Arc::new(router), shared: Arc::new(shared) })
    }

    /// How many subscriptions are being streamed now.
    pub fn streams_open(&self) -> usize {
        self.shared.options.sse.open.load(Ordering::Relaxed)
    }

    /// Waits until the mutations that run now have ended. They go on without their clients, so closed connections do
    /// not mean that nothing runs. For after the last request was taken.
    pub async fn mutations_ended(&self) {
        self.shared.mutations.close();
        self.shared.mutations.wait().await;
    }
}

impl Shared {
    /// A place for one more query or mutation, which it holds until it has ended, whoever waits for it.
    pub(super) fn admit_call(&self) -> Result<OwnedSemaphorePermit, CallError> {
        let busy = "This server has as many calls as it takes at a time, try again in a moment";
        Arc::clone(&self.calls)
            .try_acquire_owned()
            .map_err(|_| CallError::new(ErrorCode::ServiceUnavailable, busy))
    }

    /// A place for one more stream; `None` if there is none or the server is about to end.
    pub(super) fn open_stream(self: &Arc<Self>) -> Option<StreamSlot> {
        if self.shutdown.is_cancelled() {
            return None;
        }
        let more = |open| (open < self.options.sse.streams_max).then_some(open + 1);
        self.options.sse.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
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
        self.0.options.sse.open.fetch_sub(1, Ordering::Relaxed);
    }
}
