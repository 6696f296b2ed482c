//! Errors as problem documents (RFC 9457).

use axum::body::Body;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rpc::error::ApiErrorCode;
use crate::rpc::input::InputProblem;
use crate::rpc::wire::{CallError, ErrorCode};

pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// The code of an answer that cannot be given in any form that the caller takes. tRPC has no name for it.
const NOT_ACCEPTABLE: &str = "NOT_ACCEPTABLE";
/// How long to wait before what is unavailable is asked for again, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Why a request failed: the problem details of RFC 9457.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ProblemDetails")]
pub struct Problem {
    /// `about:blank`: the status and `code` say what kind of problem it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The status of the answer.
    #[schemars(range(min = 400, max = 599))]
    pub status: u16,
    /// What went wrong, for people.
    pub detail: String,
    /// What programs decide by.
    #[schemars(schema_with = "codes")]
    pub code: String,
    /// All that is wrong with the input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// What to look for in the server's log; also in the header `x-request-id`.
    pub request_id: String,
    #[serde(skip)]
    #[schemars(skip)]
    header: Option<(HeaderNameOf, String)>,
}

/// What is wrong with one field of the input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldProblem {
    /// Where, as a JSON pointer into the input: one object of path, query and body. Empty for the whole.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum HeaderNameOf {
    Allow,
    Challenge,
    RetryAfter,
}

fn codes(generator: &mut SchemaGenerator) -> Schema {
    let known = Value::from(ApiErrorCode::json_schema(generator));
    let mut codes = known.get("enum").and_then(Value::as_array).cloned().unwrap_or_default();
    codes.push(NOT_ACCEPTABLE.into());
    json_schema!({ "type": "string", "enum": codes })
}

impl Problem {
    /// As every transport tells it.
    pub fn of(error: CallError, request_id: &str) -> Self {
        let CallError { code, message, mut data } = error;
        let status = code.status();
        let problems: Vec<InputProblem> = data
            .remove("problems")
            .and_then(|problems| serde_json::from_value(problems).ok())
            .unwrap_or_default();
        let header = match code {
            ErrorCode::Unauthorized => Some((HeaderNameOf::Challenge, "Bearer realm=\"slipway\"".to_owned())),
            ErrorCode::ServiceUnavailable | ErrorCode::TooManyRequests => {
                Some((HeaderNameOf::RetryAfter, RETRY_AFTER_SECONDS.to_string()))
            }
            _ => None,
        };
        let errors = problems
            .into_iter()
            .map(|InputProblem { pointer, message, .. }| FieldProblem { pointer, detail: message })
            .collect();
        Self { errors, header, ..Self::plain(status, code.key(), &message, request_id) }
    }

    pub fn method(allowed: &str, request_id: &str) -> Self {
        let code = ErrorCode::MethodNotSupported;
        let detail = format!("this path takes {allowed}");
        let header = Some((HeaderNameOf::Allow, allowed.to_owned()));
        Self { header, ..Self::plain(code.status(), code.key(), &detail, request_id) }
    }

    pub fn not_acceptable(offered: &str, request_id: &str) -> Self {
        let detail = format!("the answer can be had as {offered}");
        Self::plain(StatusCode::NOT_ACCEPTABLE, NOT_ACCEPTABLE, &detail, request_id)
    }

    pub fn not_found(path: &str, request_id: &str) -> Self {
        let code = ErrorCode::NotFound;
        let detail = format!("there is nothing at {path}: /openapi.json lists what there is");
        Self::plain(code.status(), code.key(), &detail, request_id)
    }

    fn plain(status: StatusCode, code: &str, detail: &str, request_id: &str) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Client Closed Request").to_owned(),
            status: status.as_u16(),
            detail: detail.to_owned(),
            code: code.to_owned(),
            errors: Vec::new(),
            request_id: request_id.to_owned(),
            header: None,
        }
    }

    pub fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a problem has nothing that JSON cannot hold")
    }

    pub fn respond(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.json()));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some((name, value)) = self.header
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            headers.insert(name.name(), value);
        }
        response
    }
}

impl HeaderNameOf {
    const fn name(self) -> HeaderName {
        match self {
            Self::Allow => ALLOW,
            Self::Challenge => WWW_AUTHENTICATE,
            Self::RetryAfter => RETRY_AFTER,
        }
    }
}
