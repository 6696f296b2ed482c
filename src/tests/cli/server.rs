//! A server that answers what it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};

/// What came in.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) input: Value,
    pub(super) authorization: Option<String>,
    pub(super) last_event_id: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) enum Reply {
    Data(Value),
    /// tRPC's code, and the message.
    Error(&'static str, &'static str),
    /// The bytes of a stream of events; its end is that of the connection.
    Events(String),
    Page(StatusCode, &'static str),
}

#[derive(Clone, Default)]
struct Script {
    replies: Arc<Mutex<BTreeMap<String, VecDeque<Reply>>>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

pub(super) struct Server {
    pub(super) url: String,
    script: Script,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start() -> Self {
        let script = Script::default();
        let app = Router::new().route("/trpc/{path}", axum::routing::any(answer)).with_state(script.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(serve(listener, app));
        Self { url, script, task }
    }

    /// The next replies to a procedure, one a call; the last is repeated.
    pub(super) fn on(&self, path: &str, replies: impl IntoIterator<Item = Reply>) -> &Self {
        let replies = replies.into_iter().collect();
        self.script.replies.lock().unwrap().insert(path.to_owned(), replies);
        self
    }

    pub(super) fn calls(&self, path: &str) -> Vec<Call> {
        let calls = self.script.calls.lock().unwrap();
        calls.iter().filter(|call| call.path == path).cloned().collect()
    }
}

async fn serve(listener: tokio::net::TcpListener, app: Router) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = hyper_util::service::TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            let io = hyper_util::rt::TokioIo::new(stream);
            // The client may go away at any time.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        });
    }
}

async fn answer(
    State(script): State<Script>,
    method: Method,
    Path(path): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let input = match query.get("input") {
        Some(input) => serde_json::from_str(input).unwrap(),
        None => serde_json::from_slice(&body).unwrap(),
    };
    let call = Call {
        method,
        path: path.clone(),
        input,
        authorization: header("authorization"),
        last_event_id: header("last-event-id"),
    };
    script.calls.lock().unwrap().push(call);
    let reply = {
        let mut replies = script.replies.lock().unwrap();
        match replies.get_mut(&path) {
            Some(replies) if 1 < replies.len() => replies.pop_front(),
            Some(replies) => replies.front().cloned(),
            None => None,
        }
    };
    match reply {
        Some(Reply::Data(data)) => {
            response(200, "application/json", json!({ "result": { "data": data } }).to_string())
        }
        Some(Reply::Error(code, message)) => {
            let data = json!({ "code": code, "httpStatus": 400, "path": path });
            let error = json!({ "error": { "message": message, "code": -32000, "data": data } });
            response(400, "application/json", error.to_string())
        }
        Some(Reply::Events(events)) => response(200, "text/event-stream", events),
        Some(Reply::Page(status, text)) => response(status.as_u16(), "text/html", text.to_owned()),
        None => response(500, "text/plain", format!("the test says nothing of {path}")),
    }
}

fn response(status: u16, content_type: &str, body: String) -> Response<Body> {
    Response::builder().status(status).header("content-type", content_type).body(Body::from(body)).unwrap()
}

pub(super) const RUN: &str = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
const PIPELINE: &str = "0190a1b2-0000-7000-8000-000000000001";
const TIME: &str = "2026-11-24T00:00:00.000Z";

pub(super) fn pipeline() -> Value {
    json!({
        "id": PIPELINE, "name": "nightly", "description": null, "repository": null, "defaultBranch": "main",
        "definition": null, "createdAt": TIME, "updatedAt": TIME,
    })
}

pub(super) fn run() -> Value {
    json!({
        "id": RUN, "number": 12, "pipelineId": PIPELINE, "pipelineName": "nightly", "status": "queued",
        "progress": 0, "attempt": 1, "attemptsMax": 3, "branch": "main", "commit": null, "inputs": {},
        "trigger": { "kind": "api", "by": "admin", "untrusted": false }, "reason": null, "error": null, "version": 1, "lines": 0,
        "lastLineAt": null, "nextAttemptAt": null, "createdAt": TIME, "startedAt": null, "finishedAt": null, "logPurgedAt": null,
        "logPurgedBy": null,
    })
}

pub(super) fn details() -> Value {
    let mut details = run();
    details["steps"] = json!([]);
    details["earlierSteps"] = json!([]);
    details
}

pub(super) fn line(n: u64, message: &str) -> Value {
    json!({
        "id": format!("3-{n}"), "n": n, "timestamp": TIME, "step": "build", "attempt": 1, "stream": "stdout",
        "message": message,
    })
}

pub(super) fn state(version: u64, status: &str, step: &str) -> Value {
    json!({
        "runId": RUN, "number": 12, "status": status, "progress": 0, "attempt": 1, "version": version,
        "lines": 0, "lastLineAt": null, "nextAttemptAt": null, "commit": null, "reason": null, "error": null,
        "startedAt": null, "finishedAt": null,
        "steps": [{
            "name": "build", "status": step, "exitCode": null, "reason": null, "attempt": 1, "needs": [],
            "startedAt": null, "finishedAt": null, "firstLine": null, "lastLine": null,
        }],
    })
}

/// A stream's events: each with its id, then the given end, if any.
pub(super) fn events(items: &[(&str, Value)], end: &str) -> Reply {
    let mut text = "retry: 500\n\nevent: connected\ndata: {}\n\n".to_owned();
    for (id, item) in items {
        text.push_str(&format!("data: {item}\nid: {id}\n\n"));
    }
    text.push_str(end);
    Reply::Events(text)
}

pub(super) const RETURN: &str = "event: return\ndata: \n\n";
