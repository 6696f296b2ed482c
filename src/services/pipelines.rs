//! Pipelines: make, read, change, delete, check.

use crate::app::App;
use crate::domain::pipeline::{Pipeline, Problem};
use crate::domain::token::Actor;
use crate::error::Result;
use crate::store::page::{Page, PageRequest};

pub use crate::store::pipelines::PipelineChange;

/// A pipeline to be made.
#[derive(Debug, Clone)]
pub struct CreatePipeline {
    pub name: String,
    pub repository: Option<String>,
    pub default_branch: Option<String>,
    pub definition: Option<String>,
    pub description: Option<String>,
}

/// `Invalid` for a bad field, `Conflict` if the name is taken.
pub async fn create(app: &App, actor: &Actor, request: CreatePipeline) -> Result<Pipeline> {
    let _ = (app, actor, request);
    unimplemented!()
}

/// By id or name. `NotFound`.
pub async fn get(app: &App, id_or_name: &str) -> Result<Pipeline> {
    let _ = (app, id_or_name);
    unimplemented!()
}

pub async fn list(app: &App, search: Option<&str>, page: PageRequest) -> Result<Page<Pipeline>> {
    let _ = (app, search, page);
    unimplemented!()
}

pub async fn update(app: &App, actor: &Actor, id_or_name: &str, change: PipelineChange) -> Result<Pipeline> {
    let _ = (app, actor, id_or_name, change);
    unimplemented!()
}

/// `Conflict` while runs are live.
pub async fn delete(app: &App, actor: &Actor, id_or_name: &str) -> Result<()> {
    let _ = (app, actor, id_or_name);
    unimplemented!()
}

/// All that is wrong with a definition; empty: nothing. `Invalid` only if it is too large to look at.
pub fn validate(definition: &str) -> Result<Vec<Problem>> {
    let _ = definition;
    unimplemented!()
}
