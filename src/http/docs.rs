//! What describes the procedures over plain HTTP: the OpenAPI document, and the page that shows it.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::domain::token::Role;
use crate::http::procedures::request_id;
use crate::http::{Http, assets, auth, plain};
use crate::rpc::rest::{self, Problem};
use crate::rpc::wire::CallError;
use crate::rpc::{self, openapi};

/// Made once: it is the same for everybody.
static DOCUMENT: LazyLock<(String, String)> = LazyLock::new(|| {
    let text = openapi::text();
    let tag = rest::strong_tag(text.as_bytes());
    (text, tag)
});

const SIGN_IN_PAGE: &str = "<!doctype html>\n<html lang=\"en\">\n<title>Slipway: sign in</title>\n\
    <h1>Sign in to read this</h1>\n<p>The documentation is for those who may use this installation.</p>\n\
    <p><a href=\"/\">Sign in</a>, then come back.</p>\n</html>\n";
const SIGN_IN_POLICY: &str =
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

/// The OpenAPI document. It says what every procedure takes, so it is for those who may call some.
pub(super) async fn document(State(http): State<Http>, request: Request) -> Response {
    let request_id = request_id(&request);
    let (parts, _) = request.into_parts();
    if let Err(error) = viewer(&http, &parts, &request_id).await {
        return Problem::of(error, &request_id).respond();
    }
    let (text, tag) = &*DOCUMENT;
    let common = [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, "private, no-cache")];
    if rest::is_known(&parts.headers, tag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, "application/json")], Body::from(text.as_str())).into_response()
}

/// The page itself.
pub(super) async fn page(State(http): State<Http>, request: Request) -> Response {
    let request_id = request_id(&request);
    let (parts, _) = request.into_parts();
    match viewer(&http, &parts, &request_id).await {
        Ok(()) => asset_of("index.html", &parts.headers),
        Err(error) if error.code.status() == StatusCode::UNAUTHORIZED => sign_in(&error),
        Err(error) => Problem::of(error, &request_id).respond(),
    }
}

/// A file of the page.
pub(super) async fn file(State(http): State<Http>, Path(name): Path<String>, request: Request) -> Response {
    let request_id = request_id(&request);
    let (parts, _) = request.into_parts();
    match viewer(&http, &parts, &request_id).await {
        Ok(()) => asset_of(&name, &parts.headers),
        Err(error) => Problem::of(error, &request_id).respond(),
    }
}

fn asset_of(name: &str, headers: &HeaderMap) -> Response {
    assets::serve(&format!("docs/{name}"), headers)
        .unwrap_or_else(|| plain(StatusCode::NOT_FOUND, "There is nothing here.\n"))
}

/// For whoever came by a browser: the link is followed by hand, so that the address stays to come back to.
fn sign_in(error: &CallError) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, SIGN_IN_POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::WWW_AUTHENTICATE, "Bearer realm=\"slipway\""),
    ];
    (error.code.status(), headers, SIGN_IN_PAGE).into_response()
}

async fn viewer(http: &Http, parts: &Parts, request_id: &str) -> Result<(), CallError> {
    let actor = auth::actor(&http.app, parts).await.map_err(|error| rpc::refuse(&error, request_id))?;
    rpc::require(rpc::Access::InPipeline(Role::Viewer), actor.as_ref())
        .map_err(|error| rpc::refuse(&error, request_id))
}
