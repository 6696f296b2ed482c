//! The table `pipelines`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pipelines")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub name: String,
    /// The name in lower case, for searches: the engines fold only some letters, and not the same ones.
    pub name_folded: String,
    pub description: Option<String>,
    pub repository: Option<String>,
    pub default_branch: Option<String>,
    pub next_run_number: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub deleted_at: Option<i64>,
    pub definition: Option<String>,
    /// A JSON object.
    pub retention: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
