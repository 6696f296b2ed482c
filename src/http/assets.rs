//! The web client, embedded in the binary. It holds no data: whoever opens it signs in first.

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use crate::http::plain;

/// Made by `make web`; without it, the server says so instead of showing a page.
#[derive(RustEmbed)]
#[folder = "web-client/dist"]
#[allow_missing = true]
struct WebClient;

const PAGE: &str = "index.html";
/// Files below this have a hash of their content in their name, so they never change.
const HASHED: [&str; 3] = ["assets/", "board/static/js/", "board/static/css/"];
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; \
    frame-ancestors 'none'; form-action 'self'";

pub(super) async fn page(headers: HeaderMap) -> Response {
    serve(PAGE, &headers).unwrap_or_else(|| {
        plain(StatusCode::NOT_FOUND, "This build has no web client: make web, and build again.\n")
    })
}

/// A file of the web client, or its page where the path is one of its routes.
pub(super) async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    if let Some(response) = serve(&path, &headers) {
        return response;
    }
    let looks_like_a_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    let wants_a_page = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if looks_like_a_file || !wants_a_page {
        return plain(StatusCode::NOT_FOUND, "There is nothing here.\n");
    }
    page(headers).await
}

pub(super) fn serve(path: &str, headers: &HeaderMap) -> Option<Response> {
    let file = WebClient::get(path)?;
    let tag: String = file.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    // A weak one: the same file may be sent compressed or not.
    let tag = format!("W/\"{tag}\"");
    let is_hashed = HASHED.iter().any(|prefix| path.starts_with(prefix));
    let caching = if is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
    // Of an answer that says "as before" too, since its headers take the place of those from before.
    let common = [
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, caching.to_owned()),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.to_owned()),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Some((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let kind = [(header::CONTENT_TYPE, content_type(path))];
    Some((common, kind, Body::from(file.data.into_owned())).into_response())
}

/// A file of text that is not served as it is.
pub(super) fn text(path: &str) -> Option<String> {
    String::from_utf8(WebClient::get(path)?.data.into_owned()).ok()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "map") => "application/json",
        Some("woff2") => "font/woff2",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
