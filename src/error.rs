//! The one error type that services return and edges translate.
//!
//! A variant says what the *caller* can do next, not which library failed; a new variant is justified when
//! some caller would branch on it. Nothing here knows HTTP, tRPC, SQL or Redis.

use std::fmt;
use std::time::Duration;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A cause, kept for the log.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller named something that does not exist or that they may not see.
    #[error("{what} {id} not found")]
    NotFound { what: &'static str, id: String },

    /// The input is well-formed but breaks a rule. `field` is a path into the input, such as `steps[2].name`.
    #[error("{field}: {reason}")]
    Invalid { field: String, reason: String },

    /// The current state forbids the request; repeating it unchanged fails again.
    #[error("{0}")]
    Conflict(String),

    /// Nobody, or nobody known, is asking.
    #[error("{0}")]
    Unauthenticated(&'static str),

    /// The caller is known and may not do this.
    #[error("{0}")]
    Forbidden(String),

    /// The caller has asked for too much in too short a time; the same request succeeds later.
    #[error("too many {what}, try again in {} s", .retry_after.as_secs() + 1)]
    TooMany { what: &'static str, retry_after: Duration },

    /// A dependency is down or too slow; the same request may succeed later.
    #[error("{dependency} is unavailable")]
    Unavailable { dependency: &'static str, source: Source },

    /// A bug or corrupt data. `doing` and `source` are for the log, never for the caller.
    #[error("internal error")]
    Internal { doing: &'static str, source: Source },
}

impl Error {
    pub fn not_found(what: &'static str, id: impl fmt::Display) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), reason: reason.into() }
    }

    pub fn unavailable(dependency: &'static str, source: impl Into<Source>) -> Self {
        Self::Unavailable { dependency, source: source.into() }
    }

    pub fn internal(doing: &'static str, source: impl Into<Source>) -> Self {
        Self::Internal { doing, source: source.into() }
    }

    /// The whole chain of causes in one line, for the log and for the operator; never for a caller.
    pub fn chain(&self) -> String {
        let mut text = match self {
            Self::Internal { doing, .. } => format!("while {doing}"),
            other => other.to_string(),
        };
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let said = error.to_string();
            // Many errors repeat their cause's text in their own.
            if !text.ends_with(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = error.source();
        }
        text
    }
}
