//! `tokens.*`

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::domain::text::NAME_PATTERN;
use crate::domain::token::{Grant, Role, Token};
use crate::error::Result;
use crate::rpc::Ctx;
use crate::rpc::kit::{Api, procedures};
use crate::rpc::schema::{FREE_TEXT, ID};
use crate::services;
use crate::services::tokens::CreateToken;
use crate::store::page::{LIMIT_DEFAULT, Page, PageRequest};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn declare(api: &mut Api) {
    procedures! { api;
        /// Makes an access token. Its value is given this once; only its hash is kept.
        mutation tokens.create = POST "/tokens" -> 201 at "/tokens/{token.id}", Admin, create;
        /// Lists access tokens, without their values.
        query tokens.list = GET "/tokens", Admin, list;
        /// Ends an access token at once.
        mutation tokens.revoke = DELETE "/tokens/{token}", Admin, revoke;
    }
}

/// An access token to be made.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateTokenInput {
    /// Unique among those that are not revoked: letters, digits, spaces and `. _ - /`.
    #[schemars(length(min = 1, max = 100), regex(pattern = NAME_PATTERN))]
    name: String,
    /// What its bearer may do to everything; null or absent: nothing but what `grants` say.
    #[serde(default)]
    role: Option<Role>,
    /// What its bearer may do to single pipelines beyond that.
    #[serde(default)]
    #[schemars(length(max = 100))]
    grants: Option<Vec<Grant>>,
    /// Without it, the token does not expire.
    #[serde(default)]
    #[schemars(range(min = 1, max = 3650))]
    expires_in_days: Option<u32>,
}

/// An access token that has just been made.
#[derive(Debug, Serialize, Deserialize, Type, JsonSchema)]
pub(super) struct CreatedToken {
    /// What is kept of it.
    token: Token,
    /// What programs send: `Authorization: Bearer <value>`.
    value: String,
}

async fn create(ctx: Ctx, input: CreateTokenInput) -> Result<CreatedToken> {
    let CreateTokenInput { name, role, grants, expires_in_days } = input;
    let expires_in = expires_in_days.map(|days| DAY * days);
    let request = CreateToken { name, role, grants: grants.unwrap_or_default(), expires_in };
    let (token, value) = services::tokens::create(&ctx.app, ctx.actor()?, request).await?;
    Ok(CreatedToken { token, value: value.reveal().clone() })
}

/// Which part of the list.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListTokensInput {
    /// `nextCursor` of the page before.
    #[serde(default)]
    #[schemars(regex(pattern = ID))]
    cursor: Option<String>,
    /// 20 if it is absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
}

async fn list(ctx: Ctx, input: ListTokensInput) -> Result<Page<Token>> {
    let page = PageRequest { limit: input.limit.unwrap_or(LIMIT_DEFAULT), cursor: input.cursor };
    services::tokens::list(&ctx.app, page).await
}

/// Which access token.
#[derive(Debug, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RevokeTokenInput {
    /// Its id or name.
    #[schemars(length(min = 1, max = 200), regex(pattern = FREE_TEXT))]
    token: String,
}

/// That an access token is no more.
#[derive(Debug, Serialize, Deserialize, Type, JsonSchema)]
pub(super) struct RevokedToken {
    /// Always true.
    revoked: bool,
}

async fn revoke(ctx: Ctx, input: RevokeTokenInput) -> Result<RevokedToken> {
    services::tokens::revoke(&ctx.app, ctx.actor()?, &input.token).await?;
    Ok(RevokedToken { revoked: true })
}

#[cfg(test)]
impl CreatedToken {
    pub(super) fn of(token: Token, value: String) -> Self {
        Self { token, value }
    }
}

#[cfg(test)]
impl RevokedToken {
    pub(super) fn of(revoked: bool) -> Self {
        Self { revoked }
    }
}
