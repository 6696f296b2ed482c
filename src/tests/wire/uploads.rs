//! Forms and byte streams: what arrives piece by piece, what is bounded, what is left on the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use slipway::rpc::wire::{CallError, ErrorCode, Form, Kind, Options, Output};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::client::{self, PATIENCE, Request};
use super::reference_router;
use super::server::{Declared, Server};

const FORM: &str = "multipart/form-data; boundary=XX";

fn form<'a>(path: &'a str, body: &'a str) -> Request<'a> {
    Request { headers: vec![("content-type", FORM)], ..Request::post(path, body) }
}

fn field(headers: &str, value: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; {headers}\r\n\r\n{value}\r\n")
}

fn code(response: &client::Response) -> Value {
    serde_json::from_str::<Value>(&response.body).unwrap()["error"]["data"]["code"].clone()
}

/// Reports each piece of a byte stream, and how it ended.
fn reporting() -> (Declared, mpsc::UnboundedReceiver<Result<usize, CallError>>) {
    let (report, reports) = mpsc::unbounded_channel();
    let declared = reference_router::declare().with_input(Kind::Mutation, "report", move |input| {
        let report = report.clone();
        async move {
            let mut bytes = input.bytes()?;
            loop {
                let piece = bytes.chunk().await;
                report.send(piece.clone().map(|piece| piece.map_or(0, |piece| piece.len()))).unwrap();
                if piece?.is_none() {
                    return Ok(Output::nothing());
                }
            }
        }
    });
    (declared, reports)
}

const CHUNKED: &str = "POST /report HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\n\
                       transfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn bytes_reach_the_procedure_while_the_client_still_sends() {
    let (declared, mut reports) = reporting();
    let server = Server::start(declared, Options::default()).await;
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    connection.write_all(CHUNKED.as_bytes()).await.unwrap();
    for _ in 0..3 {
        connection.write_all(b"4\r\nabcd\r\n").await.unwrap();
        let piece = tokio::time::timeout(PATIENCE, reports.recv()).await.expect("the piece arrives");
        assert_eq!(piece.unwrap().unwrap(), 4);
    }
    connection.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(reports.recv().await.unwrap().unwrap(), 0);
    // The connection is good for another request.
    connection
        .write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut responses = String::new();
    tokio::time::timeout(PATIENCE, connection.read_to_string(&mut responses)).await.unwrap().unwrap();
    assert_eq!(responses.matches("HTTP/1.1 200 OK").count(), 2, "{responses}");
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_did_not_send_a_whole_body() {
    let (declared, mut reports) = reporting();
    let server = Server::start(declared, Options::default()).await;
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    connection.write_all(CHUNKED.as_bytes()).await.unwrap();
    connection.write_all(b"4\r\nabcd\r\n").await.unwrap();
    assert_eq!(reports.recv().await.unwrap().unwrap(), 4);
    drop(connection);
    let ended = tokio::time::timeout(PATIENCE, reports.recv()).await.expect("the procedure is told");
    assert_eq!(ended.unwrap().unwrap_err().code, ErrorCode::BadRequest);
    tokio::time::timeout(PATIENCE, server.service.mutations_ended()).await.expect("the mutation ends");
}

#[tokio::test]
async fn a_client_that_stops_sending_is_not_waited_for_without_end() {
    let (declared, mut reports) = reporting();
    let options = Options { body_time_max: Duration::from_millis(20), ..Options::default() };
    let server = Server::start(declared, options).await;
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    connection.write_all(CHUNKED.as_bytes()).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, reports.recv()).await.expect("the procedure is told");
    assert_eq!(ended.unwrap().unwrap_err().code, ErrorCode::Timeout);
    let mut response = String::new();
    tokio::time::timeout(PATIENCE, connection.read_to_string(&mut response)).await.unwrap().unwrap();
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    assert!(response.to_ascii_lowercase().contains("connection: close"), "{response}");
}

#[tokio::test]
async fn bytes_of_unknown_length_are_bounded_as_well() {
    let (declared, _reports) = reporting();
    let server = Server::start(declared, Options { body_bytes_max: 10, ..Options::default() }).await;
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    connection.write_all(CHUNKED.as_bytes()).await.unwrap();
    connection.write_all(b"8\r\nabcdefgh\r\n8\r\nabcdefgh\r\n0\r\n\r\n").await.unwrap();
    let mut response = String::new();
    tokio::time::timeout(PATIENCE, connection.read_to_string(&mut response)).await.unwrap().unwrap();
    assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
    assert!(response.to_ascii_lowercase().contains("connection: close"), "{response}");
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_bytes_is_answered_before_it_sends() {
    // The second does not even begin to read.
    for (path, length, status) in [("report", 10_485_760, 413), ("refuse", 5, 403)] {
        let (declared, _reports) = reporting();
        let declared = declared
            .with_input(Kind::Mutation, "refuse", |_| async { Err(CallError::of(ErrorCode::Forbidden)) });
        let server = Server::start(declared, Options::default()).await;
        let mut connection = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "POST /{path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\n\
             content-length: {length}\r\nexpect: 100-continue\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut response = String::new();
        tokio::time::timeout(PATIENCE, connection.read_to_string(&mut response)).await.unwrap().unwrap();
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
    }
}

#[tokio::test]
async fn what_a_procedure_leaves_of_its_body_does_not_break_the_connection() {
    let declared = reference_router::declare().with_input(Kind::Mutation, "first", |input| async {
        let first = input.bytes()?.chunk().await?;
        Output::json(&first.is_some())
    });
    let server = Server::start(declared, Options::default()).await;
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    let body = "x".repeat(300 * 1024);
    let head = format!(
        "POST /first HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\n\
         content-length: {}\r\n\r\n{body}GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut responses = String::new();
    tokio::time::timeout(PATIENCE, connection.read_to_string(&mut responses)).await.unwrap().unwrap();
    assert_eq!(responses.matches("HTTP/1.1 200 OK").count(), 2, "{responses}");
}

#[tokio::test]
async fn forms_are_bounded() {
    let mut options = Options { body_bytes_max: 4096, ..Options::default() };
    options.forms.fields_max = 3;
    options.forms.field_header_bytes_max = 256;
    let server = Server::start(reference_router::declare(), options).await;
    let name = field("name=\"name\"", "bob");
    let cases = [
        (format!("{}--XX--\r\n", name.repeat(3)), 200, Value::Null),
        (format!("{}--XX--\r\n", name.repeat(4)), 400, json!("BAD_REQUEST")),
        (
            format!("{}--XX--\r\n", field(&format!("name=\"{}\"", "n".repeat(300)), "")),
            400,
            json!("BAD_REQUEST"),
        ),
        (format!("{}--XX--\r\n", field("name=\"name\"", &"x".repeat(5000))), 413, json!("PAYLOAD_TOO_LARGE")),
        // Cut off before, in and after a field.
        (String::new(), 400, json!("BAD_REQUEST")),
        (name[..20].to_owned(), 400, json!("BAD_REQUEST")),
        (name.clone(), 400, json!("BAD_REQUEST")),
        (format!("{}--XX--\r\n", name.replace("bob", "b\u{e9}b")), 200, Value::Null),
    ];
    for (body, status, expected) in cases {
        let response = client::send(server.address, form("/upload", &body)).await;
        assert_eq!((response.status, code(&response)), (status, expected), "{body}");
    }
    let boundless =
        Request { headers: vec![("content-type", "multipart/form-data")], ..form("/upload", &name) };
    let response = client::send(server.address, boundless).await;
    assert_eq!((response.status, code(&response)), (400, json!("BAD_REQUEST")));
}

#[tokio::test]
async fn the_fields_of_a_form_come_one_by_one_and_may_be_passed_over() {
    async fn names(mut form: Form) -> Result<Output, CallError> {
        let mut names = Vec::new();
        while let Some(field) = form.next().await? {
            names.push(format!("{:?} {:?}", field.name(), field.content_type()));
        }
        Output::json(&names)
    }
    let declared =
        Declared::default().with_input(Kind::Mutation, "names", |input| async { names(input.form()?).await });
    let server = Server::start(declared, Options::default()).await;
    let large = "x".repeat(300 * 1024);
    let file = field("name=\"file\"; filename=\"a\"\r\nContent-Type: text/plain", &large);
    let body = format!("{file}{}{file}--XX--\r\n", field("name=\"name\"", "bob"));
    let response = client::send(server.address, form("/names", &body)).await;
    let expected = json!([
        "Some(\"file\") Some(\"text/plain\")",
        "Some(\"name\") None",
        "Some(\"file\") Some(\"text/plain\")"
    ]);
    assert_eq!(serde_json::from_str::<Value>(&response.body).unwrap()["result"]["data"], expected);
    let response = client::send(server.address, Request::post("/names", "5")).await;
    assert_eq!((response.status, code(&response)), (400, json!("BAD_REQUEST")));
}

/// Byte by byte, the parser would look through everything it holds for each.
#[tokio::test]
async fn a_form_in_tiny_pieces_is_read_in_larger_ones() {
    let size = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&size);
    let declared = Declared::default().with_input(Kind::Mutation, "size", move |input| {
        let seen = Arc::clone(&seen);
        async move {
            let mut form = input.form()?;
            while let Some(field) = form.next().await? {
                seen.fetch_add(field.whole().await?.len(), Ordering::Relaxed);
            }
            Ok(Output::nothing())
        }
    });
    let server = Server::start(declared, Options::default()).await;
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    let mut request = format!(
        "POST /size HTTP/1.1\r\nhost: localhost\r\ncontent-type: {FORM}\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    let body = format!("{}--XX--\r\n", field("name=\"a\"", &"y".repeat(5_000)));
    for byte in body.chars() {
        request.push_str(&format!("1\r\n{byte}\r\n"));
    }
    request.push_str("0\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    tokio::time::timeout(PATIENCE, connection.read_to_string(&mut response)).await.unwrap().unwrap();
    assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
    assert_eq!(size.load(Ordering::Relaxed), 5_000);
}
