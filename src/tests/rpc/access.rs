//! Who may call what.

use serde_json::json;

use super::server::Server;

#[tokio::test]
async fn a_stranger_is_asked_to_sign_in_and_learns_nothing_of_the_input() {
    let server = Server::start().await;
    for input in [json!({ "runId": "x" }), json!({ "nonsense": true })] {
        let error = server.query_as(None, "runs.get", &input).await.unwrap_err();
        assert_eq!(error["data"]["code"], "UNAUTHORIZED");
        assert_eq!(error["message"], "sign in, or send an access token");
    }
    server.query_as(None, "system.health", &json!(null)).await.unwrap();
}

#[tokio::test]
async fn a_role_may_do_its_own_and_what_lesser_roles_may() {
    let server = Server::start().await;
    let pipeline = json!({ "name": "build", "definition": "steps:\n  - name: a\n    run: 'true'\n" });
    server.mutate("pipelines.create", &pipeline).await.unwrap();
    let viewer = server.token("viewer").await;
    let operator = server.token("operator").await;

    let trigger = json!({ "pipelineId": "build" });
    let refused = server.mutate_as(Some(&viewer), "pipelines.trigger", &trigger).await.unwrap_err();
    assert_eq!(refused["data"]["code"], "FORBIDDEN");
    assert_eq!(refused["message"], "this needs the role operator; viewer has the role viewer");

    server.mutate_as(Some(&operator), "pipelines.trigger", &trigger).await.unwrap();
    let refused = server.mutate_as(Some(&operator), "pipelines.delete", &trigger).await.unwrap_err();
    assert_eq!(refused["data"]["code"], "FORBIDDEN");
    for token in [viewer, operator] {
        let list = server.query_as(Some(&token), "runs.list", &json!({})).await.unwrap();
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_revoked_token_opens_nothing() {
    let server = Server::start().await;
    let value = server.token("viewer").await;
    server.query_as(Some(&value), "runs.list", &json!({})).await.unwrap();
    let revoked = server.mutate("tokens.revoke", &json!({ "token": "viewer" })).await.unwrap();
    assert_eq!(revoked, json!({ "revoked": true }));
    let error = server.query_as(Some(&value), "runs.list", &json!({})).await.unwrap_err();
    assert_eq!(error["data"]["code"], "UNAUTHORIZED");
}
