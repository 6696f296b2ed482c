//! What can be queued: one struct per job kind, data only. Handlers live in `crate::worker`.
//!
//! These are stored in Redis and outlive a deployment: add fields with `#[serde(default)]`; to change a
//! meaning, add a new kind.

use serde::{Deserialize, Serialize};

use crate::domain::ids::RunId;

pub const EXECUTE_RUN: &str = "execute-run";

/// Look at a run and carry it on. The row is the truth, the job is a nudge.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecuteRun {
    pub run_id: RunId,
}
