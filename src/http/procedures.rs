//! The procedures over HTTP, in the three ways that there are: tRPC's protocol, several subscriptions over one response,
//! and plain HTTP. What differs is the translation; who asks is found out in one way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http_body_util::BodyExt as _;

use crate::app::App;
use crate::domain::limit::Rule;
use crate::domain::token::Actor;
use crate::http::limits::Quota;
use crate::http::{Http, RequestId, auth};
use crate::rpc::{self, Ctx, rest, wire};

/// Clients of a stream that was cut come back after this.
const RETRY: Duration = Duration::from_millis(500);
/// Clients that hear nothing for so many pings connect anew.
const PINGS_MISSED_MAX: u32 = 3;
/// So many bodies of the largest size are held at once.
const BODIES_MAX: usize = 64;

/// How the wire is served here.
pub(super) fn options(app: &App) -> wire::Options {
    let config = &app.config.http;
    let mut options = wire::Options {
        base_path: "/trpc".to_owned(),
        // A long input, such as a definition, does not fit into an address.
        method_override: true,
        batch_calls_max: config.batch_calls_max,
        calls_max: config.calls_max,
        body_bytes_max: config.body_bytes_max,
        bodies_bytes_max: config.body_bytes_max * BODIES_MAX,
        body_time_max: config.body_timeout,
        ..wire::Options::default()
    };
    options.sse.streams_max = config.streams_max;
    options.sse.open = Arc::clone(&app.streams_open);
    options.sse.live_subscriptions_max = config.live_subscriptions_max;
    options.sse.ping_interval = Some(config.stream_ping);
    options.sse.reconnect_after_inactivity = Some(config.stream_ping * PINGS_MISSED_MAX);
    options.lines.ping_interval = Some(config.stream_ping);
    options.sse.duration_max = Some(config.stream_duration_max);
    options.sse.retry = Some(RETRY);
    options
}

/// Calls over tRPC's protocol.
pub(super) async fn call(State(http): State<Http>, request: Request) -> Response {
    let request_id = request_id(&request);
    let app = http.app.clone();
    let kinds = &http.kinds;
    let (mut shown, mut limited) = (None, Quota::default());
    let (ticket, quota) = (&mut shown, &mut limited);
    let mut response = wire::handle(&http.rpc, request, |incoming| async move {
        let caller = auth::caller(&app, &incoming).await.map_err(|error| rpc::refuse(&error, &request_id))?;
        admit(&app, kinds, quota, caller.actor.as_ref(), &incoming, &request_id).await?;
        *ticket = caller.ticket;
        Ok(Ctx { app, actor: caller.actor, request_id })
    })
    .await;
    limited.write(response.headers_mut());
    match shown {
        None => response,
        // The ticket is good as long as its stream is open, however that ends.
        Some(ticket) => response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _open = &ticket;
                frame
            }))
        }),
    }
}

/// Several subscriptions over one response. No ticket opens them: who can send a body can send headers.
pub(super) async fn call_live(State(http): State<Http>, request: Request) -> Response {
    let request_id = request_id(&request);
    let app = http.app.clone();
    let kinds = &http.kinds;
    let mut limited = Quota::default();
    let quota = &mut limited;
    let mut response = wire::handle_live(&http.rpc, request, |incoming| async move {
        let caller = auth::caller(&app, &incoming).await.map_err(|error| rpc::refuse(&error, &request_id))?;
        admit(&app, kinds, quota, caller.actor.as_ref(), &incoming, &request_id).await?;
        Ok(Ctx { app, actor: caller.actor, request_id })
    })
    .await;
    limited.write(response.headers_mut());
    response
}

/// Counts the calls of a request, each by its kind.
async fn admit(
    app: &App,
    kinds: &HashMap<&'static str, wire::Kind>,
    quota: &mut Quota,
    actor: Option<&Actor>,
    incoming: &wire::Incoming,
    request_id: &str,
) -> Result<(), wire::CallError> {
    let count = |wanted: wire::Kind| {
        let calls = incoming.paths.iter().filter(|path| kinds.get(path.as_str()) == Some(&wanted)).count();
        u32::try_from(calls).unwrap_or(u32::MAX)
    };
    let streams = count(wire::Kind::Subscription);
    let asked = [
        (Rule::Queries, count(wire::Kind::Query)),
        (Rule::Mutations, count(wire::Kind::Mutation)),
        (Rule::Streams, streams),
    ];
    let kind = if 0 < streams { wire::Kind::Subscription } else { wire::Kind::Query };
    let admitted = quota.admit(app, &asked, actor, auth::ip(&incoming.parts)).await;
    admitted.map_err(|error| rpc::refuse_as(&error, kind, request_id))
}

/// Calls over plain HTTP.
pub(super) async fn call_rest(State(http): State<Http>, request: Request) -> Response {
    let request_id = request_id(&request);
    let app = http.app.clone();
    let for_context = request_id.clone();
    let mut limited = Quota::default();
    let quota = &mut limited;
    let mut response = rest::handle(&http.rest, request, &request_id, |parts, asks| async move {
        let request_id = for_context;
        let told = |error| rpc::refuse(&error, &request_id);
        let actor = auth::actor(&app, &parts).await.map_err(told)?;
        let rule = match asks {
            rest::Asks::Query => Rule::Queries,
            rest::Asks::Mutation => Rule::Mutations,
            rest::Asks::Stream => Rule::Streams,
            rest::Asks::Download => Rule::Downloads,
        };
        quota.admit(&app, &[(rule, 1)], actor.as_ref(), auth::ip(&parts)).await.map_err(told)?;
        Ok(Ctx { app, actor, request_id })
    })
    .await;
    limited.write(response.headers_mut());
    response
}

/// What to look for in the log.
pub(super) fn request_id(request: &Request) -> String {
    request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone()).unwrap_or_default()
}
