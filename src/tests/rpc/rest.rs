//! The procedures over plain HTTP.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::server::Server;

const DEFINITION: &str = "steps:\n  - name: a\n    run: 'true'\n";

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

fn with_json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request.header("content-type", "application/json").body(body.to_string())
}

async fn json_of(response: Response) -> Value {
    assert_eq!(header(&response, "content-type"), "application/json", "{}", response.status());
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

/// The problem document of an answer that must be one.
async fn problem(request: RequestBuilder, status: u16) -> Value {
    let response = request.send().await.unwrap();
    let (told, kind) = (response.status().as_u16(), header(&response, "content-type"));
    let request_id = header(&response, "x-request-id");
    let text = response.text().await.unwrap();
    assert_eq!((told, kind.as_str()), (status, "application/problem+json"), "{text}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["type"], "about:blank");
    for member in ["title", "detail", "code", "requestId"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {text}");
    }
    assert!(request_id.is_empty() || problem["requestId"] == request_id.as_str());
    problem
}

async fn pipeline(server: &Server, name: &str) -> Response {
    let body = json!({ "name": name, "definition": DEFINITION });
    let made = with_json(server.rest(Method::POST, "/pipelines"), &body).send().await.unwrap();
    assert_eq!(made.status(), 201);
    made
}

/// A run that was canceled before any worker saw it.
async fn ended_run(server: &Server) -> String {
    pipeline(server, "build").await;
    let run = server.rest(Method::POST, "/pipelines/build/runs").send().await.unwrap();
    let id = json_of(run).await["id"].as_str().unwrap().to_owned();
    let canceled = server.rest(Method::POST, &format!("/runs/{id}/cancel")).send().await.unwrap();
    assert_eq!(json_of(canceled).await["status"], "canceled");
    id
}

#[tokio::test]
async fn every_failure_is_a_problem_document() {
    let server = Server::start().await;
    let viewer = server.token("viewer").await;
    let get = |path: &str| server.rest(Method::GET, path);
    let post = |path: &str| server.rest(Method::POST, path);
    for (request, status, code) in [
        (get("/runs?limit=500"), 400, "BAD_REQUEST"),
        (get("/runs?nonsense=1"), 400, "BAD_REQUEST"),
        (get("/runs?limit=1&limit=2"), 400, "BAD_REQUEST"),
        (with_json(post("/pipelines"), &json!([])), 400, "BAD_REQUEST"),
        (post("/pipelines").header("content-type", "application/json").body("{"), 400, "BAD_REQUEST"),
        (with_json(post("/pipelines/a/runs"), &json!({ "pipelineId": "b" })), 400, "BAD_REQUEST"),
        (server.rest_as(None, Method::GET, "/runs"), 401, "UNAUTHORIZED"),
        (server.rest_as(Some("wrong"), Method::GET, "/runs"), 401, "UNAUTHORIZED"),
        (server.rest_as(Some(&viewer), Method::POST, "/pipelines"), 403, "FORBIDDEN"),
        (get("/runs/nonsense"), 404, "NOT_FOUND"),
        (get("/runs/nonsense/logs").header("accept", "text/plain"), 404, "NOT_FOUND"),
        (get("/runs/nonsense/logs/stream"), 404, "NOT_FOUND"),
        (get("/nothing"), 404, "NOT_FOUND"),
        (get(""), 404, "NOT_FOUND"),
        (server.rest(Method::PUT, "/runs"), 405, "METHOD_NOT_SUPPORTED"),
        (get("/runs").header("accept", "image/png"), 406, "NOT_ACCEPTABLE"),
        (with_json(post("/pipelines/validate"), &json!("x".repeat(2 << 20))), 413, "PAYLOAD_TOO_LARGE"),
        (post("/pipelines").header("content-type", "text/plain").body("{}"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (post("/pipelines").body("{}"), 415, "UNSUPPORTED_MEDIA_TYPE"),
    ] {
        assert_eq!(problem(request, status).await["code"], code);
    }
}

/// The slash alone belongs to the procedures too, and not to the pages.
#[tokio::test]
async fn a_path_that_names_nothing_is_not_found_in_the_words_of_its_protocol() {
    let server = Server::start().await;
    for path in ["", "/"] {
        problem(server.rest(Method::POST, path), 404).await;
        let error = server.query(path.trim_start_matches('/'), &json!({})).await.unwrap_err();
        assert_eq!(error["data"]["code"], "NOT_FOUND");
    }
}

#[tokio::test]
async fn a_refusal_says_what_would_be_right() {
    let server = Server::start().await;
    let unknown = server.rest_as(None, Method::GET, "/runs").send().await.unwrap();
    assert_eq!(header(&unknown, "www-authenticate"), "Bearer realm=\"slipway\"");
    let put = server.rest(Method::PUT, "/pipelines").send().await.unwrap();
    assert_eq!(header(&put, "allow"), "POST, GET, HEAD");

    let body = json!({ "name": "", "steps": [], "definition": 5 });
    let refused = problem(with_json(server.rest(Method::POST, "/pipelines"), &body), 400).await;
    let mut pointers: Vec<&str> =
        refused["errors"].as_array().unwrap().iter().map(|one| one["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/definition", "/name", "/steps"]);

    // Who may not call learns nothing about the input.
    let stranger = server.rest_as(None, Method::GET, "/runs?limit=500&nonsense=1");
    assert_eq!(problem(stranger, 401).await.get("errors"), None);
}

#[tokio::test]
async fn what_was_made_is_found_where_the_answer_says_and_is_sent_anew_only_when_it_changed() {
    let server = Server::start().await;
    let made = pipeline(&server, "team/build").await;
    let location = header(&made, "location");
    let made = json_of(made).await;
    let path = location.strip_prefix("/api/v1").unwrap();
    let read = server.rest(Method::GET, path).send().await.unwrap();
    let tag = header(&read, "etag");
    assert_eq!(json_of(read).await, made);
    // A name has a slash; in a path it is written as `%2F`.
    let named = server.rest(Method::GET, "/pipelines/team%2Fbuild").send().await.unwrap();
    assert_eq!(header(&named, "etag"), tag);

    let again = server.rest(Method::GET, path).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!((again.status().as_u16(), header(&again, "etag")), (304, tag.clone()));
    assert_eq!(again.text().await.unwrap(), "");
    let head = server.rest(Method::HEAD, path).send().await.unwrap();
    assert_eq!((head.status().as_u16(), header(&head, "etag")), (200, tag.clone()));

    let change = with_json(server.rest(Method::PATCH, path), &json!({ "description": "new" }));
    assert_eq!(change.send().await.unwrap().status(), 200);
    let changed = server.rest(Method::GET, path).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(json_of(changed).await["description"], "new");
}

#[tokio::test]
async fn a_page_leads_to_the_next_by_its_link() {
    let server = Server::start().await;
    for name in ["a", "b", "c"] {
        pipeline(&server, name).await;
    }
    let mut names = Vec::new();
    let mut path = "/pipelines?limit=2".to_owned();
    loop {
        let response = server.rest(Method::GET, &path).send().await.unwrap();
        let link = header(&response, "link");
        let page = json_of(response).await;
        names.extend(page["items"].as_array().unwrap().iter().map(|item| item["name"].clone()));
        assert_eq!(page["nextCursor"].is_null(), link.is_empty());
        let Some(next) = link.strip_prefix("</api/v1").and_then(|link| link.strip_suffix(">; rel=\"next\""))
        else {
            break;
        };
        path = next.to_owned();
    }
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_key_in_the_header_makes_one_run_and_must_agree_with_the_body() {
    let server = Server::start().await;
    pipeline(&server, "build").await;
    let trigger = |key: &str| {
        server.rest(Method::POST, "/pipelines/build/runs").header("idempotency-key", key.to_owned())
    };
    let first = trigger("once").send().await.unwrap();
    assert_eq!(first.status(), 201);
    let location = header(&first, "location");
    let first = json_of(first).await;
    assert_eq!(location, format!("/api/v1/runs/{}", first["id"].as_str().unwrap()));
    let again = with_json(trigger("once"), &json!({ "idempotencyKey": "once" })).send().await.unwrap();
    assert_eq!(json_of(again).await["id"], first["id"]);
    let other = json_of(trigger("twice").send().await.unwrap()).await;
    assert_ne!(other["id"], first["id"]);

    let torn = with_json(trigger("once"), &json!({ "idempotencyKey": "twice" }));
    assert_eq!(problem(torn, 400).await["errors"][0]["pointer"], "/idempotencyKey");
    assert_eq!(problem(trigger("a b"), 400).await["errors"][0]["pointer"], "/idempotencyKey");
}

#[tokio::test]
async fn a_stream_ends_with_the_run_and_has_nothing_more_for_whoever_has_all() {
    let server = Server::start().await;
    let path = format!("/runs/{}/watch", ended_run(&server).await);
    let events = server.rest(Method::GET, &path).send().await.unwrap();
    assert_eq!(header(&events, "content-type"), "text/event-stream");
    let events = events.text().await.unwrap();
    assert!(events.contains(r#""status":"canceled""#), "{events}");
    assert!(events.ends_with("event: end\ndata: {}\n\n"), "{events}");

    let lines =
        server.rest(Method::GET, &path).header("accept", "application/x-ndjson").send().await.unwrap();
    assert_eq!(header(&lines, "content-type"), "application/x-ndjson");
    let lines = lines.text().await.unwrap();
    let states: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(states.len(), 1);
    assert_eq!(states[0]["status"], "canceled");

    let version = states[0]["version"].to_string();
    let nothing = server.rest(Method::GET, &path).header("last-event-id", &version).send().await.unwrap();
    assert_eq!(nothing.status(), 204);
    problem(server.rest(Method::GET, &path).header("last-event-id", "nonsense"), 400).await;
}

/// Redis is away, so what would have to read a live log says so by a status, not in the middle of a stream.
#[tokio::test]
async fn what_is_not_to_be_had_now_is_said_before_a_stream_begins() {
    let server = Server::start().await;
    pipeline(&server, "build").await;
    let run = json_of(server.rest(Method::POST, "/pipelines/build/runs").send().await.unwrap()).await;
    let path = format!("/runs/{}/logs/stream?after=-1", run["id"].as_str().unwrap());
    let response = server.rest(Method::GET, &path).send().await.unwrap();
    assert_eq!(header(&response, "retry-after"), "1");
    problem(server.rest(Method::GET, &path), 503).await;
}

#[tokio::test]
async fn the_document_and_its_page_are_for_those_who_have_signed_in() {
    let server = Server::start().await;
    let viewer = server.token("viewer").await;
    problem(server.site(None, "/openapi.json"), 401).await;
    let response = server.site(Some(&viewer), "/openapi.json").send().await.unwrap();
    let tag = header(&response, "etag");
    let document = json_of(response).await;
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/runs/{runId}"]["get"]["operationId"] == "runs.get");
    let again = server.site(Some(&viewer), "/openapi.json").header("if-none-match", tag);
    assert_eq!(again.send().await.unwrap().status(), 304);

    let page = server.site(None, "/docs").send().await.unwrap();
    assert_eq!(
        (page.status().as_u16(), header(&page, "content-type").as_str()),
        (401, "text/html; charset=utf-8")
    );
    let page = server.site(Some(&viewer), "/docs").send().await.unwrap();
    let policy = header(&page, "content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let page = page.text().await.unwrap();
    assert!(page.contains("/docs/init.js") && !page.contains("//unpkg"), "{page}");
    for file in ["init.js", "swagger-ui-bundle.js", "swagger-ui.css", "swagger-ui.LICENSE.txt"] {
        let path = format!("/docs/{file}");
        problem(server.site(None, &path), 401).await;
        assert_eq!(server.site(Some(&viewer), &path).send().await.unwrap().status(), 200, "{file}");
    }
}
