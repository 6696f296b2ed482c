//! tRPC's error codes: name, JSON-RPC number and HTTP status, in one table.

use http::StatusCode;
use serde::{Deserialize, Serialize};

/// What went wrong, in tRPC's vocabulary.
///
/// A subscription that fails with one of the five codes whose number is -32603 is retried by its client, for ever;
/// all other codes end it for good. So a permanent failure has a specific code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// `PARSE_ERROR`, -32700, 400: parameters of the address that are not JSON. Malformed input is `BadRequest`.
    ParseError,
    /// `BAD_REQUEST`, -32600, 400: the input or the request is wrong.
    BadRequest,
    /// `UNAUTHORIZED`, -32001, 401: it is not known who asks.
    Unauthorized,
    /// `PAYMENT_REQUIRED`, -32002, 402.
    PaymentRequired,
    /// `FORBIDDEN`, -32003, 403: it is known who asks, who may not.
    Forbidden,
    /// `NOT_FOUND`, -32004, 404: the procedure, or what it was asked for.
    NotFound,
    /// `METHOD_NOT_SUPPORTED`, -32005, 405: the procedure is of another kind than the method reaches.
    MethodNotSupported,
    /// `TIMEOUT`, -32008, 408: the client took too long.
    Timeout,
    /// `CONFLICT`, -32009, 409: the state forbids it.
    Conflict,
    /// `PRECONDITION_FAILED`, -32012, 412.
    PreconditionFailed,
    /// `PAYLOAD_TOO_LARGE`, -32013, 413: the body is above its bound.
    PayloadTooLarge,
    /// `UNSUPPORTED_MEDIA_TYPE`, -32015, 415: a body, or a result, of a form that cannot be taken so.
    UnsupportedMediaType,
    /// `UNPROCESSABLE_CONTENT`, -32022, 422.
    UnprocessableContent,
    /// `PRECONDITION_REQUIRED`, -32028, 428.
    PreconditionRequired,
    /// `TOO_MANY_REQUESTS`, -32029, 429.
    TooManyRequests,
    /// `CLIENT_CLOSED_REQUEST`, -32099, 499.
    ClientClosedRequest,
    /// `INTERNAL_SERVER_ERROR`, -32603, 500: a bug. Clients open a subscription again.
    InternalServerError,
    /// `NOT_IMPLEMENTED`, -32603, 501. Clients open a subscription again.
    NotImplemented,
    /// `BAD_GATEWAY`, -32603, 502. Clients open a subscription again.
    BadGateway,
    /// `SERVICE_UNAVAILABLE`, -32603, 503: it may succeed later. Clients open a subscription again.
    ServiceUnavailable,
    /// `GATEWAY_TIMEOUT`, -32603, 504. Clients open a subscription again.
    GatewayTimeout,
}

impl ErrorCode {
    /// The name that callers see in `error.data.code`.
    pub const fn key(self) -> &'static str {
        self.row().0
    }

    /// The JSON-RPC number that callers see in `error.code`.
    pub const fn number(self) -> i32 {
        self.row().1
    }

    /// The HTTP status of a response that holds this error alone.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().2).expect("every status in the table is between 400 and 504")
    }

    const fn row(self) -> (&'static str, i32, u16) {
        match self {
            Self::ParseError => ("PARSE_ERROR", -32700, 400),
            Self::BadRequest => ("BAD_REQUEST", -32600, 400),
            Self::Unauthorized => ("UNAUTHORIZED", -32001, 401),
            Self::PaymentRequired => ("PAYMENT_REQUIRED", -32002, 402),
            Self::Forbidden => ("FORBIDDEN", -32003, 403),
            Self::NotFound => ("NOT_FOUND", -32004, 404),
            Self::MethodNotSupported => ("METHOD_NOT_SUPPORTED", -32005, 405),
            Self::Timeout => ("TIMEOUT", -32008, 408),
            Self::Conflict => ("CONFLICT", -32009, 409),
            Self::PreconditionFailed => ("PRECONDITION_FAILED", -32012, 412),
            Self::PayloadTooLarge => ("PAYLOAD_TOO_LARGE", -32013, 413),
            Self::UnsupportedMediaType => ("UNSUPPORTED_MEDIA_TYPE", -32015, 415),
            Self::UnprocessableContent => ("UNPROCESSABLE_CONTENT", -32022, 422),
            Self::PreconditionRequired => ("PRECONDITION_REQUIRED", -32028, 428),
            Self::TooManyRequests => ("TOO_MANY_REQUESTS", -32029, 429),
            Self::ClientClosedRequest => ("CLIENT_CLOSED_REQUEST", -32099, 499),
            Self::InternalServerError => ("INTERNAL_SERVER_ERROR", -32603, 500),
            Self::NotImplemented => ("NOT_IMPLEMENTED", -32603, 501),
            Self::BadGateway => ("BAD_GATEWAY", -32603, 502),
            Self::ServiceUnavailable => ("SERVICE_UNAVAILABLE", -32603, 503),
            Self::GatewayTimeout => ("GATEWAY_TIMEOUT", -32603, 504),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_also_the_serialised_name() {
        for code in [ErrorCode::BadRequest, ErrorCode::ClientClosedRequest, ErrorCode::InternalServerError] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.key());
            assert_eq!(serde_json::from_value::<ErrorCode>(code.key().into()).unwrap(), code);
        }
    }
}
