//! A job that another program put into the queue: it triggers a run, once, however often it is delivered, and is done
//! when that is. The run then has a job of its own.
//!
//! Whoever can write to Redis is trusted as an operator is.

use std::time::Duration;

use serde_json::json;

use crate::app::App;
use crate::domain::audit::Deed;
use crate::domain::run::{Run, RunStatus};
use crate::domain::time::now;
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::jobs::consumer::{Delivery, Outcome};
use crate::rpc::foreign::JobData;
use crate::services::audit;
use crate::services::queues::foreign::key_of;
use crate::services::runs::{self, RetryFrom, TriggerRun};

/// Stands as the author of what jobs of others bring about.
const NAME: &str = "queue";
const DEED: &str = "pipelines.trigger";
/// What could not be done for a reason that may pass is tried again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Triggers the run of a job of another program, or has it tried again where the job is.
pub(super) async fn trigger_run(app: &App, data: &JobData, delivery: &Delivery) -> Outcome {
    let actor = Actor::new(NAME, Role::Operator);
    let request = match data.read(delivery.data().clone()) {
        Ok(request) => request,
        Err(error) => return refused(app, &actor, delivery, &error).await,
    };
    match take(app, &actor, delivery, request).await {
        Ok(run) => Outcome::Answered(json!({ "runId": run.id, "number": run.number })),
        Err(error @ (Error::Unavailable { .. } | Error::Internal { .. })) => {
            let job = delivery.job_id();
            tracing::warn!(job.id = job, error = error.chain(), "A job of another program is tried again");
            Outcome::Later(now().plus(LOOK_AGAIN))
        }
        Err(error) => refused(app, &actor, delivery, &error).await,
    }
}

async fn refused(app: &App, actor: &Actor, delivery: &Delivery, error: &Error) -> Outcome {
    let deed = Deed::refused(DEED, error.to_string()).to("job", delivery.job_id());
    audit::record(app, actor, deed).await;
    Outcome::GiveUp(error.to_string())
}

async fn take(app: &App, actor: &Actor, delivery: &Delivery, mut request: TriggerRun) -> Result<Run> {
    let job = delivery.job_id();
    if let Some(problem) = app.jobs.problem_of_options(job).await? {
        app.jobs
            .say(job, &format!("The options of this job cannot be read and are left out: {problem}"))
            .await?;
    }
    request.idempotency_key.get_or_insert_with(|| key_of(job, delivery.added_at_ms()));
    let run = runs::trigger_by_job(app, NAME, request).await?;
    let asked_for = app.jobs.attempt_asked_for(delivery, run.attempt + 1).await?;
    if let Some(attempt) = asked_for
        && run.status.is_ended()
        && run.attempt < attempt
    {
        let from = match run.status {
            RunStatus::Succeeded => RetryFrom::Start,
            _ => RetryFrom::Failed,
        };
        match runs::retry(app, actor, &run.id, from).await {
            // Somebody else was quicker.
            Ok(_) | Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
        let deed = Deed::done("runs.retry").to("run", run.id.as_str()).saying(format!("job {job} again"));
        audit::record(app, actor, deed).await;
    } else if asked_for.is_none() {
        let deed = Deed::done(DEED).to("run", run.id.as_str()).saying(format!("job {job}"));
        audit::record(app, actor, deed).await;
    }
    app.jobs
        .say(job, &format!("It triggered run #{} of {}: {}", run.number, run.pipeline_name, place(app, &run)))
        .await?;
    Ok(run)
}

/// Where the log of a run is found.
pub(super) fn place(app: &App, run: &Run) -> String {
    match &app.config.http.public_url {
        Some(url) => format!("{url}/r/{}", run.id),
        None => run.id.to_string(),
    }
}
