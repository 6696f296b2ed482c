//! What every answer says to browsers, so that they are careful with it.

use axum::http::{HeaderMap, HeaderValue};

/// What an answer may do that says nothing of it itself: an answer that is no page does nothing.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";
/// What no page of ours needs.
const PERMISSIONS_POLICY: &str =
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";

const ALWAYS: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", PERMISSIONS_POLICY),
];
/// Unless the answer says something else.
const OTHERWISE: &[(&str, &str)] =
    &[("content-security-policy", CONTENT_SECURITY_POLICY), ("cache-control", "no-store")];

/// Adds them. `is_secure`: browsers come by TLS. That they come by nothing else is the operator's to say, at a proxy:
/// `Strict-Transport-Security` binds a whole name for months.
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
        // Without TLS, browsers ignore it and complain.
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    }
}
