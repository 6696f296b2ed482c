//! The audit trail's rows. They are added and read, never changed, and removed once they are old.

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};

use crate::domain::audit::{AuditEntry, Entry, Outcome};
use crate::domain::ids::AuditId;
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::store::Store;
use crate::store::column::{Reader, millis};
use crate::store::entities::audit;
use crate::store::error::DbResult as _;
use crate::store::page::{Page, PageRequest};

/// Which entries.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub actor: Option<String>,
    pub action: Option<String>,
    pub target: Option<String>,
    pub outcome: Option<Outcome>,
    /// From then on.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
}

/// Newest first.
pub async fn list(store: &Store, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditEntry>> {
    let query = list_query(filter, page.after_id()?.as_ref(), page.rows());
    let rows = query.all(&store.reader).await.doing("listing the audit trail")?;
    let entries = rows.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(page.page_of_ids(entries, |entry| entry.id.as_str()))
}

pub(super) fn list_query(filter: &AuditFilter, before: Option<&AuditId>, rows: u64) -> Select<audit::Entity> {
    use audit::Column;

    let AuditFilter { actor, action, target, outcome, since, until } = filter;
    let mut query = audit::Entity::find().order_by_desc(Column::Id).limit(rows);
    let equal = [
        (Column::Actor, actor.as_deref()),
        (Column::Action, action.as_deref()),
        (Column::TargetId, target.as_deref()),
        (Column::Outcome, outcome.map(Outcome::as_str)),
    ];
    for (column, value) in equal {
        if let Some(value) = value {
            query = query.filter(column.eq(value));
        }
    }
    if let Some(since) = since {
        query = query.filter(Column::Id.gte(AuditId::first_at(*since).as_str()));
    }
    // As one bound: of two, an engine may begin at the later one.
    match before.cloned().into_iter().chain(until.map(AuditId::first_at)).min() {
        Some(end) => query.filter(Column::Id.lt(end.as_str())),
        None => query,
    }
}

fn read(row: audit::Model) -> Result<AuditEntry> {
    const READER: Reader = Reader("reading a row of the audit trail");
    Ok(AuditEntry {
        id: READER.id("id", &row.id)?,
        at: Timestamp::from_millis(row.at),
        actor: row.actor,
        token_id: row.token_id.map(|id| READER.id("token_id", &id)).transpose()?,
        ip: row.ip,
        request_id: row.request_id,
        action: row.action,
        target_kind: row.target_kind,
        target_id: row.target_id,
        outcome: READER.word("outcome", &row.outcome, Outcome::parse(&row.outcome))?,
        detail: row.detail,
    })
}

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

/// Removes up to `rows` of the oldest entries from before then; gives how many it removed. Of two who do it at once, the
/// second finds that its entries have gone.
pub async fn trim(store: &Store, before: Timestamp, rows: u64) -> Result<u64> {
    let oldest: Vec<String> =
        oldest_query(before, rows).into_tuple().all(&store.reader).await.doing("reading old entries")?;
    let Some(last) = oldest.last() else { return Ok(0) };
    // As a range: given the ids by a subquery, PostgreSQL would read the whole table.
    let deleted = audit::Entity::delete_many()
        .filter(audit::Column::Id.lte(last.as_str()))
        .exec(&store.writer)
        .await
        .doing("removing old entries of the audit trail")?;
    Ok(deleted.rows_affected)
}

pub(super) fn oldest_query(before: Timestamp, rows: u64) -> Select<audit::Entity> {
    audit::Entity::find()
        .select_only()
        .column(audit::Column::Id)
        .filter(audit::Column::Id.lt(AuditId::first_at(before).as_str()))
        .order_by_asc(audit::Column::Id)
        .limit(rows)
}
