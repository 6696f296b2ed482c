//! What the audit trail says.

use serde_json::{Value, json};
use slipway::rpc::wire::Kind;

use super::server::Server;

/// The newest entries that fit, the newest first.
async fn entries(server: &Server, filter: &Value) -> Vec<Value> {
    let page = server.query("audit.list", filter).await.unwrap();
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_mutation_leaves_an_entry_whoever_asks_and_whichever_way() {
    let server = Server::start().await;
    let viewer = server.token("viewer").await;
    const MARK: &str = "marked-7b1f";
    let input = json!({ "nonsense": MARK });
    for declared in slipway::rpc::router().registry {
        if declared.kind != Kind::Mutation {
            continue;
        }
        let path = declared.spec.path;
        server.mutate(path, &input).await.unwrap_err();
        server.mutate_as(Some(&viewer), path, &input).await.unwrap_err();
        server.mutate_as(None, path, &input).await.unwrap_err();
        let left = entries(&server, &json!({ "action": path, "outcome": "refused" })).await;
        let mut actors: Vec<&Value> = left.iter().map(|entry| &entry["actor"]).collect();
        actors.sort_by_key(|actor| actor.to_string());
        assert_eq!(actors, [&json!("admin"), &json!("viewer"), &Value::Null], "{path}: {left:?}");
        assert!(!json!(left).to_string().contains(MARK), "{path} keeps what it was sent");
    }
    let refused = server.rest_as(Some(&viewer), reqwest::Method::POST, "/tokens").send().await.unwrap();
    assert_eq!(refused.status(), 403);
}

#[tokio::test]
async fn an_entry_says_who_did_what_to_which_thing() {
    let server = Server::start().await;
    let definition = "steps:\n  - name: a\n    run: 'true'\n";
    let pipeline =
        server.mutate("pipelines.create", &json!({ "name": "build", "definition": definition })).await;
    let pipeline = pipeline.unwrap();
    let run = server.mutate("pipelines.trigger", &json!({ "pipelineId": "build" })).await.unwrap();
    let operator = server.token("operator").await;
    server.mutate_as(Some(&operator), "runs.cancel", &json!({ "runId": run["id"] })).await.unwrap();
    let missing = json!({ "runId": "01890000-0000-7000-8000-000000000000" });
    server.mutate_as(Some(&operator), "runs.cancel", &missing).await.unwrap_err();

    let created = &entries(&server, &json!({ "action": "pipelines.create" })).await[0];
    assert_eq!((&created["targetKind"], &created["targetId"]), (&json!("pipeline"), &pipeline["id"]));
    assert_eq!((&created["actor"], &created["outcome"]), (&json!("admin"), &json!("done")));
    let token = &entries(&server, &json!({ "action": "tokens.create" })).await[0];
    assert_eq!(token["targetKind"], "token");

    server.mutate("secrets.set", &json!({ "name": "KEY", "value": "of nobody" })).await.unwrap();
    let secret = &entries(&server, &json!({ "action": "secrets.set" })).await[0];
    assert_eq!((&secret["targetKind"], &secret["targetId"]), (&json!("secret"), &json!("KEY")));
    // Its name says which one together with its pipeline.
    let secret = json!({ "name": "KEY", "pipelineId": "build" });
    let set = json!({ "name": "KEY", "pipelineId": "build", "value": "of the pipeline" });
    server.mutate("secrets.set", &set).await.unwrap();
    let id = pipeline["id"].as_str().unwrap();
    let of_pipeline = &entries(&server, &json!({ "target": format!("{id}/KEY") })).await[0];
    assert_eq!(
        (&of_pipeline["action"], &of_pipeline["targetKind"]),
        (&json!("secrets.set"), &json!("secret"))
    );
    server.mutate("secrets.delete", &secret).await.unwrap();
    server.mutate("secrets.delete", &secret).await.unwrap_err();
    let deleted = entries(&server, &json!({ "action": "secrets.delete", "target": "build/KEY" })).await;
    let outcomes: Vec<&Value> = deleted.iter().map(|entry| &entry["outcome"]).collect();
    assert_eq!(outcomes, [&json!("refused"), &json!("done")]);
    // Of a pipeline that there is not, and of none at all.
    let nowhere = json!({ "name": "KEY", "pipelineId": "none", "value": "of nobody" });
    server.mutate("secrets.set", &nowhere).await.unwrap_err();
    assert_eq!(entries(&server, &json!({ "target": "none/KEY" })).await[0]["outcome"], "refused");
    server.mutate("secrets.delete", &json!({ "name": "KEY" })).await.unwrap();
    assert_eq!(entries(&server, &json!({ "target": "KEY" })).await[0]["action"], "secrets.delete");
    server.mutate("people.create", &json!({ "login": "ann" })).await.unwrap();
    let person = &entries(&server, &json!({ "action": "people.create" })).await[0];
    assert_eq!(person["targetKind"], "person");

    let of_run = entries(&server, &json!({ "target": run["id"], "actor": "operator" })).await;
    assert_eq!(of_run.len(), 1, "{of_run:?}");
    assert_eq!((&of_run[0]["action"], &of_run[0]["outcome"]), (&json!("runs.cancel"), &json!("done")));
    assert!(of_run[0]["tokenId"].is_string() && of_run[0]["requestId"].is_string());
    let failed = &entries(&server, &json!({ "actor": "operator", "outcome": "refused" })).await[0];
    assert_eq!(failed["targetId"], missing["runId"]);

    let all = entries(&server, &json!({})).await;
    let begin = all.last().unwrap()["at"].clone();
    assert_eq!(entries(&server, &json!({ "since": begin })).await, all);
    assert!(entries(&server, &json!({ "until": begin })).await.is_empty());
    let first = server.query("audit.list", &json!({ "limit": 2 })).await.unwrap();
    let next =
        server.query("audit.list", &json!({ "limit": 100, "cursor": first["nextCursor"] })).await.unwrap();
    let paged = [first["items"].as_array().unwrap().as_slice(), next["items"].as_array().unwrap()].concat();
    assert_eq!(paged, all);
    let wrong = server.query("audit.list", &json!({ "since": "yesterday" })).await.unwrap_err();
    assert_eq!(wrong["data"]["field"], "since");
    let viewer = server.token("viewer").await;
    let forbidden = server.query_as(Some(&viewer), "audit.list", &json!({})).await.unwrap_err();
    assert_eq!(forbidden["data"]["code"], "FORBIDDEN");
}
