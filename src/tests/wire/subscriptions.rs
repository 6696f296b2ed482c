//! How event streams begin, pause and end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use serde_json::json;
use slipway::rpc::wire::{self, EventId, Events, Options, Output, SseOptions, Tracked};
use tokio::sync::mpsc;

use super::client::{self, PATIENCE, Request};
use super::event_stream;
use super::reference_router;
use super::server::{Ctx, Declared, Server};

/// Tells when it is dropped.
struct Told(mpsc::Sender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        // A test that does not wait for it has dropped the receiver.
        self.0.try_send(()).ok();
    }
}

/// A subscription that yields one value and then waits for ever, and a receiver that hears of its end.
fn endless() -> (Declared, mpsc::Receiver<()>) {
    let (ended, ends) = mpsc::channel(16);
    let declared = reference_router::declare().subscription("endless", false, move |_, _| {
        let told = Told(ended.clone());
        stream::iter([Output::json(&1)]).chain(stream::once(async move {
            let _told = told;
            std::future::pending().await
        }))
    });
    (declared, ends)
}

fn quiet() -> Options {
    Options { sse: SseOptions { ping_interval: None, ..SseOptions::default() }, ..Options::default() }
}

#[tokio::test]
async fn a_stream_begins_with_the_delay_and_the_settings_of_its_client() {
    let server = Server::start(reference_router::declare(), Options::default()).await;
    let response = client::send(server.address, Request::get("/ticks")).await;
    let expected = "retry: 1000\n\nevent: connected\ndata: {\"reconnectAfterInactivityMs\":45000}\n\n\
                    data: {\"n\":1}\n\ndata: {\"n\":2}\n\nevent: return\ndata: \n\n";
    assert_eq!(response.body, expected);
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_procedure_and_gives_its_place_back() {
    let (declared, mut ends) = endless();
    let server = Server::start(declared, quiet()).await;
    let mut open = client::open(server.address, Request::get("/endless")).await;
    open.read_until("data: 1\n\n").await;
    assert_eq!(server.service.streams_open(), 1);
    drop(open);
    tokio::time::timeout(PATIENCE, ends.recv()).await.expect("the procedure is dropped").unwrap();
    let emptied = async {
        while server.service.streams_open() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, emptied).await.expect("the place is given back");
}

#[tokio::test]
async fn a_shutdown_ends_streams_without_return_so_that_clients_reconnect() {
    let (declared, mut ends) = endless();
    let server = Server::start(declared, quiet()).await;
    let mut open = client::open(server.address, Request::get("/endless")).await;
    open.read_until("data: 1\n\n").await;
    server.shutdown.cancel();
    assert_eq!(open.rest().await, "");
    tokio::time::timeout(PATIENCE, ends.recv()).await.expect("the procedure is dropped").unwrap();

    let late = client::send(server.address, Request::get("/endless")).await;
    assert_turned_away(&late);
}

#[tokio::test]
async fn a_stream_that_never_pauses_ends_with_a_shutdown_as_well() {
    let declared = Declared::default()
        .subscription("flood", false, |_, _| stream::repeat_with(|| Output::json(&"x".repeat(100))));
    let server = Server::start(declared, quiet()).await;
    let mut open = client::open(server.address, Request::get("/flood")).await;
    open.read_until("data: ").await;
    server.shutdown.cancel();
    assert!(!open.rest().await.contains("event: return"));
}

fn assert_turned_away(response: &client::Response) {
    assert_eq!(response.status, 200);
    assert!(response.body.starts_with("retry: 500\n\n"), "{}", response.body);
    let events = event_stream::parse(&response.body);
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["connected", "serialized-error"]);
    assert_eq!(events[1].data["code"], -32603);
    assert_eq!(events[1].data["data"]["code"], "SERVICE_UNAVAILABLE");
}

#[tokio::test]
async fn one_stream_too_many_is_told_to_come_back() {
    let (declared, _ends) = endless();
    let mut options = quiet();
    options.sse.streams_max = 1;
    let server = Server::start(declared, options).await;
    let mut open = client::open(server.address, Request::get("/endless")).await;
    open.read_until("data: 1\n\n").await;
    assert_turned_away(&client::send(server.address, Request::get("/endless")).await);
    assert_eq!(server.service.streams_open(), 1);
}

#[tokio::test]
async fn a_subscription_that_fails_before_it_begins_takes_no_place() {
    let server = Server::start(reference_router::declare(), quiet()).await;
    let request = Request { headers: vec![("x-fail-context", "1")], ..Request::get("/ticks") };
    let response = client::send(server.address, request).await;
    assert!(response.body.contains("UNAUTHORIZED"), "{}", response.body);
    assert_eq!(server.service.streams_open(), 0);
}

#[tokio::test]
async fn an_idle_stream_pings() {
    let (declared, _ends) = endless();
    let mut options = Options::default();
    options.sse.ping_interval = Some(Duration::from_millis(10));
    let server = Server::start(declared, options).await;
    let mut open = client::open(server.address, Request::get("/endless")).await;
    open.read_until("event: ping\ndata: \n\nevent: ping\ndata: \n\n").await;
}

#[tokio::test]
async fn finished_events_reach_the_client_untouched_and_are_resumed_after() {
    let finished = Bytes::from_static(b"data: {\"n\":1}\nid: 1\n\ndata: {\"n\":2}\nid: 2\n\n");
    let bytes = finished.clone();
    let declared = Declared::default().subscription("finished", false, move |_, _| {
        let items =
            [3, 4].map(|n| Tracked { id: EventId::new(&n.to_string()).unwrap(), value: json!({ "n": n }) });
        stream::iter([
            Output::json(&"first"),
            Ok(Output::events(Events::new(bytes.clone(), EventId::new("2")))),
            Events::encode(&items).map(Output::events),
            Output::json(&"last"),
        ])
    });
    let server = Server::start(declared, quiet()).await;
    let response = client::send(server.address, Request::get("/finished")).await;
    assert!(response.body.contains(std::str::from_utf8(&finished).unwrap()), "{}", response.body);
    let events = event_stream::parse(&response.body);
    let seen: Vec<_> = events
        .iter()
        .filter(|event| event.kind != "connected")
        .map(|event| (event.kind.as_str(), event.data.clone(), event.id.as_deref()))
        .collect();
    let expected = [
        ("message", json!("first"), None),
        ("message", json!({ "n": 1 }), Some("1")),
        ("message", json!({ "n": 2 }), Some("2")),
        ("message", json!({ "n": 3 }), Some("3")),
        ("message", json!({ "n": 4 }), Some("4")),
        // The client holds an id by then, and would take this value for a tracked one.
        ("message", json!("last"), Some("")),
        ("restore-id", json!(""), Some("4")),
        ("return", json!(""), None),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn what_is_ready_travels_together_and_in_order() {
    let declared = Declared::default()
        .subscription("burst", false, |_, _| stream::iter((0..20_000).map(|n| Output::json(&n))));
    let server = Server::start(declared, quiet()).await;
    let mut open = client::open(server.address, Request::get("/burst")).await;
    let (mut chunks, mut body) = (0, String::new());
    while let Some(chunk) = open.chunk().await {
        assert!(chunk.len() < 128 * 1024, "a chunk of {} bytes", chunk.len());
        chunks += 1;
        body.push_str(&chunk);
    }
    let values: Vec<_> =
        event_stream::parse(&body).into_iter().filter_map(|event| event.data.as_u64()).collect();
    assert_eq!(values, (0..20_000).collect::<Vec<_>>());
    assert!(chunks <= 30, "{chunks} chunks");
}

#[tokio::test]
async fn a_slow_client_slows_its_procedure_down() {
    const VALUE_BYTES: usize = 16 * 1024;
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let declared = Declared::default().subscription("flood", false, move |_, _| {
        let count = Arc::clone(&count);
        stream::repeat_with(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Output::json(&"x".repeat(VALUE_BYTES))
        })
    });
    let server = Server::start(declared, quiet()).await;
    let request = http::Request::get("/flood").body(Body::empty()).unwrap();
    let context = |_| async { Ok(Ctx { authorization: None, connection_params: None }) };
    let mut body = wire::handle(&server.service, request, context).await.into_body();
    let (mut received, mut frames) = (0, 0);
    while frames < 10 {
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await.expect("the stream goes on");
        received += frame.unwrap().unwrap().into_data().unwrap().len();
        frames += 1;
        // Every value that was made has been received, so nothing is gathered behind the client's back.
        assert_eq!(made.load(Ordering::Relaxed), received / VALUE_BYTES);
    }
}
