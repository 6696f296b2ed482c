//! What a provider says of somebody: in the ID token, and where that is silent, when it is asked.

use openidconnect::core::CoreGenderClaim;
use openidconnect::{AdditionalClaims, IdTokenClaims, StandardClaims, UserInfoClaims};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::person::Identity;

/// What the provider says of somebody.
#[derive(Debug, Clone)]
pub struct Claims {
    pub identity: Identity,
    pub login: Option<String>,
    pub name: Option<String>,
    pub email: Option<Email>,
    /// Values of the claim that the settings name.
    pub roles: Vec<String>,
}

/// An address as the provider has it.
#[derive(Debug, Clone)]
pub struct Email {
    pub address: String,
    /// Whether the provider has seen that it is theirs.
    pub is_verified: bool,
}

impl Email {
    /// In small letters; none: it is none that anybody could be written to.
    pub fn domain(&self) -> Option<String> {
        self.address.rsplit_once('@').map(|(_, domain)| domain.to_lowercase())
    }
}

/// The claims that have no meaning of their own.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Others {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for Others {}

/// What one answer says; none: nothing.
#[derive(Debug)]
pub(super) struct Told {
    login: Option<String>,
    name: Option<String>,
    email: Option<Email>,
    /// Of no interest where no claim tells roles.
    roles: Option<Vec<String>>,
}

impl Told {
    pub(super) fn by_token(
        claims: &IdTokenClaims<Others, CoreGenderClaim>,
        role_claim: Option<&str>,
    ) -> Self {
        let standard = StandardClaims::new(claims.subject().clone())
            .set_name(claims.name().cloned())
            .set_preferred_username(claims.preferred_username().cloned())
            .set_email(claims.email().cloned())
            .set_email_verified(claims.email_verified());
        Self::of(&standard, claims.additional_claims(), role_claim)
    }

    pub(super) fn when_asked(
        claims: &UserInfoClaims<Others, CoreGenderClaim>,
        role_claim: Option<&str>,
    ) -> Self {
        Self::of(claims.standard_claims(), claims.additional_claims(), role_claim)
    }

    fn of(claims: &StandardClaims<CoreGenderClaim>, others: &Others, role_claim: Option<&str>) -> Self {
        let is_verified = claims.email_verified() == Some(true);
        Self {
            login: claims.preferred_username().map(|login| login.as_str().to_owned()),
            name: claims.name().and_then(|name| name.get(None)).map(|name| name.as_str().to_owned()),
            email: claims.email().map(|email| Email { address: email.as_str().to_owned(), is_verified }),
            roles: role_claim.and_then(|name| found(&others.all, name)).map(texts),
        }
    }

    pub(super) fn is_silent(&self, role_claim: Option<&str>) -> bool {
        let is_role_missing = role_claim.is_some() && self.roles.is_none();
        self.login.is_none() || self.name.is_none() || self.email.is_none() || is_role_missing
    }

    /// Where this says nothing, the other counts.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            login: self.login.or(other.login),
            name: self.name.or(other.name),
            email: self.email.or(other.email),
            roles: self.roles.or(other.roles),
        }
    }

    pub(super) fn of_whom(self, identity: Identity) -> Claims {
        let Self { login, name, email, roles } = self;
        Claims { identity, login, name, email, roles: roles.unwrap_or_default() }
    }
}

/// A claim by its name, or by the names that lead to it, with dots between them.
fn found<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    found(claims.get(first)?.as_object()?, rest)
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_found_by_its_name_or_by_its_way() {
        let claims = json!({
            "groups": ["a", 1, "b"],
            "https://example.com/role": "c",
            "realm_access": { "roles": ["d"] },
        });
        let claims = claims.as_object().unwrap();
        let all = |name| found(claims, name).map(texts);
        assert_eq!(all("groups"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(all("https://example.com/role"), Some(vec!["c".to_owned()]));
        assert_eq!(all("realm_access.roles"), Some(vec!["d".to_owned()]));
        assert_eq!(all("realm_access"), Some(Vec::new()));
        assert_eq!(all("realm_access.none"), None);
    }
}
