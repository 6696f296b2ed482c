//! A client that sends exactly the bytes that it is told to.
//!
//! Libraries normalise addresses and headers, and broken ones are part of what is tested.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// How long anything may take before a test counts as hanging.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Response {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: String,
}

/// A request line with its headers; length and `connection` are added where they are needed.
pub(super) struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub headers: Vec<(&'a str, &'a str)>,
    pub body: Option<&'a str>,
}

impl<'a> Request<'a> {
    pub(super) fn get(path: &'a str) -> Self {
        Self { method: "GET", path, headers: Vec::new(), body: None }
    }

    pub(super) fn post(path: &'a str, body: &'a str) -> Self {
        Self { method: "POST", path, headers: vec![("content-type", "application/json")], body: Some(body) }
    }

    fn head(&self) -> String {
        let Self { method, path, headers, body } = self;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head + "\r\n"
    }
}

/// Sends the whole request, and only then reads the response to its end.
pub(super) async fn send(address: SocketAddr, request: Request<'_>) -> Response {
    let whole = async {
        let mut open = open(address, request).await;
        let mut body = String::new();
        while let Some(chunk) = open.chunk().await {
            body.push_str(&chunk);
        }
        Response { status: open.status, headers: open.headers, body }
    };
    tokio::time::timeout(PATIENCE, whole).await.expect("the response ends")
}

/// A response of which only the head has been read.
pub(super) struct OpenResponse {
    pub status: u16,
    pub headers: HashMap<String, String>,
    connection: BufReader<TcpStream>,
    left: Option<usize>,
}

pub(super) async fn open(address: SocketAddr, request: Request<'_>) -> OpenResponse {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.head().as_bytes()).await.unwrap();
    connection.write_all(request.body.unwrap_or_default().as_bytes()).await.unwrap();
    let mut connection = BufReader::new(connection);
    let status_line = read_line(&mut connection).await;
    let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = HashMap::new();
    loop {
        let line = read_line(&mut connection).await;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let chunked = headers.contains_key("transfer-encoding");
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    OpenResponse { status, headers, connection, left: (!chunked).then_some(length) }
}

async fn read_line(connection: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    connection.read_line(&mut line).await.unwrap();
    line.trim_end_matches("\r\n").to_owned()
}

impl OpenResponse {
    /// The next piece of the body, `None` at its proper end. A connection that breaks off fails the test.
    pub(super) async fn chunk(&mut self) -> Option<String> {
        tokio::time::timeout(PATIENCE, self.read_chunk()).await.expect("the response goes on")
    }

    async fn read_chunk(&mut self) -> Option<String> {
        let length = match self.left.take() {
            Some(length) => {
                self.left = Some(0);
                length
            }
            None => usize::from_str_radix(&read_line(&mut self.connection).await, 16).expect("a chunk"),
        };
        if length == 0 {
            self.left = Some(0);
            return None;
        }
        let mut bytes = vec![0; length];
        self.connection.read_exact(&mut bytes).await.unwrap();
        if self.left.is_none() {
            assert_eq!(read_line(&mut self.connection).await, "");
        }
        Some(String::from_utf8(bytes).unwrap())
    }

    /// Reads until the body holds a text, and returns what was read.
    pub(super) async fn read_until(&mut self, text: &str) -> String {
        let mut read = String::new();
        while !read.contains(text) {
            let chunk = self.chunk().await;
            read.push_str(&chunk.unwrap_or_else(|| panic!("the body ended before {text:?}: {read:?}")));
        }
        read
    }

    /// Reads to the end, which has to come.
    pub(super) async fn rest(&mut self) -> String {
        let whole = async {
            let mut rest = String::new();
            while let Some(chunk) = self.chunk().await {
                rest.push_str(&chunk);
            }
            rest
        };
        tokio::time::timeout(PATIENCE, whole).await.expect("the response ends")
    }
}
