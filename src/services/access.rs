//! The one way from what a request names to a run or a pipeline: whoever asks is given only what they see, and only
//! for what they may do there. `src/tests/tidy.rs` has other services come this way.

use crate::app::App;
use crate::domain::ids::{PipelineId, RunId};
use crate::domain::pipeline::Pipeline;
use crate::domain::run::RunRecord;
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::store;

/// A run with all that is known of it.
///
/// # Errors
///
/// - `NotFound` if there is none, or if it is of a pipeline that the actor does not see.
/// - `Forbidden` if they see it, and have not the role `needed` there.
pub async fn run(app: &App, actor: &Actor, id: &RunId, needed: Role) -> Result<RunRecord> {
    let missing = || Error::not_found("run", id);
    let record = store::runs::find(&app.store, id).await?.ok_or_else(missing)?;
    admit(actor, &record.run.pipeline_id, needed, missing)?;
    Ok(record)
}

/// A run by its number in a pipeline, which is named by id or name. Errors as `run`.
pub async fn run_by_number(app: &App, actor: &Actor, pipeline: &str, number: u32) -> Result<RunRecord> {
    let pipeline = pipeline_of_runs(app, actor, pipeline).await?;
    let record = store::runs::find_by_number(&app.store, &pipeline, number).await?;
    record.ok_or_else(|| Error::not_found("run", format!("#{number}")))
}

/// Whether a run may be followed, for what reads it by itself. Errors as `run`; a run that is not there is not noticed
/// where the actor sees all that are.
pub async fn may_follow(app: &App, actor: &Actor, id: &RunId) -> Result<()> {
    if actor.may(Role::Viewer) {
        return Ok(());
    }
    let missing = || Error::not_found("run", id);
    let run = store::runs::find_run(&app.store, id).await?.ok_or_else(missing)?;
    admit(actor, &run.pipeline_id, Role::Viewer, missing)
}

/// A pipeline, by id or name. Errors as `run`.
pub async fn pipeline(app: &App, actor: &Actor, id_or_name: &str, needed: Role) -> Result<Pipeline> {
    let missing = || Error::not_found("pipeline", id_or_name);
    let pipeline = store::pipelines::find(&app.store, id_or_name).await?.ok_or_else(missing)?;
    admit(actor, &pipeline.id, needed, missing)?;
    Ok(pipeline)
}

/// The pipeline whose runs are asked for, by id or name. The runs of a deleted one are still found by its id.
pub async fn pipeline_of_runs(app: &App, actor: &Actor, id_or_name: &str) -> Result<PipelineId> {
    pipeline_of_runs_for(app, actor, id_or_name, Role::Viewer).await
}

/// The same, for what needs a role.
pub async fn pipeline_of_runs_for(
    app: &App,
    actor: &Actor,
    id_or_name: &str,
    needed: Role,
) -> Result<PipelineId> {
    let missing = || Error::not_found("pipeline", id_or_name);
    let id = match store::pipelines::find(&app.store, id_or_name).await? {
        Some(pipeline) => pipeline.id,
        None => id_or_name.parse().map_err(|_| missing())?,
    };
    admit(actor, &id, needed, missing)?;
    Ok(id)
}

/// The run that a pipeline, by id or name, made for an idempotency key; none: it made none, or the actor does not see it.
pub async fn run_by_key(app: &App, actor: &Actor, pipeline: &str, key: &str) -> Result<Option<RunId>> {
    let pipeline = match pipeline_of_runs(app, actor, pipeline).await {
        Ok(pipeline) => pipeline,
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    store::runs::find_by_key(&app.store, &pipeline, key).await
}

/// What is not seen is as if it were not there.
fn admit(actor: &Actor, pipeline: &PipelineId, needed: Role, missing: impl FnOnce() -> Error) -> Result<()> {
    match actor.role_in(pipeline) {
        None => Err(missing()),
        Some(has) if needed <= has => Ok(()),
        Some(has) => Err(Error::Forbidden(format!(
            "this needs the role {} in the pipeline; {} has the role {} there",
            needed.as_str(),
            actor.name,
            has.as_str()
        ))),
    }
}
