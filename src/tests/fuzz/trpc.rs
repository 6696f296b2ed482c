//! tRPC's protocol: whatever a request says, an answer in its form, and never an error of the server's own.

use http::Method;
use percent_encoding::percent_decode;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;
use serde_json::Value;
use slipway::store::Engine;

use super::mutate::{holds, mutated, spoilt};
use super::site::{Received, Sent, Site, headers, object, raw_json};

type Members = &'static [(&'static str, &'static str)];

const ID: &str = "\"00000000-0000-0000-0000-0000000000aa\"";
const DEFINITION: &str = "\"steps:\\n  - name: a\\n    run: x\\n\"";

/// Every kind of procedure and of field.
const CALLS: [(&str, Members); 14] = [
    ("pipelines.validate", &[("definition", DEFINITION)]),
    (
        "pipelines.create",
        &[
            ("name", "\"another\""),
            ("repository", "\"https://example.com/a.git\""),
            ("defaultBranch", "\"main\""),
            ("definition", DEFINITION),
            ("description", "\"two\\nlines\""),
        ],
    ),
    (
        "pipelines.update",
        &[("pipelineId", "\"build\""), ("description", "null"), ("defaultBranch", "\"main\"")],
    ),
    ("pipelines.get", &[("pipelineId", "\"build\"")]),
    ("pipelines.list", &[("limit", "5"), ("search", "\"u%_\\\\\""), ("cursor", "\"YQ\"")]),
    (
        "pipelines.trigger",
        &[
            ("pipelineId", "\"build\""),
            ("branch", "\"main\""),
            ("inputs", "{\"a\":\"b\"}"),
            ("idempotencyKey", "\"k\""),
        ],
    ),
    ("pipelines.streamLogs", &[("runId", ID), ("after", "-1"), ("lastEventId", "\"1-1\"")]),
    ("pipelines.watchRun", &[("runId", ID), ("lastEventId", "\"1\"")]),
    ("runs.get", &[("runId", ID)]),
    (
        "runs.list",
        &[("pipelineId", "\"build\""), ("status", "\"queued\""), ("branch", "\"main\""), ("cursor", ID)],
    ),
    ("runs.logs", &[("runId", ID), ("from", "-5"), ("limit", "10"), ("step", "\"build\"")]),
    ("tokens.create", &[("name", "\"ci\""), ("role", "\"viewer\""), ("expiresInDays", "7")]),
    ("tokens.revoke", &[("token", "\"ci\"")]),
    ("auth.streamTicket", &[("path", "\"pipelines.streamLogs\""), ("input", "{\"runId\":\"x\"}")]),
];

fn call() -> impl Strategy<Value = (&'static str, String)> {
    select(&CALLS[..]).prop_flat_map(|(path, members)| (Just(path), object(members)))
}

/// A request of one call or of several.
fn request() -> impl Strategy<Value = Sent> {
    let method = prop_oneof![
        5 => Just(Method::GET),
        6 => Just(Method::POST),
        1 => select(vec![Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH]),
    ];
    let index = prop_oneof![
        9 => Just(None),
        1 => select(vec!["00", "-1", "1.0", "99", "", "\\u0000", "0\\u0030"]).prop_map(Some),
    ];
    let calls = prop_oneof![
        vec((call(), index.clone()), 1..=1).prop_map(|calls| (calls, false)),
        vec((call(), index), 1..5).prop_map(|calls| (calls, true)),
    ];
    let parameters = prop_oneof![
        4 => Just(Vec::new()),
        1 => mutated(&["lastEventId=1-1", "connectionParams={\"a\":\"b\"}", "batch=1&batch=2", "input={}"]),
    ];
    let path_is_spoilt = prop::bool::weighted(0.15);
    (method, calls, headers(), parameters, path_is_spoilt, any::<bool>()).prop_flat_map(
        |(method, (calls, is_batch), headers, parameters, path_is_spoilt, input_is_spoilt)| {
            let names: Vec<&str> = calls.iter().map(|((name, _), _)| *name).collect();
            let path = format!("/trpc/{}", names.join(",")).into_bytes();
            let path = if path_is_spoilt { below_trpc(path).boxed() } else { Just(path).boxed() };
            let input = input_of(&calls, is_batch);
            let input = if input_is_spoilt { spoilt(Just(input)).boxed() } else { Just(input).boxed() };
            (path, input).prop_map(move |(path, input)| {
                let mut query = parameters.clone();
                if is_batch {
                    query.splice(0..0, *b"batch=1&");
                }
                let mut body = Vec::new();
                if method == Method::GET {
                    query.extend(b"&input=");
                    query.extend(form_urlencoded::byte_serialize(&input).flat_map(str::bytes));
                } else {
                    body = input;
                }
                Sent { method: method.clone(), path, query, headers: headers.clone(), body }
            })
        },
    )
}

fn below_trpc(path: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    spoilt(Just(path)).prop_map(|path| match path.starts_with(b"/trpc/") {
        true => path,
        false => [b"/trpc/", &path[..]].concat(),
    })
}

fn input_of(calls: &[((&'static str, String), Option<&'static str>)], is_batch: bool) -> Vec<u8> {
    if !is_batch {
        return calls[0].0.1.clone().into_bytes();
    }
    let members = calls.iter().enumerate().map(|(place, ((_, input), index))| match index {
        Some(index) => format!("\"{index}\":{input}"),
        None => format!("\"{place}\":{input}"),
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(",")).into_bytes()
}

/// What the protocol allows for one call.
fn is_envelope(envelope: &Value, status: Option<u16>) -> Result<(), TestCaseError> {
    let members = envelope.as_object().map(|members| members.keys().map(String::as_str).collect::<Vec<_>>());
    if members.as_deref() == Some(&["result"]) {
        prop_assert!(status.is_none_or(|status| status == 200), "{status:?}: {envelope}");
        return Ok(());
    }
    prop_assert_eq!(members.as_deref(), Some(&["error"][..]), "{}", envelope);
    is_error(&envelope["error"], status)
}

fn is_error(error: &Value, status: Option<u16>) -> Result<(), TestCaseError> {
    prop_assert!(error["message"].is_string() && error["code"].is_i64(), "{error}");
    prop_assert!(error["data"]["code"].is_string(), "{error}");
    let said = error["data"]["httpStatus"].as_u64().unwrap_or_default();
    prop_assert!((400..500).contains(&said), "{error}");
    prop_assert!(status.is_none_or(|status| u64::from(status) == said), "{status:?}: {error}");
    Ok(())
}

fn is_answer(sent: &Sent, received: &Received) -> Result<(), TestCaseError> {
    let Received { status, body, .. } = received;
    let text = String::from_utf8_lossy(body);
    match (received.media_type(), status.as_u16()) {
        ("", 204) => prop_assert!(sent.method == Method::HEAD, "{}", sent.method),
        // An address that is no procedure's, or a browser's question.
        _ if sent.method == Method::HEAD || sent.method == Method::OPTIONS => {
            prop_assert!(!status.is_server_error());
        }
        ("text/event-stream", status) => {
            prop_assert_eq!(status, 200);
            prop_assert!(
                text.contains("event: connected\n") || text.contains("event: serialized-error\n"),
                "{text}"
            );
            for error in
                text.split("\n\n").filter_map(|event| event.strip_prefix("event: serialized-error\ndata: "))
            {
                is_error(&serde_json::from_str(error).unwrap(), None)?;
            }
        }
        ("application/json", status) => {
            // A streamed batch says in its first line how many answers are to come.
            if text.starts_with("{\"0\":[[") {
                let head: Value =
                    serde_json::from_str(text.lines().next().unwrap_or_default()).unwrap_or_default();
                prop_assert_eq!(
                    head.as_object().map(serde_json::Map::len),
                    Some(count_of(&sent.path)),
                    "{}",
                    text
                );
                prop_assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{text}");
                return Ok(());
            }
            let answer = received.json();
            prop_assert!(answer.is_some(), "{status}: {text}");
            match answer.unwrap() {
                Value::Array(envelopes) => {
                    let common = (status != 207).then_some(status);
                    prop_assert_eq!(envelopes.len(), count_of(&sent.path));
                    envelopes.iter().try_for_each(|envelope| is_envelope(envelope, common))?;
                }
                envelope => is_envelope(&envelope, Some(status))?,
            }
        }
        (media_type, status) => prop_assert!(false, "{status} {media_type}: {text}"),
    }
    Ok(())
}

/// How many calls a path names.
fn count_of(path: &[u8]) -> usize {
    percent_decode(path).filter(|byte| *byte == b',').count() + 1
}

#[test]
fn any_request_is_answered_as_the_protocol_says() {
    let site = Site::start(Engine::Sqlite);
    holds(600, request(), |sent| match site.send(&sent) {
        Some(received) => is_answer(&sent, &received),
        None => Ok(()),
    });
}

fn live_request() -> impl Strategy<Value = Sent> {
    let wanted = (call(), raw_json(), prop::option::of(raw_json())).prop_map(|((path, input), key, id)| {
        let key = if key.starts_with('"') { key } else { "\"k\"".to_owned() };
        let id = id.map(|id| format!(",\"lastEventId\":{id}")).unwrap_or_default();
        format!("{{\"key\":{key},\"path\":\"{path}\",\"input\":{input}{id}}}")
    });
    let simple =
        call().prop_map(|(path, input)| format!("{{\"key\":\"a\",\"path\":\"{path}\",\"input\":{input}}}"));
    let body = vec(prop_oneof![simple, wanted], 0..4)
        .prop_map(|wanted| format!("[{}]", wanted.join(",")).into_bytes());
    let body = prop_oneof![body.clone(), spoilt(body)];
    (headers(), body).prop_map(|(headers, body)| Sent {
        method: Method::POST,
        path: b"/trpc-live".to_vec(),
        query: Vec::new(),
        headers,
        body,
    })
}

#[test]
fn any_request_for_several_subscriptions_is_answered_so_too() {
    let site = Site::start(Engine::Sqlite);
    holds(300, live_request(), |sent| match site.send(&sent) {
        Some(received) => is_answer(&sent, &received),
        None => Ok(()),
    });
}
