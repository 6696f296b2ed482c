//! `secrets.*`

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::domain::ids::PipelineId;
use crate::domain::secret::{Secret, SecretInfo};
use crate::error::Result;
use crate::rpc::Ctx;
use crate::rpc::kit::{Api, procedures};
use crate::rpc::schema::{FREE_TEXT, NAME_CURSOR, PROSE};
use crate::services;
use crate::services::secrets::SetSecret;
use crate::store::page::{LIMIT_DEFAULT, Page, PageRequest};

pub(super) fn declare(api: &mut Api) {
    procedures! { api;
        /// Stores a secret, in place of any of its name. Its value is never given out again.
        mutation secrets.set = POST "/secrets", Admin, set;
        /// Lists the secrets of a pipeline, or the global ones, without their values.
        query secrets.list = GET "/secrets", Admin, list;
        /// Deletes a secret. Steps that name it fail from then on.
        mutation secrets.delete = DELETE "/secrets/{name}", Admin, delete;
    }
}

/// A value on its way in: nothing shows it, and its bounds are checked where no complaint repeats it.
#[derive(Deserialize, Type, JsonSchema)]
#[serde(transparent)]
pub(super) struct SecretValue(String);

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A secret to be stored.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SetSecretInput {
    /// Capital letters, digits and `_`, not beginning with a digit or `SLIPWAY_`.
    #[schemars(length(min = 1, max = 100), regex(pattern = FREE_TEXT))]
    name: String,
    /// Whose it is, by id or name; without it, it is global.
    #[serde(default)]
    #[specta(type = Option<PipelineId>)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    pipeline_id: Option<String>,
    /// 6 characters to 64 KiB, without NUL.
    value: SecretValue,
    /// For people: text with line breaks.
    #[serde(default)]
    #[schemars(length(max = 2000), regex(pattern = PROSE))]
    description: Option<String>,
    /// Patterns of the branches whose runs are given it, such as `main` and `release/*`; none: all.
    #[serde(default)]
    branches: Option<Vec<String>>,
    /// Whether untrusted runs are given it too.
    #[serde(default)]
    allow_untrusted: Option<bool>,
}

async fn set(ctx: Ctx, input: SetSecretInput) -> Result<SecretInfo> {
    let SetSecretInput { name, pipeline_id, value, description, branches, allow_untrusted } = input;
    let request = SetSecret {
        name,
        pipeline: pipeline_id,
        value: Secret::new(value.0),
        description,
        branches: branches.unwrap_or_default(),
        allow_untrusted: allow_untrusted.unwrap_or(false),
    };
    services::secrets::set(&ctx.app, ctx.actor()?, request).await
}

/// Which part of which list.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListSecretsInput {
    /// Whose, by id or name; without it, the global ones.
    #[serde(default)]
    #[specta(type = Option<PipelineId>)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    pipeline_id: Option<String>,
    /// `nextCursor` of the page before.
    #[serde(default)]
    #[schemars(regex(pattern = NAME_CURSOR))]
    cursor: Option<String>,
    /// 20 if it is absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
}

async fn list(ctx: Ctx, input: ListSecretsInput) -> Result<Page<SecretInfo>> {
    let page = PageRequest { limit: input.limit.unwrap_or(LIMIT_DEFAULT), cursor: input.cursor };
    services::secrets::list(&ctx.app, input.pipeline_id.as_deref(), page).await
}

/// Which secret.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteSecretInput {
    /// Its name.
    #[schemars(length(min = 1, max = 100), regex(pattern = FREE_TEXT))]
    name: String,
    /// Whose it is, by id or name; without it, the global one.
    #[serde(default)]
    #[specta(type = Option<PipelineId>)]
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    pipeline_id: Option<String>,
}

/// That a secret is no more.
#[derive(Debug, Serialize, Deserialize, Type, JsonSchema)]
pub(super) struct DeletedSecret {
    /// Always true.
    deleted: bool,
}

async fn delete(ctx: Ctx, input: DeleteSecretInput) -> Result<DeletedSecret> {
    services::secrets::delete(&ctx.app, input.pipeline_id.as_deref(), &input.name).await?;
    Ok(DeletedSecret { deleted: true })
}

#[cfg(test)]
impl DeletedSecret {
    pub(super) fn of(deleted: bool) -> Self {
        Self { deleted }
    }
}
