//! What is done to many runs at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::domain::ids::BulkWorkId;
use crate::domain::run::RunStatus;
use crate::domain::time::Timestamp;
use crate::domain::token::Role;

/// Runs of one bulk work, at the most: the newest of those that match.
pub const RUNS_MAX: u32 = 10_000;

/// What is done to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    /// Those that have not ended are canceled.
    Cancel,
    /// Those that have ended are tried again from what failed, except canceled ones and those without a log.
    Retry,
    /// Those that have ended are deleted.
    Delete,
}

impl BulkAction {
    pub const ALL: [Self; 3] = [Self::Cancel, Self::Retry, Self::Delete];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Delete => "delete",
        }
    }

    /// What who starts it needs in the pipelines of the runs.
    pub const fn needs(self) -> Role {
        match self {
            Self::Cancel | Self::Retry => Role::Operator,
            Self::Delete => Role::Admin,
        }
    }

    /// Whether it does something to a run that stands there.
    pub const fn concerns(self, status: RunStatus) -> bool {
        match self {
            Self::Cancel => !status.is_ended(),
            Self::Retry => status.is_ended() && !matches!(status, RunStatus::Canceled),
            Self::Delete => status.is_ended(),
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkState {
    Running,
    /// To be stopped: the runs at hand are finished first.
    Stopping,
    /// All of its runs were looked at.
    Done,
    /// Somebody stopped it.
    Stopped,
}

impl BulkState {
    pub const ALL: [Self; 4] = [Self::Running, Self::Stopping, Self::Done, Self::Stopped];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Done => "done",
            Self::Stopped => "stopped",
        }
    }
}

/// Something that is done to many runs, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BulkWork {
    /// Identifies it.
    pub id: BulkWorkId,
    /// What is done to each run.
    pub action: BulkAction,
    /// How far it is.
    pub state: BulkState,
    /// How many runs matched when it was started.
    pub total: u32,
    /// To how many it was done.
    pub done: u32,
    /// How many were left out: what they are does not allow it, or they are gone.
    pub skipped: u32,
    /// Who started it.
    pub started_by: String,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it was done, or stopped.
    pub finished_at: Option<Timestamp>,
}
