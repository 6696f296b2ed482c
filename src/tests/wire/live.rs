//! Several subscriptions over one response.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use slipway::rpc::wire::{self, Events, Options, Output, SseOptions};
use tokio::sync::mpsc;

use super::client::{self, PATIENCE, Request, Response};
use super::event_stream::{self, Event};
use super::reference_router;
use super::server::{Declared, Server, context};

pub(super) const PATH: &str = "/trpc-live";

fn quiet() -> Options {
    Options { sse: SseOptions { ping_interval: None, ..SseOptions::default() }, ..Options::default() }
}

/// The events that belong to a subscription, in order: key, kind, data, id.
pub(super) fn owned(text: &str) -> Vec<(String, Event)> {
    let mut owner = None;
    let mut owned = Vec::new();
    for event in event_stream::parse(text) {
        match (event.kind.as_str(), &owner) {
            ("key", _) => owner = Some(event.data.as_str().unwrap().to_owned()),
            ("ping", _) => {}
            ("connected", None) => {}
            (_, Some(key)) => owned.push((String::clone(key), event)),
            (_, None) => panic!("{event:?} belongs to nobody"),
        }
    }
    owned
}

/// What one subscription was sent: kind and data.
fn of(text: &str, key: &str) -> Vec<(String, Value)> {
    let events = owned(text).into_iter().filter(|(owner, _)| owner == key);
    events.map(|(_, event)| (event.kind, event.data)).collect()
}

fn kinds(text: &str, key: &str) -> Vec<String> {
    of(text, key).into_iter().map(|(kind, _)| kind).collect()
}

async fn ask(server: &Server, body: &Value) -> Response {
    client::send(server.address, Request::post(PATH, &body.to_string())).await
}

fn error_code(response: &Response) -> Value {
    let envelope: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(response.headers["content-type"], "application/json", "{envelope}");
    envelope["error"]["data"]["code"].clone()
}

/// Subscriptions that yield what is sent to them, and tell when they are dropped.
struct Controlled {
    declared: Declared,
    begun: mpsc::UnboundedReceiver<mpsc::UnboundedSender<&'static str>>,
    ended: mpsc::UnboundedReceiver<()>,
}

struct Told(mpsc::UnboundedSender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        // A test that does not wait for it has dropped the receiver.
        self.0.send(()).ok();
    }
}

fn controlled(declared: Declared) -> Controlled {
    let (begin, begun) = mpsc::unbounded_channel();
    let (end, ended) = mpsc::unbounded_channel();
    let declared = declared.subscription("controlled", false, move |_, _| {
        let (sender, receiver) = mpsc::unbounded_channel();
        begin.send(sender).unwrap();
        let state = (receiver, Told(end.clone()));
        stream::iter([Ok(Output::begun())]).chain(stream::unfold(state, |(mut receiver, told)| async {
            let text: &str = receiver.recv().await?;
            Some((Output::json(text), (receiver, told)))
        }))
    });
    Controlled { declared, begun, ended }
}

#[tokio::test]
async fn each_subscription_is_sent_what_it_would_be_sent_alone() {
    let server = Server::start(reference_router::declare(), quiet()).await;
    let response = ask(
        &server,
        &json!([
            { "key": "t", "path": "ticks" },
            { "key": "resumed", "path": "tracked", "input": { "lastEventId": "0" }, "lastEventId": "1" },
            { "key": "without_input", "path": "tracked", "lastEventId": "2" },
            { "key": "wrong_input", "path": "tracked", "input": 5, "lastEventId": null },
            { "key": "null-input", "path": "subEcho", "input": null },
            { "key": "absent-input", "path": "subEcho" },
            { "key": "fails", "path": "subFail", "input": { "code": "FORBIDDEN" } },
            { "key": "unknown", "path": "no.such" },
            { "key": "query", "path": "hello" },
            { "key": "mixed", "path": "mixed", "lastEventId": "old" },
        ]),
    )
    .await;
    assert_eq!(response.status, 200);
    assert_eq!(response.headers["content-type"], "text/event-stream");
    assert_eq!(response.headers["cache-control"], "no-cache, no-transform");
    assert_eq!(response.headers["x-accel-buffering"], "no");
    let head =
        "retry: 1000\n\nevent: connected\ndata: {\"reconnectAfterInactivityMs\":45000}\n\nevent: key\n";
    assert!(response.body.starts_with(head), "{}", response.body);

    let said = |key: &str| of(&response.body, key);
    let event = |kind: &str, data: Value| (kind.to_owned(), data);
    let (connected, returned) = (event("connected", json!({})), event("return", json!("")));
    let values = |values: &[Value]| {
        let mut events = vec![connected.clone()];
        events.extend(values.iter().map(|value| event("message", value.clone())));
        events.push(returned.clone());
        events
    };
    assert_eq!(said("t"), values(&[json!({ "n": 1 }), json!({ "n": 2 })]));
    assert_eq!(said("resumed"), values(&[json!({ "n": 2 }), json!({ "n": 3 })]));
    assert_eq!(said("without_input"), values(&[json!({ "n": 3 })]));
    assert_eq!(said("null-input"), values(&[json!({ "input": null })]));
    assert_eq!(said("absent-input"), values(&[json!({ "input": "undefined" })]));
    assert_eq!(kinds(&response.body, "fails"), ["connected", "message", "serialized-error"]);
    for (key, code, path) in [
        ("wrong_input", "BAD_REQUEST", "tracked"),
        ("unknown", "NOT_FOUND", "no.such"),
        ("query", "METHOD_NOT_SUPPORTED", "hello"),
    ] {
        // Alone, without `connected`: such a subscription has never begun.
        let events = said(key);
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0].0, "serialized-error");
        assert_eq!(events[0].1["data"]["code"], code);
        assert_eq!(events[0].1["data"]["path"], path);
    }
    let mixed: Vec<_> = owned(&response.body)
        .into_iter()
        .filter(|(key, _)| key == "mixed")
        .map(|(_, event)| (event.kind, event.id))
        .collect();
    let expected = [
        ("connected", None),
        ("message", Some("")),
        ("restore-id", Some("old")),
        ("message", Some("a")),
        ("message", Some("")),
        ("restore-id", Some("a")),
        ("message", Some("b")),
        ("return", None),
    ];
    let expected = expected.map(|(kind, id): (&str, Option<&str>)| (kind.to_owned(), id.map(str::to_owned)));
    assert_eq!(mixed, expected);
}

#[tokio::test]
async fn a_request_that_is_wrong_as_a_whole_is_an_ordinary_error() {
    let mut options = quiet();
    options.body_bytes_max = 1000;
    options.sse.live_subscriptions_max = 2;
    let server = Server::start(reference_router::declare(), options).await;
    let one = |key: &str| json!({ "key": key, "path": "ticks" });
    for body in [
        "".to_owned(),
        "[".to_owned(),
        "5".to_owned(),
        "[]".to_owned(),
        json!([one("a"), one("b"), one("c")]).to_string(),
        json!([one("a"), one("a")]).to_string(),
        json!([one("a b")]).to_string(),
    ] {
        let response = client::send(server.address, Request::post(PATH, &body)).await;
        assert_eq!((response.status, error_code(&response)), (400, json!("BAD_REQUEST")), "{body}");
    }
    let body = json!([one("a")]).to_string();
    for method in ["GET", "PUT", "OPTIONS"] {
        let response = client::send(server.address, Request { method, ..Request::post(PATH, &body) }).await;
        assert_eq!((response.status, error_code(&response)), (405, json!("METHOD_NOT_SUPPORTED")));
        assert_eq!(response.headers["allow"], "POST");
    }
    let types =
        [None, Some("text/plain"), Some("application/octet-stream"), Some("multipart/form-data; boundary=x")];
    for content_type in types {
        let headers = content_type.map(|value| ("content-type", value)).into_iter().collect();
        let response = client::send(server.address, Request { headers, ..Request::post(PATH, &body) }).await;
        assert_eq!((response.status, error_code(&response)), (415, json!("UNSUPPORTED_MEDIA_TYPE")));
    }
    let large = format!("{body}{}", " ".repeat(1000));
    let response = client::send(server.address, Request::post(PATH, &large)).await;
    assert_eq!((response.status, error_code(&response)), (413, json!("PAYLOAD_TOO_LARGE")));
    assert_eq!(server.service.streams_open(), 0);
}

#[tokio::test]
async fn a_failed_context_fails_each_subscription_as_it_would_alone() {
    let server = Server::start(reference_router::declare(), quiet()).await;
    let wanted = json!([
        { "key": "a", "path": "ticks" },
        { "key": "b", "path": "tracked", "input": 5 },
        { "key": "c", "path": "no.such" },
    ])
    .to_string();
    // The number decides whether clients come back: -32603 says that the next attempt may succeed.
    for (code, number) in [("UNAUTHORIZED", -32001), ("FORBIDDEN", -32003), ("SERVICE_UNAVAILABLE", -32603)] {
        let mut request = Request::post(PATH, &wanted);
        request.headers.push(("x-fail-context", code));
        let response = client::send(server.address, request).await;
        assert_eq!(response.status, 200);
        for key in ["a", "b"] {
            let events = of(&response.body, key);
            assert_eq!(events.len(), 1, "{events:?}");
            assert_eq!((&events[0].1["data"]["code"], &events[0].1["code"]), (&json!(code), &json!(number)));
        }
        assert_eq!(of(&response.body, "c")[0].1["data"]["code"], "NOT_FOUND");

        let alone = Request { headers: vec![("x-fail-context", code)], ..Request::get("/ticks") };
        let alone = event_stream::parse(&client::send(server.address, alone).await.body);
        assert_eq!(alone.last().unwrap().data, of(&response.body, "a")[0].1);
    }
    assert_eq!(server.service.streams_open(), 0);
}

#[tokio::test]
async fn a_panic_ends_one_subscription_and_no_other() {
    let declared = reference_router::declare()
        .subscription("panics", false, |_, _| stream::once(async { panic!("the password is hunter2") }))
        .subscription("panicsAtOnce", true, |_, _| -> stream::Empty<_> { panic!("hunter2") });
    let server = Server::start(declared, quiet()).await;
    let response = ask(
        &server,
        &json!([
            { "key": "p", "path": "panics" },
            { "key": "o", "path": "panicsAtOnce" },
            { "key": "t", "path": "ticks" },
        ]),
    )
    .await;
    for key in ["p", "o"] {
        assert_eq!(of(&response.body, key)[0].1["data"]["code"], "INTERNAL_SERVER_ERROR");
    }
    assert_eq!(kinds(&response.body, "t"), ["connected", "message", "message", "return"]);
    assert!(!response.body.contains("hunter2"));
}

#[tokio::test]
async fn a_subscription_is_connected_when_it_has_begun_and_the_stream_before() {
    let Controlled { declared, mut begun, .. } = controlled(Declared::default());
    let declared = declared.subscription("undecided", false, |_, _| stream::pending());
    let server = Server::start(declared, quiet()).await;
    let body = json!([{ "key": "u", "path": "undecided" }, { "key": "c", "path": "controlled" }]).to_string();
    let mut open = client::open(server.address, Request::post(PATH, &body)).await;
    let head = open.read_until("event: key\ndata: c\n\nevent: connected\ndata: {}\n\n").await;
    assert_eq!(kinds(&head, "c"), ["connected"]);
    assert!(kinds(&head, "u").is_empty());
    let sender = begun.recv().await.unwrap();
    sender.send("value").unwrap();
    // Nobody else was heard of since, so the key is not said again.
    assert_eq!(open.chunk().await.unwrap(), "data: \"value\"\n\n");
}

/// Three that always have something ready, in each of the forms, and one that has something now and then.
#[tokio::test]
async fn a_busy_subscription_keeps_no_other_from_its_turn() {
    let Controlled { declared, mut begun, .. } = controlled(Declared::default());
    let finished = Bytes::from("data: 1\nid: 1\n\n".repeat(10_000));
    let declared = declared
        .subscription("tiny", false, |_, _| stream::repeat_with(|| Output::json(&1)))
        .subscription("large", false, |_, _| stream::repeat_with(|| Output::json(&"x".repeat(100_000))))
        .subscription("finished", false, move |_, _| {
            let finished = finished.clone();
            stream::repeat_with(move || Ok(Output::events(Events::new(finished.clone(), None))))
        })
        .subscription("empty", false, |_, _| {
            stream::repeat_with(|| Ok(Output::events(Events::new(Bytes::new(), None))))
        });
    let server = Server::start(declared, quiet()).await;
    let paths = ["tiny", "large", "finished", "empty", "controlled"];
    let wanted: Vec<_> = paths.iter().map(|path| json!({ "key": path, "path": path })).collect();
    let request = http::Request::post(PATH).header("content-type", "application/json");
    let request = request.body(Body::from(Value::from(wanted).to_string())).unwrap();
    let mut body = wire::handle_live(&server.service, request, context).await.into_body();
    let sender = begun.recv().await.unwrap();
    let mut frames = async || {
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await.expect("the stream goes on");
        String::from_utf8(frame.unwrap().unwrap().into_data().unwrap().to_vec()).unwrap()
    };
    for _ in 0..5 {
        let mut turns = String::new();
        sender.send("controlled").unwrap();
        let mut count = 0;
        while !turns.contains("data: \"controlled\"") {
            turns.push_str(&frames().await);
            count += 1;
            // A chunk ends with each large turn, and there is at most one such turn of each before.
            assert!(count <= 20, "{count} chunks went by");
        }
    }
    let mut turns = Vec::new();
    for _ in 0..100 {
        let frame = frames().await;
        turns.extend(event_stream::parse(&frame).into_iter().filter(|event| event.kind == "key"));
    }
    let count = |key: &str| turns.iter().filter(|event| event.data == key).count();
    let (tiny, large, finished) = (count("tiny"), count("large"), count("finished"));
    assert!(tiny.abs_diff(large) <= 1 && large.abs_diff(finished) <= 1, "{tiny}, {large}, {finished} turns");
    assert!(finished > 10);
}

#[tokio::test]
async fn finished_events_pass_untouched_and_uncopied() {
    let finished = Bytes::from_static(b"data: {\"n\":1}\nid: 1\n\ndata: {\"n\":2}\nid: 2\n\n");
    let shared = finished.clone();
    let declared = Declared::default().subscription("finished", false, move |_, _| {
        stream::iter([Ok(Output::events(Events::new(shared.clone(), None)))])
    });
    let server = Server::start(declared, quiet()).await;
    let wanted = json!([{ "key": "a", "path": "finished" }, { "key": "b", "path": "finished" }]).to_string();
    let request = http::Request::post(PATH).header("content-type", "application/json");
    let request = request.body(Body::from(wanted)).unwrap();
    let mut body = wire::handle_live(&server.service, request, context).await.into_body();
    let mut uncopied = 0;
    while let Some(frame) = body.frame().await {
        uncopied += usize::from(frame.unwrap().into_data().unwrap().as_ptr() == finished.as_ptr());
    }
    assert_eq!(uncopied, 2);
}

#[tokio::test]
async fn a_client_that_leaves_ends_all_its_subscriptions_and_gives_their_places_back() {
    let Controlled { declared, begun: _begun, mut ended } = controlled(Declared::default());
    let server = Server::start(declared, quiet()).await;
    let wanted: Vec<_> =
        ["a", "b", "c"].iter().map(|key| json!({ "key": key, "path": "controlled" })).collect();
    let mut open = client::open(server.address, Request::post(PATH, &Value::from(wanted).to_string())).await;
    let mut head = String::new();
    while head.matches("data: {}\n").count() < 3 {
        head.push_str(&open.chunk().await.unwrap());
    }
    assert_eq!(server.service.streams_open(), 3);
    drop(open);
    for _ in 0..3 {
        tokio::time::timeout(PATIENCE, ended.recv()).await.expect("the procedure is dropped").unwrap();
    }
    all_places_are_given_back(&server).await;
}

async fn all_places_are_given_back(server: &Server) {
    let emptied = async {
        while server.service.streams_open() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, emptied).await.expect("the places are given back");
}

#[tokio::test]
async fn one_subscription_too_many_is_told_to_come_back_and_the_others_go_on() {
    let Controlled { declared, mut begun, .. } = controlled(Declared::default());
    let mut options = quiet();
    options.sse.streams_max = 2;
    let server = Server::start(declared, options).await;
    let wanted: Vec<_> =
        ["a", "b", "c"].iter().map(|key| json!({ "key": key, "path": "controlled" })).collect();
    let mut open = client::open(server.address, Request::post(PATH, &Value::from(wanted).to_string())).await;
    let senders = [begun.recv().await.unwrap(), begun.recv().await.unwrap()];
    for sender in &senders {
        sender.send("value").unwrap();
    }
    let mut text = open.read_until("SERVICE_UNAVAILABLE").await;
    while text.matches("data: \"value\"").count() < 2 {
        text.push_str(&open.chunk().await.unwrap());
    }
    assert!(text.starts_with("retry: 500\n\n"), "{text}");
    assert_eq!(of(&text, "c")[0].1["code"], -32603);
    // What has ended gives its place back while the others go on.
    let [first, _second] = senders;
    drop(first);
    open.read_until("event: return").await;
    let freed = async {
        while server.service.streams_open() > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.expect("the place is given back");
}

#[tokio::test]
async fn a_shutdown_ends_the_stream_without_return() {
    let Controlled { declared, begun: _begun, mut ended } = controlled(reference_router::declare());
    let server = Server::start(declared, quiet()).await;
    let body = json!([{ "key": "a", "path": "controlled" }, { "key": "t", "path": "ticks" }]).to_string();
    let mut open = client::open(server.address, Request::post(PATH, &body)).await;
    let mut text = open.read_until("event: return").await;
    while !kinds(&text, "a").contains(&"connected".to_owned()) {
        text.push_str(&open.chunk().await.unwrap());
    }
    server.shutdown.cancel();
    assert_eq!(open.rest().await, "");
    tokio::time::timeout(PATIENCE, ended.recv()).await.expect("the procedure is dropped").unwrap();
    all_places_are_given_back(&server).await;
}

#[tokio::test]
async fn the_limit_of_duration_ends_the_stream_without_return_though_it_is_busy() {
    let declared =
        Declared::default().subscription("flood", false, |_, _| stream::repeat_with(|| Output::json(&1)));
    let mut options = quiet();
    options.sse.duration_max = Some(Duration::from_millis(20));
    let server = Server::start(declared, options).await;
    let response = ask(&server, &json!([{ "key": "a", "path": "flood" }])).await;
    assert!(!response.body.contains("event: return"));
}

#[tokio::test]
async fn a_silent_stream_pings_without_changing_whose_turn_it_is() {
    let Controlled { declared, mut begun, .. } = controlled(Declared::default());
    let mut options = Options::default();
    options.sse.ping_interval = Some(Duration::from_millis(10));
    let server = Server::start(declared, options).await;
    let body = json!([{ "key": "a", "path": "controlled" }]).to_string();
    let mut open = client::open(server.address, Request::post(PATH, &body)).await;
    let mut text = open.read_until("event: ping\ndata: \n\nevent: ping\ndata: \n\n").await;
    let sender = begun.recv().await.unwrap();
    sender.send("value").unwrap();
    text.push_str(&open.read_until("data: \"value\"").await);
    assert_eq!(text.matches("event: key\n").count(), 1, "{text}");
}
