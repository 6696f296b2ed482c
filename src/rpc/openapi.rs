//! The OpenAPI 3.1 document, made from the registry: what plain HTTP offers, as the declarations say.
//!
//! It is written as JSON rather than through a model of OpenAPI, since such models drop what JSON Schema has and they
//! do not know.

use std::fs;
use std::path::Path;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::rpc::bindings::BindingsError;
use crate::rpc::kit::{Access, Declared};
use crate::rpc::rest::BASE;
use crate::rpc::rest::endpoint::{Endpoint, Field, Form, IDEMPOTENCY_KEY, Place};
use crate::rpc::rest::problem;
use crate::rpc::wire::Kind;

mod examples;
mod schemas;

use schemas::{Schemas, reference, without_null};

/// Where the document is in the repository.
pub const PATH: &str = "bindings/openapi.json";

const DESCRIPTION: &str = "\
Every procedure over plain HTTP, as it is offered over tRPC's protocol at `/trpc`.

**Who may call.** Send `Authorization: Bearer <token>`, or the cookie of a browser that has signed in; a change that \
comes with a cookie must come from Slipway's own pages. Each operation says which role it needs: `viewer`, \
`operator` or `admin`, each of which may do what those before it may.

**Input.** Path, query and body are one object. What is unknown, or given twice, is refused.

**Errors** are problem documents (RFC 9457) with a `code` for programs, and with a JSON pointer for each field that \
is wrong.

**Limits** of requests are said in `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers); beyond one, \
the answer is 429 with `Retry-After`.

**Lists** give `nextCursor`, and the same as `Link: <…>; rel=\"next\"`. **Polling** is cheap with `If-None-Match`: \
answers to GET have an `ETag`. **Streams** are server-sent events, or a JSON value a line with \
`Accept: application/x-ndjson`; `Last-Event-ID` takes up where a stream was cut off.";

const TAGS: [(&str, &str); 4] = [
    ("pipelines", "What can be run."),
    ("runs", "What was run, is running, or is going to."),
    ("system", "How the installation is."),
    ("tokens", "Access tokens for programs."),
];

/// The document's text, the same for the same procedures.
///
/// # Panics
///
/// If a declaration is not what a document can say; a test makes it.
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&document()).expect("a JSON value is JSON");
    text.push('\n');
    text
}

/// Writes the file.
pub fn write(path: &Path) -> Result<(), BindingsError> {
    fs::write(path, text()).map_err(|source| BindingsError::File { path: path.to_owned(), source })
}

/// `Stale` if the file is not what `write` would write.
pub fn check(path: &Path) -> Result<(), BindingsError> {
    let present =
        fs::read_to_string(path).map_err(|source| BindingsError::File { path: path.to_owned(), source })?;
    if present == text() { Ok(()) } else { Err(BindingsError::Stale(path.to_owned())) }
}

/// The document.
pub fn document() -> Value {
    let registry = crate::rpc::router().registry;
    let mut schemas = Schemas::of(&registry);
    let mut paths: Map<String, Value> = Map::new();
    for declared in &registry {
        let operation = operation(declared, &registry, &mut schemas);
        let path = paths.entry(declared.spec.rest.path).or_insert_with(|| json!({}));
        path[declared.spec.rest.method.to_lowercase()] = operation;
    }
    let problem = schemas.problem();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Slipway",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Trigger a run, stream its logs, watch it to the end.",
            "description": DESCRIPTION,
            "license": { "name": "MIT", "identifier": "MIT" },
            "contact": { "name": "Slipway", "url": env!("CARGO_PKG_REPOSITORY") },
        },
        "servers": [{ "url": BASE, "description": "This installation." }],
        "security": [{ "token": [] }, { "session": [] }],
        "tags": TAGS.map(|(name, description)| json!({ "name": name, "description": description })),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token: `slipway token create`, or `tokens.create`.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "slipway_session",
                    "description": "The cookie of a browser that has signed in.",
                },
            },
            "responses": {
                "Problem": {
                    "description": "What is wrong. `code` is for programs, `detail` for people.",
                    "content": { problem::MEDIA_TYPE: { "schema": problem } },
                },
                "TooMany": {
                    "description": "Beyond a limit of requests: the same one succeeds after `Retry-After`.",
                    "headers": {
                        "Retry-After": { "description": "In seconds.", "schema": { "type": "integer", "minimum": 1 } },
                        "RateLimit": header("RateLimit"),
                        "RateLimit-Policy": header("RateLimit-Policy"),
                    },
                    "content": { problem::MEDIA_TYPE: { "schema": problem } },
                },
            },
            "headers": {
                "RateLimit": {
                    "description": "What is left of the limit of which least is left, and the seconds until all of it is: \
                                    `\"queries\";r=59999;t=1`. Not there where no limit is in force.",
                    "schema": { "type": "string" },
                },
                "RateLimit-Policy": {
                    "description": "That limit, in so many seconds: `\"queries\";q=60000;w=60`.",
                    "schema": { "type": "string" },
                },
            },
        },
    });
    document["components"]["schemas"] = schemas.used_by(&document);
    examples::fill(&mut document);
    document
}

fn operation(declared: &Declared, registry: &[Declared], schemas: &mut Schemas) -> Value {
    let endpoint = Endpoint::of(declared);
    let spec = declared.spec;
    let docs = spec.docs.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let summary = docs.split_once(". ").map_or(docs.as_str(), |(first, _)| first).trim_end_matches('.');
    let (who, role) = match spec.access {
        Access::Public => ("Public.".to_owned(), "public"),
        Access::SignedIn => ("Whoever has signed in.".to_owned(), "signed-in"),
        Access::Role(role) => (format!("Role: `{}`.", role.as_str()), role.as_str()),
        Access::InPipeline(role) => (format!("Role in the pipeline: `{}`.", role.as_str()), role.as_str()),
    };
    let mut operation = json!({
        "operationId": spec.path,
        "summary": summary,
        "description": format!("{docs}\n\n{who}"),
        "tags": [spec.path.split('.').next()],
        "x-slipway-role": role,
    });
    if let Some(note) = spec.deprecated {
        operation["deprecated"] = json!(true);
        operation["description"] = json!(format!("{docs}\n\nDeprecated: {note}.\n\n{who}"));
    }
    if spec.access == Access::Public {
        operation["security"] = json!([]);
    }
    let properties = schemas.input(declared);
    let parameters: Vec<Value> =
        endpoint.fields.iter().flat_map(|field| parameters(field, &properties, declared)).collect();
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if endpoint.has_body() {
        let is_in_body = |name: &str| {
            let mut fields = endpoint.fields.iter();
            fields.any(|field| field.name == name && field.place == Place::Body && field.header.is_none())
        };
        let schema = schemas.body(declared, is_in_body);
        operation["requestBody"] = json!({
            "required": !endpoint.body_is_optional(),
            "content": { "application/json": { "schema": schema } },
        });
    }
    operation["responses"] = responses(&endpoint, registry, schemas);
    operation
}

/// The parameters that stand for a field: itself, and the header that may be given for it.
fn parameters(field: &Field, properties: &Map<String, Value>, declared: &Declared) -> Vec<Value> {
    let mut schema = without_null(&properties[&field.name]);
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    let mut found = Vec::new();
    if matches!(field.place, Place::Path | Place::Query) {
        let is_in_path = field.place == Place::Path;
        let place = if is_in_path { "path" } else { "query" };
        found.push(json!({
            "name": field.name,
            "in": place,
            "required": field.required || is_in_path,
            "description": description,
            "schema": schema,
        }));
    }
    if let Some(header) = field.header {
        let mut words = description.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = match header {
            IDEMPOTENCY_KEY => {
                words.push_str(" A body that has it as `idempotencyKey` must have the same.");
                "Idempotency-Key"
            }
            _ => {
                words.push_str(" Event sources send it when they come back.");
                "Last-Event-ID"
            }
        };
        debug_assert!(name.eq_ignore_ascii_case(header), "{}", declared.spec.path);
        found.push(json!({
            "name": name,
            "in": "header",
            "required": false,
            "description": words,
            "schema": schema,
        }));
    }
    found
}

fn responses(endpoint: &Endpoint, registry: &[Declared], schemas: &mut Schemas) -> Value {
    let Declared { kind, spec, .. } = endpoint.declared;
    let item = schemas.output(&endpoint.declared);
    let mut content = Map::new();
    for form in endpoint.forms() {
        let schema = match form {
            Form::Json => item.clone(),
            Form::Events => schemas.event(&item),
            Form::Lines => json!({
                "type": "string",
                "description": "A JSON value a line; an empty line says only that the stream lives.",
                "x-slipway-line": line_of(&endpoint.declared, &item),
            }),
            Form::Text => json!({ "type": "string", "description": "What was printed, a line a line." }),
        };
        content.insert(form.media_type().to_owned(), json!({ "schema": schema }));
    }
    let mut success = json!({ "description": description_of(endpoint), "content": content });
    let mut headers = Map::new();
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    if spec.rest.location.is_some() {
        headers.insert("Location".to_owned(), text("Where that which was made is found."));
    }
    let is_read = kind == Kind::Query && spec.rest.method == "GET";
    if is_read {
        headers.insert("ETag".to_owned(), text("Changes with the answer; give it as `If-None-Match`."));
    }
    let follows = |name: &str| endpoint.fields.iter().any(|field| field.name == name);
    if is_read && (follows("cursor") || follows("from")) {
        headers.insert("Link".to_owned(), text("`rel=\"next\"`: what follows this page, if anything does."));
    }
    for name in ["RateLimit", "RateLimit-Policy"] {
        headers.insert(name.to_owned(), header(name));
    }
    success["headers"] = Value::Object(headers);
    let links = links(endpoint, registry);
    if !links.is_empty() {
        success["links"] = Value::Object(links);
    }
    let mut responses = Map::new();
    responses.insert(spec.rest.status.to_string(), success);
    if kind == Kind::Subscription {
        let nothing = "There is nothing more: whoever asks has all of it. An event source then stops.";
        responses.insert("204".to_owned(), json!({ "description": nothing }));
    }
    if is_read {
        let unchanged = "The answer is the one that `If-None-Match` names.";
        responses.insert("304".to_owned(), json!({ "description": unchanged }));
    }
    let problem = json!({ "$ref": "#/components/responses/Problem" });
    let mut refused = vec!["400"];
    if spec.access != Access::Public {
        refused.extend(["401", "403"]);
    }
    if spec.rest.path.contains('{') {
        refused.push("404");
    }
    for status in refused.into_iter().chain(["default"]) {
        responses.insert(status.to_owned(), problem.clone());
    }
    responses.insert("429".to_owned(), json!({ "$ref": "#/components/responses/TooMany" }));
    Value::Object(responses)
}

fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// What a line of a stream of lines is: the items of a page, or of a subscription.
fn line_of(declared: &Declared, item: &Value) -> Value {
    match (declared.kind, declared.spec.path) {
        (Kind::Subscription, _) => item.clone(),
        (_, "audit.list") => reference("AuditEntry"),
        _ => reference("LogLine"),
    }
}

fn description_of(endpoint: &Endpoint) -> &'static str {
    match (endpoint.declared.kind, endpoint.declared.spec.rest.status) {
        (Kind::Subscription, _) => {
            "A stream. As events, each has its `id`; `end` says that nothing follows, `problem` that the stream \
             failed; one that ends without either is taken up again with `Last-Event-ID`."
        }
        (_, 201) => "It was made.",
        _ => StatusCode::OK.canonical_reason().unwrap_or_default(),
    }
}

/// From that which was made to what can be done with it.
fn links(endpoint: &Endpoint, registry: &[Declared]) -> Map<String, Value> {
    let mut links = Map::new();
    let Some(location) = endpoint.declared.spec.rest.location else { return links };
    let Some((before, member)) = location.split_once('{') else { return links };
    let pointer = member.trim_end_matches('}').replace('.', "/");
    for declared in registry {
        let rest = declared.spec.rest;
        let Some(parameter) = rest.path.strip_prefix(before).and_then(|rest| rest.strip_prefix('{')) else {
            continue;
        };
        let Some((parameter, _)) = parameter.split_once('}') else { continue };
        links.insert(
            declared.spec.path.to_owned(),
            json!({
                "operationId": declared.spec.path,
                "parameters": { parameter: format!("$response.body#/{pointer}") },
            }),
        );
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_described_and_no_two_types_share_a_name() {
        let document = document();
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            // The generator numbers the second of two types with one name.
            assert!(!name.ends_with(|last: char| last.is_ascii_digit()), "{name}");
            assert!(schema["description"].is_string(), "{name} has no documentation");
            for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
                assert!(schema["description"].is_string(), "{name}.{field} has no documentation");
            }
        }
        for operation in document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|path| path.as_object().unwrap().values())
        {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{}: {parameter}", operation["operationId"]);
            }
        }
    }
}
