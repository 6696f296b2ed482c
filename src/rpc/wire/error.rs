//! The error of a call, and what becomes of rspc's own errors.

use std::any::Any;

use rspc_procedure::{ProcedureError, ResolverError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::codes::ErrorCode;

/// The only text that callers get about a failure which is not theirs.
const INTERNAL_MESSAGE: &str = "Internal server error";

/// Why a call failed, as the caller may know it.
///
/// A resolver returns it through rspc by [`ProcedureError::from`]. Any other error value that serialises to the same
/// three members is understood as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {message}", code.key())]
pub struct CallError {
    /// What programs decide by.
    pub code: ErrorCode,
    /// Sent as it is.
    pub message: String,
    /// Further members of `error.data`. Those that tRPC defines (`code`, `httpStatus`, `path`) cannot be replaced.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
}

impl CallError {
    /// An error with a text for its caller.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: Map::new() }
    }

    /// An error whose text is the name of its code, which is what tRPC does for an error without a message.
    pub fn of(code: ErrorCode) -> Self {
        Self::new(code, code.key())
    }

    /// A failure that is not the caller's. The cause belongs into the log, so it is not taken here.
    pub fn internal() -> Self {
        Self::new(ErrorCode::InternalServerError, INTERNAL_MESSAGE)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    /// Translates what rspc reports. Failures that are bugs are logged, since their cause is dropped here.
    pub(super) fn from_procedure(error: ProcedureError, path: &str) -> Self {
        match error {
            ProcedureError::NotFound => Self::new(ErrorCode::NotFound, not_found_message(path)),
            ProcedureError::Deserialize(_) => Self::bad_request(error.message()),
            ProcedureError::Resolver(error) => Self::from_resolver(&error, path),
            ProcedureError::Unwind(payload) => Self::from_panic(payload.as_ref(), path),
            ProcedureError::Downcast(error) => {
                tracing::error!(path, %error, "a procedure does not take its input as `wire::Input`");
                Self::internal()
            }
        }
    }

    /// A panic's text may hold anything, so it goes to the log and never to the caller.
    pub(super) fn from_panic(payload: &(dyn Any + Send), path: &str) -> Self {
        let text = payload
            .downcast_ref::<&'static str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("a panic without a text");
        tracing::error!(path, panic = text, "a procedure panicked");
        Self::internal()
    }

    fn from_resolver(error: &ResolverError, path: &str) -> Self {
        let known = serde_json::to_value(error.value()).and_then(serde_json::from_value);
        known.unwrap_or_else(|reason| {
            tracing::error!(path, ?error, %reason, "a procedure failed with a value that is not a call error");
            Self::internal()
        })
    }
}

impl From<CallError> for ProcedureError {
    fn from(error: CallError) -> Self {
        ResolverError::new(error, None::<std::convert::Infallible>).into()
    }
}

pub(super) fn not_found_message(path: &str) -> String {
    format!("No procedure found on path \"{path}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_error_survives_its_way_through_rspc() {
        let mut error = CallError::new(ErrorCode::Conflict, "taken");
        error.data.insert("field".into(), "name".into());
        assert_eq!(CallError::from_procedure(error.clone().into(), "a.b"), error);
    }

    #[test]
    fn an_unknown_error_value_is_an_internal_error_without_its_text() {
        let error = ResolverError::new("disk of alice is full", None::<std::convert::Infallible>);
        assert_eq!(CallError::from_procedure(error.into(), "a.b"), CallError::internal());
    }

    #[test]
    fn the_text_of_a_panic_stays_in_the_server() {
        let error = CallError::from_procedure(ProcedureError::Unwind(Box::new("password is hunter2")), "a.b");
        assert_eq!(error, CallError::internal());
    }
}
