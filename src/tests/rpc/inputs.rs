//! Inputs that are not what a procedure takes.

use serde_json::{Value, json};

use super::server::Server;

#[track_caller]
fn is_refused(answer: Result<Value, Value>, message: &str, field: &str) {
    let error = answer.unwrap_err();
    assert_eq!(error["message"], message);
    assert_eq!(error["code"], -32600);
    assert_eq!(error["data"]["code"], "BAD_REQUEST");
    assert_eq!(error["data"]["httpStatus"], 400);
    assert_eq!(error["data"]["field"], field);
    assert_eq!(error["data"]["problems"][0]["field"], field);
}

#[tokio::test]
async fn the_field_that_is_wrong_is_named() {
    let server = Server::start().await;
    let list = server.query("runs.list", &json!({ "limit": 500 })).await;
    is_refused(list, "limit: 500 is greater than the maximum of 100", "limit");
    let get = server.query("runs.get", &json!(null)).await;
    is_refused(get, "runId: is required", "runId");
    let nul = server.query("runs.get", &json!({ "runId": "a\0" })).await;
    is_refused(nul, "runId: must not contain NUL", "runId");
    let misspelt = server.mutate("pipelines.trigger", &json!({ "pipelineId": "a", "brunch": "b" })).await;
    is_refused(
        misspelt,
        "brunch: is not a field of this input, which has pipelineId, branch, inputs, idempotencyKey",
        "brunch",
    );
    let status = server.query("runs.list", &json!({ "status": "done" })).await.unwrap_err();
    assert!(status["message"].as_str().unwrap().starts_with("status: unknown variant `done`"), "{status}");
}

#[tokio::test]
async fn what_clients_of_trpc_add_is_let_pass() {
    let server = Server::start().await;
    let added = json!({ "limit": 5, "direction": "forward" });
    assert_eq!(server.query("runs.list", &added).await.unwrap(), json!({ "items": [], "nextCursor": null }));
    assert_eq!(server.query("runs.list", &json!(null)).await.unwrap()["items"], json!([]));
}

#[tokio::test]
async fn a_text_that_is_no_id_belongs_to_no_run() {
    let server = Server::start().await;
    for id in ["nonsense", "01890a5d-ac96-774b-bcce-b302099a8057"] {
        let error = server.query("runs.get", &json!({ "runId": id })).await.unwrap_err();
        assert_eq!(error["data"]["code"], "NOT_FOUND");
        assert_eq!(error["message"], format!("run {id} not found"));
    }
}

/// A client opens a subscription again that fails with -32603, so these must have other numbers.
#[tokio::test]
async fn a_subscription_that_can_never_succeed_ends_for_good() {
    let server = Server::start().await;
    for (input, code) in [
        (json!({ "runId": "nonsense" }), "NOT_FOUND"),
        (json!({ "runId": "nonsense", "after": -2 }), "BAD_REQUEST"),
        (json!({}), "BAD_REQUEST"),
    ] {
        let events = server.subscribe("pipelines.streamLogs", &input).await;
        assert!(events.contains("event: serialized-error\n"), "{events}");
        assert!(events.contains(&format!(r#""code":"{code}""#)), "{events}");
        assert!(!events.contains("-32603"), "{events}");
    }
}
