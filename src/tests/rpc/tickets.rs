//! Stream tickets while Redis is away.

use serde_json::json;

use super::server::Server;

/// Clients try again by themselves after the number -32603, and after no other.
#[tokio::test]
async fn without_redis_a_ticket_is_not_refused_but_asked_for_again() {
    let server = Server::start().await;
    let made = server.mutate("auth.streamTicket", &json!({ "path": "pipelines.watchRun" })).await;
    assert_eq!(made.unwrap_err()["data"]["code"], "SERVICE_UNAVAILABLE");
    let shown = server.subscribe_by_ticket("pipelines.watchRun", "slt_some").await;
    assert!(shown.contains("event: serialized-error\n") && shown.contains("\"code\":-32603"), "{shown}");
}

#[tokio::test]
async fn a_viewer_may_ask_for_a_ticket_and_nobody_unknown() {
    let server = Server::start().await;
    let viewer = server.token("viewer").await;
    for (token, expected) in [(None, "UNAUTHORIZED"), (Some(&*viewer), "BAD_REQUEST")] {
        let made = server.mutate_as(token, "auth.streamTicket", &json!({ "path": "runs.get" })).await;
        assert_eq!(made.unwrap_err()["data"]["code"], expected);
    }
}
