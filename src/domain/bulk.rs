//! What is done to many runs at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::domain::ids::{BulkWorkId, PersonId, TokenId};
use crate::domain::run::RunStatus;
use crate::domain::time::Timestamp;
use crate::domain::token::{Actor, Role};

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

    /// Why it leaves out a run that stands there; none: it does not.
    pub const fn leaves_out(self, status: RunStatus, has_log: bool) -> Option<LeftOut> {
        match (self, status.is_ended()) {
            (Self::Cancel, true) => Some(LeftOut::Ended),
            (Self::Cancel, false) if matches!(status, RunStatus::Canceling) => Some(LeftOut::Canceled),
            (Self::Cancel, false) => None,
            (Self::Retry | Self::Delete, false) => Some(LeftOut::Live),
            (Self::Retry, true) if matches!(status, RunStatus::Canceled) => Some(LeftOut::Canceled),
            (Self::Retry, true) if !has_log => Some(LeftOut::NoLog),
            (Self::Retry | Self::Delete, true) => None,
        }
    }
}

/// Why a run is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[specta(rename = "BulkLeftOut")]
#[schemars(rename = "BulkLeftOut")]
pub enum LeftOut {
    /// It has not ended.
    Live,
    /// It has ended already.
    Ended,
    /// Somebody has canceled it.
    Canceled,
    /// Its log was purged.
    NoLog,
}

impl LeftOut {
    pub const ALL: [Self; 4] = [Self::Live, Self::Ended, Self::Canceled, Self::NoLog];
}

/// Whose a bulk work is, by ids: names are given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starter {
    /// What it was started with; none: the admin token, or a session, which a person's work outlasts.
    pub token: Option<TokenId>,
    /// On whose behalf; none: there is no account behind it.
    pub person: Option<PersonId>,
}

impl Starter {
    /// Each has one work that goes on: a person, a token of nobody, whoever has the admin token.
    pub fn owner(&self) -> &str {
        owner(self.person.as_ref(), self.token.as_ref())
    }
}

/// As [`Starter::owner`], of who asks.
pub fn owner_of(actor: &Actor) -> &str {
    owner(actor.person.as_ref(), actor.token.as_ref())
}

fn owner<'a>(person: Option<&'a PersonId>, token: Option<&'a TokenId>) -> &'a str {
    person.map(PersonId::as_str).or(token.map(TokenId::as_str)).unwrap_or("admin")
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
    /// Somebody stopped it, or who started it may no longer do it: `reason` says so.
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
    /// Why it was stopped, or is being stopped; null: it was not.
    pub reason: Option<String>,
}
