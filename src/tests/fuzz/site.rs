//! The whole HTTP edge in this process, with a store and a Redis of its own, and requests of any bytes for it.

use std::collections::BTreeMap;
use std::fmt;

use axum::Router;
use axum::body::Body;
use futures::StreamExt as _;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use slipway::domain::run::{Run, RunStatus};
use slipway::domain::token::{Actor, Role};
use slipway::http::Http;
use slipway::http::sign_in::SignIn;
use slipway::services::pipelines::{self, CreatePipeline};
use slipway::services::runs::{self, TriggerRun};
use slipway::store::Engine;
use slipway::store::runs::RunChange;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use super::mutate::mutated;
use crate::support::postgres::PostgresDatabase;
use crate::support::redis::{ADMIN_TOKEN, DEADLINE, Parts};

pub(super) const PIPELINE: &str = "build";
/// Stands for the id of the run in a request's address and body.
pub(super) const RUN: &str = "00000000-0000-0000-0000-0000000000aa";

/// What an address cannot hold as it is. `%` stays: broken escapes are for the server to find.
const NOT_IN_URI: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'#')
    .add(b'\\')
    .add(b'^')
    .add(b'{')
    .add(b'|')
    .add(b'}');

pub(super) struct Site {
    pub(super) runtime: Runtime,
    pub(super) parts: Parts,
    pub(super) run: Run,
    router: Router,
    _postgres: Option<PostgresDatabase>,
}

/// A request as a client spells it.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) method: Method,
    pub(super) path: Vec<u8>,
    pub(super) query: Vec<u8>,
    pub(super) headers: Vec<(&'static str, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        writeln!(f, "{} {}?{}", self.method, text(&self.path), text(&self.query))?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", text(value))?;
        }
        write!(f, "{}", text(&self.body))
    }
}

pub(super) struct Received {
    pub(super) status: StatusCode,
    pub(super) headers: http::HeaderMap,
    /// Of a stream, what came first.
    pub(super) body: Vec<u8>,
}

impl Received {
    pub(super) fn media_type(&self) -> &str {
        let text = self.headers.get("content-type").map_or("", |value| value.to_str().unwrap());
        text.split(';').next().unwrap()
    }

    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl Site {
    /// With a pipeline and a queued run of it.
    pub(super) fn start(engine: Engine) -> Self {
        let runtime = Runtime::new().unwrap();
        let (parts, postgres, run) = runtime.block_on(async {
            let postgres = match engine {
                Engine::Sqlite => None,
                Engine::Postgres => Some(PostgresDatabase::create().await),
            };
            let settings = postgres.as_ref().map(|database| ("database.url", database.url.as_str()));
            let parts = Parts::start_with(settings.as_slice()).await;
            let run = triggered(&parts).await;
            (parts, postgres, run)
        });
        let router = {
            let _entered = runtime.enter();
            Http::new(parts.app.clone(), SignIn::default()).unwrap().router()
        };
        Self { runtime, parts, run, router, _postgres: postgres }
    }

    /// The run has ended with so many lines.
    pub(super) fn end_run(&self, lines: u64) {
        let store = &self.parts.app.store;
        self.runtime.block_on(async {
            for status in [RunStatus::Running, RunStatus::Succeeded] {
                let change = RunChange {
                    status: Some(status),
                    lines: Some(lines),
                    ..RunChange::of(self.run.id.clone())
                };
                slipway::store::runs::change(store, change).await.unwrap().unwrap();
            }
        });
    }

    /// The answer; none where no server could read the request's head.
    pub(super) fn send(&self, sent: &Sent) -> Option<Received> {
        let mut target = percent_encode(&sent.path, NOT_IN_URI).to_string();
        if !sent.query.is_empty() {
            target.push('?');
            target.extend(percent_encode(&sent.query, NOT_IN_URI));
        }
        let named = |bytes: Vec<u8>| match String::from_utf8(bytes) {
            Ok(text) => text.replace(RUN, self.run.id.as_str()).into_bytes(),
            Err(error) => error.into_bytes(),
        };
        let target = named(target.into_bytes());
        let mut request =
            Request::builder().method(&sent.method).uri(&target[..]).header("host", "127.0.0.1");
        for (name, value) in &sent.headers {
            request = request.header(HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?);
        }
        let request = request.body(Body::from(named(sent.body.clone()))).ok()?;
        let answer = async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let (head, body) = response.into_parts();
            let media_type = head.headers.get("content-type").map(|value| value.to_str().unwrap().to_owned());
            let streams = ["text/event-stream", "application/jsonl", "application/x-ndjson"];
            let is_stream = media_type.is_some_and(|is| streams.iter().any(|stream| is.starts_with(stream)));
            let body = if is_stream {
                body.into_data_stream().next().await.map(|first| first.unwrap().to_vec()).unwrap_or_default()
            } else {
                body.collect().await.unwrap().to_bytes().to_vec()
            };
            Received { status: head.status, headers: head.headers, body }
        };
        Some(
            self.runtime.block_on(async { tokio::time::timeout(DEADLINE, answer).await.expect("an answer") }),
        )
    }

    /// All events of a stream that ends; none where the address is too long for one.
    pub(super) fn events(&self, sent: &Sent) -> Option<(StatusCode, String)> {
        let target =
            format!("{}?{}", String::from_utf8_lossy(&sent.path), String::from_utf8_lossy(&sent.query));
        let target = target.replace(RUN, self.run.id.as_str());
        let mut request = Request::builder().method(&sent.method).uri(target);
        for (name, value) in &sent.headers {
            request = request.header(*name, HeaderValue::from_bytes(value).unwrap());
        }
        let body = String::from_utf8_lossy(&sent.body).replace(RUN, self.run.id.as_str());
        let request = request.body(Body::from(body)).ok()?;
        let answer = async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let status = response.status();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        Some(self.runtime.block_on(async { tokio::time::timeout(DEADLINE, answer).await.expect("the end") }))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(postgres) = self._postgres.take() {
            self.runtime.block_on(postgres.remove());
        }
    }
}

async fn triggered(parts: &Parts) -> Run {
    let actor = Actor::new("admin", Role::Admin);
    let request = CreatePipeline {
        name: PIPELINE.to_owned(),
        repository: None,
        default_branch: None,
        definition: Some("steps:\n  - name: build\n    run: make\n".to_owned()),
        description: None,
        retention: None,
    };
    pipelines::create(&parts.app, &actor, request).await.unwrap();
    let request = TriggerRun {
        pipeline: PIPELINE.to_owned(),
        branch: None,
        inputs: BTreeMap::new(),
        idempotency_key: None,
    };
    runs::trigger(&parts.app, &actor, request).await.unwrap()
}

/// JSON that is at the edge of what can be read, or beyond.
pub(super) fn raw_json() -> impl Strategy<Value = String> {
    let deep = |open: &str, close: &str, levels: usize| open.repeat(levels) + "1" + &close.repeat(levels);
    let odd = [
        "null",
        "true",
        "0",
        "-0",
        "-1",
        "1.0",
        "1.5",
        "1e3",
        "1e999",
        "-1e999",
        "9007199254740993",
        "4294967296",
        "18446744073709551616",
        "\"\"",
        "\"1\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"a\0b\"",
        "\"\u{202e}\u{feff}\"",
        "\"é𝄞\"",
        "\"main\"",
        "\"a b/c\"",
        "[]",
        "[null]",
        "{}",
        "{\"a\":1,\"a\":\"2\"}",
        "{\"\":\"\"}",
        "{\"__proto__\":{\"a\":\"b\"}}",
        "{\"A\":\"x\",\"a\":\"y\"}",
        "{\"\\ud800\":\"a\"}",
        "nul",
        "'",
        "",
    ];
    let large = vec![
        "9".repeat(400),
        format!("\"{}\"", "x".repeat(40_000)),
        format!("\"{}\"", "\\u0000".repeat(500)),
        deep("[", "]", 120),
        deep("[", "]", 10_000),
        deep("{\"a\":", "}", 127),
        deep("{\"a\":", "}", 10_000),
        format!("{{{}\"z\":\"\"}}", (0..500).map(|n| format!("\"k{n}\":\"\",")).collect::<String>()),
    ];
    prop_oneof![
        8 => select(odd.map(str::to_owned).to_vec()),
        2 => select(large),
        2 => any::<String>().prop_map(|text| Value::from(text).to_string()),
        1 => any::<i64>().prop_map(|number| number.to_string()),
    ]
}

/// An object of these members, each as it is, left out, spoilt or there twice.
pub(super) fn object(members: &'static [(&'static str, &'static str)]) -> BoxedStrategy<String> {
    let member = |(name, value): &(&'static str, &'static str)| {
        let (name, value) = (*name, *value);
        prop_oneof![
            7 => Just(format!("\"{name}\":{value}")),
            1 => Just(String::new()),
            2 => raw_json().prop_map(move |odd| format!("\"{name}\":{odd}")),
            1 => raw_json().prop_map(move |odd| format!("\"{name}\":{odd},\"{name}\":{value}")),
        ]
        .boxed()
    };
    let known: Vec<_> = members.iter().map(member).collect();
    let other = prop_oneof![
        9 => Just(String::new()),
        1 => raw_json().prop_map(|odd| format!("\"other\":{odd}")),
    ];
    let whole = (known, other).prop_map(|(mut members, other)| {
        members.push(other);
        members.retain(|member| !member.is_empty());
        format!("{{{}}}", members.join(","))
    });
    prop_oneof![14 => whole, 1 => raw_json()].boxed()
}

/// The headers that any procedure may be sent: most say who asks.
pub(super) fn headers() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    let admin = format!("Bearer {ADMIN_TOKEN}");
    let value = |samples: &[&str]| mutated(samples);
    let header = prop_oneof![
        value(&[
            "application/json",
            "application/jsonl",
            "*/*",
            "text/event-stream;q=0.5, application/x-ndjson"
        ])
        .prop_map(|value| ("accept", value)),
        value(&["application/jsonl"]).prop_map(|value| ("trpc-accept", value)),
        value(&["1-1", "17", "0-0"]).prop_map(|value| ("last-event-id", value)),
        value(&["key-1"]).prop_map(|value| ("idempotency-key", value)),
        value(&["\"a\", W/\"b\"", "*"]).prop_map(|value| ("if-none-match", value)),
        value(&["a=b; slipway_session=0123456789; c=d"]).prop_map(|value| ("cookie", value)),
        value(&["https://evil.example", "null"]).prop_map(|value| ("origin", value)),
        value(&["192.0.2.7, 10.0.0.1"]).prop_map(|value| ("x-forwarded-for", value)),
    ];
    let authorization = prop_oneof![
        12 => Just(Some(admin.clone().into_bytes())),
        1 => mutated(&[admin]).prop_map(Some),
        1 => Just(None),
    ];
    let content_type = prop_oneof![
        12 => Just(b"application/json".to_vec()),
        1 => Just(b"application/octet-stream".to_vec()),
        2 => mutated(&["application/json; charset=utf-8", "multipart/form-data; boundary=x", "text/plain"]),
    ];
    (authorization, prop::option::weighted(0.9, content_type), vec(header, 0..3)).prop_map(
        |(authorization, content_type, mut headers)| {
            headers.extend(authorization.map(|value| ("authorization", value)));
            headers.extend(content_type.map(|value| ("content-type", value)));
            headers
        },
    )
}
