//! TLS and HTTP/2: what is spoken, which certificate is shown, what the two versions do differently.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use http_body_util::BodyExt;
use hyper::Version;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::connection::{Connection, request, shake_hands, text};
use super::{ADMIN_TOKEN, Server};

/// A certificate and its key, as files.
struct Pair {
    dir: TempDir,
}

impl Pair {
    fn new() -> Self {
        let pair = Self { dir: tempfile::tempdir().unwrap() };
        pair.renew();
        pair
    }

    /// Other ones under the same names, put in their places as a renewal does.
    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        for (path, text) in [(self.cert(), made.cert.pem()), (self.key(), made.signing_key.serialize_pem())] {
            let draft = path.with_extension("new");
            fs::write(&draft, text).unwrap();
            fs::rename(&draft, &path).unwrap();
        }
    }

    fn cert(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }

    fn server(&self, arguments: &[&str]) -> Server {
        let (cert, key) = (self.cert(), self.key());
        let tls = ["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
        Server::start_with(&[&tls, arguments].concat(), &[])
    }
}

#[tokio::test]
async fn a_server_with_a_certificate_speaks_what_its_client_wants() {
    let pair = Pair::new();
    let server = pair.server(&[]);
    assert!(server.url.starts_with("https://"), "{}", server.url);
    for (offered, taken, version) in [
        (&["h2", "http/1.1"][..], Some("h2"), Version::HTTP_2),
        (&["http/1.1"], Some("http/1.1"), Version::HTTP_11),
        (&[], None, Version::HTTP_11),
    ] {
        let stream = shake_hands(server.address(), offered, &pair.cert()).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), taken.map(str::as_bytes));
        let mut connection = match version {
            Version::HTTP_2 => Connection::http2(stream).await,
            _ => Connection::http1(stream).await,
        };
        let ready = connection.get(&format!("{}/readyz", server.url)).await;
        assert_eq!((ready.status().as_u16(), ready.version()), (200, version));
        assert!(!ready.headers().contains_key("strict-transport-security"));

        // What is too large ends a connection of the old version, and a stream of the new one.
        let large = request(
            "POST",
            &format!("{}/trpc/pipelines.create", server.url),
            &[("content-type", "application/json"), ("authorization", &format!("Bearer {ADMIN_TOKEN}"))],
            &"x".repeat(2 << 20),
        );
        let refused = connection.send(large).await;
        assert_eq!(refused.status(), 413);
        let closes = refused.headers().get("connection").is_some_and(|value| value == "close");
        assert_eq!(closes, version != Version::HTTP_2);
        if version == Version::HTTP_2 {
            assert_eq!(connection.get(&format!("{}/readyz", server.url)).await.status(), 200);
        }
    }
    let stream = shake_hands(server.address(), &["h2"], &pair.cert()).await.unwrap();
    let signed_in = Connection::http2(stream).await.get(&server.sign_in).await;
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_who_connects_and_cuts_nobody_off() {
    let pair = Pair::new();
    let server = pair.server(&[]);
    let ready = format!("{}/readyz", server.url);
    let stream = shake_hands(server.address(), &["h2"], &pair.cert()).await.unwrap();
    let mut before = Connection::http2(stream).await;
    assert_eq!(before.get(&ready).await.status(), 200);

    pair.renew();
    // A client that knows only the new one: refused until the server shows it.
    let stream = loop {
        match shake_hands(server.address(), &["h2"], &pair.cert()).await {
            Ok(stream) => break stream,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    };
    assert_eq!(Connection::http2(stream).await.get(&ready).await.status(), 200);
    assert_eq!(before.get(&ready).await.status(), 200);

    // Half of a pair is no pair: the one before is shown until the other half is there too.
    fs::write(pair.key(), "nothing").unwrap();
    assert_eq!(before.get(&ready).await.status(), 200);
}

#[test]
fn a_server_that_cannot_use_its_certificate_says_why_and_does_not_start() {
    let (pair, other) = (Pair::new(), Pair::new());
    let start = |cert: PathBuf, key: PathBuf| {
        let data_dir = tempfile::tempdir().unwrap();
        let redis = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/valkey/valkey-server");
        let output = Command::new(env!("CARGO_BIN_EXE_slipway"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("SLIPWAY_DATA_DIR", data_dir.path())
            .env("SLIPWAY_REDIS_SERVER", redis)
            .env("SLIPWAY_TLS_CERT", cert)
            .env("SLIPWAY_TLS_KEY", key)
            .env_remove("REDIS_URL")
            .env_remove("DATABASE_URL")
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let missing = start(pair.dir.path().join("none.pem"), pair.key());
    assert!(missing.contains("http.tls_cert: ") && missing.contains("none.pem cannot be read"), "{missing}");
    let foreign = start(pair.cert(), other.key());
    assert!(foreign.contains("http.tls_key: ") && foreign.contains("is not the key of"), "{foreign}");
    let half = start(pair.cert(), PathBuf::new());
    assert!(half.contains("http.tls_cert and http.tls_key belong together"), "{half}");
}

/// Over HTTP/2 without TLS, as a proxy may be told to speak it: many streams over one connection.
#[tokio::test]
async fn a_server_that_stops_ends_the_streams_of_both_versions_so_that_clients_come_back() {
    let mut server = Server::start_with(&["--no-worker"], &[]);
    let authorization = format!("Bearer {ADMIN_TOKEN}");
    let json = [("content-type", "application/json"), ("authorization", authorization.as_str())];
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let mut connection = Connection::http2(stream).await;
    let mut call = async |path: &str, input: serde_json::Value| -> serde_json::Value {
        let call = request("POST", &format!("{}/trpc/{path}", server.url), &json, &input.to_string());
        let answer = connection.send(call).await;
        assert_eq!(answer.version(), Version::HTTP_2);
        serde_json::from_str(&text(answer).await).unwrap()
    };
    let definition = "steps: [{ name: a, run: 'true' }]";
    call("pipelines.create", json!({ "name": "p", "definition": definition })).await;
    let run = call("pipelines.trigger", json!({ "pipelineId": "p" })).await;
    let run = run["result"]["data"]["id"].as_str().unwrap();

    // Nobody works on the run, so its log stays open for ever.
    let url = format!("{}/trpc/pipelines.streamLogs", server.url);
    let subscribe = || request("POST", &url, &json, &json!({ "runId": run }).to_string());
    let mut old = Connection::http1(TcpStream::connect(server.address()).await.unwrap()).await;
    let mut streams = vec![old.send(subscribe()).await];
    for _ in 0..50 {
        streams.push(connection.send(subscribe()).await);
    }
    for stream in &mut streams {
        assert_eq!(stream.headers()["x-accel-buffering"], "no");
        let begun = stream.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(begun.starts_with(b"retry: "), "{begun:?}");
    }
    server.tell_to_stop();
    for stream in streams {
        let rest = text(stream).await;
        assert!(!rest.contains("event: return") && !rest.contains("serialized-error"), "{rest}");
    }
    connection.ended().await.unwrap();
    assert!(server.process.wait().unwrap().success());
}
