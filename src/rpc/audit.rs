//! `audit.*`

use schemars::JsonSchema;
use serde::Deserialize;
use specta::Type;

use crate::domain::audit::{AuditEntry, Outcome};
use crate::domain::time::Timestamp;
use crate::error::Result;
use crate::rpc::Ctx;
use crate::rpc::kit::{Api, procedures};
use crate::rpc::schema::{FREE_TEXT, ID, TIME};
use crate::rpc::times::time;
use crate::services;
use crate::services::audit::AuditFilter;
use crate::store::page::{LIMIT_DEFAULT, Page, PageRequest};

pub(super) fn declare(api: &mut Api) {
    procedures! { api;
        /// Lists who did what, newest first. As lines over plain HTTP, all of it at once.
        query audit.list = GET "/audit", Admin, list;
    }
}

/// Which entries, and which part of their list.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListAuditInput {
    /// Only what was done by somebody of this name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    actor: Option<String>,
    /// Only this, such as `runs.cancel`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    action: Option<String>,
    /// Only what was done to the thing with this id, or name where it has no other.
    #[serde(default)]
    #[schemars(length(min = 1, max = 300), regex(pattern = FREE_TEXT))]
    target: Option<String>,
    /// Only what went so.
    #[serde(default)]
    outcome: Option<Outcome>,
    /// Only from then on, such as `2026-11-25T12:00:00Z`.
    #[serde(default)]
    #[specta(type = Option<Timestamp>)]
    #[schemars(regex(pattern = TIME))]
    since: Option<String>,
    /// Only before then.
    #[serde(default)]
    #[specta(type = Option<Timestamp>)]
    #[schemars(regex(pattern = TIME))]
    until: Option<String>,
    /// `nextCursor` of the page before.
    #[serde(default)]
    #[schemars(regex(pattern = ID))]
    cursor: Option<String>,
    /// 20 if it is absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
}

async fn list(ctx: Ctx, input: ListAuditInput) -> Result<Page<AuditEntry>> {
    let ListAuditInput { actor, action, target, outcome, since, until, cursor, limit } = input;
    let (since, until) = (time("since", since)?, time("until", until)?);
    let filter = AuditFilter { actor, action, target, outcome, since, until };
    let page = PageRequest { limit: limit.unwrap_or(LIMIT_DEFAULT), cursor };
    services::audit::list(&ctx.app, &filter, page).await
}
