//! What is added to the queue of runs is a trigger, and is read as every other trigger is.

use serde_json::Value;

use crate::domain::ids::RunId;
use crate::error::Result;
use crate::rpc::foreign::JobData;
use crate::services::queues::{Change, NewJob};

/// The options are left out: they are the pipeline's.
pub(super) fn of(data: &JobData, job: NewJob) -> Result<Change> {
    match run_in(&job.data) {
        Some(run) => Ok(Change::TriggerAgain(run)),
        None => Ok(Change::Trigger(data.read(job.data)?)),
    }
}

/// The data of a job of ours names its run, and nothing else: duplicated, it asks for the same run again.
fn run_in(data: &Value) -> Option<RunId> {
    let fields = data.as_object().filter(|fields| fields.len() == 1)?;
    fields.get("runId")?.as_str()?.parse().ok()
}
