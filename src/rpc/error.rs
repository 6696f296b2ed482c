//! `Error` to what a caller of a procedure is told: one match. Failures of ours are logged here, once.

use serde::Serialize;
use serde_json::{Map, json};
use specta::Type;

use crate::error::Error;
use crate::rpc::input::InputProblem;
use crate::rpc::wire::{CallError, ErrorCode, Kind};

/// An error, as every procedure answers it.
#[derive(Debug, Clone, Serialize, Type, schemars::JsonSchema)]
pub struct ApiError {
    pub message: String,
    /// The JSON-RPC number of `data.code`.
    pub code: i32,
    pub data: ApiErrorData,
}

/// What programs decide by.
#[derive(Debug, Clone, Serialize, Type, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiErrorData {
    pub code: ApiErrorCode,
    pub http_status: u16,
    /// The procedure.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[specta(type = String)]
    pub path: Option<String>,
    /// The field of the input that is wrong, such as `steps[2].name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[specta(type = String)]
    pub field: Option<String>,
    /// All that is wrong with the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[specta(type = Vec<InputProblem>)]
    pub problems: Option<Vec<InputProblem>>,
    /// What to look for in the server's log, after an internal error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[specta(type = String)]
    pub request_id: Option<String>,
}

/// tRPC's names of errors.
#[derive(Debug, Clone, Copy, Serialize, Type, schemars::JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ApiErrorCode {
    ParseError,
    BadRequest,
    Unauthorized,
    PaymentRequired,
    Forbidden,
    NotFound,
    MethodNotSupported,
    Timeout,
    Conflict,
    PreconditionFailed,
    PayloadTooLarge,
    UnsupportedMediaType,
    UnprocessableContent,
    PreconditionRequired,
    TooManyRequests,
    ClientClosedRequest,
    InternalServerError,
    NotImplemented,
    BadGateway,
    ServiceUnavailable,
    GatewayTimeout,
}

/// What a caller is told of an error. `path` is the procedure.
///
/// A subscription that fails with one of the codes that share the number -32603 is opened again by every
/// client, for ever. That suits what is unavailable; a bug would only be repeated, so it gets a code that ends
/// the subscription.
pub(super) fn refusal(error: &Error, kind: Kind, path: &str, request_id: &str) -> CallError {
    let (code, message) = match error {
        Error::Invalid { .. } => (ErrorCode::BadRequest, error.to_string()),
        Error::NotFound { .. } => (ErrorCode::NotFound, error.to_string()),
        Error::Conflict(_) => (ErrorCode::Conflict, error.to_string()),
        Error::Unauthenticated(_) => (ErrorCode::Unauthorized, error.to_string()),
        Error::Forbidden(_) => (ErrorCode::Forbidden, error.to_string()),
        // Clients open a subscription again after this code alone, which is what they are to do.
        Error::TooMany { .. } if kind == Kind::Subscription => {
            (ErrorCode::ServiceUnavailable, error.to_string())
        }
        Error::TooMany { .. } => (ErrorCode::TooManyRequests, error.to_string()),
        Error::Unavailable { .. } => (ErrorCode::ServiceUnavailable, error.to_string()),
        Error::Internal { .. } if kind == Kind::Subscription => {
            (ErrorCode::UnprocessableContent, "Internal server error".to_owned())
        }
        Error::Internal { .. } => (ErrorCode::InternalServerError, "Internal server error".to_owned()),
    };
    let mut data = Map::new();
    match error {
        Error::Invalid { field, reason } => {
            data.insert("field".to_owned(), json!(field));
            data.insert("problems".to_owned(), json!([InputProblem::at(field, reason)]));
        }
        Error::Unavailable { .. } => {
            tracing::warn!(
                rpc.path = path,
                request.id = request_id,
                error = error.chain(),
                "{path} could not be served"
            );
            data.insert("requestId".to_owned(), json!(request_id));
        }
        Error::Internal { .. } => {
            tracing::error!(rpc.path = path, request.id = request_id, error = error.chain(), "{path} failed");
            data.insert("requestId".to_owned(), json!(request_id));
        }
        Error::NotFound { .. }
        | Error::Conflict(_)
        | Error::Unauthenticated(_)
        | Error::Forbidden(_)
        | Error::TooMany { .. } => {}
    }
    CallError { code, message, data }
}

/// All that is wrong with an input, in one line.
pub(super) fn said(problems: &[InputProblem]) -> String {
    let said = |problem: &InputProblem| match problem.field.as_str() {
        "" => problem.message.clone(),
        field => format!("{field}: {}", problem.message),
    };
    problems.iter().map(said).collect::<Vec<_>>().join("; ")
}

/// What a caller is told of an input that is not what the procedure takes. `problems` is not empty.
pub(super) fn bad_input(problems: &[InputProblem]) -> CallError {
    let message = said(problems);
    let mut data = Map::new();
    if let Some(first) = problems.first() {
        data.insert("field".to_owned(), json!(first.field));
    }
    data.insert("problems".to_owned(), json!(problems));
    CallError { code: ErrorCode::BadRequest, message, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(error: &Error, kind: Kind) -> CallError {
        refusal(error, kind, "runs.get", "request-1")
    }

    #[test]
    fn what_a_caller_can_do_decides_the_code() {
        let cases = [
            (Error::invalid("name", "is taken"), ErrorCode::BadRequest, "name: is taken"),
            (Error::not_found("run", "7"), ErrorCode::NotFound, "run 7 not found"),
            (Error::Conflict("has live runs".to_owned()), ErrorCode::Conflict, "has live runs"),
            (Error::Unauthenticated("sign in"), ErrorCode::Unauthorized, "sign in"),
            (Error::Forbidden("not yours".to_owned()), ErrorCode::Forbidden, "not yours"),
            (Error::unavailable("Redis", "refused"), ErrorCode::ServiceUnavailable, "Redis is unavailable"),
        ];
        for (error, code, message) in cases {
            for kind in [Kind::Query, Kind::Mutation, Kind::Subscription] {
                let refused = refused(&error, kind);
                assert_eq!((refused.code, refused.message.as_str()), (code, message));
            }
        }
    }

    #[test]
    fn an_invalid_field_is_named_in_the_data() {
        let data = refused(&Error::invalid("steps[2].name", "is empty"), Kind::Query).data;
        assert_eq!(data["field"], "steps[2].name");
        assert_eq!(
            data["problems"],
            json!([{ "field": "steps[2].name", "pointer": "/steps/2/name", "message": "is empty" }])
        );
    }

    #[test]
    fn a_bug_is_told_only_by_the_id_of_the_request() {
        let bug = Error::internal("reading a run", "disk of alice is full");
        let told = refused(&bug, Kind::Query);
        assert_eq!(told.code, ErrorCode::InternalServerError);
        assert_eq!(told.message, "Internal server error");
        assert_eq!(told.data["requestId"], "request-1");
        assert!(!serde_json::to_string(&told).unwrap().contains("alice"));
    }

    /// Clients open a subscription again, for ever, on the number -32603.
    #[test]
    fn a_bug_ends_a_subscription_for_good() {
        let bug = Error::internal("reading a run", "corrupt");
        assert_ne!(refused(&bug, Kind::Subscription).code.number(), -32603);
        let passes = Error::unavailable("database", "refused");
        assert_eq!(refused(&passes, Kind::Subscription).code.number(), -32603);
    }

    #[test]
    fn the_published_codes_are_those_of_the_wire() {
        let schema = serde_json::to_value(schemars::schema_for!(ApiErrorCode)).unwrap();
        let published = schema["enum"].as_array().unwrap();
        assert_eq!(published.len(), 21);
        for code in published {
            assert_eq!(
                serde_json::from_value::<ErrorCode>(code.clone()).unwrap().key(),
                code.as_str().unwrap()
            );
        }
    }
}
