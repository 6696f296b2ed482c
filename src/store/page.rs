//! Keyset pagination: a page costs the same wherever it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

/// How many items a page may have.
pub const LIMIT_MAX: u32 = 100;
pub const LIMIT_DEFAULT: u32 = 20;

/// Part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Give it as `cursor` for what follows; null at the end.
    pub next_cursor: Option<String>,
}

/// Which part of a list.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// 1 to [`LIMIT_MAX`].
    pub limit: u32,
    /// What an earlier page gave. One that no page gave is refused (`Error::Invalid`, field `cursor`).
    pub cursor: Option<String>,
}
