//! Clients that take more than their share: each is bounded, and the others are served on.

use std::time::Duration;

use http_body_util::BodyExt as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::connection::{Connection, request};
use super::{ADMIN_TOKEN, Server, header};
use crate::support;

/// How long anything may take before a test counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

impl Server {
    /// A run that prints more than all buffers on the way to a client hold.
    async fn talkative_run(&self) -> String {
        let definition = "steps: [{ name: a, run: 'yes 0123456789 | head -n 100000' }]";
        self.mutate(ADMIN_TOKEN, "pipelines.create", json!({ "name": "p", "definition": definition })).await;
        let run = self.mutate(ADMIN_TOKEN, "pipelines.trigger", json!({ "pipelineId": "p" })).await;
        run["result"]["data"]["id"].as_str().unwrap().to_owned()
    }

    /// What is streamed, as `system.health` tells.
    async fn streams(&self) -> Value {
        let health = self.request(Method::GET, "/trpc/system.health").send().await.unwrap();
        let mut health: Value = serde_json::from_str(&health.text().await.unwrap()).unwrap();
        health["result"]["data"]["streams"].take()
    }

    async fn until_streams(&self, expected: Value) {
        let wait = async {
            while self.streams().await != expected {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never {expected}"));
    }

    fn log_stream(&self, run: &str) -> String {
        format!("{}/trpc/pipelines.streamLogs?input={{%22runId%22:%22{run}%22}}", self.url)
    }
}

fn none() -> Value {
    json!({ "open": 0, "logs": 0, "runs": 0 })
}

async fn rest(connection: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // How it ends makes no difference here; what was said before does.
    let _ = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut text)).await.expect("it ends");
    String::from_utf8_lossy(&text).into_owned()
}

/// The client's system goes on to confirm that there is no room, so that only the server can end it.
#[tokio::test]
async fn a_client_that_never_reads_loses_its_connection_and_its_stream() {
    let server = Server::start_with(&[], &[("SLIPWAY_WRITE_TIMEOUT", "500ms")]);
    let run = server.talkative_run().await;
    let mut stuck = TcpStream::connect(server.address()).await.unwrap();
    let path = server.log_stream(&run);
    let path = path.strip_prefix(&server.url).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\r\n");
    stuck.write_all(head.as_bytes()).await.unwrap();
    server.until_streams(json!({ "open": 1, "logs": 1, "runs": 1 })).await;
    server.until_streams(none()).await;
    assert!(!rest(&mut stuck).await.contains("event: return"));
}

/// It reads what else comes over its connection, so that only the stream is at fault.
#[tokio::test]
async fn a_stream_that_is_never_read_is_reset_and_its_connection_is_not() {
    let server = Server::start_with(&[], &[("SLIPWAY_WRITE_TIMEOUT", "500ms")]);
    let run = server.talkative_run().await;
    let mut connection = Connection::http2(TcpStream::connect(server.address()).await.unwrap()).await;
    let token = format!("Bearer {ADMIN_TOKEN}");
    let stuck = request("GET", &server.log_stream(&run), &[("authorization", &token)], "");
    let stuck = connection.send(stuck).await;
    server.until_streams(json!({ "open": 1, "logs": 1, "runs": 1 })).await;
    server.until_streams(none()).await;
    assert_eq!(connection.get(&format!("{}/healthz", server.url)).await.status(), StatusCode::OK);
    assert!(stuck.into_body().collect().await.is_err());
}

#[tokio::test]
async fn one_client_has_so_many_connections_and_others_are_served() {
    const MAX: usize = 5;
    let server = Server::start_with(&[], &[("SLIPWAY_CONNECTIONS_PER_CLIENT_MAX", &MAX.to_string())]);
    let mut held = Vec::new();
    for _ in 0..MAX {
        held.push(TcpStream::connect(server.address()).await.unwrap());
    }
    for _ in 0..3 {
        let mut refused = TcpStream::connect(server.address()).await.unwrap();
        refused.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let answer = rest(&mut refused).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    }
    let other = support::http::client().local_address(Some("127.0.0.2".parse().unwrap())).build();
    let answer = other.unwrap().get(format!("{}/healthz", server.url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(server.log().contains("http.connections_per_client_max"), "{}", server.log());

    drop(held);
    let served = async {
        while !server.request(Method::GET, "/healthz").send().await.is_ok_and(|answer| answer.status() == 200)
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, served).await.expect("places are given back");
}

/// Many clients come through a proxy, which is why what is trusted is not counted; all together are.
#[tokio::test]
async fn a_trusted_proxy_has_as_many_connections_as_there_are() {
    const MAX: usize = 20;
    let server = Server::start_with(
        &[],
        &[
            ("SLIPWAY_CONNECTIONS_PER_CLIENT_MAX", "1"),
            ("SLIPWAY_CONNECTIONS_MAX", &MAX.to_string()),
            ("SLIPWAY_TRUSTED_PROXIES", "127.0.0.2"),
        ],
    );
    let connect = async || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        socket.connect(server.address().parse().unwrap()).await.unwrap()
    };
    let mut held = Vec::new();
    for _ in 0..MAX {
        let mut connection = connect().await;
        connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut status = [0; 12];
        connection.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
        held.push(connection);
    }
    assert!(rest(&mut connect().await).await.starts_with("HTTP/1.1 503 "));
}

/// As each protocol has it: tRPC's clients come back after an event and after nothing else, others read the status.
#[tokio::test]
async fn one_stream_too_many_is_told_to_come_back_in_each_protocol() {
    let server = Server::start_with(&["--no-worker"], &[("SLIPWAY_STREAMS_MAX", "1")]);
    let run = server.talkative_run().await;
    let authorized = |method, url: String| server.client.request(method, url).bearer_auth(ADMIN_TOKEN);
    let first = authorized(Method::GET, server.log_stream(&run)).send().await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);

    let wanted = json!([{ "key": "k", "path": "pipelines.streamLogs", "input": { "runId": run } }]);
    let alone = authorized(Method::GET, server.log_stream(&run));
    let live = authorized(Method::POST, format!("{}/trpc-live", server.url))
        .header("content-type", "application/json")
        .body(wanted.to_string());
    for request in [alone, live] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let text = answer.text().await.unwrap();
        assert!(text.starts_with("retry: 500\n\n"), "{text}");
        assert!(text.contains("event: serialized-error\ndata: "), "{text}");
        assert!(text.contains("-32603") && text.contains("SERVICE_UNAVAILABLE"), "{text}");
    }
    let plain = authorized(Method::GET, format!("{}/api/v1/runs/{run}/logs/stream", server.url));
    let plain = plain.header("accept", "text/event-stream").send().await.unwrap();
    assert_eq!(
        (plain.status(), header(&plain, "retry-after").as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "1")
    );
    assert_eq!(header(&plain, "content-type"), "application/problem+json");
    let problem: Value = serde_json::from_str(&plain.text().await.unwrap()).unwrap();
    assert_eq!(problem["code"], "SERVICE_UNAVAILABLE");

    drop(first);
    server.until_streams(none()).await;
}

/// A byte at a time keeps every timer between two bytes from firing.
#[tokio::test]
async fn a_body_that_trickles_is_not_waited_for_and_its_sender_is_told() {
    let server = Server::start_with(&["--no-worker"], &[("SLIPWAY_BODY_TIMEOUT", "300ms")]);
    for (path, expected) in
        [("/trpc/pipelines.create", r#""code":"TIMEOUT""#), ("/api/v1/pipelines", r#""status":408"#)]
    {
        let connection = TcpStream::connect(server.address()).await.unwrap();
        let (mut reader, mut writer) = connection.into_split();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\
             content-type: application/json\r\ncontent-length: 100000\r\n\r\n"
        );
        writer.write_all(head.as_bytes()).await.unwrap();
        let trickling = tokio::spawn(async move {
            while writer.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut answer)).await;
        // The connection ends while bytes are still coming, which may reset it.
        let _ = read.expect("it ends");
        trickling.abort();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains(expected), "{answer}");
        assert!(answer.contains("0.3 seconds, and one more for each 8 KiB"), "{answer}");
    }
}

/// An attempt with a password counts as one with a link does; to look at the page counts as nothing.
#[tokio::test]
async fn attempts_to_sign_in_are_limited_and_their_page_is_not() {
    let server = Server::start_with(&[], &[("SLIPWAY_LIMIT_SIGN_IN", "3/1h")]);
    for _ in 0..5 {
        let page = server.request(Method::GET, "/sign-in").send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
    }
    for attempt in 0..5 {
        let answer = server
            .request(Method::POST, "/sign-in")
            .header("origin", &server.url)
            .header("content-type", "application/json")
            .body(r#"{"login":"nobody","password":"not the right one"}"#)
            .send()
            .await
            .unwrap();
        let is_refused = answer.status() == StatusCode::TOO_MANY_REQUESTS;
        assert_eq!(is_refused, 3 <= attempt, "attempt {attempt}: {}", answer.status());
    }
}
