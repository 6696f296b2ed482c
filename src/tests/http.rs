//! The HTTP edge of a real server: sign-in, cookies, what every answer carries, and how it ends.

mod bounds;
mod connection;
mod cors;
mod headers;
mod proxied;
mod tickets;
mod tls;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use serde_json::Value;
use tempfile::TempDir;

use crate::support;

const ADMIN_TOKEN: &str = "admin-token-of-the-tests-0123456789abcdef";

/// A server of its own, with a data directory of its own.
struct Server {
    process: Child,
    url: String,
    sign_in: String,
    client: Client,
    log: Arc<Mutex<String>>,
    data_dir: TempDir,
}

impl Server {
    fn start() -> Self {
        Self::start_with(&[], &[])
    }

    fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let redis = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/valkey/valkey-server");
        assert!(redis.exists(), "{} is missing: run `make setup`", redis.display());
        let mut process = Command::new(env!("CARGO_BIN_EXE_slipway"))
            .arg("serve")
            .args(arguments)
            .env("SLIPWAY_LISTEN", "127.0.0.1:0")
            .env("SLIPWAY_DATA_DIR", data_dir.path())
            .env("SLIPWAY_REDIS_SERVER", redis)
            .env_remove("REDIS_URL")
            .env_remove("DATABASE_URL")
            .env("SLIPWAY_ADMIN_TOKEN", ADMIN_TOKEN)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut words = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let sign_in = words
            .find_map(|line| {
                line.split_whitespace().find(|word| word.contains("/sign-in/")).map(str::to_owned)
            })
            .expect("the server prints a link");
        // What it prints further must find a reader.
        std::thread::spawn(move || words.count());
        let log = Arc::new(Mutex::new(String::new()));
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            let mut line = String::new();
            while stderr.read_line(&mut line).is_ok_and(|bytes| 0 < bytes) {
                kept.lock().unwrap().push_str(&std::mem::take(&mut line));
            }
        });
        let url = sign_in.split("/sign-in/").next().unwrap().to_owned();
        let client = support::http::client().redirect(redirect::Policy::none()).build().unwrap();
        Self { process, url, sign_in, client, log, data_dir }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// What the server has told about itself so far.
    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    fn address(&self) -> &str {
        self.url.split("://").nth(1).unwrap()
    }

    fn tell_to_stop(&self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    async fn mutate(&self, token: &str, path: &str, input: Value) -> Value {
        let call = self.request(Method::POST, &format!("/trpc/{path}")).bearer_auth(token);
        let call = call.header("content-type", "application/json").body(input.to_string());
        serde_json::from_str(&call.send().await.unwrap().text().await.unwrap()).unwrap()
    }

    /// Signs in by the link; the cookie.
    async fn sign_in(&self) -> String {
        let response = self.client.get(&self.sign_in).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(header(&response, "location"), "/");
        let cookie = header(&response, "set-cookie");
        for part in ["slipway_session=", "HttpOnly", "SameSite=", "Path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        cookie.split(';').next().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// All lines of a header as one, as they are meant.
fn header(response: &Response, name: &str) -> String {
    let lines = response.headers().get_all(name).into_iter().map(|value| value.to_str().unwrap());
    lines.collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn a_link_signs_one_browser_in_and_looking_at_it_does_not_use_it_up() {
    let server = Server::start();
    let looked = server.client.head(&server.sign_in).send().await.unwrap();
    assert_eq!((looked.status(), header(&looked, "set-cookie")), (StatusCode::OK, String::new()));

    let cookie = server.sign_in().await;
    let health =
        server.request(Method::GET, "/trpc/system.health").header("cookie", &cookie).send().await.unwrap();
    assert_eq!(health.status(), StatusCode::OK);

    let again = server.client.get(&server.sign_in).send().await.unwrap();
    assert_eq!((again.status(), header(&again, "set-cookie")), (StatusCode::FORBIDDEN, String::new()));
    assert!(again.text().await.unwrap().contains("slipway token create"));
}

#[tokio::test]
async fn a_cookie_changes_nothing_for_the_pages_of_others() {
    let server = Server::start();
    let cookie = server.sign_in().await;
    let create = |name: &str| {
        let body = serde_json::json!({ "name": name, "definition": "steps: [{ name: a, run: 'true' }]" });
        server
            .request(Method::POST, "/trpc/pipelines.create")
            .header("cookie", &cookie)
            .header("content-type", "application/json")
            .body(body.to_string())
    };
    let other_port = "http://127.0.0.1:1";
    for (index, request) in [
        create("a"),
        create("b").header("origin", "https://evil.example"),
        create("c").header("origin", other_port),
        create("d").header("origin", "null"),
        create("e").header("origin", &server.url).header("sec-fetch-site", "same-site"),
        create("f").header("origin", &server.url).header("sec-fetch-site", "cross-site"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{index}");
    }
    let own = create("g").header("origin", &server.url).header("sec-fetch-site", "same-origin");
    assert_eq!(own.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn nobody_unknown_is_told_anything() {
    let server = Server::start();
    let ask = |path: &str| server.request(Method::GET, path);
    for request in [
        ask("/trpc/pipelines.list"),
        ask("/trpc/pipelines.list").header("authorization", "Bearer wrong"),
        ask("/trpc/pipelines.list").header("authorization", "Basic eDp5"),
        ask("/trpc/pipelines.list").header("cookie", "slipway_session=wrong"),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{}", response.url());
    }
    for path in
        ["/sign-in/wrong", "/sign-in/%00", "/nothing.js", "/../../etc/passwd", "/%2e%2e%2fetc%2fpasswd"]
    {
        let status = ask(path).send().await.unwrap().status();
        assert!(status.is_client_error(), "{path}: {status}");
    }
}

/// Alone or beside others, by a token or by a cookie: a subscription is refused by an event, never by a status.
#[tokio::test]
async fn a_subscription_by_somebody_unknown_is_refused_in_its_stream() {
    let server = Server::start();
    let cookie = server.sign_in().await;
    let input = r#"{"runId":"01939d5e-0000-7000-8000-000000000000"}"#;
    let alone = || server.request(Method::GET, &format!("/trpc/pipelines.watchRun?input={input}"));
    let live = || {
        let wanted = format!(r#"[{{"key":"w","path":"pipelines.watchRun","input":{input}}}]"#);
        let request = server.request(Method::POST, "/trpc-live").body(wanted);
        request.header("content-type", "application/json")
    };
    let own = |request: RequestBuilder| request.header("cookie", &cookie).header("origin", &server.url);
    let foreign = live().header("cookie", &cookie).header("origin", "https://evil.example");
    for (request, code) in [
        (alone(), "UNAUTHORIZED"),
        (live(), "UNAUTHORIZED"),
        (alone().header("authorization", "Bearer wrong"), "UNAUTHORIZED"),
        (live().header("authorization", "Bearer wrong"), "UNAUTHORIZED"),
        (foreign, "FORBIDDEN"),
        (own(alone()), "NOT_FOUND"),
        (own(live()), "NOT_FOUND"),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "content-type"), "text/event-stream");
        let text = response.text().await.unwrap();
        assert!(text.contains("event: serialized-error\n") && text.contains(code), "{code}: {text}");
    }
}

#[tokio::test]
async fn every_answer_keeps_browsers_careful() {
    let server = Server::start();
    for (method, path) in [
        (Method::GET, "/healthz"),
        (Method::GET, "/readyz"),
        (Method::GET, "/"),
        (Method::GET, "/nothing.js"),
        (Method::GET, "/trpc/nothing"),
        (Method::POST, "/healthz"),
        (Method::POST, "/trpc-live"),
        (Method::HEAD, "/trpc-live"),
        (Method::HEAD, "/healthz"),
    ] {
        let response = server.request(method, path).send().await.unwrap();
        assert_eq!(header(&response, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&response, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header(&response, "x-frame-options"), "DENY", "{path}");
        assert!(!header(&response, "x-request-id").is_empty(), "{path}");
    }
    let ready = server.request(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_and_the_server_lives() {
    let server = Server::start();
    let large = server.request(Method::GET, "/healthz").header("x-large", "x".repeat(200_000));
    // Refused while it is still sent, so that the client may see the end of the connection instead.
    if let Ok(response) = large.send().await {
        assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    assert_eq!(server.request(Method::GET, "/healthz").send().await.unwrap().status(), StatusCode::OK);
}

/// An idle connection, as browsers keep them, must not hold the server up.
#[tokio::test]
async fn a_server_that_is_told_to_stop_ends_well() {
    let mut server = Server::start();
    assert_eq!(server.request(Method::GET, "/healthz").send().await.unwrap().status(), StatusCode::OK);
    server.tell_to_stop();
    assert!(server.process.wait().unwrap().success());
}
