//! Jobs that other programs added, and the runs that they became.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::single::{run_if_known, take_out};
use super::{QueueName, Refusal, StoredJob};
use crate::app::App;
use crate::domain::ids::RunId;
use crate::domain::token::Actor;
use crate::error::Result;
use crate::jobs::QUEUE;
use crate::services::access;
use crate::services::runs::{self, Withdrawal};

/// The idempotency key of the run of such a job: the same for each delivery of it, and for no other job, since an id may
/// be used again once its job is removed.
pub fn key_of(job_id: &str, added_at_ms: u64) -> String {
    let whole = format!("{QUEUE}\0{job_id}\0{added_at_ms}");
    let digest = Sha256::digest(whole.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("job-{hex}")
}

/// The run that a finished job names as its result.
pub(super) fn run_in_result(queue: QueueName, job: &StoredJob) -> Option<RunId> {
    let named = job.return_value.as_ref()?.get("runId")?.as_str()?;
    if queue == QueueName::Pipelines { named.parse().ok() } else { None }
}

/// Removes a job that is nobody's run, and has the run that it became end, as removing that run's own job would: one that
/// a worker has is left to it, and one that has ended is left as it is.
pub(super) async fn remove(
    app: &App,
    actor: &Actor,
    queue: QueueName,
    job: &StoredJob,
) -> Result<(), Refusal> {
    let before = run_of(app, actor, queue, job).await?;
    if let Some(run) = &before
        && withdraw(app, actor, queue, run).await? == Withdrawal::Held
    {
        return Err(Refusal::Active);
    }
    take_out(app, queue, &job.id).await?;
    // A worker may have triggered it at this moment; from now on, nobody does.
    if before.is_none()
        && let Some(run) = run_of(app, actor, queue, job).await?
        && run_if_known(app, actor, &run).await?.is_some()
    {
        runs::cancel(app, actor, &run).await?;
    }
    Ok(())
}

async fn withdraw(app: &App, actor: &Actor, queue: QueueName, run: &RunId) -> Result<Withdrawal, Refusal> {
    match run_if_known(app, actor, run).await? {
        None => Ok(Withdrawal::Ended),
        Some(status) if status.is_ended() => Ok(Withdrawal::Ended),
        Some(_) => {
            let outcome = runs::withdraw(app, actor, run).await?;
            if outcome == Withdrawal::Ended {
                take_out(app, queue, run.as_str()).await?;
            }
            Ok(outcome)
        }
    }
}

/// The run that a job became; none: it has not become one, or is another kind of job.
async fn run_of(app: &App, actor: &Actor, queue: QueueName, job: &StoredJob) -> Result<Option<RunId>> {
    if queue != QueueName::Pipelines {
        return Ok(None);
    }
    if let Some(run) = run_in_result(queue, job) {
        return Ok(Some(run));
    }
    let text = |name: &str| job.data.as_ref()?.get(name).and_then(Value::as_str);
    let (Some(pipeline), Some(added_at_ms)) = (text("pipelineId"), job.timestamp.as_u64()) else {
        return Ok(None);
    };
    let key = match text("idempotencyKey") {
        Some(key) => key.to_owned(),
        None => key_of(&job.id, added_at_ms),
    };
    access::run_by_key(app, actor, pipeline, &key).await
}
