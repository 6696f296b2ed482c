//! The JSON that callers get: result and error envelopes, single and batched, and the responses that hold them.

use std::sync::Arc;

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, VARY};
use http::{Extensions, Response, StatusCode};
use serde_json::{Map, Value};

use super::error::CallError;

/// How long to wait before what is unavailable is asked for again.
const RETRY_AFTER_SECONDS: &str = "1";

/// What a query or mutation came to: its JSON, `None` for a result without data.
pub(super) type Outcome = Result<Option<Vec<u8>>, CallError>;

/// An error on its way to the caller, with what an [`ErrorFormatter`] may want to know.
pub struct Failure<'a> {
    /// What went wrong.
    pub error: &'a CallError,
    /// The dotted path of the call, `None` if the request as a whole was refused.
    pub path: Option<&'a str>,
    /// The request's extensions, where the server keeps such things as a request id.
    pub extensions: &'a Extensions,
}

impl Failure<'_> {
    /// The object that tRPC itself would send under `error`.
    pub fn shape(&self) -> Map<String, Value> {
        let CallError { code, message, data: extra } = self.error;
        let mut data = Map::new();
        data.insert("code".into(), code.key().into());
        data.insert("httpStatus".into(), code.status().as_u16().into());
        if let Some(path) = self.path {
            data.insert("path".into(), path.into());
        }
        for (name, value) in extra {
            data.entry(name.as_str()).or_insert_with(|| value.clone());
        }
        let mut shape = Map::new();
        shape.insert("message".into(), message.as_str().into());
        shape.insert("code".into(), code.number().into());
        shape.insert("data".into(), data.into());
        shape
    }
}

/// Decides the object under `error`. Clients insist on a numeric `code` and a textual `message`. It
/// must not panic.
pub type ErrorFormatter = Arc<dyn Fn(&Failure<'_>) -> Map<String, Value> + Send + Sync>;

/// One formatter with the request that it formats for.
#[derive(Clone, Copy)]
pub(super) struct Formatting<'a> {
    pub(super) formatter: &'a ErrorFormatter,
    pub(super) extensions: &'a Extensions,
}

impl Formatting<'_> {
    /// The error object alone, as an event stream carries it.
    pub(super) fn error(self, error: &CallError, path: Option<&str>) -> Vec<u8> {
        let shape = (self.formatter)(&Failure { error, path, extensions: self.extensions });
        serde_json::to_vec(&shape).expect("a map with string keys always serialises")
    }

    pub(super) fn write_envelope(self, buffer: &mut BytesMut, path: &str, outcome: &Outcome) {
        match outcome {
            Ok(None) => buffer.put_slice(b"{\"result\":{}}"),
            Ok(Some(data)) => {
                buffer.put_slice(b"{\"result\":{\"data\":");
                buffer.put_slice(data);
                buffer.put_slice(b"}}");
            }
            Err(error) => self.write_error(buffer, error, Some(path)),
        }
    }

    fn write_error(self, buffer: &mut BytesMut, error: &CallError, path: Option<&str>) {
        buffer.put_slice(b"{\"error\":");
        buffer.put_slice(&self.error(error, path));
        buffer.put_u8(b'}');
    }
}

/// The answer to a request that failed before any call was looked at: one envelope, also for a batch.
pub(super) fn request_error(
    formatting: Formatting<'_>,
    error: &CallError,
    allow: Option<&'static str>,
) -> Response<Body> {
    let mut body = BytesMut::new();
    formatting.write_error(&mut body, error, None);
    respond(error.code.status(), body.freeze(), allow)
}

pub(super) fn single(
    formatting: Formatting<'_>,
    path: &str,
    outcome: &Outcome,
    allow: Option<&'static str>,
) -> Response<Body> {
    let mut body = BytesMut::new();
    formatting.write_envelope(&mut body, path, outcome);
    respond(status(outcome), body.freeze(), allow)
}

/// The answers of a batch in the order of its calls. Calls that disagree about the status share 207.
pub(super) fn batch(
    formatting: Formatting<'_>,
    outcomes: &[(String, Outcome)],
    allow: Option<&'static str>,
) -> Response<Body> {
    let mut body = BytesMut::new();
    let mut common: Option<StatusCode> = None;
    for (path, outcome) in outcomes {
        body.put_u8(if common.is_none() { b'[' } else { b',' });
        formatting.write_envelope(&mut body, path, outcome);
        let status = status(outcome);
        common =
            Some(common.map_or(status, |seen| if seen == status { seen } else { StatusCode::MULTI_STATUS }));
    }
    body.put_u8(b']');
    respond(common.unwrap_or(StatusCode::OK), body.freeze(), allow)
}

fn status(outcome: &Outcome) -> StatusCode {
    outcome.as_ref().map_or_else(|error| error.code.status(), |_| StatusCode::OK)
}

fn respond(status: StatusCode, body: Bytes, allow: Option<&'static str>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    }
    decorate(&mut response, allow);
    response
}

/// The headers that every answer has, whatever its form.
pub(super) fn decorate(response: &mut Response<Body>, allow: Option<&'static str>) {
    response.headers_mut().insert(VARY, HeaderValue::from_static("trpc-accept, accept"));
    if let Some(methods) = allow {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    }
}

#[cfg(test)]
mod tests {
    use super::super::codes::ErrorCode;
    use super::*;

    #[test]
    fn further_members_come_after_those_of_trpc_and_cannot_replace_them() {
        let mut error = CallError::new(ErrorCode::Conflict, "taken");
        error.data.insert("code".into(), "MINE".into());
        error.data.insert("field".into(), "name".into());
        let extensions = Extensions::new();
        let shape = Failure { error: &error, path: Some("a.b"), extensions: &extensions }.shape();
        let expected = r#"{"message":"taken","code":-32009,"data":{"code":"CONFLICT","httpStatus":409,"path":"a.b","field":"name"}}"#;
        assert_eq!(serde_json::to_string(&shape).unwrap(), expected);
    }

    #[test]
    fn statuses_that_differ_more_than_once_stay_207() {
        let formatter: ErrorFormatter = Arc::new(|failure: &Failure<'_>| failure.shape());
        let extensions = Extensions::new();
        let formatting = Formatting { formatter: &formatter, extensions: &extensions };
        let outcomes = [Ok(None), Err(CallError::of(ErrorCode::NotFound)), Ok(None)]
            .map(|outcome| ("a".into(), outcome));
        let response = batch(formatting, &outcomes, None);
        assert_eq!(response.status(), StatusCode::MULTI_STATUS);
    }
}
