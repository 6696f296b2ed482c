//! That lists of runs have changed, told as often as a page can use it.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::app::App;
use crate::domain::time::{Timestamp, now};
use crate::error::Result;
use crate::logs::lines::event;

/// On which each change of any run is announced.
pub const CHANNEL: &str = "runs";
/// Between two notices of one stream.
const INTERVAL: Duration = Duration::from_secs(1);
/// Notices may be lost, so it is told from time to time without one.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// Lists are to be read again. What has changed is not said: who may see it, reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
pub struct ListChange {
    /// When it was noticed.
    pub at: Timestamp,
}

/// At once, and then after each change, at most once in a second.
pub async fn watch(app: &App) -> BoxStream<'static, Result<Bytes>> {
    let mut listener = app.wakeups.listen(CHANNEL).await;
    let events = async_stream::try_stream! {
        loop {
            let at = now();
            yield event(&ListChange { at }, at.as_millis().unsigned_abs())?;
            tokio::time::sleep(INTERVAL).await;
            listener.wait(LOOK_INTERVAL).await;
        }
    };
    events.boxed()
}
