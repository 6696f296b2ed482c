//! `pipelines.*`

use serde_json::{Value, json};

use super::server::Server;

const DEFINITION: &str = "steps:\n  - name: a\n    run: 'true'\n";

#[tokio::test]
async fn a_pipeline_is_made_read_changed_and_deleted() {
    let server = Server::start().await;
    let input = json!({ "name": "build", "definition": DEFINITION, "description": "builds it" });
    let created = server.mutate("pipelines.create", &input).await.unwrap();
    assert_eq!(created["name"], "build");
    assert_eq!(created["repository"], Value::Null);

    let again = server.mutate("pipelines.create", &input).await.unwrap_err();
    assert_eq!(again["data"]["code"], "CONFLICT");

    for reference in [&created["id"], &created["name"]] {
        let read = server.query("pipelines.get", &json!({ "pipelineId": reference })).await.unwrap();
        assert_eq!(read, created);
    }

    let deleted = server.mutate("pipelines.delete", &json!({ "pipelineId": "build" })).await.unwrap();
    assert_eq!(deleted, json!({ "deleted": true }));
    let gone = server.query("pipelines.get", &json!({ "pipelineId": "build" })).await.unwrap_err();
    assert_eq!(gone["data"]["code"], "NOT_FOUND");
}

#[tokio::test]
async fn an_absent_field_is_left_as_it_is_and_null_clears_it() {
    let server = Server::start().await;
    let input = json!({ "name": "build", "definition": DEFINITION, "description": "builds it" });
    server.mutate("pipelines.create", &input).await.unwrap();

    let renamed = json!({ "pipelineId": "build", "name": "deploy" });
    let renamed = server.mutate("pipelines.update", &renamed).await.unwrap();
    assert_eq!((&renamed["name"], &renamed["description"]), (&json!("deploy"), &json!("builds it")));

    let cleared = json!({ "pipelineId": "deploy", "description": null });
    let cleared = server.mutate("pipelines.update", &cleared).await.unwrap();
    assert_eq!((&cleared["description"], &cleared["definition"]), (&Value::Null, &json!(DEFINITION)));
}

#[tokio::test]
async fn pages_lead_to_each_pipeline_once() {
    let server = Server::start().await;
    for n in 0..5 {
        let input = json!({ "name": format!("p{n}"), "definition": DEFINITION });
        server.mutate("pipelines.create", &input).await.unwrap();
    }
    let mut names = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = server.query("pipelines.list", &json!({ "limit": 2, "cursor": cursor })).await.unwrap();
        names.extend(page["items"].as_array().unwrap().iter().map(|item| item["name"].clone()));
        cursor = page["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(names, ["p0", "p1", "p2", "p3", "p4"]);
    let found = server.query("pipelines.list", &json!({ "search": "P3" })).await.unwrap();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_definition_is_checked_without_being_stored() {
    let server = Server::start().await;
    let right = server.mutate("pipelines.validate", &json!({ "definition": DEFINITION })).await.unwrap();
    let planned = right["steps"].as_array().unwrap();
    assert_eq!((&right["problems"], planned.is_empty()), (&json!([]), false), "{right}");
    let wrong = json!({ "definition": "steps:\n  - name: a\n    rum: 'true'\n" });
    let wrong = server.mutate("pipelines.validate", &wrong).await.unwrap();
    assert!(wrong["problems"].as_array().unwrap().iter().any(|problem| problem["line"] == 3), "{wrong}");
    assert_eq!(wrong["steps"], json!([]));
}
