//! Queries on secrets. Their values are encrypted before they come here.

use std::collections::BTreeSet;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    Select,
};

use crate::domain::ids::PipelineId;
use crate::domain::keyring::Sealed;
use crate::domain::secret::SecretInfo;
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::Store;
use crate::store::column::{Reader, count, millis};
use crate::store::entities::secret;
use crate::store::error::DbResult as _;
use crate::store::page::{Page, PageRequest};

/// How many keys are named of those in use: each is one rotation.
const KEYS_MAX: usize = 100;

/// A secret as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    pub info: SecretInfo,
    pub sealed: Sealed,
}

/// Stores a new secret. False: there is one already.
pub async fn insert(store: &Store, new: &StoredSecret) -> Result<bool> {
    let StoredSecret { info, sealed } = new;
    let row = secret::ActiveModel {
        pipeline_id: Set(scope(info.pipeline_id.as_ref()).to_owned()),
        name: Set(info.name.clone()),
        description: Set(info.description.clone()),
        branches: Set(serde_json::json!(info.branches).to_string()),
        allow_untrusted: Set(info.allow_untrusted),
        key_id: Set(sealed.key_id.clone()),
        nonce: Set(sealed.nonce.clone()),
        ciphertext: Set(sealed.ciphertext.clone()),
        version: Set(count(info.version)),
        created_at: Set(info.created_at.as_millis()),
        created_by: Set(info.created_by.clone()),
        updated_at: Set(info.updated_at.as_millis()),
        updated_by: Set(info.updated_by.clone()),
        last_used_at: Set(millis(info.last_used_at)),
    };
    let inserted = secret::Entity::insert(row).exec_without_returning(&store.writer).await;
    match inserted.doing("storing a secret") {
        Ok(_) => Ok(true),
        Err(crate::error::Error::Conflict(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Stores what a secret is now, in place of the version before it. False: somebody else has changed it.
pub async fn replace(store: &Store, new: &StoredSecret) -> Result<bool> {
    let StoredSecret { info, sealed } = new;
    let before = count(info.version.saturating_sub(1));
    let updated = secret::Entity::update_many()
        .col_expr(secret::Column::Description, Expr::value(info.description.clone()))
        .col_expr(secret::Column::Branches, Expr::value(serde_json::json!(info.branches).to_string()))
        .col_expr(secret::Column::AllowUntrusted, Expr::value(info.allow_untrusted))
        .col_expr(secret::Column::KeyId, Expr::value(sealed.key_id.clone()))
        .col_expr(secret::Column::Nonce, Expr::value(sealed.nonce.clone()))
        .col_expr(secret::Column::Ciphertext, Expr::value(sealed.ciphertext.clone()))
        .col_expr(secret::Column::Version, Expr::value(count(info.version)))
        .col_expr(secret::Column::UpdatedAt, Expr::value(info.updated_at.as_millis()))
        .col_expr(secret::Column::UpdatedBy, Expr::value(info.updated_by.clone()))
        .filter(is(info.pipeline_id.as_ref(), &info.name))
        .filter(secret::Column::Version.eq(before))
        .exec(&store.writer)
        .await
        .doing("changing a secret")?;
    Ok(updated.rows_affected == 1)
}

/// Stores the same value under another key. False: somebody else has changed it.
pub async fn reseal(store: &Store, secret: &StoredSecret, sealed: &Sealed) -> Result<bool> {
    let updated = secret::Entity::update_many()
        .col_expr(secret::Column::KeyId, Expr::value(sealed.key_id.clone()))
        .col_expr(secret::Column::Nonce, Expr::value(sealed.nonce.clone()))
        .col_expr(secret::Column::Ciphertext, Expr::value(sealed.ciphertext.clone()))
        .filter(is(secret.info.pipeline_id.as_ref(), &secret.info.name))
        .filter(secret::Column::Version.eq(count(secret.info.version)))
        .filter(secret::Column::KeyId.eq(secret.sealed.key_id.as_str()))
        .exec(&store.writer)
        .await
        .doing("storing a secret under another key")?;
    Ok(updated.rows_affected == 1)
}

pub async fn find(store: &Store, pipeline: Option<&PipelineId>, name: &str) -> Result<Option<StoredSecret>> {
    let row = one_query(pipeline, name).one(&store.reader).await.doing("looking up a secret")?;
    row.map(read).transpose()
}

pub(super) fn one_query(pipeline: Option<&PipelineId>, name: &str) -> Select<secret::Entity> {
    secret::Entity::find().filter(is(pipeline, name))
}

/// Those of these names that a pipeline's runs may be given: its own, and the global ones.
pub async fn find_for(store: &Store, pipeline: &PipelineId, names: &[&str]) -> Result<Vec<StoredSecret>> {
    let rows = names_query(pipeline, names).all(&store.reader).await.doing("looking up secrets")?;
    rows.into_iter().map(read).collect()
}

pub(super) fn names_query(pipeline: &PipelineId, names: &[&str]) -> Select<secret::Entity> {
    secret::Entity::find()
        .filter(secret::Column::PipelineId.is_in([scope(None), scope(Some(pipeline))]))
        .filter(secret::Column::Name.is_in(names.iter().copied()))
}

/// Those of a pipeline, or the global ones, by name.
pub async fn list(
    store: &Store,
    pipeline: Option<&PipelineId>,
    page: PageRequest,
) -> Result<Page<SecretInfo>> {
    let query = list_query(pipeline, page.after()?, page.rows());
    let rows = query.all(&store.reader).await.doing("listing secrets")?;
    let infos = rows.into_iter().map(|row| Ok(read(row)?.info)).collect::<Result<Vec<_>>>()?;
    Ok(page.page(infos, |info| &info.name))
}

pub(super) fn list_query(
    pipeline: Option<&PipelineId>,
    after: Option<String>,
    rows: u64,
) -> Select<secret::Entity> {
    let query = secret::Entity::find()
        .filter(secret::Column::PipelineId.eq(scope(pipeline)))
        .order_by_asc(secret::Column::Name)
        .limit(rows);
    match after {
        Some(name) => query.filter(secret::Column::Name.gt(name)),
        None => query,
    }
}

/// Whether there was one.
pub async fn delete(store: &Store, pipeline: Option<&PipelineId>, name: &str) -> Result<bool> {
    let deleted = secret::Entity::delete_many().filter(is(pipeline, name)).exec(&store.writer).await;
    Ok(0 < deleted.doing("deleting a secret")?.rows_affected)
}

/// Notes when secrets were given to a step last.
pub async fn touch(store: &Store, infos: &[&SecretInfo], now: Timestamp) -> Result<()> {
    if infos.is_empty() {
        return Ok(());
    }
    let each = infos.iter().map(|info| is(info.pipeline_id.as_ref(), &info.name));
    secret::Entity::update_many()
        .col_expr(secret::Column::LastUsedAt, Expr::value(now.as_millis()))
        .filter(each.fold(Condition::any(), Condition::add))
        .exec(&store.writer)
        .await
        .doing("noting the use of a secret")?;
    Ok(())
}

/// The ids of the keys under which secrets are stored: each is looked up past the one before, at the cost of the keys
/// and not of the secrets.
pub async fn key_ids(store: &Store) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    let mut after = String::new();
    while ids.len() < KEYS_MAX {
        let next = key_after_query(&after).one(&store.reader).await.doing("listing the keys of secrets")?;
        let Some(row) = next else { break };
        after.clone_from(&row.key_id);
        ids.insert(row.key_id);
    }
    Ok(ids)
}

pub(super) fn key_after_query(after: &str) -> Select<secret::Entity> {
    secret::Entity::find()
        .filter(secret::Column::KeyId.gt(after))
        .order_by_asc(secret::Column::KeyId)
        .limit(1)
}

/// How many are stored under this key, if they are not more than `max`.
pub async fn count_under_key(store: &Store, key_id: &str, max: u64) -> Result<usize> {
    let query = under_key_query(key_id, max).select_only().column(secret::Column::Name);
    let names: Vec<String> = query.into_tuple().all(&store.reader).await.doing("counting secrets by key")?;
    Ok(names.len())
}

/// The first of those that are stored under this key.
pub async fn under_key(store: &Store, key_id: &str, rows: u64) -> Result<Vec<StoredSecret>> {
    let rows = under_key_query(key_id, rows).all(&store.reader).await.doing("listing secrets by key")?;
    rows.into_iter().map(read).collect()
}

pub(super) fn under_key_query(key_id: &str, rows: u64) -> Select<secret::Entity> {
    secret::Entity::find()
        .filter(secret::Column::KeyId.eq(key_id))
        .order_by_asc(secret::Column::PipelineId)
        .order_by_asc(secret::Column::Name)
        .limit(rows)
}

/// Those of a pipeline that is no more.
pub(super) fn of_pipeline(pipeline: &PipelineId) -> SimpleExpr {
    secret::Column::PipelineId.eq(pipeline.as_str())
}

fn is(pipeline: Option<&PipelineId>, name: &str) -> Condition {
    Condition::all().add(secret::Column::PipelineId.eq(scope(pipeline))).add(secret::Column::Name.eq(name))
}

fn scope(pipeline: Option<&PipelineId>) -> &str {
    pipeline.map_or("", PipelineId::as_str)
}

fn read(row: secret::Model) -> Result<StoredSecret> {
    const READER: Reader = Reader("reading a row of secrets");
    let is_global = row.pipeline_id.is_empty();
    Ok(StoredSecret {
        info: SecretInfo {
            name: row.name,
            pipeline_id: (!is_global).then(|| READER.id("pipeline_id", &row.pipeline_id)).transpose()?,
            description: row.description,
            branches: READER.json("branches", &row.branches)?,
            allow_untrusted: row.allow_untrusted,
            version: READER.number("version", row.version)?,
            created_at: Timestamp::from_millis(row.created_at),
            created_by: row.created_by,
            updated_at: Timestamp::from_millis(row.updated_at),
            updated_by: row.updated_by,
            last_used_at: Reader::at(row.last_used_at),
        },
        sealed: Sealed { key_id: row.key_id, nonce: row.nonce, ciphertext: row.ciphertext },
    })
}
