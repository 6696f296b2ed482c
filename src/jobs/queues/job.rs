//! A job as it is stored, read for people.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Number, Value, json};

/// What BullMQ abbreviates in stored options, and what it stands for.
const SHORT: [(&str, &str); 6] = [
    ("de", "deduplication"),
    ("fpof", "failParentOnFailure"),
    ("cpof", "continueParentOnFailure"),
    ("idof", "ignoreDependencyOnFailure"),
    ("kl", "keepLogs"),
    ("rdof", "removeDependencyOnFailure"),
];

/// A way to what is known of a job elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    pub href: String,
    pub display_text: String,
}

/// A job of any program. What it does not have is left out, but for the value that it returned.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredJob {
    pub id: String,
    pub timestamp: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processed_on: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_on: Option<Number>,
    pub progress: Value,
    pub attempts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_reason: Option<String>,
    pub stacktrace: Vec<String>,
    pub opts: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    pub name: String,
    /// None: what is stored cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_value: Option<Value>,
    pub is_failed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_url: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts_started: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stalled_counter: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deduplication_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deferred_failure: Option<String>,
    /// The scheduler that made it.
    #[serde(skip)]
    pub scheduler: Option<String>,
}

impl StoredJob {
    /// None: there is no such job. A job without data is what is left of one that Redis has forgotten.
    pub(super) fn read(id: &str, mut fields: HashMap<String, String>) -> Option<Self> {
        if !fields.contains_key("data") && !fields.contains_key("timestamp") {
            return None;
        }
        let number = |fields: &HashMap<String, String>, name: &str| {
            fields.get(name).and_then(|text| serde_json::from_str::<Number>(text).ok())
        };
        let count = |fields: &HashMap<String, String>, name: &str| {
            fields.get(name).and_then(|text| text.parse::<u64>().ok())
        };
        let json = |text: &String| serde_json::from_str::<Value>(text).ok();
        let attempts = count(&fields, "atm").or_else(|| count(&fields, "attemptsMade")).unwrap_or(0);
        let mut stacktrace: Vec<String> = fields
            .get("stacktrace")
            .and_then(|text| serde_json::from_str::<Vec<Option<String>>>(text).ok())
            .unwrap_or_default()
            .into_iter()
            .flatten()
            .filter(|trace| !trace.is_empty())
            .collect();
        // The newest first.
        stacktrace.reverse();
        let opts = options(fields.get("opts").and_then(json));
        let failed_reason = fields.remove("failedReason");
        Some(Self {
            id: id.to_owned(),
            timestamp: number(&fields, "timestamp").unwrap_or_else(|| 0.into()),
            processed_on: number(&fields, "processedOn"),
            processed_by: fields.remove("pb"),
            finished_on: number(&fields, "finishedOn"),
            progress: fields.get("progress").and_then(json).unwrap_or_else(|| 0.into()),
            attempts,
            delay: number(&fields, "delay").or_else(|| Some(0.into())),
            is_failed: failed_reason.as_ref().is_some_and(|reason| !reason.is_empty())
                || !stacktrace.is_empty(),
            failed_reason,
            stacktrace,
            group_id: opts.pointer("/group/id").cloned(),
            opts,
            data: Some(fields.get("data").and_then(json).unwrap_or_else(|| json!({}))),
            return_value: match fields.get("returnvalue") {
                Some(text) => json(text),
                None => Some(Value::Null),
            },
            external_url: None,
            priority: count(&fields, "priority").filter(|priority| 0 < *priority),
            attempts_started: count(&fields, "ats").filter(|started| attempts < *started),
            stalled_counter: count(&fields, "stc").filter(|count| 0 < *count),
            deduplication_id: fields.remove("deid"),
            deferred_failure: fields.remove("defa"),
            scheduler: fields.remove("rjk"),
            name: fields.remove("name").unwrap_or_default(),
        })
    }
}

/// Stored options, with their names written out, as BullMQ itself reads them.
fn options(stored: Option<Value>) -> Value {
    let mut written = expand(stored);
    written.remove("repeatJobKey");
    written.entry("attempts").or_insert_with(|| 0.into());
    if let Some(Value::Number(delay)) = written.get("backoff") {
        let backoff = json!({ "type": "fixed", "delay": delay });
        written.insert("backoff".to_owned(), backoff);
    }
    Value::Object(written)
}

pub(super) fn expand(stored: Option<Value>) -> Map<String, Value> {
    let Some(Value::Object(stored)) = stored else { return Map::new() };
    let mut written = Map::new();
    let mut telemetry = Map::new();
    for (name, value) in stored {
        match name.as_str() {
            "tm" => {
                telemetry.insert("metadata".to_owned(), value);
            }
            "omc" => {
                telemetry.insert("omitContext".to_owned(), value);
            }
            short => {
                let long = SHORT.iter().find(|(known, _)| *known == short).map_or(short, |(_, long)| long);
                written.insert(long.to_owned(), value);
            }
        }
    }
    if !telemetry.is_empty() {
        written.insert("telemetry".to_owned(), Value::Object(telemetry));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Option<StoredJob> {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        StoredJob::read("a", fields.collect())
    }

    #[test]
    fn what_is_left_of_a_forgotten_job_is_none() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[("stacktrace", "[]"), ("pb", "worker")]), None);
    }

    #[test]
    fn whatever_a_program_stored_can_be_read() {
        let odd = [
            ("data", "not json"),
            ("timestamp", "12.5"),
            ("opts", "[1]"),
            ("progress", "{\"a\":1}"),
            ("stacktrace", "[null,\"\",\"old\",\"new\"]"),
            ("returnvalue", "oops"),
            ("atm", "-1"),
        ];
        let job = read(&odd).unwrap();
        assert_eq!(job.data, Some(json!({})));
        assert_eq!(job.progress, json!({ "a": 1 }));
        assert_eq!(job.stacktrace, ["new", "old"]);
        assert_eq!(job.return_value, None);
        assert_eq!(job.attempts, 0);
        assert_eq!(job.opts, json!({ "attempts": 0 }));
    }

    #[test]
    fn options_are_written_out() {
        let stored = r#"{"kl":5,"de":{"id":"x"},"backoff":10,"tm":"t","repeatJobKey":"k","attempts":2}"#;
        let job = read(&[("data", "1"), ("opts", stored)]).unwrap();
        let expected = json!({
            "keepLogs": 5, "deduplication": { "id": "x" }, "backoff": { "type": "fixed", "delay": 10 },
            "attempts": 2, "telemetry": { "metadata": "t" },
        });
        assert_eq!(job.opts, expected);
    }
}
