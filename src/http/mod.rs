//! The HTTP edge: which path goes where, who may call it, and what every answer carries.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use http_body::Body as _;
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::http::forwarded::Client;
use crate::http::sign_in::SignIn;
use crate::metrics;
use crate::rpc::foreign::JobData;
use crate::rpc::rest::Rest;
use crate::rpc::{self, Ctx, wire};
use crate::services::measures::Measures;
use crate::services::single_sign_on::{CALLBACK, LEAVE, SIGNED_OUT, START};

pub mod assets;
pub mod auth;
mod board;
mod cors;
mod docs;
mod encoding;
pub mod forwarded;
mod headers;
pub mod health;
mod limits;
pub mod listener;
pub mod measures;
mod places;
mod procedures;
mod sending;
pub mod server;
pub mod sign_in;
mod single_sign_on;
pub mod tls;

/// Who may call a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Whoever each procedure below it admits, as its declaration says.
    Procedures,
    /// Whoever is a viewer, of everything or of some pipeline.
    Viewer,
    /// Whoever is a viewer of everything.
    ViewerOfAll,
}

/// A path, who may call it, and what answers.
pub struct Route {
    pub path: &'static str,
    pub access: Access,
    handler: MethodRouter<Http>,
}

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    pub app: App,
    pub sign_in: SignIn,
    rpc: wire::Service<Ctx>,
    rest: Rest,
    measures: Measures,
    job_data: Arc<JobData>,
    /// What counts as what, for the limits.
    kinds: Arc<HashMap<&'static str, wire::Kind>>,
}

/// The identity of a request, in the log and in the answer.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Every path that is served. Nothing is served that is not in this list.
pub fn routes() -> Vec<Route> {
    vec![
        Route { path: "/trpc/{*path}", access: Access::Procedures, handler: any(procedures::call) },
        // What a wildcard stands for is not empty.
        Route { path: "/trpc", access: Access::Procedures, handler: any(procedures::call) },
        Route { path: "/trpc/", access: Access::Procedures, handler: any(procedures::call) },
        Route { path: "/trpc-live", access: Access::Procedures, handler: any(procedures::call_live) },
        Route { path: "/api/v1/{*path}", access: Access::Procedures, handler: any(procedures::call_rest) },
        Route { path: "/api/v1", access: Access::Procedures, handler: any(procedures::call_rest) },
        Route { path: "/api/v1/", access: Access::Procedures, handler: any(procedures::call_rest) },
        Route { path: "/openapi.json", access: Access::Viewer, handler: get(docs::document) },
        Route { path: "/docs", access: Access::Viewer, handler: get(docs::page) },
        Route { path: "/docs/{file}", access: Access::Viewer, handler: get(docs::file) },
        Route { path: board::BASE, access: Access::ViewerOfAll, handler: any(board::serve) },
        Route { path: "/admin/queues/", access: Access::ViewerOfAll, handler: any(board::serve) },
        Route { path: "/admin/queues/{*path}", access: Access::ViewerOfAll, handler: any(board::serve) },
        Route { path: "/metrics", access: Access::ViewerOfAll, handler: get(measures::page) },
        Route { path: "/healthz", access: Access::Public, handler: get(health::live) },
        Route { path: "/readyz", access: Access::Public, handler: get(health::ready) },
        Route {
            path: "/sign-in",
            access: Access::Public,
            handler: post(sign_in::by_password).get(assets::page),
        },
        Route {
            path: "/sign-in/{code}",
            access: Access::Public,
            handler: get(sign_in::enter).head(sign_in::preview),
        },
        Route { path: START, access: Access::Public, handler: get(single_sign_on::start) },
        Route { path: CALLBACK, access: Access::Public, handler: get(single_sign_on::callback) },
        Route { path: LEAVE, access: Access::Public, handler: get(single_sign_on::sign_out) },
        Route { path: SIGNED_OUT, access: Access::Public, handler: get(single_sign_on::signed_out) },
        // The page that asks whoever has not signed in to do so; it holds no data.
        Route { path: "/", access: Access::Public, handler: get(assets::page) },
        Route { path: "/{*path}", access: Access::Public, handler: get(assets::asset) },
    ]
}

impl Http {
    pub fn new(app: App, sign_in: SignIn) -> Result<Self> {
        let rpc = rpc::router();
        let service = wire::Service::new(rpc.router, procedures::options(&app), app.shutdown.clone())
            .map_err(|error| Error::internal("setting up the procedures", error))?;
        let rest = Rest::new(&rpc.registry, service.clone(), app.config.http.stream_ping);
        let measures = Measures::new(app.clone());
        let kinds = rpc.registry.iter().map(|declared| (declared.spec.path, declared.kind)).collect();
        let job_data = Arc::default();
        Ok(Self { app, sign_in, rpc: service, rest, measures, job_data, kinds: Arc::new(kinds) })
    }

    pub fn router(&self) -> Router {
        let mut router = Router::new();
        for route in routes() {
            router = router.route(route.path, route.handler);
        }
        // From the inside out: what is streamed is marked before anything is compressed, and a browser's question
        // whether it may ask is answered before any call is looked at.
        let router = router.layer(middleware::from_fn(mark_streams)).layer(encoding::compression());
        let router = match cors::layer(&self.app.config.http.cors_origins) {
            Some(cors) => router.layer(cors),
            None => router,
        };
        let identify = middleware::from_fn_with_state(self.clone(), identify);
        router.layer(identify).with_state(self.clone())
    }

    /// Waits until what clients have begun and left is done.
    pub async fn drained(&self) {
        self.rpc.mutations_ended().await;
    }
}

/// Gives each request an identity, and each answer the headers that keep browsers careful.
async fn identify(State(http): State<Http>, mut request: Request, next: Next) -> Response {
    let trusted = &http.app.config.http.trusted_proxies;
    let mut client = forwarded::client(trusted, request.extensions(), request.headers());
    let id = client.request_id.take().unwrap_or_else(|| Uuid::now_v7().to_string());
    let asked = tracing::enabled!(tracing::Level::DEBUG).then(|| Asked::of(&request, &client));
    request.extensions_mut().insert(RequestId(id.clone()));
    request.extensions_mut().insert(client.clone());
    let is_head = request.method() == Method::HEAD;
    let (parts, body) = request.into_parts();
    let mut response = match limits::refuse(&http.app, &client, &parts).await {
        Some(refusal) => refusal,
        None => next.run(Request::from_parts(parts, body)).await,
    };
    if let Some(Asked { ip, method, path }) = asked {
        let status = response.status().as_u16();
        tracing::debug!(request.id = id, client.ip = ip, %method, path, status, "Answered");
    }
    let status = match response.status().as_u16() {
        ..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    };
    http.app.metrics.responses.get_or_create(&metrics::Response { status }).inc();
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(forwarded::X_REQUEST_ID, id);
    }
    let public_url = http.app.config.http.public_url.as_deref();
    let is_secure = client.is_secure || public_url.is_some_and(|url| url.starts_with("https://"));
    headers::harden(response.headers_mut(), is_secure);
    if is_head {
        *response.body_mut() = Body::empty();
    }
    response
}

/// What the log says of a request.
struct Asked {
    ip: String,
    method: Method,
    path: String,
}

impl Asked {
    /// Without the query, and of other paths than those of procedures only the beginning: tickets and sign-in codes
    /// are there.
    fn of(request: &Request, client: &Client) -> Self {
        let whole = request.uri().path();
        let first_ends = whole.get(1..).and_then(|rest| rest.find('/')).map_or(whole.len(), |at| at + 1);
        let path = if whole.starts_with("/trpc/") { whole } else { &whole[..first_ends] };
        Self {
            ip: client.ip.map(|ip| ip.to_string()).unwrap_or_default(),
            method: request.method().clone(),
            path: path.to_owned(),
        }
    }
}

/// What has no size is sent as it comes about, and nginx would gather it before it passes any of it on.
async fn mark_streams(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if response.body().size_hint().exact().is_none() {
        response.headers_mut().insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    response
}

/// A plain answer, for paths that no program reads.
pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever opens a path to everybody changes this list, and thinks about it.
    #[test]
    fn these_paths_and_no_others_are_open_to_everybody() {
        let public: Vec<&str> =
            routes().iter().filter(|route| route.access == Access::Public).map(|route| route.path).collect();
        let ours = ["/healthz", "/readyz", "/sign-in", "/sign-in/{code}"];
        let of_provider = [START, CALLBACK, LEAVE, SIGNED_OUT];
        assert_eq!(public, [ours.as_slice(), &of_provider, &["/", "/{*path}"]].concat());
    }
}
