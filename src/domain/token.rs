//! Who may do what: roles, access tokens, actors.

use std::collections::BTreeMap;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::domain::ids::{PersonId, PipelineId, TokenId};
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

/// A role in one pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// In which.
    pub pipeline_id: PipelineId,
    /// What may be done there.
    pub role: Role,
}

/// A signed-in browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Identifies it.
    pub id: TokenId,
    /// What the browser says that it is, shortened.
    pub device: Option<String>,
    /// From where it signed in.
    pub ip: Option<String>,
    /// When it signed in.
    pub created_at: Timestamp,
    /// When it must sign in anew at the latest.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to within a few minutes.
    pub last_used_at: Option<Timestamp>,
    /// Whether it is the one that asks.
    pub current: bool,
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
    /// What its bearer may do to everything; null: nothing but what `grants` say. Of a person's token never more than
    /// they may themselves; a session is good for what its person may.
    pub role: Option<Role>,
    /// What its bearer may do to single pipelines beyond that.
    pub grants: Vec<Grant>,
    /// Whose it is, and with whose account it ends; null: nobody's.
    pub person_id: Option<PersonId>,
    /// By whom it was made; null: not known.
    pub created_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it opens nothing; null: never.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to within a few minutes.
    pub last_used_at: Option<Timestamp>,
}

/// What somebody may do to single pipelines beyond their role.
pub type Grants = BTreeMap<PipelineId, Role>;

/// How many pipelines one person or token may be granted: lists look each of them up.
pub const GRANTS_MAX: usize = 100;

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The person's or the token's name; `admin` for the admin token.
    pub name: String,
    /// What they may do to everything; none: nothing but what `grants` say.
    pub role: Option<Role>,
    /// What they may do to single pipelines beyond that.
    pub grants: Grants,
    /// None for the admin token, which is not in the database.
    pub token: Option<TokenId>,
    /// On whose behalf; none where no account is behind the token.
    pub person: Option<PersonId>,
    /// Where the request comes from; none: from this process itself, or not known.
    pub ip: Option<IpAddr>,
}

impl Actor {
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Self {
            name: name.into(),
            role: Some(role),
            grants: Grants::new(),
            token: None,
            person: None,
            ip: None,
        }
    }

    /// What they may do to a pipeline; none: not even see it.
    pub fn role_in(&self, pipeline: &PipelineId) -> Option<Role> {
        self.role.max(self.grants.get(pipeline).copied())
    }

    /// What they may do and `other` may too: a token is good for no more than the person whose it is.
    pub fn within(mut self, other: &Self) -> Self {
        let role = self.role.min(other.role);
        let pipelines: Vec<_> = self.grants.keys().chain(other.grants.keys()).cloned().collect();
        let both = pipelines.into_iter().filter_map(|id| {
            let granted = self.role_in(&id).min(other.role_in(&id))?;
            (role < Some(granted)).then_some((id, granted))
        });
        self.grants = both.collect();
        self.role = role;
        self
    }

    /// Whether they have this role, for what belongs to no pipeline.
    pub fn may(&self, needed: Role) -> bool {
        Some(needed) <= self.role
    }

    /// Whether they have this role in a pipeline.
    pub fn may_in(&self, pipeline: &PipelineId, needed: Role) -> bool {
        Some(needed) <= self.role_in(pipeline)
    }

    /// Whether they have this role in any pipeline.
    pub fn may_somewhere(&self, needed: Role) -> bool {
        Some(needed) <= self.role.max(self.grants.values().max().copied())
    }

    /// The pipelines in which they have this role; none: all of them.
    pub fn may_only_in(&self, needed: Role) -> Option<Vec<PipelineId>> {
        let has = self.grants.iter().filter(|(_, role)| needed <= **role);
        (!self.may(needed)).then(|| has.map(|(pipeline, _)| pipeline.clone()).collect())
    }

    /// The pipelines that they see; none: all of them.
    pub fn sees_only(&self) -> Option<Vec<PipelineId>> {
        self.role.is_none().then(|| self.grants.keys().cloned().collect())
    }
}

/// As a look-up.
pub fn grants(list: &[Grant]) -> Grants {
    list.iter().map(|grant| (grant.pipeline_id.clone(), grant.role)).collect()
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
        assert_eq!(actor.role_in(&mine), Some(Role::Admin));
        assert_eq!(actor.role_in(&other), Some(Role::Operator));
        assert!(!actor.may(Role::Admin) && actor.may_somewhere(Role::Admin));
        assert_eq!(actor.sees_only(), None);
    }

    #[test]
    fn what_two_may_is_what_each_of_them_may() {
        let (mine, other) = (PipelineId::generate(), PipelineId::generate());
        let person = Actor {
            role: None,
            grants: Grants::from([(mine.clone(), Role::Operator)]),
            ..Actor::new("ann", Role::Viewer)
        };
        let token = Actor::new("ci", Role::Admin).within(&person);
        assert_eq!(
            (token.role, token.role_in(&mine), token.role_in(&other)),
            (None, Some(Role::Operator), None)
        );
        let narrow = Actor { grants: Grants::from([(other.clone(), Role::Admin)]), ..person.clone() };
        assert_eq!(narrow.clone().within(&person).grants, Grants::new());
        let narrow = narrow.within(&Actor::new("ann", Role::Operator));
        assert_eq!(
            (narrow.role, narrow.role_in(&other), narrow.role_in(&mine)),
            (None, Some(Role::Operator), None)
        );
    }

    #[test]
    fn without_a_role_there_is_nothing_but_the_grants() {
        let (mine, other) = (PipelineId::generate(), PipelineId::generate());
        let mut actor = Actor { role: None, ..Actor::new("ann", Role::Viewer) };
        assert!(!actor.may(Role::Viewer) && !actor.may_somewhere(Role::Viewer));
        actor.grants.insert(mine.clone(), Role::Operator);
        assert!(actor.may_in(&mine, Role::Operator) && !actor.may_in(&mine, Role::Admin));
        assert!(!actor.may_in(&other, Role::Viewer) && !actor.may(Role::Viewer));
        assert!(actor.may_somewhere(Role::Operator) && !actor.may_somewhere(Role::Admin));
        assert_eq!(actor.sees_only(), Some(vec![mine]));
    }
}
