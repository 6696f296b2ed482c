//! tRPC's HTTP protocol, version 11, over the procedures of rspc: queries, mutations, batches, subscriptions.
//!
//! It is a library of its own: it knows procedures by path and kind, and nothing of what they do. Left out are inputs
//! that are not JSON (forms, byte streams) and results that are streams in themselves; both are refused with a proper
//! error.
//!
//! # How procedures meet the wire
//!
//! - **Input** arrives as a value of type [`Input`], by `Procedure::exec`. rspc unwraps what
//!   `ResolverInput::from_input` returns, so an implementation never fails: it keeps `Input::from_dyn(input)` and a
//!   middleware calls [`Input::read`] after its guards, and then parses the JSON into its type.
//! - **Output** is either anything serialisable, through rspc's own `ResolverOutput` ([`Yields::Serde`]), or an
//!   [`Output`] through `ProcedureStream::from_stream_value` or `from_future_value` ([`Yields::Output`]), which can
//!   also say "no data", "this item has this id" and "these are finished events, pass them on". A wrapper that
//!   implements `ResolverOutput` with `type T = Output` does it.
//! - **Errors** are [`CallError`]s, turned into rspc's by `ProcedureError::from`. Panics are logged and answered with an
//!   internal error that does not tell their text.
//! - **Kind** and form of each procedure are in an [`Entry`], since rspc does not tell them; [`Router::new`] insists
//!   that both sides have the same paths.

mod body;
mod call;
mod codes;
mod envelope;
mod error;
mod feed;
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
use std::sync::Arc;

use axum::body::Body;
use futures::FutureExt;
use futures::future::join_all;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use rspc_procedure::Procedure;

use body::RequestBody;
use call::Prepared;
use envelope::{Formatting, Outcome};
use feed::{Feed, Opened};
use request::{Answer, Call, Inputs, Request};
use sse::SubscriptionBody;

pub use codes::ErrorCode;
pub use envelope::{ErrorFormatter, Failure};
pub use error::CallError;
pub use input::Input;
pub use live::handle_live;
pub use output::{Events, Output};
pub use request::ConnectionParams;
pub use router::{Entry, Kind, Router, RouterError, Yields};
pub use service::{LinesOptions, Options, OptionsError, Service, SseOptions};
pub use tracked::{EventId, Tracked};

/// What the context of a request is made from.
pub struct Incoming {
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
    let options = &service.shared.options;
    let (parts, body) = request.into_parts();
    let mut body = RequestBody::new(&parts.headers, body, options.body_bytes_max, options.body_time_max);
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
        _ => call_all(service, request, formatting, body, context).await,
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
    formatting: Formatting<'_>,
    body: &mut RequestBody,
    context: impl Future<Output = Result<TCtx, CallError>>,
) -> Response<Body> {
    let context = context.await;
    let reads = |call: &Call<TCtx>| call.target.as_ref().is_ok_and(|(entry, _)| entry.reads_input);
    let mut inputs = if context.is_ok() && request.calls.iter().any(reads) {
        request.read_inputs(body).await
    } else {
        Inputs::Unread
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
            Ok(prepared) => prepared.run(&service.shared.mutations).await,
            Err(error) => Err(error),
        };
        (path, outcome)
    });
    let outcomes: Vec<(String, Outcome)> = join_all(running).await;
    match (request.answer, &*outcomes) {
        (Answer::Single, [(path, outcome)]) => envelope::single(formatting, path, outcome, request.allow),
        _ => envelope::batch(formatting, &outcomes, request.allow),
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
