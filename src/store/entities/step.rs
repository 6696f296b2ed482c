//! The table `steps`: every attempt of every step.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "steps")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub run_id: String,
    /// The step's place in the definition, from 0.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub attempt: i64,
    pub name: String,
    pub status: String,
    pub exit_code: Option<i64>,
    pub reason: Option<String>,
    /// A JSON list of names.
    pub needs: String,
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
    pub first_line: Option<i64>,
    pub last_line: Option<i64>,
    pub first_error_line: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
