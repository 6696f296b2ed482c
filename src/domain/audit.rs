//! What the audit trail says: who did what, from where, to which thing, with what outcome.

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// They may not, or what they asked for breaks a rule.
    Refused,
    /// Something of ours failed.
    Failed,
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
