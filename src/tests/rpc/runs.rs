//! `runs.*`, as far as no worker takes them up.

use serde_json::{Value, json};

use super::server::Server;

async fn triggered(server: &Server) -> Value {
    let pipeline = json!({ "name": "build", "definition": "steps:\n  - name: a\n    run: 'true'\n" });
    server.mutate("pipelines.create", &pipeline).await.unwrap();
    let input = json!({ "pipelineId": "build", "branch": "main", "idempotencyKey": "once" });
    server.mutate("pipelines.trigger", &input).await.unwrap()
}

#[tokio::test]
async fn a_trigger_succeeds_while_redis_is_away_and_the_same_key_makes_no_second_run() {
    let server = Server::start().await;
    let run = triggered(&server).await;
    assert_eq!(
        (&run["status"], &run["branch"], &run["number"]),
        (&json!("queued"), &json!("main"), &json!(1))
    );

    let input = json!({ "pipelineId": "build", "branch": "main", "idempotencyKey": "once" });
    let again = server.mutate("pipelines.trigger", &input).await.unwrap();
    assert_eq!(again["id"], run["id"]);

    let details = server.query("runs.get", &json!({ "runId": run["id"] })).await.unwrap();
    assert_eq!(details["id"], run["id"]);
    assert_eq!(details["steps"][0]["name"], "a");
    assert_eq!(details["earlierSteps"], json!([]));
}

#[tokio::test]
async fn a_queued_run_is_canceled_at_once_and_its_watchers_are_told_the_end() {
    let server = Server::start().await;
    let run = triggered(&server).await;
    let input = json!({ "runId": run["id"] });
    let canceled = server.mutate("runs.cancel", &input).await.unwrap();
    assert_eq!(canceled["status"], "canceled");

    let events = server.subscribe("pipelines.watchRun", &input).await;
    assert!(events.contains(r#""status":"canceled""#), "{events}");
    assert!(events.contains("event: return\n"), "{events}");
}
