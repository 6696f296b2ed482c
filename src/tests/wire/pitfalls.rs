//! Requests that are odd, and what nobody recorded for them.

use serde_json::{Value, json};
use slipway::rpc::wire::{Options, OptionsError, Service, SseOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::client::{self, PATIENCE, Request};
use super::event_stream;
use super::reference_router;
use super::server::Server;

/// The whole answer to bytes that need not be text.
async fn answer(server: &Server, request: &[u8]) -> String {
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    connection.write_all(request).await.unwrap();
    let mut response = Vec::new();
    let read = connection.read_to_end(&mut response);
    tokio::time::timeout(PATIENCE, read).await.expect("the response ends").unwrap();
    String::from_utf8(response).unwrap()
}

fn data(response: &client::Response) -> Value {
    serde_json::from_str::<Value>(&response.body).unwrap()["result"]["data"].clone()
}

#[tokio::test]
async fn headers_that_are_no_text_are_answered_as_others_are() {
    let server = Server::start(reference_router::declare(), Options::default()).await;
    let ask = async |line: &str, header: &[u8]| {
        let head = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        answer(&server, &[head.as_bytes(), header, b"\r\ncontent-length: 0\r\n\r\n"].concat()).await
    };
    assert!(ask("GET /hello", b"content-type: \xff").await.contains("hello world"));
    assert!(ask("GET /hello", b"trpc-accept: \xff").await.contains("hello world"));
    assert!(ask("GET /hello", b"accept: \xff, application/json").await.contains("hello world"));
    assert!(ask("POST /voidMutation", b"content-type: \xff").await.contains("UNSUPPORTED_MEDIA_TYPE"));
    let form = ask("POST /upload", b"content-type: multipart/form-data; boundary=\xff").await;
    assert!(form.contains("BAD_REQUEST"), "{form}");
    // An id is UTF-8. What is not is replaced, and then is an id like any other.
    let echoed = ask("GET /subEcho", b"last-event-id: \xc3\xa4\xff").await;
    assert!(echoed.contains("\"lastEventId\":\"ä\u{fffd}\""), "{echoed}");
}

#[tokio::test]
async fn of_repeated_members_and_parameters_each_counts_as_in_the_reference() {
    let server = Server::start(reference_router::declare(), Options::default()).await;
    let sum =
        client::send(server.address, Request::get("/add?input=%7B%22a%22:1,%22a%22:5,%22b%22:1%7D")).await;
    assert_eq!(data(&sum), json!({ "sum": 6 }));
    let batch =
        client::send(server.address, Request::post("/echoMutation?batch=1", r#"{"0":1,"0":2}"#)).await;
    assert_eq!(batch.body, r#"[{"result":{"data":2}}]"#);
    let first = client::send(server.address, Request::get("/echo?input=1&input=2")).await;
    assert_eq!(data(&first), 1);
}

#[tokio::test]
async fn nesting_costs_no_stack_and_is_refused_where_it_is_looked_into() {
    let server = Server::start(reference_router::declare(), Options::default()).await;
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let echoed = client::send(server.address, Request::post("/echoMutation", &deep)).await;
    assert_eq!(echoed.body, format!("{{\"result\":{{\"data\":{deep}}}}}"));
    let deep = "{\"a\":".repeat(5_000) + "1" + &"}".repeat(5_000);
    let wanted = format!(r#"[{{"key":"k","path":"subEcho","input":{deep},"lastEventId":"1"}}]"#);
    let response = client::send(server.address, Request::post("/trpc-live", &wanted)).await;
    assert_eq!(event_stream::parse(&response.body).last().unwrap().data["data"]["code"], "BAD_REQUEST");
}

#[tokio::test]
async fn long_addresses_are_answered_and_longer_ones_refused() {
    let server = Server::start(reference_router::declare(), Options::default()).await;
    let path = format!("/echo?input=%22{}%22", "x".repeat(60_000));
    assert_eq!(
        data(&client::send(server.address, Request::get(&path)).await).as_str().unwrap().len(),
        60_000
    );
    let path = format!("/echo?input=%22{}%22", "x".repeat(66_000));
    assert_eq!(client::send(server.address, Request::get(&path)).await.status, 414);
}

#[tokio::test]
async fn nothing_is_said_to_those_who_ask_for_the_head_only() {
    let server = Server::start(reference_router::declare(), Options::default()).await;
    for (path, status) in [("/hello", "204"), ("/ticks", "204"), ("/no/such", "204"), ("/trpc-live", "405")] {
        let request = format!("HEAD {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let response = answer(&server, request.as_bytes()).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        assert!(response.ends_with("\r\n\r\n"), "{response}");
    }
}

#[tokio::test]
async fn subscriptions_that_are_switched_off_are_refused_alone_and_together() {
    let sse = SseOptions { enabled: false, ..SseOptions::default() };
    let server = Server::start(reference_router::declare(), Options { sse, ..Options::default() }).await;
    let wanted = r#"[{"key":"k","path":"ticks"}]"#;
    for request in [Request::get("/ticks"), Request::post("/trpc-live", wanted)] {
        let response = client::send(server.address, request).await;
        let events = event_stream::parse(&response.body);
        assert_eq!(events.last().unwrap().data["data"]["code"], "METHOD_NOT_SUPPORTED");
    }
    assert_eq!(client::send(server.address, Request::get("/hello")).await.status, 200);
}

#[tokio::test]
async fn a_formatter_decides_the_error_object_of_subscriptions_as_well() {
    let format_error: slipway::rpc::wire::ErrorFormatter = std::sync::Arc::new(|failure| {
        let mut shape = failure.shape();
        shape.insert("seen".into(), failure.path.unwrap_or("none").into());
        shape
    });
    let server =
        Server::start(reference_router::declare(), Options { format_error, ..Options::default() }).await;
    let input = "%7B%22code%22:%22CONFLICT%22%7D";
    let path = format!("/subFail?input={input}");
    let wanted = r#"[{"key":"k","path":"subFail","input":{"code":"CONFLICT"}}]"#;
    for request in [Request::get(&path), Request::post("/trpc-live", wanted)] {
        let events = event_stream::parse(&client::send(server.address, request).await.body);
        assert_eq!(events.last().unwrap().data["seen"], "subFail");
    }
    let unknown =
        client::send(server.address, Request::post("/trpc-live", r#"[{"key":"k","path":"no"}]"#)).await;
    assert_eq!(event_stream::parse(&unknown.body).last().unwrap().data["seen"], "no");
    let refused = client::send(server.address, Request::post("/trpc-live", "5")).await;
    assert_eq!(serde_json::from_str::<Value>(&refused.body).unwrap()["error"]["seen"], "none");
}

#[tokio::test]
async fn what_separates_paths_must_not_mean_something_else() {
    let refused = |path_separator| {
        let options = Options { path_separator, ..Options::default() };
        Service::new(reference_router::declare().router(), options, CancellationToken::new()).err()
    };
    assert_eq!(refused('_'), None);
    assert_eq!(refused(','), Some(OptionsError::PathSeparator(',')));
}
