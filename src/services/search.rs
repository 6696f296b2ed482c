//! Searching a run's whole log, and saying what is found while it goes on.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::token::Actor;
use crate::error::{Error, Result};
use crate::logs::lines::event;
use crate::logs::search::{Found, Pattern};
use crate::services::runs;

/// Into how many parts a log is divided to show where matches lie.
pub const MARKS: usize = 512;
/// Hits that are given by number; what follows is asked for with `after`.
pub const HITS_MAX: usize = 1_000;
/// How often it is said how far the search has come.
const TELL_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug, Clone)]
pub struct SearchLog {
    pub run_id: RunId,
    pub text: String,
    pub is_regex: bool,
    pub match_case: bool,
    /// Only lines of this step.
    pub step: Option<String>,
    /// Only lines above this number.
    pub after: u64,
}

/// What has been found so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogSearch {
    /// How many lines match. Below 2^53.
    #[specta(type = f64)]
    pub count: u64,
    /// The numbers of the first of them, in order: at most 1,000. What follows is found with `after`.
    #[specta(type = Vec<f64>)]
    pub hits: Vec<u64>,
    /// How many match in each of 512 equal parts of the log's lines.
    pub marks: Vec<u32>,
    /// Lines up to this number were looked at.
    #[specta(type = f64)]
    pub searched: u64,
    /// How many lines the log had when the search began: it looks no further.
    #[specta(type = f64)]
    pub total: u64,
    /// Nothing is left to look at.
    pub done: bool,
}

impl LogSearch {
    fn of(total: u64) -> Self {
        Self { count: 0, hits: Vec::new(), marks: vec![0; MARKS], searched: 0, total, done: false }
    }

    fn add(&mut self, Found { last_n, hits }: Found) {
        self.searched = last_n;
        self.count += hits.len() as u64;
        let room = HITS_MAX - self.hits.len();
        self.hits.extend(hits.iter().take(room));
        for n in hits {
            let part = (n - 1).saturating_mul(MARKS as u64) / self.total.max(1);
            if let Some(mark) = self.marks.get_mut(part as usize) {
                *mark = mark.saturating_add(1);
            }
        }
    }

    fn event(&self) -> Result<Bytes> {
        // Rises with each event, and is the same for the same place of a search that is begun anew.
        event(self, self.searched + u64::from(self.done))
    }
}

/// Searches a log as it is at this moment. Each event has all that was found so far; the last one is `done`.
///
/// # Errors
///
/// - `Invalid` for a `text` that is no regular expression, where it should be one.
/// - `NotFound` for a run that is not there or not seen, or a step that it has not.
pub async fn search(
    app: &App,
    actor: &Actor,
    request: SearchLog,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    let SearchLog { run_id, text, is_regex, match_case, step, after } = request;
    let run = runs::get(app, actor, &run_id).await?;
    let total = run.run.lines;
    let before = match &step {
        Some(name) => run.line_before(name).ok_or_else(|| Error::not_found("step", name))?,
        None => 0,
    };
    let pattern = match is_regex {
        true => Pattern::regex(&text, match_case, step)?,
        false => Pattern::text(&text, match_case, step)?,
    };
    let mut found = app.logs.search(&run_id, pattern, after.max(before), total);
    let events = async_stream::try_stream! {
        let mut search = LogSearch::of(total);
        let mut told_at: Option<Instant> = None;
        while let Some(more) = found.next().await {
            search.add(more?);
            if told_at.is_none_or(|at| TELL_INTERVAL <= at.elapsed()) {
                told_at = Some(Instant::now());
                yield search.event()?;
            }
        }
        search.searched = total;
        search.done = true;
        yield search.event()?;
    };
    Ok(events.boxed())
}
