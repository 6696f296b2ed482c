//! The web client, embedded in the binary. It holds no data: whoever opens it signs in first.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
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
/// Where the web client has files and no pages.
const FILES_BELOW: [&str; 3] = ["assets", "board", "docs"];
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
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if !accept.contains("text/html") || is_of_a_file(&path) {
        return plain(StatusCode::NOT_FOUND, "There is nothing here.\n");
    }
    page(headers).await
}

/// Whether a path could only be a file's: names of pipelines and branches have dots too, but stand below something.
fn is_of_a_file(path: &str) -> bool {
    match path.split_once('/') {
        None => path.contains('.'),
        Some((top, _)) => top.starts_with('.') || FILES_BELOW.contains(&top),
    }
}

pub(super) fn serve(path: &str, headers: &HeaderMap) -> Option<Response> {
    let packed = if takes_gzip(headers) { WebClient::get(&format!("{path}.gz")) } else { None };
    let encoding = packed.is_some().then_some([(header::CONTENT_ENCODING, "gzip")]);
    let file = packed.or_else(|| WebClient::get(path))?;
    let tag: String = file.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    // A weak one: what has no compressed form may be compressed on its way.
    let tag = format!("W/\"{tag}\"");
    let is_hashed = HASHED.iter().any(|prefix| path.starts_with(prefix));
    let caching = if is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
    // Of an answer that says "as before" too, since its headers take the place of those from before.
    let common = [
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, caching.to_owned()),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.to_owned()),
        (header::VARY, header::ACCEPT_ENCODING.to_string()),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Some((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let kind = [(header::CONTENT_TYPE, content_type(path))];
    let body = match file.data {
        Cow::Borrowed(bytes) => Body::from(Bytes::from_static(bytes)),
        Cow::Owned(bytes) => Body::from(bytes),
    };
    Some((common, kind, encoding, body).into_response())
}

/// Whether an answer may be one that was compressed when the client was built.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().trim_start_matches("q=").parse().unwrap_or(1.0);
        name.trim().eq_ignore_ascii_case("gzip") && 0.0 < weight
    })
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn asking_for(encodings: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, encodings.parse().unwrap())])
    }

    #[test]
    fn only_who_takes_gzip_is_sent_it() {
        for encodings in ["gzip", "gzip, deflate, br, zstd", "br;q=1.0, GZIP;q=0.8", "deflate,gzip ; q=1"] {
            assert!(takes_gzip(&asking_for(encodings)), "{encodings}");
        }
        for encodings in ["", "identity", "br, xgzip", "gzip;q=0", "gzip; q=0.0, br"] {
            assert!(!takes_gzip(&asking_for(encodings)), "{encodings}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn a_file_that_was_compressed_with_the_build_is_the_same_file() {
        let Some(packed) = WebClient::iter().find(|path| path.ends_with(".js.gz")) else {
            panic!("the web client has no compressed script: make web");
        };
        let path = packed.trim_end_matches(".gz");
        let of = async |headers: HeaderMap| {
            let (parts, body) = serve(path, &headers).unwrap().into_parts();
            assert_eq!(parts.headers[header::VARY], "accept-encoding");
            (parts.headers, axum::body::to_bytes(body, 1 << 22).await.unwrap())
        };
        let (plain, text) = of(HeaderMap::new()).await;
        let (sent, bytes) = of(asking_for("gzip, br")).await;
        assert_eq!(
            (plain.get(header::CONTENT_ENCODING), &sent[header::CONTENT_ENCODING]),
            (None, &"gzip".parse().unwrap())
        );
        assert_eq!(plain[header::CONTENT_TYPE], sent[header::CONTENT_TYPE]);
        assert_ne!(plain[header::ETAG], sent[header::ETAG]);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, text);
    }

    #[test]
    fn a_page_may_have_a_dot_in_its_name_and_a_file_is_no_page() {
        for page in ["runs/7", "pipelines/web.api", "pipelines/a.b/runs.js", "people"] {
            assert!(!is_of_a_file(page), "{page}");
        }
        for file in [
            "favicon.ico",
            "wp-login.php",
            ".env",
            ".git/config",
            "assets/index-1a2b.js",
            "board/static/js/x",
        ] {
            assert!(is_of_a_file(file), "{file}");
        }
    }

    #[tokio::test]
    async fn a_browser_that_loads_a_page_with_a_dot_again_is_given_the_page() {
        let of = async |path: &str, accept: &'static str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            let response = asset(Path(path.to_owned()), headers.clone()).await;
            // The same as the page, whether or not this build has one.
            let home = page(headers).await;
            let text =
                async |response: Response| axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            text(response).await == text(home).await
        };
        assert!(of("pipelines/web.api", "text/html,*/*;q=0.8").await);
        assert!(!of("pipelines/web.api", "*/*").await);
        assert!(!of("assets/gone.js", "text/html,*/*;q=0.8").await);
    }
}
