//! The audit trail's rows. They are added and read, never changed.

use sea_orm::ActiveValue::Set;
use sea_orm::EntityTrait as _;

use crate::domain::audit::Entry;
use crate::error::Result;
use crate::store::Store;
use crate::store::column::millis;
use crate::store::entities::audit;
use crate::store::error::DbResult as _;

/// Adds entries, all or none.
pub async fn insert(store: &Store, entries: &[Entry]) -> Result<()> {
    let rows = entries.iter().map(|entry| audit::ActiveModel {
        id: Set(entry.id.to_string()),
        at: Set(millis(Some(entry.at)).unwrap_or_default()),
        actor: Set(entry.actor.clone()),
        token_id: Set(entry.token.as_ref().map(ToString::to_string)),
        ip: Set(entry.ip.map(|ip| ip.to_string())),
        request_id: Set(entry.request_id.clone()),
        action: Set(entry.deed.action.to_owned()),
        target_kind: Set(entry.deed.target.as_ref().map(|target| target.kind.to_owned())),
        target_id: Set(entry.deed.target.as_ref().map(|target| target.id.clone())),
        outcome: Set(entry.deed.outcome.as_str().to_owned()),
        detail: Set(entry.deed.detail.clone()),
    });
    audit::Entity::insert_many(rows)
        .exec_without_returning(&store.writer)
        .await
        .doing("adding to the audit trail")?;
    Ok(())
}
