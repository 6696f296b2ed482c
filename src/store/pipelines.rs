//! Queries on pipelines.

use crate::domain::ids::PipelineId;
use crate::domain::pipeline::Pipeline;
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::Store;
use crate::store::page::{Page, PageRequest};

/// What `update` changes; none: left as it is, `Some(None)`: cleared.
#[derive(Debug, Clone, Default)]
pub struct PipelineChange {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub repository: Option<Option<String>>,
    pub default_branch: Option<Option<String>>,
    pub definition: Option<Option<String>>,
}

/// What came of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    Deleted,
    NotFound,
    /// This many of its runs have not ended.
    Live(u64),
}

/// Adds a pipeline. `Conflict` if the name is taken.
pub async fn insert(store: &Store, pipeline: &Pipeline) -> Result<()> {
    let _ = (store, pipeline);
    unimplemented!()
}

/// By id, or else by name; deleted ones are not found.
pub async fn find(store: &Store, id_or_name: &str) -> Result<Option<Pipeline>> {
    let _ = (store, id_or_name);
    unimplemented!()
}

/// The pipeline after the change; none if there is none. `Conflict` if the new name is taken.
pub async fn update(
    store: &Store,
    id: &PipelineId,
    change: PipelineChange,
    now: Timestamp,
) -> Result<Option<Pipeline>> {
    let _ = (store, id, change, now);
    unimplemented!()
}

/// By name, ascending; `search` is part of the name, in either case.
pub async fn list(store: &Store, search: Option<&str>, page: PageRequest) -> Result<Page<Pipeline>> {
    let _ = (store, search, page);
    unimplemented!()
}

/// Deletes a pipeline that has no live runs; its past runs stay, and its name is free again. In one
/// transaction, so that no run is triggered in between.
pub async fn delete(store: &Store, id: &PipelineId, now: Timestamp) -> Result<Deletion> {
    let _ = (store, id, now);
    unimplemented!()
}
