//! The logs of runs: followed live, and read by number.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;
use tokio::sync::watch;

use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::log::LogLine;
use crate::domain::token::Actor;
use crate::error::{Error, Result};
use crate::services::states::Snapshot;
use crate::services::{access, runs};

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Behind the line with this number; 0: with the first.
    Line(u64),
    /// With the lines that are still to come.
    End,
}

/// How many lines a page may have.
pub const PAGE_LINES_MAX: u32 = 1_000;
pub const PAGE_LINES_DEFAULT: u32 = 100;
/// Blocks that a page of one step's lines looks through: others may print between them without end.
const PAGE_BLOCKS_MAX: usize = 256;

#[derive(Debug, Clone)]
pub struct ReadLog {
    pub run_id: RunId,
    /// The first line's number; negative: counted from the end, -1 being the last. None: the first line.
    pub from: Option<i64>,
    /// 1 to [`PAGE_LINES_MAX`].
    pub limit: u32,
    /// Only lines of this step.
    pub step: Option<String>,
}

/// Part of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogPage {
    /// The lines, in order.
    pub items: Vec<LogLine>,
    /// How many lines the log has at present. Below 2^53.
    #[specta(type = f64)]
    pub total: u64,
    /// Give it as `from` for what follows; null where nothing follows at present.
    #[specta(type = Option<f64>)]
    pub next_from: Option<u64>,
}

/// The lines as finished server-sent events (`data: <LogLine as JSON>`, `id: <epoch>-<n>`), several at a time:
/// those that are there, then each new one, until the run has ended.
pub async fn stream(
    app: &App,
    actor: &Actor,
    run_id: &RunId,
    after: After,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    access::may_follow(app, actor, run_id).await?;
    let watched = app.states.watch(run_id).await?;
    let states = watched.subscribe();
    let n = match after {
        After::Line(n) => n,
        // The state knows the length of the log from time to time only.
        After::End => {
            let known_n = states.borrow().state.lines;
            app.logs.head(run_id).await?.map_or(known_n, |head| head.last_n.max(known_n))
        }
    };
    let end_n = states.borrow().end_n();
    let end = watch::Sender::new(end_n);
    let lines = app.followers.follow(run_id.clone(), n, end.subscribe());
    Ok(async_stream::stream! {
        let _keeps_reading = watched;
        let mut lines = std::pin::pin!(lines);
        let mut states = states;
        let mut has_ended = end_n.is_some();
        loop {
            let events = tokio::select! {
                events = lines.next() => events,
                () = ended(&mut states, &end), if !has_ended => {
                    has_ended = true;
                    continue;
                }
            };
            match events {
                Some(events) => yield events,
                None => return,
            }
        }
    }
    .boxed())
}

/// Waits for the end of the run, and passes on which line is its last.
async fn ended(states: &mut watch::Receiver<Snapshot>, end: &watch::Sender<Option<u64>>) {
    loop {
        let end_n = states.borrow_and_update().end_n();
        if end_n.is_some() {
            end.send_replace(end_n);
            return;
        }
        if states.changed().await.is_err() {
            // Whoever watches the run is gone with this stream's own handle, so this does not come to pass.
            std::future::pending::<()>().await;
        }
    }
}

/// A page of lines by number. Its cost is that of the page, wherever it lies.
pub async fn page(app: &App, actor: &Actor, request: ReadLog) -> Result<LogPage> {
    let ReadLog { run_id, from, limit, step } = request;
    let run = runs::get(app, actor, &run_id).await?;
    let total = run.run.lines;
    let first_n = match from {
        None => 1,
        Some(from @ 0..) => u64::try_from(from).unwrap_or(0).max(1),
        Some(from) => (total + 1).saturating_sub(from.unsigned_abs()).max(1),
    };
    let mut after_n = first_n - 1;
    if let Some(name) = &step {
        let before = run.line_before(name).ok_or_else(|| Error::not_found("step", name))?;
        after_n = after_n.max(before);
    }
    let mut items = Vec::new();
    let mut is_at_end = false;
    for _ in 0..PAGE_BLOCKS_MAX {
        if total <= after_n || limit as usize <= items.len() {
            break;
        }
        let blocks = app.logs.read(&run_id, after_n).await?;
        if blocks.is_empty() {
            is_at_end = true;
            break;
        }
        for block in blocks {
            for line in block.lines() {
                if limit as usize <= items.len() {
                    break;
                }
                let line: LogLine = serde_json::from_slice(line)
                    .map_err(|error| Error::internal("reading a stored line", error))?;
                after_n = line.n;
                if step.is_none() || line.step == step {
                    items.push(line);
                }
            }
        }
    }
    let next_from = (after_n < total && !is_at_end).then_some(after_n + 1);
    Ok(LogPage { items, total, next_from })
}
