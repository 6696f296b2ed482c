//! Which pages of other sites may call: none, unless their origins are named.
//!
//! They call with a token. That credentials are allowed is never said, so that a browser neither sends them its
//! cookie with the sign-in nor shows them an answer to one; `auth` does not take it from there either.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember what it was allowed; some remember for less.
const REMEMBERED: Duration = Duration::from_secs(2 * 60 * 60);
const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
const ALLOWED_HEADERS: [HeaderName; 10] = [
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("trpc-accept"),
    HeaderName::from_static("x-request-id"),
];
const EXPOSED_HEADERS: [HeaderName; 5] = [
    header::ETAG,
    header::LINK,
    header::LOCATION,
    header::RETRY_AFTER,
    HeaderName::from_static("x-request-id"),
];

/// None where no origin is named: then nothing is answered, and a browser takes that for a no.
pub(super) fn layer(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods(METHODS)
        .allow_headers(ALLOWED_HEADERS)
        .expose_headers(EXPOSED_HEADERS)
        .max_age(REMEMBERED);
    Some(layer)
}
