//! What the audit trail says: who did what, from where, to which thing, with what outcome.

use std::net::IpAddr;

use crate::domain::ids::{AuditId, TokenId};
use crate::domain::time::Timestamp;

/// Longer texts are cut.
const TEXT_CHARS_MAX: usize = 300;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// They may not, or what they asked for breaks a rule.
    Refused,
    /// Something of ours failed.
    Failed,
}

impl Outcome {
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
    /// Its id, or its name where it has no other.
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
