//! What queries and mutations survive: large bodies, panics, clients that leave.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use rspc_procedure::{Procedure, ProcedureError, ProcedureStream};
use serde_json::{Value, json};
use slipway::rpc::wire::{self, CallError, Entry, ErrorCode, Kind, Options, Output, Yields};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use super::client::{self, PATIENCE, Request};
use super::reference_router;
use super::server::{Ctx, Declared, Server};

const SECRET: &str = "the password is hunter2";

fn body(response: &client::Response) -> Value {
    serde_json::from_str(&response.body).unwrap()
}

#[tokio::test]
async fn a_client_that_sends_ten_mebibytes_receives_the_413() {
    let server = Server::start(reference_router::declare(), Options::default()).await;
    let large = format!("\"{}\"", "x".repeat(10 * 1024 * 1024));
    let response = client::send(server.address, Request::post("/echoMutation", &large)).await;
    assert_eq!(response.status, 413);
    assert_eq!(body(&response)["error"]["data"]["code"], "PAYLOAD_TOO_LARGE");
    assert_eq!(response.headers["connection"], "close");
}

#[tokio::test]
async fn a_body_of_unknown_length_is_bounded_as_well() {
    let server = Server::start(reference_router::declare(), Options::default()).await;
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /echoMutation HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, "x".repeat(64 * 1024));
    for _ in 0..32 {
        connection.write_all(chunk.as_bytes()).await.unwrap();
    }
    connection.write_all(b"0\r\n\r\n").await.unwrap();
    let mut response = String::new();
    let read = connection.read_to_string(&mut response);
    tokio::time::timeout(PATIENCE, read).await.expect("the connection is closed").unwrap();
    assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_is_answered_before_it_sends() {
    let server = Server::start(reference_router::declare(), Options::default()).await;
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /echoMutation HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 10485760\r\nexpect: 100-continue\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut response = String::new();
    let read = connection.read_to_string(&mut response);
    tokio::time::timeout(PATIENCE, read).await.expect("the connection is closed").unwrap();
    assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
}

#[tokio::test]
async fn a_connection_is_kept_after_a_body_that_nobody_read() {
    let server = Server::start(reference_router::declare(), Options::default()).await;
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    let unread = "x".repeat(300 * 1024);
    let first = format!(
        "POST /voidMutation HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{unread}",
        unread.len()
    );
    connection.write_all(first.as_bytes()).await.unwrap();
    connection
        .write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut responses = String::new();
    let read = connection.read_to_string(&mut responses);
    tokio::time::timeout(PATIENCE, read).await.expect("the connection is closed").unwrap();
    assert_eq!(responses.matches("HTTP/1.1 200 OK").count(), 2, "{responses}");
    assert!(responses.ends_with(r#"{"result":{"data":"hello world"}}"#), "{responses}");
}

fn panicking() -> Declared {
    let entry = |yields| Entry { kind: Kind::Query, reads_input: false, yields };
    let at_the_call = Procedure::new(|_, _| panic!("{SECRET}"));
    let beside_a_result = Procedure::new(|_, _| {
        ProcedureStream::from(ProcedureError::from(CallError::new(ErrorCode::Conflict, SECRET)))
    });
    reference_router::declare()
        .plain(Kind::Query, "panicsLater", |_| async {
            tokio::task::yield_now().await;
            panic!("{SECRET}")
        })
        .plain(Kind::Mutation, "panicsInTask", |_| async { panic!("{SECRET}") })
        .subscription("panicsInStream", false, |_, _| futures::stream::once(async { panic!("{SECRET}") }))
        .add("panicsAtTheCall", entry(Yields::Output), at_the_call)
        .add("bareError", entry(Yields::Serde), beside_a_result)
        .add(
            "wrongForm",
            entry(Yields::Output),
            Procedure::new(|_, _| ProcedureStream::from_future(async { Ok(SECRET) })),
        )
}

#[tokio::test]
async fn a_panic_is_an_internal_error_without_its_text() {
    let server = Server::start(panicking(), Options::default()).await;
    for path in ["panicsLater", "panicsAtTheCall", "panicsInTask", "bareError", "wrongForm"] {
        let address = format!("/{path}");
        let request =
            if path == "panicsInTask" { Request::post(&address, "") } else { Request::get(&address) };
        let response = client::send(server.address, request).await;
        assert_eq!(response.status, 500, "{path}");
        let expected = json!({ "error": {
            "message": "Internal server error",
            "code": -32603,
            "data": { "code": "INTERNAL_SERVER_ERROR", "httpStatus": 500, "path": path },
        } });
        assert_eq!(body(&response), expected);
    }
    let stream = client::send(server.address, Request::get("/panicsInStream")).await;
    assert!(stream.body.contains("event: serialized-error\n"), "{}", stream.body);
    assert!(!stream.body.contains("hunter2"), "{}", stream.body);
}

#[tokio::test]
async fn a_panic_in_a_batch_leaves_the_other_calls_alone() {
    let server = Server::start(panicking(), Options::default()).await;
    let response = client::send(server.address, Request::get("/hello,panicsLater?batch=1")).await;
    assert_eq!(response.status, 207);
    assert_eq!(body(&response)[0], json!({ "result": { "data": "hello world" } }));
    assert_eq!(body(&response)[1]["error"]["message"], "Internal server error");
}

/// A procedure of rspc's own making with an ordinary serde input, which rspc unwraps.
fn made_by_rspc() -> Procedure<Ctx> {
    struct Failure;
    impl specta::Type for Failure {
        fn inline(_: &mut specta::TypeCollection, _: specta::Generics) -> specta::datatype::DataType {
            specta::datatype::DataType::Unknown
        }
    }
    impl rspc::Error for Failure {
        fn into_procedure_error(self) -> ProcedureError {
            CallError::internal().into()
        }
    }
    let procedure = rspc::Procedure::builder::<Failure>().query(|_, input: String| async move { Ok(input) });
    let (procedures, _) = rspc::Router::new().procedure("strict", procedure).build().unwrap();
    procedures.get("strict").unwrap().clone()
}

#[tokio::test]
async fn an_input_that_rspc_cannot_take_does_not_break_the_connection() {
    let entry = Entry { kind: Kind::Query, reads_input: true, yields: Yields::Serde };
    let declared = Declared::default().add("strict", entry, made_by_rspc());
    let server = Server::start(declared, Options::default()).await;
    let response = client::send(server.address, Request::get("/strict?input=5")).await;
    assert_eq!(response.status, 500);
    assert_eq!(body(&response)["error"]["message"], "Internal server error");
}

#[tokio::test]
async fn a_mutation_goes_on_after_its_client_left() {
    let (started, mut starts) = mpsc::channel(1);
    let (go_on, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (waits, finished) = (Arc::clone(&go_on), Arc::clone(&done));
    let declared = Declared::default().plain(Kind::Mutation, "deploy", move |_| {
        let (started, waits, finished) = (started.clone(), Arc::clone(&waits), Arc::clone(&finished));
        async move {
            started.send(()).await.unwrap();
            waits.notified().await;
            finished.notify_one();
            Ok(Output::nothing())
        }
    });
    let server = Server::start(declared, Options::default()).await;
    let service = server.service.clone();
    // When a client leaves, its connection drops what handles the request. Dropping it here leaves no doubt about when.
    let handling = tokio::spawn(async move {
        let request = http::Request::post("/deploy").header("content-type", "application/json");
        let context = |_| async { Ok(Ctx { authorization: None, connection_params: None }) };
        wire::handle(&service, request.body(Body::empty()).unwrap(), context).await
    });
    starts.recv().await.unwrap();
    handling.abort();
    assert!(handling.await.unwrap_err().is_cancelled());
    go_on.notify_one();
    tokio::time::timeout(PATIENCE, done.notified()).await.expect("the mutation ends");
    tokio::time::timeout(PATIENCE, server.service.mutations_ended()).await.expect("nothing runs any more");
}

/// Tells when it is dropped.
struct Told(mpsc::Sender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.try_send(()).unwrap();
    }
}

#[tokio::test]
async fn a_query_ends_when_its_client_leaves() {
    let (dropped, mut drops) = mpsc::channel(1);
    let (started, mut starts) = mpsc::channel(1);
    let declared = Declared::default().plain(Kind::Query, "wait", move |_| {
        let (told, started) = (Told(dropped.clone()), started.clone());
        async move {
            let _told = told;
            started.send(()).await.unwrap();
            std::future::pending().await
        }
    });
    let server = Server::start(declared, Options::default()).await;
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    connection.write_all(b"GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    starts.recv().await.unwrap();
    drop(connection);
    tokio::time::timeout(PATIENCE, drops.recv()).await.expect("the query is dropped").unwrap();
}

#[tokio::test]
async fn the_calls_of_a_batch_run_at_the_same_time() {
    let meeting = Arc::new(tokio::sync::Barrier::new(3));
    let declared = Declared::default().plain(Kind::Query, "meet", move |_| {
        let meeting = Arc::clone(&meeting);
        async move {
            meeting.wait().await;
            Ok(Output::nothing())
        }
    });
    let server = Server::start(declared, Options::default()).await;
    let response = client::send(server.address, Request::get("/meet,meet,meet?batch=1")).await;
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn a_streamed_batch_tells_a_quick_call_before_a_slow_one() {
    let go_on = Arc::new(Notify::new());
    let waits = Arc::clone(&go_on);
    let declared = reference_router::declare().plain(Kind::Query, "wait", move |_| {
        let waits = Arc::clone(&waits);
        async move {
            waits.notified().await;
            Output::json("late")
        }
    });
    let server = Server::start(declared, Options::default()).await;
    let request = Request {
        headers: vec![("trpc-accept", "application/jsonl")],
        ..Request::get("/wait,hello?batch=1")
    };
    let mut open = client::open(server.address, request).await;
    let early = open.read_until("hello world").await;
    assert!(early.starts_with("{\"0\":[[0],[null,0,0]],\"1\":[[0],[null,0,1]]}\n"), "{early}");
    go_on.notify_one();
    assert_eq!(open.rest().await, "[0,0,[[{\"result\":{\"data\":\"late\"}}]]]\n");
}

#[tokio::test]
async fn line_breaks_in_an_input_that_comes_back_do_not_break_the_lines() {
    let server = Server::start(reference_router::declare(), Options::default()).await;
    let mut request = Request::post("/echoMutation?batch=1", "{\"0\":{\n\"a\"\r:1}}");
    request.headers.push(("trpc-accept", "application/jsonl"));
    let response = client::send(server.address, request).await;
    let line = response.body.lines().nth(1).unwrap();
    assert_eq!(serde_json::from_str::<Value>(line).unwrap()[2][0][0]["result"]["data"], json!({ "a": 1 }));
}

#[tokio::test]
async fn a_formatter_decides_the_error_object_and_knows_the_call() {
    let options = Options {
        format_error: Arc::new(|failure| {
            let mut shape = failure.shape();
            let path: Cow<'_, str> = failure.path.unwrap_or("none").into();
            shape.insert("seen".into(), path.into());
            shape
        }),
        ..Options::default()
    };
    let server = Server::start(reference_router::declare(), options).await;
    let response = client::send(server.address, Request::get("/nope")).await;
    assert_eq!(body(&response)["error"]["seen"], "nope");
    let response = client::send(server.address, Request::get("/hello?connectionParams=x")).await;
    assert_eq!(body(&response)["error"]["seen"], "none");
}
