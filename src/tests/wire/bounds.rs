//! What is held of many requests at once, and how one too many is told.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use slipway::rpc::wire::{Kind, Options, Output};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::client::{self, PATIENCE, Request};
use super::server::{Declared, Server};

/// A query and a mutation that wait until they are let go, and tell that they have begun.
fn waiting() -> (Declared, Arc<Semaphore>, Arc<Semaphore>) {
    let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let mut declared = Declared::default().plain(Kind::Query, "quick", |_| async { Output::json(&1) });
    for (kind, path) in [(Kind::Query, "ask"), (Kind::Mutation, "change")] {
        let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
        declared = declared.plain(kind, path, move |_| {
            let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
            async move {
                begun.add_permits(1);
                gate.acquire().await.unwrap().forget();
                Output::json(&2)
            }
        });
    }
    (declared, begun, gate)
}

fn assert_busy(response: &client::Response, error: &Value) {
    assert_eq!((response.status, response.headers.get("retry-after").map(String::as_str)), (503, Some("1")));
    assert_eq!((&error["code"], &error["data"]["code"]), (&json!(-32603), &json!("SERVICE_UNAVAILABLE")));
    assert!(error["message"].as_str().unwrap().contains("try again"), "{error}");
}

#[tokio::test]
async fn one_call_too_many_is_refused_and_told_when_to_come_back() {
    let (declared, begun, gate) = waiting();
    let server = Server::start(declared, Options { calls_max: 2, ..Options::default() }).await;
    let address = server.address;
    let asking = tokio::spawn(client::send(address, Request::get("/ask")));
    // Its client leaves, and it goes on: so it keeps its place.
    let leaving = tokio::spawn(client::send(address, Request::post("/change", "")));
    begun.acquire_many(2).await.unwrap().forget();
    leaving.abort();
    assert!(leaving.await.is_err());

    let refused = client::send(address, Request::get("/quick")).await;
    assert_busy(&refused, &serde_json::from_str::<Value>(&refused.body).unwrap()["error"]);
    let refused = client::send(address, Request::get("/quick,quick?batch=1")).await;
    assert_busy(&refused, &serde_json::from_str::<Value>(&refused.body).unwrap()[1]["error"]);

    gate.add_permits(2);
    assert_eq!(asking.await.unwrap().status, 200);
    tokio::time::timeout(PATIENCE, server.service.mutations_ended()).await.unwrap();
    assert_eq!(client::send(address, Request::get("/quick")).await.status, 200);
}

fn echo(kind: Kind) -> Declared {
    Declared::default().with_input(kind, "length", |input| async move {
        Output::json(&input.read()?.map(|text| text.get().len()))
    })
}

/// So slow that it takes longer than a body may, and fast enough that its bytes are worth the time.
#[tokio::test]
async fn a_body_that_comes_slowly_but_steadily_is_read() {
    const TIME_MAX: Duration = Duration::from_millis(100);
    let options = Options { body_time_max: TIME_MAX, ..Options::default() };
    let server = Server::start(echo(Kind::Mutation), options).await;
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    let body = format!("\"{}\"", "x".repeat(64 * 1024));
    let head = format!(
        "POST /length HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let (first, second) = body.split_at(60 * 1024);
    connection.write_all(first.as_bytes()).await.unwrap();
    tokio::time::sleep(TIME_MAX * 5).await;
    connection.write_all(second.as_bytes()).await.unwrap();
    let mut response = String::new();
    tokio::time::timeout(PATIENCE, connection.read_to_string(&mut response)).await.unwrap().unwrap();
    assert!(response.starts_with("HTTP/1.1 200 ") && response.contains("65538"), "{response}");
}

/// Bodies that have come in part are held, so they are bounded all together; those that have not cost nothing.
#[tokio::test]
async fn bodies_that_do_not_end_take_no_more_than_their_share_of_memory() {
    const HELD: usize = 40 * 1024;
    let options = Options { bodies_bytes_max: 64 * 1024, ..Options::default() };
    let server = Server::start(echo(Kind::Mutation), options).await;
    let body = format!("\"{}\"", "x".repeat(HELD));
    let half_sent = format!(
        "POST /length HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len() + 1
    );
    let send_half = async || {
        let mut connection = TcpStream::connect(server.address).await.unwrap();
        connection.write_all(half_sent.as_bytes()).await.unwrap();
        connection.write_all(body.as_bytes()).await.unwrap();
        connection
    };
    let mut connections = [send_half().await, send_half().await];
    // Whichever came second is told; the first is still waited for.
    let [one, other] = &connections;
    let told = tokio::select! {
        readable = one.readable() => readable.map(|()| 0).unwrap(),
        readable = other.readable() => readable.map(|()| 1).unwrap(),
    };
    let mut answer = String::new();
    let told_all = connections[told].read_to_string(&mut answer);
    tokio::time::timeout(PATIENCE, told_all).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("SERVICE_UNAVAILABLE"), "{answer}");
    assert_eq!(client::send(server.address, Request::post("/length", "1")).await.status, 200);

    let held = &mut connections[1 - told];
    held.write_all(b" ").await.unwrap();
    let mut status = [0; 12];
    held.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    let again = client::send(server.address, Request::post("/length", &body)).await;
    assert_eq!(again.status, 200);
}
