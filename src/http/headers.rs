//! What every answer says to browsers, so that they are careful with it.

use axum::http::{HeaderMap, HeaderValue, header};

/// What an answer may do that says nothing of it itself: an answer that is no page does nothing.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";
/// What no page of ours needs.
const PERMISSIONS_POLICY: &str =
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";
/// Half a year.
const STRICT_TRANSPORT_SECURITY: &str = "max-age=15552000";

const ALWAYS: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", PERMISSIONS_POLICY),
];
/// Unless the answer says something else.
const OTHERWISE: &[(&str, &str)] =
    &[("content-security-policy", CONTENT_SECURITY_POLICY), ("cache-control", "no-store")];

/// Adds them. `is_secure`: browsers come by TLS, and are to come by nothing else.
pub(super) fn harden(headers: &mut HeaderMap, is_secure: bool) {
    for (name, value) in ALWAYS {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    for (name, value) in OTHERWISE {
        if !headers.contains_key(*name) {
            headers.insert(*name, HeaderValue::from_static(value));
        }
    }
    if is_secure {
        let value = HeaderValue::from_static(STRICT_TRANSPORT_SECURITY);
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
}
