//! The procedures over plain HTTP, below `/api/v1`: method, path, status and role as each declaration says.
//!
//! Like tRPC's protocol, it only translates: path, query and body become the procedure's input, which passes the same
//! checks; an error becomes a problem document. What it adds is what HTTP itself offers: validators, links, forms of
//! an answer, `Location`.

mod accept;
mod answer;
mod download;
pub(super) mod endpoint;
mod export;
mod follow;
mod gather;
pub(super) mod problem;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::{CONNECTION, HeaderValue};
use http::request::Parts;
use http::{Method, Response, Version};

use crate::rpc::error::refusal;
use crate::rpc::kit::{self, Declared};
use crate::rpc::wire::{CallError, Input, Kind, SentBody, Service};
use crate::rpc::{Ctx, rest::endpoint::Endpoint, trail};

pub use answer::{is_known, strong_tag};
pub use problem::Problem;

/// What every path of the procedures begins with.
pub const BASE: &str = "/api/v1";

/// The procedures at their paths, ready to serve. Cheap to clone.
#[derive(Clone)]
pub struct Rest {
    paths: Arc<matchit::Router<Vec<Endpoint>>>,
    service: Service<Ctx>,
    ping: Duration,
}

impl Rest {
    /// `ping`: no stream is silent for longer, so that nothing on its way takes it for dead.
    ///
    /// # Panics
    ///
    /// If two paths are ambiguous; a test makes the router.
    pub fn new(registry: &[Declared], service: Service<Ctx>, ping: Duration) -> Self {
        let mut paths: Vec<(&str, Vec<Endpoint>)> = Vec::new();
        for declared in registry {
            let endpoint = Endpoint::of(declared);
            match paths.iter_mut().find(|(path, _)| *path == declared.spec.rest.path) {
                Some((_, endpoints)) => endpoints.push(endpoint),
                None => paths.push((declared.spec.rest.path, vec![endpoint])),
            }
        }
        let mut router = matchit::Router::new();
        for (path, endpoints) in paths {
            router.insert(path, endpoints).expect("no two declared paths are ambiguous");
        }
        Self { paths: Arc::new(router), service, ping }
    }
}

/// What a request asks for, as its limits see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    Query,
    Mutation,
    Stream,
    Download,
}

fn asks(endpoint: &Endpoint, parts: &Parts) -> Asks {
    match endpoint.declared.kind {
        Kind::Subscription => Asks::Stream,
        Kind::Mutation => Asks::Mutation,
        Kind::Query => match accept::choose(&parts.headers, endpoint.forms()) {
            Some(form) if form != endpoint::Form::Json => Asks::Download,
            _ => Asks::Query,
        },
    }
}

/// Answers a request. `context` is called once the path and method are known; mutations that have begun go on if the
/// request is dropped.
pub async fn handle<F>(
    rest: &Rest,
    request: http::Request<Body>,
    request_id: &str,
    context: impl FnOnce(Arc<Parts>, Asks) -> F,
) -> Response<Body>
where
    F: Future<Output = Result<Ctx, CallError>>,
{
    let (parts, body) = request.into_parts();
    let mut body = rest.service.body(&parts.headers, body);
    let parts = Arc::new(parts);
    let answered = answer(rest, &parts, &mut body, request_id, context).await;
    let mut response = answered.unwrap_or_else(Problem::respond);
    // The header is illegal in HTTP/2, where a body that is not wanted does no harm either.
    if !body.finish().await && parts.version <= Version::HTTP_11 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn answer<F>(
    rest: &Rest,
    parts: &Arc<Parts>,
    body: &mut SentBody,
    request_id: &str,
    context: impl FnOnce(Arc<Parts>, Asks) -> F,
) -> Result<Response<Body>, Problem>
where
    F: Future<Output = Result<Ctx, CallError>>,
{
    let path = parts.uri.path();
    let below = path.strip_prefix(BASE).unwrap_or(path);
    let found = rest.paths.at(below).map_err(|_| Problem::not_found(path, request_id))?;
    // HEAD is GET, whose body is then left out.
    let method = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
    let endpoint = found.value.iter().find(|endpoint| endpoint.method == *method);
    let endpoint = endpoint.ok_or_else(|| Problem::method(&allowed(found.value), request_id))?;

    let told = |error: CallError| Problem::of(error, request_id);
    let ctx = context(Arc::clone(parts), asks(endpoint, parts)).await.map_err(told)?;
    let Declared { kind, spec, .. } = endpoint.declared;
    // Who may not call learns nothing about the input, which is not even read then.
    if let Err(error) = kit::authorize(spec.access, ctx.actor.as_ref()) {
        trail::record_refusal(&ctx, &endpoint.declared, &error).await;
        return Err(told(refusal(&error, kind, spec.path, request_id)));
    }
    let Some(form) = accept::choose(&parts.headers, endpoint.forms()) else {
        let offered: Vec<&str> = endpoint.forms().iter().map(|form| form.media_type()).collect();
        return Err(Problem::not_acceptable(&offered.join(", "), request_id));
    };
    let input = gather::gather(endpoint, &found.params, parts, body).await.map_err(told)?;
    perform(rest, endpoint, form, ctx, input, parts).await.map_err(told)
}

async fn perform(
    rest: &Rest,
    endpoint: &Endpoint,
    form: endpoint::Form,
    ctx: Ctx,
    input: serde_json::Map<String, serde_json::Value>,
    parts: &Parts,
) -> Result<Response<Body>, CallError> {
    let Declared { kind, spec, .. } = endpoint.declared;
    if kind != Kind::Subscription && form != endpoint::Form::Json {
        return match spec.path {
            download::LOGS => download::respond(&rest.service, ctx, input, &parts.headers, form).await,
            path => export::respond(&rest.service, path, ctx, input).await,
        };
    }
    let request_id = ctx.request_id.clone();
    let input = Input::json(gather::raw(&input)?);
    if kind == Kind::Subscription {
        let subscribed = rest.service.subscribe(spec.path, ctx, input)?;
        return follow::respond(subscribed, form, rest.ping, request_id).await;
    }
    let json = rest.service.call(spec.path, ctx, input).await?.unwrap_or_else(|| b"null".to_vec());
    Ok(answer::respond(endpoint, &parts.uri, &parts.headers, json))
}

/// What a path takes, for the header `Allow`.
fn allowed(endpoints: &[Endpoint]) -> String {
    let mut methods = Vec::new();
    for endpoint in endpoints {
        methods.push(endpoint.method.as_str());
        if endpoint.method == Method::GET {
            methods.push("HEAD");
        }
    }
    methods.join(", ")
}
