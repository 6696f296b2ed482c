//! Plain HTTP: whatever a request says, an answer or a problem document, and never an error of the server's own.

use http::Method;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use slipway::store::Engine;

use super::mutate::{holds, mutated, spoilt};
use super::site::{RUN, Sent, Site, headers, object};

type Members = &'static [(&'static str, &'static str)];

const ENDPOINTS: [(Method, &str, &str, Members); 13] = [
    (
        Method::POST,
        "/pipelines",
        "",
        &[("name", "\"other\""), ("description", "\"a\""), ("defaultBranch", "\"main\"")],
    ),
    (Method::PATCH, "/pipelines/build", "", &[("description", "null"), ("repository", "\"/srv/a.git\"")]),
    (Method::GET, "/pipelines/build", "", &[]),
    (Method::GET, "/pipelines", "limit=5&search=u%25&cursor=YQ", &[]),
    (Method::POST, "/pipelines/validate", "", &[("definition", "\"steps: [{name: a, run: x}]\"")]),
    (Method::POST, "/pipelines/build/runs", "", &[("branch", "\"main\""), ("inputs", "{\"a\":\"b\"}")]),
    (Method::GET, "/runs/{run}", "", &[]),
    (Method::GET, "/runs", "status=queued&branch=main&limit=3", &[]),
    (Method::GET, "/runs/{run}/logs", "from=-5&limit=10&step=build", &[]),
    (Method::GET, "/runs/{run}/logs/stream", "after=-1", &[]),
    (Method::GET, "/runs/{run}/watch", "", &[]),
    (Method::POST, "/tokens", "", &[("name", "\"ci\""), ("role", "\"viewer\""), ("expiresInDays", "7")]),
    (Method::POST, "/auth/stream-tickets", "", &[("path", "\"pipelines.watchRun\""), ("input", "{}")]),
];

fn request() -> impl Strategy<Value = Sent> {
    let spoils = (prop::bool::weighted(0.2), prop::bool::weighted(0.3), prop::bool::weighted(0.3));
    (select(&ENDPOINTS[..]), headers(), spoils).prop_flat_map(
        |((method, path, query, members), headers, (path_is_spoilt, query_is_spoilt, body_is_spoilt))| {
            let path = format!("/api/v1{}", path.replace("{run}", RUN)).into_bytes();
            let path = match path_is_spoilt {
                true => spoilt(Just(path[8..].to_vec()))
                    .prop_map(|below| [b"/api/v1/", &below[..]].concat())
                    .boxed(),
                false => Just(path).boxed(),
            };
            let query =
                if query_is_spoilt { mutated(&[query]) } else { Just(query.as_bytes().to_vec()).boxed() };
            let body = if members.is_empty() { Just(String::new()).boxed() } else { object(members) };
            let body = body.prop_map(String::into_bytes);
            let body = if body_is_spoilt { spoilt(body).boxed() } else { body.boxed() };
            let method =
                prop_oneof![12 => Just(method), 1 => select(vec![Method::HEAD, Method::DELETE, Method::PUT])];
            (method, path, query, body).prop_map(move |(method, path, query, body)| Sent {
                method,
                path,
                query,
                headers: headers.clone(),
                body,
            })
        },
    )
}

#[test]
fn any_request_gets_an_answer_or_a_problem() {
    let site = Site::start(Engine::Sqlite);
    holds(600, request(), |sent| {
        let Some(received) = site.send(&sent) else { return Ok(()) };
        let status = received.status.as_u16();
        let text = String::from_utf8_lossy(&received.body);
        prop_assert!(status < 500, "{status}: {text}");
        if sent.method == Method::HEAD || matches!(status, 204 | 304) {
            prop_assert!(received.body.is_empty(), "{status}: {text}");
            return Ok(());
        }
        match (status, received.media_type()) {
            (400.., "application/problem+json") => {
                let problem = received.json().unwrap_or_default();
                prop_assert_eq!(problem["status"].as_u64(), Some(u64::from(status)), "{}", text);
                let words = ["type", "title", "detail", "code", "requestId"];
                prop_assert!(words.iter().all(|name| problem[name].is_string()), "{text}");
                for error in problem["errors"].as_array().into_iter().flatten() {
                    let pointer = error["pointer"].as_str().unwrap_or("none");
                    prop_assert!(pointer.is_empty() || pointer.starts_with('/'), "{text}");
                    prop_assert!(error["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{text}");
                }
            }
            (200 | 201, "application/json") => {
                prop_assert!(
                    received.json().is_some_and(|answer| matches!(answer, Value::Object(_))),
                    "{text}"
                );
            }
            (200, "text/event-stream" | "application/jsonl" | "application/x-ndjson" | "text/plain") => {}
            (status, media_type) => prop_assert!(false, "{status} {media_type}: {text}"),
        }
        Ok(())
    });
}
