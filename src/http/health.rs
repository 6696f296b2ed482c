//! Whether the process lives, and whether it can do its work.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::{Http, plain};

pub(super) async fn live() -> Response {
    plain(StatusCode::OK, "ok\n")
}

/// Ready means that a trigger would be taken: the database answers and the server is not stopping. Redis may
/// be away, since runs are queued once it is back; `system.health` tells.
pub(super) async fn ready(State(http): State<Http>) -> Response {
    if http.app.shutdown.is_cancelled() {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match http.app.store.ping().await {
        Ok(()) => plain(StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::warn!(error = error.chain(), "Not ready: the database does not answer");
            plain(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")
        }
    }
}
