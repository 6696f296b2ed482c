//! Who may do what: roles, access tokens, actors.

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::domain::ids::{PipelineId, TokenId};
use crate::domain::time::Timestamp;

/// What a caller may do; each role may also do what those before it may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Type, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read everything.
    Viewer,
    /// Trigger, cancel and retry runs.
    Operator,
    /// Change pipelines and tokens.
    Admin,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// For a program: `Authorization: Bearer …`.
    Api,
    /// A signed-in browser: a cookie.
    Session,
}

impl TokenKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Session => "session",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Api, Self::Session].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// An access token, without the token itself: only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// Identifies it, since names can be used again.
    pub id: TokenId,
    /// Stands as the author of what is done with it.
    pub name: String,
    /// For a program or a browser.
    pub kind: TokenKind,
    /// What its bearer may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it opens nothing; null: never.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to within a few minutes.
    pub last_used_at: Option<Timestamp>,
}

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The token's name; `admin` for the admin token.
    pub name: String,
    /// What they may do to everything.
    pub role: Role,
    /// What they may do to single pipelines beyond that.
    pub grants: BTreeMap<PipelineId, Role>,
    /// None for the admin token, which is not in the database.
    pub token: Option<TokenId>,
    /// Where the request comes from; none: from this process itself, or not known.
    pub ip: Option<IpAddr>,
}

impl Actor {
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Self { name: name.into(), role, grants: BTreeMap::new(), token: None, ip: None }
    }

    /// What they may do to a pipeline.
    pub fn role_in(&self, pipeline: &PipelineId) -> Role {
        self.grants.get(pipeline).map_or(self.role, |granted| self.role.max(*granted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_adds_to_a_role_and_takes_nothing_away() {
        let (mine, other) = (PipelineId::generate(), PipelineId::generate());
        let mut actor = Actor::new("ci", Role::Operator);
        actor.grants.insert(mine.clone(), Role::Admin);
        actor.grants.insert(other.clone(), Role::Viewer);
        assert_eq!(actor.role_in(&mine), Role::Admin);
        assert_eq!(actor.role_in(&other), Role::Operator);
    }
}
