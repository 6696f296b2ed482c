//! The table `runs`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "runs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub number: i64,
    pub pipeline_id: String,
    /// The pipeline's name when the run was made.
    pub pipeline_name: String,
    pub status: String,
    pub progress: i64,
    pub attempt: i64,
    pub attempts_max: i64,
    pub branch: Option<String>,
    pub commit_id: Option<String>,
    pub trigger_kind: String,
    pub trigger_by: String,
    pub untrusted: bool,
    pub version: i64,
    pub epoch: i64,
    pub worker_id: Option<String>,
    pub lines: i64,
    pub last_line_at: Option<i64>,
    pub next_attempt_at: Option<i64>,
    pub created_at: i64,
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
    pub deadline: Option<i64>,
    pub cancel_requested: bool,
    pub losses: i64,
    pub settled: bool,
    pub archived: bool,
    pub restart: bool,
    pub taken_from: Option<String>,
    pub idempotency_key: Option<String>,
    pub log_purged_at: Option<i64>,
    pub log_purged_by: Option<String>,
    pub repository: Option<String>,
    pub reason: Option<String>,
    pub error: Option<String>,
    /// A JSON object of strings.
    pub inputs: String,
    pub definition: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
