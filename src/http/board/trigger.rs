//! What is added to the queue of runs is a trigger, and is read as every other trigger is.

use serde_json::{Value, json};

use crate::domain::ids::RunId;
use crate::error::Result;
use crate::rpc::foreign::JobData;
use crate::rpc::schema::ID;
use crate::services::queues::{Change, NewJob};

/// The options are left out: they are the pipeline's.
pub(super) fn of(data: &JobData, job: NewJob) -> Result<Change> {
    match run_in(&job.data) {
        Some(run) => Ok(Change::TriggerAgain(run)),
        None => Ok(Change::Trigger(data.read(job.data)?)),
    }
}

/// What an editor holds the data of a job to: that of a trigger, or of a job of ours; and what it starts with.
pub(super) fn schema() -> Value {
    let mut schema = JobData::schema();
    let run = json!({ "type": "string", "pattern": ID, "description": "The run that is asked for again." });
    schema.ensure_object().entry("properties").or_insert_with(|| json!({}))["runId"] = run;
    schema.remove("required");
    schema.insert(
        "oneOf".to_owned(),
        json!([
            { "required": ["pipelineId"], "properties": { "runId": false } },
            { "required": ["runId"], "maxProperties": 1 },
        ]),
    );
    schema.insert("default".to_owned(), json!({ "pipelineId": "", "inputs": {} }));
    schema.to_value()
}

/// The data of a job of ours names its run, and nothing else: duplicated, it asks for the same run again.
fn run_in(data: &Value) -> Option<RunId> {
    let fields = data.as_object().filter(|fields| fields.len() == 1)?;
    fields.get("runId")?.as_str()?.parse().ok()
}
