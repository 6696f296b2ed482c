//! People: accounts of those who sign in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::domain::ids::PersonId;
use crate::domain::time::Timestamp;
use crate::domain::token::{Grant, Role};

/// How long a password may be, in characters.
pub const PASSWORD_CHARS_MIN: usize = 10;
pub const PASSWORD_CHARS_MAX: usize = 200;

/// Who somebody is at a provider of single sign-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Which provider.
    pub issuer: String,
    /// What it knows them by, for ever.
    pub subject: String,
}

/// Somebody who has an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Identifies them, since logins can be used again.
    pub id: PersonId,
    /// What they sign in with; stands as the author of what they do. In lower case.
    pub login: String,
    /// As people call them.
    pub name: String,
    /// Where they are written to; nothing is decided by it.
    pub email: Option<String>,
    /// What they may do to everything; null: nothing but what `grants` say.
    pub role: Option<Role>,
    /// What they may do to single pipelines beyond that.
    pub grants: Vec<Grant>,
    /// Who is disabled cannot sign in, and neither their sessions nor their tokens open anything.
    pub disabled: bool,
    /// Whether they can sign in with a password.
    pub has_password: bool,
    /// By whom they are known who sign in elsewhere; null: they do not.
    pub identity: Option<Identity>,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When they last signed in.
    pub signed_in_at: Option<Timestamp>,
}
