//! Pipelines: made, read, changed, deleted, checked.

use crate::app::App;
use crate::domain::ids::PipelineId;
use crate::domain::pipeline::Pipeline;
use crate::domain::repository;
use crate::domain::retention::Retention;
use crate::domain::text;
use crate::domain::time::now;
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::services::{access, runs};
use crate::store;
use crate::store::page::{Page, PageRequest};
use crate::store::pipelines::Deletion;

pub use crate::store::pipelines::PipelineChange;

/// A pipeline to be made.
#[derive(Debug, Clone)]
pub struct CreatePipeline {
    pub name: String,
    pub repository: Option<String>,
    pub default_branch: Option<String>,
    pub definition: Option<String>,
    pub description: Option<String>,
    pub retention: Option<Retention>,
}

/// # Errors
///
/// - `Invalid` if a field breaks a rule, or the definition has a problem.
/// - `Conflict` if the name is taken.
pub async fn create(app: &App, _actor: &Actor, request: CreatePipeline) -> Result<Pipeline> {
    let CreatePipeline { name, repository, default_branch, definition, description, retention } = request;
    check(
        app,
        &PipelineChange {
            name: Some(name.clone()),
            description: Some(description.clone()),
            repository: Some(repository.clone()),
            default_branch: Some(default_branch.clone()),
            definition: Some(definition.clone()),
            retention: Some(retention.clone()),
        },
    )?;
    let now = now();
    let pipeline = Pipeline {
        id: PipelineId::generate(),
        name,
        description,
        repository,
        default_branch,
        definition,
        retention,
        created_at: now,
        updated_at: now,
    };
    store::pipelines::insert(&app.store, &pipeline).await?;
    Ok(pipeline)
}

/// By id or name. `NotFound`.
pub async fn get(app: &App, actor: &Actor, id_or_name: &str) -> Result<Pipeline> {
    access::pipeline(app, actor, id_or_name, Role::Viewer).await
}

/// Those that the actor sees.
pub async fn list(
    app: &App,
    actor: &Actor,
    search: Option<&str>,
    page: PageRequest,
) -> Result<Page<Pipeline>> {
    let only = actor.sees_only();
    store::pipelines::list(&app.store, only.as_deref(), search, page).await
}

/// Changes what `change` names. Runs that were triggered before keep what they were triggered with.
pub async fn update(app: &App, actor: &Actor, id_or_name: &str, change: PipelineChange) -> Result<Pipeline> {
    check(app, &change)?;
    let pipeline = access::pipeline(app, actor, id_or_name, Role::Admin).await?;
    let updated = store::pipelines::update(&app.store, &pipeline.id, change, now()).await?;
    updated.ok_or_else(|| Error::not_found("pipeline", id_or_name))
}

/// Deletes a pipeline. Its past runs stay readable, and its name is free again. `Conflict` while runs are
/// live.
pub async fn delete(app: &App, actor: &Actor, id_or_name: &str) -> Result<()> {
    let pipeline = access::pipeline(app, actor, id_or_name, Role::Admin).await?;
    match store::pipelines::delete(&app.store, &pipeline.id, now()).await? {
        Deletion::Deleted => Ok(()),
        Deletion::NotFound => Err(Error::not_found("pipeline", id_or_name)),
        Deletion::Live(count) => Err(Error::Conflict(format!(
            "{} has {count} runs that have not ended: cancel them or wait for them",
            pipeline.name
        ))),
    }
}

fn check(app: &App, change: &PipelineChange) -> Result<()> {
    let rule =
        |field: &str, outcome: Result<(), String>| outcome.map_err(|reason| Error::invalid(field, reason));
    if let Some(name) = &change.name {
        rule("name", text::pipeline_name(name))?;
    }
    if let Some(Some(description)) = &change.description {
        rule("description", text::description(description))?;
    }
    if let Some(Some(repository)) = &change.repository {
        rule("repository", text::repository(repository))?;
        rule("repository", repository::check(&app.config.worker.repository_hosts, repository))?;
    }
    if let Some(Some(branch)) = &change.default_branch {
        rule("defaultBranch", text::branch(branch))?;
    }
    if let Some(Some(definition)) = &change.definition {
        runs::parse(definition)?;
    }
    if let Some(Some(retention)) = &change.retention {
        let broken = retention.check();
        broken.map_err(|(field, reason)| Error::invalid(format!("retention.{field}"), reason))?;
    }
    Ok(())
}
