//! Values that must not be shown.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;
use zeroize::Zeroize;

use crate::domain::ids::PipelineId;
use crate::domain::time::Timestamp;

/// Of a stored secret: what a script and a variable take, and what can be looked for in a log.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Keeps a value out of logs and answers: it has no `Serialize`, and its `Debug` says nothing. Its memory is
/// overwritten when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one place that needs it.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A stored secret, without its value: that is never given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretInfo {
    /// Unique in its pipeline, or among the global ones.
    pub name: String,
    /// Whose it is; null: every pipeline's that has none of this name.
    pub pipeline_id: Option<PipelineId>,
    /// For people.
    pub description: Option<String>,
    /// Patterns of the branches whose runs are given it, such as `main` and `release/*`; none: all.
    pub branches: Vec<String>,
    /// Whether runs of code that nobody here has vouched for are given it too.
    pub allow_untrusted: bool,
    /// Rises with each change. Below 2^53.
    #[specta(type = f64)]
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// By whom.
    pub updated_by: String,
    /// When a step was given it last, to within a minute.
    pub last_used_at: Option<Timestamp>,
}
