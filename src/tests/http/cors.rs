//! Pages of other sites: who may ask, what they are told, and that no cookie of theirs is taken.

use reqwest::{Method, StatusCode};

use super::{ADMIN_TOKEN, Server, header};

const PAGE: &str = "https://app.example.com";

#[tokio::test]
async fn pages_of_other_sites_may_call_only_where_they_are_named_and_never_by_cookie() {
    let server = Server::start_with(
        &[],
        &[("SLIPWAY_CORS_ORIGINS", "https://app.example.com, http://localhost:5173")],
    );
    let ask_first = |origin: &'static str| {
        server
            .request(Method::OPTIONS, "/trpc/pipelines.list")
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization,trpc-accept")
    };
    let allowed = ask_first(PAGE).send().await.unwrap();
    assert_eq!(allowed.status(), StatusCode::OK);
    assert_eq!(header(&allowed, "access-control-allow-origin"), PAGE);
    assert_eq!(header(&allowed, "access-control-allow-credentials"), "");
    assert!(header(&allowed, "vary").contains("origin"), "{}", header(&allowed, "vary"));
    let headers = header(&allowed, "access-control-allow-headers");
    for name in
        ["content-type", "authorization", "trpc-accept", "last-event-id", "idempotency-key", "x-request-id"]
    {
        assert!(headers.contains(name), "{headers}");
    }
    for stranger in
        ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com"]
    {
        let refused = ask_first(stranger).send().await.unwrap();
        assert_eq!(header(&refused, "access-control-allow-origin"), "", "{stranger}");
    }

    let call = |path: &str| server.request(Method::GET, path).header("origin", PAGE);
    let answered = call("/trpc/pipelines.list").bearer_auth(ADMIN_TOKEN).send().await.unwrap();
    assert_eq!(answered.status(), StatusCode::OK);
    assert_eq!(header(&answered, "access-control-allow-origin"), PAGE);
    let exposed = header(&answered, "access-control-expose-headers");
    for name in ["x-request-id", "link", "etag", "location", "retry-after"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    // Also what failed can be read, and so understood, by the page.
    let unknown = call("/trpc/nothing").send().await.unwrap();
    assert_eq!(
        (unknown.status(), header(&unknown, "access-control-allow-origin").as_str()),
        (StatusCode::NOT_FOUND, PAGE)
    );

    let cookie = server.sign_in().await;
    let by_cookie = call("/trpc/pipelines.list").header("cookie", &cookie).send().await.unwrap();
    assert_eq!(by_cookie.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_named_origins_no_page_of_another_site_is_answered() {
    let server = Server::start();
    for method in [Method::OPTIONS, Method::GET] {
        let request = server.request(method, "/trpc/system.health").header("origin", PAGE);
        let answer = request.header("access-control-request-method", "GET").send().await.unwrap();
        assert!(!answer.headers().keys().any(|name| name.as_str().starts_with("access-control-")));
    }
}
