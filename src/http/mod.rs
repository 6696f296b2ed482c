//! The HTTP edge: which path goes where, who may call it, and what every answer carries.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use uuid::Uuid;

use crate::app::App;
use crate::config::HttpConfig;
use crate::error::{Error, Result};
use crate::http::sign_in::SignIn;
use crate::rpc::{self, Ctx, wire};

pub mod assets;
pub mod auth;
pub mod health;
pub mod server;
pub mod sign_in;

/// Who may call a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Whoever each procedure below it admits, as its declaration says.
    Procedures,
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
}

/// The identity of a request, in the log and in the answer.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Clients of a stream that was cut come back after this.
const RETRY: Duration = Duration::from_millis(500);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Every path that is served. Nothing is served that is not in this list.
pub fn routes() -> Vec<Route> {
    vec![
        Route { path: "/trpc/{*path}", access: Access::Procedures, handler: any(call) },
        Route { path: "/trpc", access: Access::Procedures, handler: any(call) },
        Route { path: "/trpc-live", access: Access::Procedures, handler: any(call_live) },
        Route { path: "/healthz", access: Access::Public, handler: get(health::live) },
        Route { path: "/readyz", access: Access::Public, handler: get(health::ready) },
        Route {
            path: "/sign-in/{code}",
            access: Access::Public,
            handler: get(sign_in::enter).head(sign_in::preview),
        },
        // The page that asks whoever has not signed in to do so; it holds no data.
        Route { path: "/", access: Access::Public, handler: get(assets::page) },
        Route { path: "/{*path}", access: Access::Public, handler: get(assets::asset) },
    ]
}

impl Http {
    pub fn new(app: App, sign_in: SignIn) -> Result<Self> {
        let rpc = rpc::router();
        let service = wire::Service::new(rpc.router, options(&app.config.http), app.shutdown.clone())
            .map_err(|error| Error::internal("setting up the procedures", error))?;
        Ok(Self { app, sign_in, rpc: service })
    }

    pub fn router(&self) -> Router {
        let mut router = Router::new();
        for route in routes() {
            router = router.route(route.path, route.handler);
        }
        router.layer(middleware::from_fn(identify)).with_state(self.clone())
    }

    /// Waits until what clients have begun and left is done.
    pub async fn drained(&self) {
        self.rpc.mutations_ended().await;
    }

    pub fn streams_open(&self) -> usize {
        self.rpc.streams_open()
    }
}

fn options(config: &HttpConfig) -> wire::Options {
    let mut options = wire::Options {
        base_path: "/trpc".to_owned(),
        // A long input, such as a definition, does not fit into an address.
        method_override: true,
        batch_calls_max: config.batch_calls_max,
        body_bytes_max: config.body_bytes_max,
        ..wire::Options::default()
    };
    options.sse.streams_max = config.streams_max;
    options.sse.live_subscriptions_max = config.live_subscriptions_max;
    options.sse.retry = Some(RETRY);
    options
}

async fn call(State(http): State<Http>, request: Request) -> Response {
    let request_id = request_id(&request);
    let app = http.app.clone();
    wire::handle(&http.rpc, request, |incoming| context(app, request_id, incoming)).await
}

/// Several subscriptions over one response.
async fn call_live(State(http): State<Http>, request: Request) -> Response {
    let request_id = request_id(&request);
    let app = http.app.clone();
    wire::handle_live(&http.rpc, request, |incoming| context(app, request_id, incoming)).await
}

fn request_id(request: &Request) -> String {
    request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone()).unwrap_or_default()
}

async fn context(app: App, request_id: String, incoming: wire::Incoming) -> Result<Ctx, wire::CallError> {
    let actor = auth::actor(&app, &incoming.parts).await.map_err(|error| rpc::refuse(&error, &request_id))?;
    Ok(Ctx { app, actor, request_id })
}

/// Gives each request an identity, and each answer the headers that keep browsers careful.
async fn identify(mut request: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    request.extensions_mut().insert(RequestId(id.clone()));
    let is_head = request.method() == Method::HEAD;
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if is_head {
        *response.body_mut() = Body::empty();
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
        assert_eq!(public, ["/healthz", "/readyz", "/sign-in/{code}", "/", "/{*path}"]);
    }
}
