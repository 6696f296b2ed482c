//! What other programs put into the queue, read as `pipelines.trigger` reads what it is sent: by the same schema, with the
//! same words for what is wrong.

use schemars::Schema;
use serde_json::Value;

use crate::error::Error;
use crate::rpc::error::said;
use crate::rpc::input::InputCheck;
use crate::rpc::pipelines::TriggerInput;
use crate::rpc::schema;
use crate::services::runs::TriggerRun;

/// Reads the data of jobs, whichever way they come. Made once.
#[derive(Debug)]
pub struct JobData(InputCheck);

impl Default for JobData {
    fn default() -> Self {
        Self(InputCheck::of::<TriggerInput>())
    }
}

impl JobData {
    /// What the data of a job has to be.
    pub fn schema() -> Schema {
        schema::of_inputs().into_root_schema_for::<TriggerInput>()
    }

    /// # Errors
    ///
    /// `Invalid`, with all that is wrong; each complaint names its field.
    pub fn read(&self, data: Value) -> Result<TriggerRun, Error> {
        match self.0.read::<TriggerInput>(data) {
            Ok(input) => Ok(input.into()),
            Err(problems) => Err(Error::invalid("data", said(&problems))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_told_as_the_procedure_tells_it() {
        let data = JobData::default();
        let request =
            data.read(json!({ "pipelineId": "web", "branch": "main", "inputs": { "A": "1" } })).unwrap();
        assert_eq!((request.pipeline.as_str(), request.branch.as_deref()), ("web", Some("main")));
        for (wrong, said) in [
            (json!(null), "data: pipelineId: is required"),
            (json!("web"), "data: \"web\" is not of type \"object\""),
            (json!({ "pipelineId": "web", "branch": "-x" }), "data: branch: "),
            (json!({ "pipelineId": "web", "inputs": { "A": 1 } }), "data: inputs.A: "),
            (json!({ "pipelineId": "web", "runId": "1" }), "data: runId: is not a field of this input"),
        ] {
            let error = data.read(wrong.clone()).unwrap_err().to_string();
            assert!(error.starts_with(said), "{wrong}: {error}");
        }
    }
}
