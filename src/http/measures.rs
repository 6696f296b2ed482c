//! What operators measure, for Prometheus: to whoever has signed in, and to everybody at a listener of its own.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::app::App;
use crate::domain::token::Role;
use crate::http::procedures::request_id;
use crate::http::{Http, auth, listener, server};
use crate::metrics;
use crate::rpc::{self, rest::Problem};
use crate::services::measures::Measures;

/// Between two attempts to listen where somebody else does.
const BIND_RETRY_DELAY: Duration = Duration::from_secs(1);

/// At the main listener, for viewers.
pub(super) async fn page(State(http): State<Http>, request: Request) -> Response {
    let request_id = request_id(&request);
    let (parts, _) = request.into_parts();
    let caller = auth::actor(&http.app, &parts).await;
    if let Err(error) = caller.and_then(|actor| rpc::require(rpc::Access::Role(Role::Viewer), actor.as_ref()))
    {
        return Problem::of(rpc::refuse(&error, &request_id), &request_id).respond();
    }
    text(&http.measures).await
}

async fn text(measures: &Measures) -> Response {
    let headers = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")];
    (headers, measures.text().await).into_response()
}

/// Serves at an address that is for nothing else, until the process stops. Whoever reaches it may read. Where the address is
/// in use, as by the server that this one replaces, it is waited for: what is measured must not keep what works from
/// starting.
pub async fn listen(app: App, address: SocketAddr, files_max: usize) {
    let measures = Measures::new(app.clone());
    let router = Router::new()
        .route("/metrics", get(|State(measures): State<Measures>| async move { text(&measures).await }))
        .with_state(measures);
    let shutdown = app.shutdown.clone();
    let Some(socket) = shutdown.run_until_cancelled(bind_once_free(address)).await else { return };
    server::serve(socket, router, None, &app.config.http, files_max, shutdown).await;
}

async fn bind_once_free(address: SocketAddr) -> TcpListener {
    let mut is_waiting = false;
    loop {
        match listener::bind(address).await {
            Ok(socket) => return socket,
            Err(error) if !is_waiting => {
                is_waiting = true;
                tracing::warn!(%address, error = error.chain(), "Metrics are served once their address can be had");
            }
            Err(_) => {}
        }
        tokio::time::sleep(BIND_RETRY_DELAY).await;
    }
}
