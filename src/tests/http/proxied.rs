//! What a proxy says, believed only from those that are named; and what is compressed on its way.

use reqwest::{Method, StatusCode};

use super::{ADMIN_TOKEN, Server, header};

#[tokio::test]
async fn a_proxy_is_believed_only_where_it_is_named() {
    for (trusted, is_believed) in [("127.0.0.1,::1", true), ("10.0.0.0/8", false)] {
        let server = Server::start_with(&[], &[("SLIPWAY_TRUSTED_PROXIES", trusted)]);
        let proxied = |method: Method, path: &str| {
            server
                .request(method, path)
                .header("x-request-id", "given-by-the-proxy")
                .header("x-forwarded-for", "192.0.2.7")
                .header("x-forwarded-proto", "https")
                .header("x-forwarded-host", "ci.example.com")
        };
        let answer = proxied(Method::GET, "/readyz").send().await.unwrap();
        assert_eq!(header(&answer, "x-request-id") == "given-by-the-proxy", is_believed);
        let code = server.sign_in.strip_prefix(&server.url).unwrap();
        let signed_in = proxied(Method::GET, code).send().await.unwrap();
        let cookie = header(&signed_in, "set-cookie");
        assert_eq!(cookie.ends_with("; Secure"), is_believed, "{cookie}");

        // The page is at the host that the browser sees, whatever the proxy asks for.
        let change = proxied(Method::POST, "/trpc/pipelines.create")
            .header("cookie", cookie.split(';').next().unwrap())
            .header("origin", "https://ci.example.com")
            .header("content-type", "application/json")
            .body("{}");
        let expected = if is_believed { StatusCode::BAD_REQUEST } else { StatusCode::FORBIDDEN };
        assert_eq!(change.send().await.unwrap().status(), expected);
    }
}

#[tokio::test]
async fn whole_texts_are_compressed_for_who_wants_it() {
    let server = Server::start();
    let create = |name: String| {
        let definition = format!("steps: [{{ name: a, run: '{}' }}]", "true;".repeat(400));
        server
            .request(Method::POST, "/trpc/pipelines.create")
            .bearer_auth(ADMIN_TOKEN)
            .header("content-type", "application/json")
            .header("accept-encoding", "gzip, deflate, br")
            .body(serde_json::json!({ "name": name, "definition": definition }).to_string())
    };
    let large = create("large".to_owned()).send().await.unwrap();
    assert_eq!((large.status(), header(&large, "content-encoding").as_str()), (StatusCode::OK, "gzip"));
    assert!(header(&large, "vary").contains("accept-encoding"), "{}", header(&large, "vary"));
    assert_eq!(header(&large, "x-accel-buffering"), "");

    let get = |path: &str, encodings: &str| {
        server.request(Method::GET, path).bearer_auth(ADMIN_TOKEN).header("accept-encoding", encodings)
    };
    let plain = get("/trpc/pipelines.list", "identity").send().await.unwrap();
    assert_eq!(header(&plain, "content-encoding"), "");
    assert!(plain.text().await.unwrap().contains("large"));
    let small = get("/trpc/system.health", "gzip").send().await.unwrap();
    assert_eq!(header(&small, "content-encoding"), "");

    // A batch that is streamed has the same type as one that is not.
    let stream =
        get("/trpc/pipelines.list?batch=1&input=%7B%7D", "gzip").header("trpc-accept", "application/jsonl");
    let stream = stream.send().await.unwrap();
    assert_eq!(header(&stream, "content-type"), "application/json");
    assert_eq!(header(&stream, "content-encoding"), "");
    assert_eq!(header(&stream, "x-accel-buffering"), "no");
    let subscription =
        get("/trpc/pipelines.watchRun?input=%7B%22runId%22%3A%22x%22%7D", "gzip").send().await.unwrap();
    assert_eq!(header(&subscription, "content-type"), "text/event-stream");
    assert_eq!(header(&subscription, "content-encoding"), "");

    let page = get("/", "gzip").send().await.unwrap();
    if page.status() == StatusCode::OK {
        let tag = header(&page, "etag");
        let again = get("/", "gzip").header("if-none-match", tag).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }
}
