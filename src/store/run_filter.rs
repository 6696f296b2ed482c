//! Which runs a list has, and how each combination of filters finds them by an index, in order.

use sea_orm::sea_query::{Expr, ExprTrait as _, Query, UnionType};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
    Select,
};
use serde::{Deserialize, Serialize};

use crate::domain::ids::{PipelineId, RunId};
use crate::domain::run::RunStatus;
use crate::domain::time::Timestamp;
use crate::store::entities::run;
use crate::store::runs::light;

/// Bulk works keep theirs, as JSON. A server that does not know all of it must not carry it out: it would do more than was
/// asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFilter {
    /// Only of these; none: of any. At most `GRANTS_MAX`.
    pub pipelines: Option<Vec<PipelineId>>,
    pub pipeline_id: Option<PipelineId>,
    pub status: Option<RunStatus>,
    pub branch: Option<String>,
    /// Only those that were triggered by somebody of this name.
    pub by: Option<String>,
    /// Made from then on.
    pub since: Option<Timestamp>,
    /// Made before then.
    pub until: Option<Timestamp>,
}

/// The newest that match, but for `since`: what is older comes last, and is left out of what was found. Given both ends, SQLite
/// takes an index of fewer columns and looks at runs that others made.
pub(super) fn list_query(filter: &RunFilter, before: Option<&RunId>, rows: u64) -> Select<run::Entity> {
    narrowed(light(), filter, before, rows)
}

/// Whether a run is one of the newest of one of these pipelines: of each, so many.
pub(super) fn is_newest_of_each(pipelines: &[PipelineId], rows: u64) -> Expr {
    let each = pipelines.iter().map(|id| RunFilter { pipeline_id: Some(id.clone()), ..RunFilter::default() });
    is_newest_of(each.collect(), None, rows)
}

/// The filters that together match the same, each of which has an index that gives its runs in order; none: this one has.
fn parts(filter: &RunFilter) -> Option<Vec<RunFilter>> {
    if let Some(some) = &filter.pipelines {
        let of =
            |id: &PipelineId| RunFilter { pipeline_id: Some(id.clone()), pipelines: None, ..filter.clone() };
        return Some(some.iter().map(of).collect());
    }
    if filter.by.is_some() && filter.status.is_none() {
        let that_are = |status| RunFilter { status: Some(status), ..filter.clone() };
        return Some(RunStatus::ALL.map(that_are).to_vec());
    }
    None
}

/// Whether a run is one of the newest of one of these parts.
fn is_newest_of(parts: Vec<RunFilter>, before: Option<&RunId>, rows: u64) -> Expr {
    // Of each part so many as a page has, found by index and in order: the newest of all are among them. A condition
    // on all parts at once would make the engines sort every run that they have.
    let of_each = parts.iter().map(|part| {
        let ids = run::Entity::find().select_only().column(run::Column::Id);
        let newest = narrowed(ids, part, before, rows).into_query();
        Query::select().column(run::Column::Id).from_subquery(newest, "newest").take()
    });
    let candidates = of_each.reduce(|mut all, one| all.union(UnionType::All, one).take());
    match candidates {
        Some(candidates) => run::Column::Id.in_subquery(candidates),
        None => Expr::cust("FALSE"),
    }
}

/// Of those that [`list_query`] finds.
pub(super) fn is_since(filter: &RunFilter) -> Option<Expr> {
    filter.since.map(|at| Expr::col(run::Column::Id).gte(RunId::first_at(at).as_str()))
}

fn narrowed(
    query: Select<run::Entity>,
    filter: &RunFilter,
    before: Option<&RunId>,
    rows: u64,
) -> Select<run::Entity> {
    let mut query = query.order_by_desc(run::Column::Id).limit(rows);
    if let Some(parts) = parts(filter) {
        return query.filter(is_newest_of(parts, before, rows));
    }
    let equal = [
        (run::Column::PipelineId, filter.pipeline_id.as_ref().map(PipelineId::as_str)),
        (run::Column::Status, filter.status.map(RunStatus::as_str)),
        (run::Column::Branch, filter.branch.as_deref()),
        (run::Column::TriggerBy, filter.by.as_deref()),
    ];
    for (column, value) in equal {
        if let Some(value) = value {
            query = query.filter(column.eq(value));
        }
    }
    // As one bound: of two, an engine may begin at the later one.
    match before.cloned().into_iter().chain(filter.until.map(RunId::first_at)).min() {
        Some(end) => query.filter(run::Column::Id.lt(end.as_str())),
        None => query,
    }
}
