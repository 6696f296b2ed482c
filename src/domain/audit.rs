//! What the audit trail says: who did what, from where, to which thing, with what outcome.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use specta::Type;

use crate::domain::ids::{AuditId, TokenId};
use crate::domain::time::Timestamp;

/// Longer texts are cut.
const TEXT_CHARS_MAX: usize = 300;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[specta(rename = "AuditOutcome")]
#[schemars(rename = "AuditOutcome")]
pub enum Outcome {
    /// As it was asked for.
    Done,
    /// They may not, or what they asked for breaks a rule.
    Refused,
    /// Something of ours failed.
    Failed,
}

impl Outcome {
    pub const ALL: [Self; 3] = [Self::Done, Self::Refused, Self::Failed];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What it was done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A noun: `run`, `pipeline`, `token`.
    pub kind: &'static str,
    /// Its id, or its name where it has no other, behind its pipeline where it is of one: `build/TOKEN`.
    pub id: String,
}

/// Something that somebody did, or tried. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// `noun.verb`, as procedures are named.
    pub action: &'static str,
    pub target: Option<Target>,
    pub outcome: Outcome,
    /// What an auditor would ask next: how many, which role, why it was refused.
    pub detail: Option<String>,
}

impl Deed {
    pub fn done(action: &'static str) -> Self {
        Self { action, target: None, outcome: Outcome::Done, detail: None }
    }

    pub fn refused(action: &'static str, why: impl Into<String>) -> Self {
        Self { action, target: None, outcome: Outcome::Refused, detail: Some(why.into()) }
    }

    pub fn failed(action: &'static str, why: impl Into<String>) -> Self {
        Self { action, target: None, outcome: Outcome::Failed, detail: Some(why.into()) }
    }

    pub fn to(mut self, kind: &'static str, id: impl Into<String>) -> Self {
        self.target = Some(Target { kind, id: id.into() });
        self
    }

    pub fn saying(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// A deed as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: AuditId,
    pub at: Timestamp,
    pub actor: Option<String>,
    pub token: Option<TokenId>,
    pub ip: Option<IpAddr>,
    pub request_id: Option<String>,
    pub deed: Deed,
}

/// An entry of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Later entries have greater ids.
    pub id: AuditId,
    /// When it was done.
    pub at: Timestamp,
    /// Who did it, or said to be so where nobody was signed in; null: nobody said.
    pub actor: Option<String>,
    /// By which token or session; null: by none, or by the admin token.
    pub token_id: Option<TokenId>,
    /// From which address; null: from this machine's own programs, or not known.
    pub ip: Option<String>,
    /// Of the request, as answers and the server's log have it.
    pub request_id: Option<String>,
    /// What was done: `runs.cancel`, as procedures are named.
    pub action: String,
    /// A noun, such as `run`; null: it was done to nothing in particular.
    pub target_kind: Option<String>,
    /// Which one, by id or name; a pipeline's secret as `build/TOKEN`, the pipeline by id or name.
    pub target_id: Option<String>,
    /// How it went.
    pub outcome: Outcome,
    /// What else there is to say, such as why it was refused.
    pub detail: Option<String>,
}

/// Text from outside as the trail holds it: bounded, on one line, without anything that a terminal obeys.
pub fn clean(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_bounded_and_moves_no_cursor() {
        assert_eq!(clean("a\u{1b}[2J\nb\0"), "a\u{fffd}[2J\u{fffd}b\u{fffd}");
        assert_eq!(clean(&"é".repeat(1_000)).chars().count(), TEXT_CHARS_MAX);
    }
}
