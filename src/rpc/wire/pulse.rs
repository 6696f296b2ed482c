//! What keeps an event stream alive and what ends it, whatever it carries.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::service::Shared;
use super::sse::write_event;

/// The timers of one stream.
pub(super) struct Pulse {
    ping: Option<(Pin<Box<Sleep>>, Duration)>,
    deadline: Option<Pin<Box<Sleep>>>,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Pulse {
    pub(super) fn new(shared: &Shared) -> Self {
        let options = &shared.options.sse;
        let sleep = |duration| Box::pin(tokio::time::sleep(duration));
        Self {
            ping: options.ping_interval.map(|interval| (sleep(interval), interval)),
            deadline: options.duration_max.map(sleep),
            shutdown: Box::pin(shared.shutdown.clone().cancelled_owned()),
        }
    }

    /// Whether the stream is to end without `return`, which makes the client reconnect.
    pub(super) fn interrupts(&mut self, cx: &mut Context<'_>) -> bool {
        let overdue = self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
        overdue || self.shutdown.as_mut().poll(cx).is_ready()
    }

    /// Writes a ping once the stream has been silent for too long.
    pub(super) fn poll_ping(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<()> {
        let Some((sleep, _)) = &mut self.ping else { return Poll::Pending };
        std::task::ready!(sleep.as_mut().poll(cx));
        write_event(buffer, Some("ping"), b"", None);
        Poll::Ready(())
    }

    /// Counts the silence from here.
    pub(super) fn restart(&mut self) {
        if let Some((sleep, interval)) = &mut self.ping {
            sleep.as_mut().reset(Instant::now() + *interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timers_of_an_idle_stream_are_small() {
        assert!(size_of::<Sleep>() <= 256 && size_of::<WaitForCancellationFutureOwned>() <= 256);
    }
}
