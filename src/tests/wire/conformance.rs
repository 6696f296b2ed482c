//! Replays what the reference server of tRPC answered, and compares.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use slipway::rpc::wire::{LinesOptions, Options, SseOptions};

use super::client::{self, Request, Response};
use super::event_stream::{self, Event};
use super::{reference_router, server::Server};

const VECTORS: &str = include_str!("vectors.json");

/// The vectors that this server does not match, each with its reason. One that matches must not be listed.
const LEFT_OUT: &[(&str, &[&str])] = &[
    (
        "results are sent whole, also in streamed batches: values that come one by one are what subscriptions are for, \
         and rspc has no type for a result with deferred members",
        &["jsonl-async-iterable", "jsonl-async-iterable-error", "jsonl-deferred", "jsonl-deferred-error"],
    ),
    (
        "the error of a stream-like result has a path as every other error of a call has",
        &["stream-output-in-plain-request"],
    ),
    ("the reference sends a text that its own client cannot read; null is sent", &["sse-undefined-event"]),
    ("a typed procedure cannot return anything but a stream", &["sse-not-iterable"]),
];

#[derive(Deserialize)]
struct Document {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    name: String,
    server: String,
    compare: String,
    #[serde(default)]
    engine_message: bool,
    request: RecordedRequest,
    response: RecordedResponse,
}

#[derive(Deserialize)]
struct RecordedRequest {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Option<String>,
}

#[derive(Deserialize)]
struct RecordedResponse {
    status: u16,
    headers: HashMap<String, String>,
    body: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recorded_answers_of_the_reference_server_are_reproduced() {
    let servers = servers().await;
    let document: Document = serde_json::from_str(VECTORS).unwrap();
    let left_out: HashMap<&str, &str> =
        LEFT_OUT.iter().flat_map(|(reason, names)| names.iter().map(|name| (*name, *reason))).collect();
    let mut wrong = Vec::new();
    let mut matched = 0;
    for vector in &document.vectors {
        let problems = replay(vector, servers[vector.server.as_str()].address).await;
        match left_out.get(vector.name.as_str()) {
            None if problems.is_empty() => matched += 1,
            None => wrong.push(format!("{}: {}", vector.name, problems.join("; "))),
            Some(_) if !problems.is_empty() => {}
            Some(reason) => wrong.push(format!("{} matches although {reason}", vector.name)),
        }
    }
    for name in left_out.keys().filter(|name| !document.vectors.iter().any(|vector| vector.name == **name)) {
        wrong.push(format!("{name} is left out but was never recorded"));
    }
    eprintln!("{matched} of {} vectors match, {} are left out", document.vectors.len(), left_out.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(matched + left_out.len(), document.vectors.len());
}

/// The servers with the settings of the recording.
async fn servers() -> HashMap<&'static str, Server> {
    let quiet = || SseOptions {
        ping_interval: None,
        reconnect_after_inactivity: None,
        retry: None,
        ..SseOptions::default()
    };
    let plain = || Options { sse: quiet(), ..Options::default() };
    let all_on = Options {
        method_override: true,
        batch_calls_max: 2,
        body_bytes_max: 64,
        sse: SseOptions {
            ping_interval: Some(Duration::from_millis(100)),
            reconnect_after_inactivity: Some(Duration::from_millis(3000)),
            ..quiet()
        },
        lines: LinesOptions {
            ping_interval: Some(Duration::from_millis(50)),
            content_type: "application/jsonl",
        },
        ..Options::default()
    };
    let no_batch = Options {
        batching: false,
        sse: SseOptions { duration_max: Some(Duration::from_millis(250)), ..quiet() },
        ..Options::default()
    };
    let no_sse = Options { sse: SseOptions { enabled: false, ..quiet() }, ..Options::default() };
    let base_path = Options { base_path: "/trpc/".into(), path_separator: '~', ..plain() };
    let settings = [
        ("default", plain()),
        ("options", all_on),
        ("nobatch", no_batch),
        ("nosse", no_sse),
        ("basepath", base_path),
    ];
    let mut servers = HashMap::new();
    for (name, options) in settings {
        servers.insert(name, Server::start(reference_router::declare(), options).await);
    }
    servers
}

async fn replay(vector: &Vector, address: SocketAddr) -> Vec<String> {
    let RecordedRequest { method, path, headers, body } = &vector.request;
    let mut headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if !headers.iter().any(|(name, _)| *name == "accept") {
        headers.push(("accept", "*/*"));
    }
    let request = Request { method, path, headers, body: body.as_deref() };
    let answer = client::send(address, request).await;
    let mut problems = Vec::new();
    if answer.status != vector.response.status {
        problems.push(format!("status {} in place of {}", answer.status, vector.response.status));
    }
    compare_headers(vector, &answer, &mut problems);
    compare_bodies(vector, &answer.body, &mut problems);
    problems
}

fn compare_headers(vector: &Vector, answer: &Response, problems: &mut Vec<String>) {
    for name in ["content-type", "vary", "allow", "cache-control", "x-accel-buffering"] {
        let expected = vector.response.headers.get(name).map(String::as_str);
        // The reference labels its request errors as text by accident; the body is JSON.
        let expected =
            if expected == Some("text/plain;charset=UTF-8") { Some("application/json") } else { expected };
        let actual = answer.headers.get(name).map(String::as_str);
        if actual != expected {
            problems.push(format!("{name} {actual:?} in place of {expected:?}"));
        }
    }
}

fn compare_bodies(vector: &Vector, actual: &str, problems: &mut Vec<String>) {
    let expected = vector.response.body.as_str();
    let (actual, expected) = match vector.compare.as_str() {
        "empty" => (Value::from(actual), Value::from("")),
        "json" => (json(actual), json(expected)),
        "jsonl" => (lines(actual), lines(expected)),
        "sse" | "sse-prefix" => return compare_events(vector, actual, problems),
        other => panic!("{} is compared in an unknown way: {other}", vector.name),
    };
    compare(vector, actual, expected, problems);
}

fn compare_events(vector: &Vector, actual: &str, problems: &mut Vec<String>) {
    let is_ping = |event: &Event| event.kind == "ping";
    let (mut actual, mut expected) =
        (event_stream::parse(actual), event_stream::parse(&vector.response.body));
    if expected.iter().any(is_ping) && !actual.iter().any(is_ping) {
        problems.push("no ping".into());
    }
    actual.retain(|event| !is_ping(event));
    expected.retain(|event| !is_ping(event));
    if vector.compare == "sse-prefix" {
        if actual.iter().any(|event| event.kind == "return") {
            problems.push("the stream says that it is over".into());
        }
        actual.truncate(3);
        expected.truncate(3);
    }
    let kinds = |events: &[Event]| -> Vec<_> {
        events.iter().map(|event| (event.kind.clone(), event.id.clone())).collect()
    };
    if kinds(&actual) != kinds(&expected) {
        problems.push(format!("events {actual:?} in place of {expected:?}"));
    }
    let data = |events: Vec<Event>| events.into_iter().map(|event| event.data).collect::<Value>();
    compare(vector, data(actual), data(expected), problems);
}

fn compare(vector: &Vector, mut actual: Value, mut expected: Value, problems: &mut Vec<String>) {
    if vector.engine_message {
        hide_messages(&mut actual);
        hide_messages(&mut expected);
    }
    if actual != expected {
        problems.push(format!("{actual} in place of {expected}"));
    }
}

/// What the lines of a streamed batch come to. Their order and the numbers of their chunks are free.
fn lines(text: &str) -> Value {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is not ended: {text:?}");
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or(Value::Null));
    let Some(Value::Object(head)) = lines.next() else { return Value::from(text) };
    let chunks: Vec<Value> = lines.collect();
    head.iter().map(|(index, encoded)| (index.clone(), decode(encoded, &chunks))).collect()
}

/// A value with what is promised in it put in place. A promise of nothing leaves its member out.
fn decode(encoded: &Value, chunks: &[Value]) -> Value {
    let parts = encoded.as_array().unwrap();
    let mut value = parts[0].get(0).cloned().unwrap_or(Value::from("nothing"));
    for descriptor in &parts[1..] {
        let fulfils = |chunk: &&Value| chunk[0] == descriptor[2] && chunk[1] == 0;
        let promised =
            chunks.iter().find(fulfils).map_or(Value::from("missing"), |chunk| decode(&chunk[2], chunks));
        match descriptor[0].as_str() {
            None => return promised,
            Some(member) if promised == "nothing" => drop(value.as_object_mut().unwrap().remove(member)),
            Some(member) => value[member] = promised,
        }
    }
    value
}

/// Texts of the reference's own parser cannot be expected of another.
fn hide_messages(value: &mut Value) {
    match value {
        Value::Array(members) => members.iter_mut().for_each(hide_messages),
        Value::Object(members) => {
            if members.contains_key("code") && members.contains_key("message") {
                members.insert("message".into(), Value::Null);
            }
            members.values_mut().for_each(hide_messages);
        }
        _ => {}
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(format!("not JSON: {text}")))
}
