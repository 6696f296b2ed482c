//! Examples, made from the schemas, so that they are never wrong: a test holds each against its schema.

use serde_json::{Map, Value, json};

/// How deep a schema is followed: no answer is deeper.
const DEPTH_MAX: usize = 12;

/// What a field of this name looks like, wherever it fits the field's schema.
const BY_NAME: [(&str, &str); 30] = [
    ("name", "build"),
    ("pipelineId", "build"),
    ("pipelineName", "build"),
    ("repository", "/srv/git/project.git"),
    ("defaultBranch", "main"),
    ("branch", "main"),
    ("commit", "8f0c9a1d2b3e4f5061728394a5b6c7d8e9f00112"),
    ("definition", "steps:\n  - name: build\n    run: make\n"),
    ("description", "Builds the project"),
    ("search", "build"),
    ("text", "error"),
    ("step", "build"),
    ("message", "Compiling…"),
    ("by", "ci"),
    ("token", "ci"),
    ("login", "ann"),
    ("present", "correct horse battery staple"),
    ("new", "another horse, another staple"),
    ("password", "correct horse battery staple"),
    ("value", "slw_4Jq0m…"),
    ("version", "0.1.0"),
    ("kind", "sqlite"),
    ("path", "steps[0].run"),
    ("expected", "a text"),
    ("until", "01890a5d-ac96-774b-bcce-b302099a8057"),
    ("runId", "01890a5d-ac96-774b-bcce-b302099a8057"),
    ("idempotencyKey", "push-4711"),
    ("Idempotency-Key", "push-4711"),
    ("lastEventId", "1-17"),
    ("Last-Event-ID", "1-17"),
];

/// Gives every parameter and every JSON content an example.
pub(super) fn fill(document: &mut Value) {
    let schemas = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
    let Some(paths) = document["paths"].as_object_mut() else { return };
    let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    for operation in operations {
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            let example = example(&parameter["schema"], &name, &schemas, 0);
            // A page that lets people try requests out fills examples in, and nobody wants all filters at once.
            if let Some(example) = example.filter(|_| parameter["required"] == true) {
                parameter["example"] = example;
            }
        }
        let mut contents: Vec<&mut Value> = Vec::new();
        let mut parts: Vec<&mut Value> = Vec::new();
        for (name, part) in operation.as_object_mut().into_iter().flatten() {
            match name.as_str() {
                "requestBody" => parts.push(part),
                "responses" => parts.extend(part.as_object_mut().into_iter().flat_map(Map::values_mut)),
                _ => {}
            }
        }
        for part in parts {
            contents.extend(part.get_mut("content").and_then(|content| content.get_mut("application/json")));
        }
        for content in contents {
            if let Some(example) = example(&content["schema"], "", &schemas, 0) {
                content["example"] = example;
            }
        }
    }
}

/// A value that fits the schema, and looks like a real one; none where it is of no use.
fn example(schema: &Value, name: &str, schemas: &Map<String, Value>, depth: usize) -> Option<Value> {
    if DEPTH_MAX < depth {
        return None;
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next()) {
        return example(schemas.get(target)?, name, schemas, depth + 1);
    }
    if let Some(choices) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
        return choices.iter().find_map(|choice| example(choice, name, schemas, depth + 1));
    }
    if let Some(constant) = schema.get("const") {
        return Some(constant.clone());
    }
    if let Some(value) = schema.get("enum").and_then(Value::as_array).and_then(|values| values.first()) {
        return Some(value.clone());
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(name)) => vec![name],
        _ => return None,
    };
    match *types.first()? {
        "object" => Some(object(schema, schemas, depth)),
        "array" => {
            let item = example(schema.get("items")?, name, schemas, depth + 1);
            Some(Value::Array(item.into_iter().collect()))
        }
        "string" => text(schema, name).or_else(|| types.contains(&"null").then_some(Value::Null)),
        "integer" | "number" => Some(number(schema, name)),
        "boolean" => Some(json!(true)),
        _ => Some(Value::Null),
    }
}

fn object(schema: &Value, schemas: &Map<String, Value>, depth: usize) -> Value {
    let mut members = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = required.is_some_and(|names| names.iter().any(|required| required == name));
        // What is left out most of the time is left out of the example.
        let is_rare = ["partial", "continued", "cursor"].contains(&name.as_str()) && !is_required;
        if let Some(value) = example(property, name, schemas, depth + 1).filter(|_| !is_rare) {
            members.insert(name.clone(), value);
        }
    }
    if properties.is_none() && schema.get("additionalProperties").is_some_and(Value::is_object) {
        members.insert("target".to_owned(), json!("production"));
    }
    Value::Object(members)
}

fn text(schema: &Value, name: &str) -> Option<Value> {
    match schema.get("format").and_then(Value::as_str) {
        Some("uuid") => return Some(json!("01890a5d-ac96-774b-bcce-b302099a8057")),
        Some("date-time") => return Some(json!("2026-11-23T23:20:00.123Z")),
        _ => {}
    }
    let known = BY_NAME.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    match schema.get("pattern").and_then(Value::as_str) {
        Some(pattern) if pattern.contains("[0-9]{1,16}-") => Some(json!("1-17")),
        Some(crate::rpc::schema::VERSION) => Some(json!("17")),
        Some(crate::rpc::schema::TIME) => Some(json!("2026-11-23T23:20:00.123Z")),
        Some(crate::domain::text::SECRET_NAME_PATTERN) => Some(json!("DEPLOY_TOKEN")),
        _ => known.map(Value::from).or_else(|| {
            let is_empty_allowed = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0) == 0;
            let can_be_null = schema.get("type").is_some_and(Value::is_array);
            (is_empty_allowed && !can_be_null).then(|| json!("text"))
        }),
    }
}

fn number(schema: &Value, name: &str) -> Value {
    let least = schema.get("minimum").and_then(Value::as_i64).unwrap_or(0);
    let most = schema.get("maximum").and_then(Value::as_i64).unwrap_or(i64::MAX);
    let wanted = match name {
        "limit" => 20,
        "progress" => 40,
        "expiresInDays" => 90,
        "attemptsMax" => 3,
        "exitCode" | "from" | "after" => 0,
        _ => 1,
    };
    json!(wanted.clamp(least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(document: &Value, schema: &Value, example: &Value, at: &str) {
        let mut root = schema.clone();
        root["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&root).unwrap();
        let complaints: Vec<String> = validator.iter_errors(example).map(|error| error.to_string()).collect();
        assert!(complaints.is_empty(), "{at}: {example}: {complaints:?}");
    }

    #[test]
    fn every_example_fits_its_schema() {
        let document = crate::rpc::openapi::document();
        let mut count = 0;
        let mut pending = vec![(String::new(), &document["paths"])];
        while let Some((at, value)) = pending.pop() {
            if let (Some(example), Some(schema)) = (value.get("example"), value.get("schema")) {
                holds(&document, schema, example, &at);
                count += 1;
            }
            match value {
                Value::Object(members) => {
                    pending.extend(members.iter().map(|(name, value)| (format!("{at}/{name}"), value)));
                }
                Value::Array(items) => {
                    pending.extend(items.iter().map(|value| (at.clone(), value)));
                }
                _ => {}
            }
        }
        assert!(25 < count, "{count}");
    }
}
