//! tRPC's HTTP protocol, version 11, over the procedures of rspc: queries, mutations, batches, subscriptions, forms.
//!
//! The clients are tRPC's own, of 11.18 to 11.25, with all their HTTP links: `httpLink`, `httpBatchLink`,
//! `httpBatchStreamLink`, `httpSubscriptionLink`. What the reference server answers was recorded, and a test replays
//! it. The transport knows procedures by path and kind, and nothing of what they do; it could be a crate of its own.
//! It is no framework: routes, authentication, cross-origin headers, compression and TLS belong to the server around
//! it.
//!
//! # Quick start
//!
//! 1. Build procedures with rspc, whose input is an [`Input`] and whose output is an [`Output`] (below).
//! 2. Say of each what rspc does not tell, in an [`Entry`], and put both into a [`Router`].
//! 3. Make a [`Service`] of it, with [`Options`] and a token that ends its streams.
//! 4. Route every method of `/trpc/{*path}` to [`handle`], which is given a closure that makes the context, and, for
//!    clients that share one connection, `/trpc-live` to [`handle_live`].
//!
//! `example.rs` beside this file is a whole server of some 150 lines: `cargo run --example transport`.
//!
//! # How procedures meet the wire
//!
//! - **Input** arrives as a value of type [`Input`], by `Procedure::exec`. rspc unwraps what
//!   `ResolverInput::from_input` returns, so an implementation never fails: it keeps `Input::from_dyn(input)` and a
//!   middleware reads it after its guards. A procedure says by how it reads what it takes: [`Input::read`] for JSON,
//!   which it parses into its type, [`Input::form`] for forms with files, [`Input::bytes`] for a stream of bytes.
//!   Subscriptions take JSON only.
//! - **Output** is either anything serialisable, through rspc's own `ResolverOutput` ([`Yields::Serde`]), or an
//!   [`Output`] through `ProcedureStream::from_stream_value` or `from_future_value` ([`Yields::Output`]), which can
//!   also say "no data", "this item has this id", "these are finished events, pass them on", and "this subscription
//!   has begun". A wrapper that implements `ResolverOutput` with `type T = Output` does it.
//! - **Errors** are [`CallError`]s, turned into rspc's by `ProcedureError::from`. Panics are logged and answered with an
//!   internal error that does not tell their text.
//! - **Kind** and form of each procedure are in an [`Entry`], since rspc does not tell them; [`Router::new`] insists
//!   that both sides have the same paths.
//! - **Context** is made once a request, also for a batch. If that fails, each call fails with its error, but for those
//!   that name no procedure or use the wrong method: these need no credentials.
//! - **Leaving**: a query and a subscription are dropped when their client leaves; a mutation goes on, and
//!   [`Service::mutations_ended`] waits for it.
//!
//! # Options
//!
//! | option | default | meaning |
//! | --- | --- | --- |
//! | `base_path` | `/` | the path below which procedures are found |
//! | `path_separator` | `.` | what may stand for the dots of a path: one of `. _ ~ -` |
//! | `batching` | true | several calls in one request |
//! | `method_override` | false | whether POST reaches queries and subscriptions |
//! | `batch_calls_max` | 100 | calls in a batch |
//! | `calls_max` | 1,000 | queries and mutations that run at once |
//! | `body_bytes_max` | 1 MiB | bytes of a body, whatever its form |
//! | `bodies_bytes_max` | 64 MiB | bytes of all bodies that are held at once |
//! | `body_time_max` | 30 s | time for which a body is waited for, beside a second for each 8 KiB of it |
//! | `forms.fields_max` | 100 | fields of a form |
//! | `forms.field_header_bytes_max` | 4 KiB | bytes in the headers of one field |
//! | `sse.enabled` | true | whether subscriptions are served |
//! | `sse.ping_interval` | 15 s | silence after which a stream pings |
//! | `sse.duration_max` | none | time after which a stream ends, for its client to open another |
//! | `sse.reconnect_after_inactivity` | 45 s | silence after which clients are told to reconnect |
//! | `sse.retry` | 1 s | how long clients are told to wait before they do |
//! | `sse.streams_max` | 20,000 | subscriptions open at once |
//! | `sse.open` | its own | counts the subscriptions that are open |
//! | `sse.live_subscriptions_max` | 100 | subscriptions that one stream may carry |
//! | `lines.ping_interval` | 15 s | silence after which a streamed batch sends a space |
//! | `lines.content_type` | `application/json` | type of a streamed batch |
//! | `format_error` | tRPC's | makes the error object |
//!
//! # Errors
//!
//! Every error is tRPC's envelope, `{"error":{"message","code","data":{"code","httpStatus","path"}}}`, with the status
//! of its [`ErrorCode`]; members of [`CallError::data`] follow in `data`. An [`ErrorFormatter`] may replace the object.
//! A failed subscription is a stream of status 200 with a `serialized-error`, since clients give up at any other status
//! and do not see why. **The code decides whether they come back**: the five codes whose number is -32603 are opened
//! again, for ever, all others never. So what may pass is `SERVICE_UNAVAILABLE`, and what will not has a code of its
//! own.
//!
//! # Limits
//!
//! - Every buffer is bounded by an option above, or by 64 KiB for what is gathered into one chunk of a stream. Nothing
//!   is queued per subscriber: a slow client slows its procedure down.
//! - Bytes are passed on as the procedure takes them; a form may be read ahead of it, up to `body_bytes_max`.
//! - JSON is checked for syntax without a bound on nesting, which costs no stack; serde_json stops at 128 levels
//!   once a procedure reads it into a type. Of repeated members the last counts.
//! - The head of a request is bounded by hyper, which answers without an envelope: 431 for headers, 414 for an address
//!   above 65,534 bytes. Clients avoid both by `maxURLLength`.
//! - A client that stays connected and reads nothing keeps its streams, also past `duration_max` and shutdown, since
//!   hyper asks for nothing to send. The server around decides when to cut such a connection.
//!
//! # Where it differs from the reference
//!
//! - Texts of JSON errors are serde_json's. Texts of panics and of what rspc reports are never sent.
//! - Request errors have the type `application/json`, which they are; the reference says `text/plain` by accident.
//! - A subscription's item without a value is sent as `null`: the reference sends a text at which its client breaks.
//! - Results are sent whole, also in streamed batches: results that are streams or have deferred members are refused.
//!   The error has a `path`, as every other error of a call.
//! - `retry` is sent at the head of each stream. A subscription for which there is no place gets a shorter one.
//! - Requests, batches, bodies, forms and streams are bounded by default. After a body that is too large the connection
//!   is closed.
//! - [`handle_live`] has no counterpart.

#![warn(missing_docs)]

mod body;
mod byte_stream;
mod call;
mod codes;
mod direct;
mod envelope;
mod error;
mod feed;
mod form;
mod input;
mod lines;
mod live;
mod live_body;
mod output;
mod pulse;
mod request;
mod router;
mod service;
mod sse;
mod tracked;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use axum::body::Body;
use futures::FutureExt;
use futures::future::{FusedFuture, join_all};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use rspc_procedure::Procedure;

use body::RequestBody;
use call::Prepared;
use envelope::{Formatting, Outcome};
use feed::{Feed, Opened};
use request::{Answer, Call, Inputs, Request};
use sse::SubscriptionBody;

pub use byte_stream::ByteStream;
pub use codes::ErrorCode;
pub use direct::{Cut, Place, SentBody, Subscribed};
pub use envelope::{ErrorFormatter, Failure};
pub use error::CallError;
pub use form::{Form, FormField, FormOptions};
pub use input::{Input, Sent};
pub use live::handle_live;
pub use output::{Events, Output};
pub use request::ConnectionParams;
pub use router::{Entry, Kind, Router, RouterError, Yields};
pub use service::{LinesOptions, Options, OptionsError, Service, SseOptions};
pub use tracked::{EventId, Tracked};

/// What the context of a request is made from.
pub struct Incoming {
    /// The head of the request.
    pub parts: Arc<Parts>,
    /// Sent by clients that cannot set headers. Part of the URL, so it belongs into no log.
    pub connection_params: Option<ConnectionParams>,
    /// The dotted paths of all calls in the request, also of those that do not exist.
    pub paths: Vec<String>,
}

/// Answers a request.
///
/// `context` is called once, also for a batch. If it fails, every call fails with its error, except those that name no
/// procedure or use the wrong method. The request may be dropped at any time; mutations that have begun go on.
pub async fn handle<TCtx, F>(
    service: &Service<TCtx>,
    request: http::Request<Body>,
    context: impl FnOnce(Incoming) -> F,
) -> Response<Body>
where
    TCtx: Clone + Send + 'static,
    F: Future<Output = Result<TCtx, CallError>>,
{
    if request.method() == Method::HEAD {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return response;
    }
    let (parts, body) = request.into_parts();
    let mut body = RequestBody::new(&parts.headers, body, &service.shared);
    let version = parts.version;
    let response = answer(service, Arc::new(parts), &mut body, context).await;
    body.finish().await.decide(version, response)
}

async fn answer<TCtx, F>(
    service: &Service<TCtx>,
    parts: Arc<Parts>,
    body: &mut RequestBody,
    context: impl FnOnce(Incoming) -> F,
) -> Response<Body>
where
    TCtx: Clone + Send + 'static,
    F: Future<Output = Result<TCtx, CallError>>,
{
    let options = &service.shared.options;
    let formatting = Formatting { formatter: &options.format_error, extensions: &parts.extensions };
    let mut request = match request::read(&service.router, options, &parts) {
        Ok(request) => request,
        Err(error) => return envelope::request_error(formatting, &error, None),
    };
    let incoming = Incoming {
        parts: Arc::clone(&parts),
        connection_params: request.connection_params.take(),
        paths: request.calls.iter().map(|call| call.path.clone()).collect(),
    };
    let context = build_context(context, incoming);
    match request.answer {
        Answer::Single if request.calls.iter().any(|call| call.kind == Some(Kind::Subscription)) => {
            subscribe(service, request, formatting, body, context).await
        }
        _ => call_all(service, request, &parts, body, context).await,
    }
}

/// Makes the context of a request. A panic is an internal error.
async fn build_context<TCtx, F>(
    context: impl FnOnce(Incoming) -> F,
    incoming: Incoming,
) -> Result<TCtx, CallError>
where
    F: Future<Output = Result<TCtx, CallError>>,
{
    let built = AssertUnwindSafe(async { context(incoming).await }).catch_unwind().await;
    built.unwrap_or_else(|payload| Err(CallError::from_panic(payload.as_ref(), "context")))
}

/// Runs queries and mutations, all at once, and answers when the slowest is done or call by call.
async fn call_all<TCtx: Clone + Send + 'static>(
    service: &Service<TCtx>,
    mut request: Request<TCtx>,
    parts: &Parts,
    body: &mut RequestBody,
    context: impl Future<Output = Result<TCtx, CallError>>,
) -> Response<Body> {
    let options = &service.shared.options;
    let formatting = Formatting { formatter: &options.format_error, extensions: &parts.extensions };
    let context = context.await;
    let reads = |call: &Call<TCtx>| call.target.as_ref().is_ok_and(|(entry, _)| entry.reads_input);
    let mut passing_on = None;
    let mut inputs = if context.is_err() || !request.calls.iter().any(reads) {
        Inputs::Unread
    } else if let Some((inputs, sender)) = request.stream_input(parts, options) {
        passing_on = Some(body.pass_on(sender));
        inputs
    } else {
        request.read_inputs(body).await
    };
    let calls = std::mem::take(&mut request.calls).into_iter().enumerate().map(|(index, call)| {
        let prepared = prepare(&call.path, call.target, &context, |entry| inputs.take(entry, index));
        (call.path, prepared)
    });
    let calls: Vec<_> = calls.collect();
    if request.answer == Answer::BatchLines {
        let shared = Arc::clone(&service.shared);
        return lines::respond(shared, formatting.extensions.clone(), calls, request.allow);
    }
    let running = calls.into_iter().map(|(path, prepared)| async {
        let outcome = match prepared {
            Ok(prepared) => prepared.run(&service.shared).await,
            Err(error) => Err(error),
        };
        (path, outcome)
    });
    let passing_on = async {
        match passing_on {
            Some(passing_on) => passing_on.await,
            None => std::future::pending().await,
        }
    };
    let outcomes: Vec<(String, Outcome)> = while_passing_on(join_all(running), passing_on).await;
    match (request.answer, &*outcomes) {
        (Answer::Single, [(path, outcome)]) => envelope::single(formatting, path, outcome, request.allow),
        _ => envelope::batch(formatting, &outcomes, request.allow),
    }
}

/// Awaits calls while their body is passed on to them. What they leave of it stays where it is.
async fn while_passing_on<T>(calls: impl Future<Output = T>, passing_on: impl Future<Output = ()>) -> T {
    let (mut calls, mut passing_on) = (pin!(calls), pin!(passing_on.fuse()));
    loop {
        tokio::select! {
            outcomes = &mut calls => return outcomes,
            () = &mut passing_on, if !passing_on.is_terminated() => {}
        }
    }
}

/// Opens a subscription. Whatever goes wrong is an event of a stream that ends, since clients read no other answer.
async fn subscribe<TCtx: Clone + Send + 'static>(
    service: &Service<TCtx>,
    mut request: Request<TCtx>,
    formatting: Formatting<'_>,
    body: &mut RequestBody,
    context: impl Future<Output = Result<TCtx, CallError>>,
) -> Response<Body> {
    let options = &service.shared.options.sse;
    let Call { path, target, .. } = request.calls.pop().expect("a request holds at least one call");
    let (entry, procedure) = match target {
        Ok(_) if !options.enabled => return sse::failed(options, formatting, &path, &sse::disabled(), None),
        Ok(target) => target,
        Err(error) => return sse::failed(options, formatting, &path, &error, request.allow),
    };
    let Some(slot) = service.shared.open_stream() else {
        return sse::turned_away(options, formatting, &path);
    };
    let last_event_id = request.last_event_id.take();
    let started = async {
        let context = context.await;
        let mut inputs = if context.is_ok() && entry.reads_input {
            request.read_inputs(body).await
        } else {
            Inputs::Unread
        };
        let input = |entry| inputs.take_with_last_event_id(entry, last_event_id.as_deref());
        prepare(&path, Ok((entry, procedure)), &context, input)?.start()
    };
    match started.await {
        Err(error) => sse::failed(options, formatting, &path, &error, None),
        Ok(stream) => {
            let extensions = Arc::new(formatting.extensions.clone());
            let yields = entry.yields;
            let feed = Feed::new(Opened { stream, yields, path, last_event_id, extensions, slot });
            sse::respond(Body::new(SubscriptionBody::new(&service.shared, feed)), None)
        }
    }
}

/// Step 8 up to the procedure itself: a call that cannot be made fails before the context's failure is looked at.
fn prepare<TCtx: Clone>(
    path: &str,
    target: Result<(Entry, Procedure<TCtx>), CallError>,
    context: &Result<TCtx, CallError>,
    input: impl FnOnce(Entry) -> Input,
) -> Result<Prepared<TCtx>, CallError> {
    let (entry, procedure) = target?;
    let context = context.clone()?;
    Ok(Prepared { path: path.to_owned(), entry, procedure, context, input: input(entry) })
}
