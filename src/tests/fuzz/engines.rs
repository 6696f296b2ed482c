//! Any text through the procedures on both engines: what one takes the other takes, and gives back the same.

use http::Method;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use slipway::store::Engine;

use super::mutate::{holds, mutated_text};
use super::site::{Received, Sent, Site};
use crate::support::redis::ADMIN_TOKEN;

/// Where a text is put. The other fields are right.
const PLACES: [(&str, &str); 13] = [
    ("pipelines.create", "name"),
    ("pipelines.create", "description"),
    ("pipelines.create", "repository"),
    ("pipelines.create", "defaultBranch"),
    ("pipelines.create", "definition"),
    ("pipelines.get", "pipelineId"),
    ("pipelines.list", "search"),
    ("pipelines.list", "cursor"),
    ("pipelines.trigger", "branch"),
    ("pipelines.trigger", "idempotencyKey"),
    ("pipelines.trigger", "inputs"),
    ("runs.list", "branch"),
    ("tokens.create", "name"),
];
const TEXTS: [&str; 8] = [
    "Über/été.v2_x-y",
    "two\nlines\tof 'quoted' \"text\" \\ %_",
    "日本語 🚀",
    "https://example.com/a.git",
    "feature/x",
    "steps:\n  - name: a\n    run: \"x\"\n",
    "main",
    "ymFzZTY0",
];
/// What is different on each installation.
const OWN: [&str; 11] = [
    "id",
    "pipelineId",
    "createdAt",
    "updatedAt",
    "requestId",
    "value",
    "nextCursor",
    "number",
    "stack",
    "runId",
    // For how long a run has waited.
    "reason",
];

fn request(path: &str, field: &str, text: &str, number: u32) -> Sent {
    let mut input = match path {
        "pipelines.create" => json!({ "name": format!("pipeline {number}") }),
        "pipelines.trigger" => json!({ "pipelineId": "build" }),
        "tokens.create" => json!({ "name": format!("token {number}"), "role": "viewer" }),
        _ => json!({}),
    };
    input[field] = if field == "inputs" { json!({ "text": text }) } else { text.into() };
    Sent {
        method: Method::POST,
        path: format!("/trpc/{path}").into_bytes(),
        query: Vec::new(),
        headers: vec![
            ("authorization", format!("Bearer {ADMIN_TOKEN}").into_bytes()),
            ("content-type", b"application/json".to_vec()),
        ],
        body: input.to_string().into_bytes(),
    }
}

/// The answer without what is an installation's own.
fn common(received: &Received) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.retain(|name, _| !OWN.contains(&name.as_str()));
                members.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut answer = received.json().unwrap();
    strip(&mut answer);
    answer
}

#[test]
fn both_engines_take_and_give_the_same_texts() {
    let sites = [Site::start(Engine::Sqlite), Site::start(Engine::Postgres)];
    let number = std::cell::Cell::new(0);
    holds(300, (select(&PLACES[..]), mutated_text(&TEXTS)), |((path, field), text)| {
        number.set(number.get() + 1);
        let sent = request(path, field, &text, number.get());
        let answers = [0, 1].map(|at: usize| sites[at].send(&sent).unwrap());
        prop_assert!(!answers[0].status.is_server_error(), "{}", String::from_utf8_lossy(&answers[0].body));
        prop_assert_eq!(answers[0].status, answers[1].status);
        prop_assert_eq!(common(&answers[0]), common(&answers[1]));
        let data = &answers[0].json().unwrap()["result"]["data"];
        if path.ends_with("create") && field != "name" && data.is_object() {
            prop_assert_eq!(&data[field], &Value::from(text));
        }
        Ok(())
    });
}
