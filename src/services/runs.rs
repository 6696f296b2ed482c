//! Runs: the only place that moves one between statuses, whoever asks.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::stream::BoxStream;

use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::run::{Run, RunDetails};
use crate::domain::token::Actor;
use crate::error::Result;
use crate::store::page::{Page, PageRequest};

pub use crate::store::runs::RunFilter;

#[derive(Debug, Clone)]
pub struct TriggerRun {
    /// Id or name.
    pub pipeline: String,
    pub branch: Option<String>,
    pub inputs: BTreeMap<String, String>,
    pub idempotency_key: Option<String>,
}

/// Where a retry begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryFrom {
    /// With a new workspace, from the first step.
    Start,
    /// With the steps that did not succeed.
    Failed,
}

pub async fn trigger(app: &App, actor: &Actor, request: TriggerRun) -> Result<Run> {
    let _ = (app, actor, request);
    unimplemented!()
}

pub async fn get(app: &App, id: &RunId) -> Result<RunDetails> {
    let _ = (app, id);
    unimplemented!()
}

/// `pipeline` of the filter is an id; `find` resolves a name.
pub async fn list(
    app: &App,
    pipeline: Option<&str>,
    filter: RunFilter,
    page: PageRequest,
) -> Result<Page<Run>> {
    let _ = (app, pipeline, filter, page);
    unimplemented!()
}

/// Ends a run: at once where it is queued, else by its worker. A run that has ended is left as it is.
pub async fn cancel(app: &App, actor: &Actor, id: &RunId) -> Result<Run> {
    let _ = (app, actor, id);
    unimplemented!()
}

/// `Conflict` unless the run has ended.
pub async fn retry(app: &App, actor: &Actor, id: &RunId, from: RetryFrom) -> Result<Run> {
    let _ = (app, actor, id, from);
    unimplemented!()
}

/// The run's states as finished server-sent events (`data: <RunState as JSON>`, `id: <version>`): the present
/// one, then each change, until the run has ended.
pub async fn watch(app: &App, id: &RunId) -> Result<BoxStream<'static, Result<Bytes>>> {
    let _ = (app, id);
    unimplemented!()
}
