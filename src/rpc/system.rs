//! `system.*`

use schemars::JsonSchema;
use serde::Deserialize;
use specta::datatype::DataType;
use specta::{Generics, Type, TypeCollection};

use crate::error::Result;
use crate::rpc::Ctx;
use crate::rpc::kit::{Api, procedures};
use crate::services;
use crate::services::system::Health;

pub(super) fn declare(api: &mut Api) {
    procedures! { api;
        /// Tells how the installation is. Public, so it says nothing that is worth hiding.
        query system.health = GET "/health", Public, health;
    }
}

/// No input: `void` for TypeScript.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoInput {}

impl Type for NoInput {
    fn inline(types: &mut TypeCollection, generics: Generics<'_>) -> DataType {
        <()>::inline(types, generics)
    }
}

async fn health(ctx: Ctx, _: NoInput) -> Result<Health> {
    Ok(services::system::health(&ctx.app).await)
}
