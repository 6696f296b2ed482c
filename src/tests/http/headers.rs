//! What every answer says to browsers, whatever it is an answer to.

use reqwest::{Method, StatusCode};
use slipway::http;

use super::{ADMIN_TOKEN, Server, header};

/// A path that the route serves.
fn sample(path: &str) -> String {
    path.replace("{*path}", "runs.list").replace("{file}", "index.html").replace("{code}", "none")
}

#[tokio::test]
async fn every_route_tells_browsers_to_be_careful() {
    let server = Server::start_with(&[], &[("SLIPWAY_TRUSTED_PROXIES", "127.0.0.1")]);
    for route in http::routes() {
        for (method, token) in [(Method::GET, None), (Method::GET, Some(ADMIN_TOKEN)), (Method::PUT, None)] {
            let path = sample(route.path);
            let mut request = server.request(method.clone(), &path).header("x-forwarded-proto", "https");
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let answer = request.send().await.unwrap();
            let said = |name: &str| header(&answer, name).to_owned();
            let what = format!("{method} {path}: {}", answer.status());
            let policy = said("content-security-policy");
            for directive in ["default-src 'none'", "frame-ancestors 'none'"] {
                assert!(policy.contains(directive), "{what}: {policy}");
            }
            // Bull Board's page names a base of its own and styles its elements itself.
            let is_board =
                policy.contains("style-src 'self' 'unsafe-inline'") && path.starts_with("/admin/queues");
            let base = if is_board { "base-uri 'self'" } else { "base-uri 'none'" };
            assert!(policy.contains(base), "{what}: {policy}");
            assert_eq!(policy.matches("unsafe-").count(), usize::from(is_board), "{what}: {policy}");
            assert_eq!(said("x-content-type-options"), "nosniff", "{what}");
            assert_eq!(said("x-frame-options"), "DENY", "{what}");
            assert_eq!(said("referrer-policy"), "no-referrer", "{what}");
            assert_eq!(said("cross-origin-opener-policy"), "same-origin", "{what}");
            assert_eq!(said("cross-origin-resource-policy"), "same-origin", "{what}");
            assert!(said("permissions-policy").contains("camera=()"), "{what}");
            let caching = said("cache-control");
            assert!(["no-store", "no-cache", "private"].iter().any(|word| caching.contains(word)), "{what}");
        }
    }
}

/// The headers of such an answer take the place of those that came with the page.
#[tokio::test]
async fn a_page_that_has_not_changed_keeps_its_policy() {
    let server = Server::start();
    let page = server.request(Method::GET, "/").send().await.unwrap();
    let again =
        server.request(Method::GET, "/").header("if-none-match", header(&page, "etag")).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(header(&again, "content-security-policy"), header(&page, "content-security-policy"));
    assert!(header(&page, "content-security-policy").contains("script-src 'self'"));
    // Without TLS, browsers complain of it.
    assert_eq!(header(&page, "cross-origin-opener-policy"), "");
}
