//! The logs of runs: followed live, and read by number.

use bytes::Bytes;
use futures::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::log::LogLine;
use crate::error::Result;

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
pub async fn stream(app: &App, run_id: &RunId, after: After) -> Result<BoxStream<'static, Result<Bytes>>> {
    let _ = (app, run_id, after);
    unimplemented!()
}

pub async fn page(app: &App, request: ReadLog) -> Result<LogPage> {
    let _ = (app, request);
    unimplemented!()
}
