//! The table `bulk_works`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bulk_works")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub action: String,
    pub state: String,
    /// A JSON object.
    pub filter: String,
    /// Runs are older than this: what is triggered later is not touched.
    pub until_id: String,
    /// The oldest run of it.
    pub from_id: String,
    /// The last run that was done: from the newest to the oldest.
    pub after_id: Option<String>,
    /// Name of who started it; what follows says by ids who that is.
    pub started_by: String,
    /// Whose it is: one that goes on for each. None: an older version started it.
    pub owner: Option<String>,
    pub token_id: Option<String>,
    pub person_id: Option<String>,
    pub total: i64,
    pub done: i64,
    pub skipped: i64,
    /// Until then a process is at it.
    pub leased_until: i64,
    pub created_at: i64,
    pub finished_at: Option<i64>,
    /// Why it was stopped.
    pub reason: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
