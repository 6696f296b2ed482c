//! A request's path, query, headers and body, gathered into the one object that the procedure takes.
//!
//! What is gathered here is only brought into form; whether it is right is said by the same check as for tRPC. So a
//! text that is no number stays a text, and the check complains of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::rpc::error::bad_input;
use crate::rpc::input::InputProblem;
use crate::rpc::rest::endpoint::{Endpoint, Field, IDEMPOTENCY_KEY, Place, Reads};
use crate::rpc::wire::{CallError, ErrorCode, SentBody};

/// What is called unknown is named so often at most.
const UNKNOWN_MAX: usize = 20;
/// A name from outside that is longer is not repeated whole.
const SHOWN_CHARS_MAX: usize = 64;

/// The input, or what is wrong with the form of the request.
pub(super) async fn gather(
    endpoint: &Endpoint,
    parameters: &matchit::Params<'_, '_>,
    parts: &Parts,
    body: &mut SentBody,
) -> Result<Map<String, Value>, CallError> {
    let mut input = Map::new();
    if endpoint.has_body() {
        input = from_body(endpoint, parts, body).await?;
    }
    let mut problems = from_query(endpoint, parts, &mut input);
    for field in endpoint.fields.iter().filter(|field| field.header.is_some()) {
        from_header(field, parts, &mut input, &mut problems);
    }
    // The path is what the request is about: it goes before all else.
    for (name, value) in parameters.iter() {
        match percent_decode_str(value).decode_utf8() {
            Ok(value) => {
                let field = endpoint.fields.iter().find(|field| field.name == name);
                let value = coerced(field.map_or(&Reads::Text, |field| &field.reads), &value);
                input.insert(name.to_owned(), value);
            }
            Err(_) => problems.push(InputProblem::at(name, "is not UTF-8")),
        }
    }
    if problems.is_empty() { Ok(input) } else { Err(bad_input(&problems)) }
}

/// As what the wire hands to procedures.
pub(super) fn raw(input: &Map<String, Value>) -> Result<Box<RawValue>, CallError> {
    to_raw_value(input).map_err(|error| CallError::new(ErrorCode::BadRequest, error.to_string()))
}

async fn from_body(
    endpoint: &Endpoint,
    parts: &Parts,
    body: &mut SentBody,
) -> Result<Map<String, Value>, CallError> {
    let media_type = parts.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let is_json = media_type.is_some_and(|text| {
        text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
    });
    // Said before the body is read: a body of another kind may be long.
    if media_type.is_some() && !is_json {
        return Err(unsupported());
    }
    let text: Bytes = body.read().await?;
    if text.is_empty() {
        // The check says which fields are missing, where some are required.
        return Ok(Map::new());
    }
    if !is_json {
        return Err(unsupported());
    }
    let whole = |message: String| bad_input(&[InputProblem::at("", message)]);
    let value: Value =
        serde_json::from_slice(&text).map_err(|error| whole(format!("the body is not JSON: {error}")))?;
    let Value::Object(members) = value else { return Err(whole("the body must be an object".to_owned())) };
    let misplaced: Vec<InputProblem> = endpoint
        .fields
        .iter()
        .filter(|field| field.place == Place::Path && members.contains_key(&field.name))
        .map(|field| InputProblem::at(&field.name, "stands in the path, not in the body"))
        .collect();
    if misplaced.is_empty() { Ok(members) } else { Err(bad_input(&misplaced)) }
}

fn unsupported() -> CallError {
    CallError::new(ErrorCode::UnsupportedMediaType, "the body must be application/json")
}

fn from_query(endpoint: &Endpoint, parts: &Parts, input: &mut Map<String, Value>) -> Vec<InputProblem> {
    let mut given: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
        given.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    let is_known = |field: &&Field| field.place == Place::Query;
    let mut problems = Vec::new();
    for field in endpoint.fields.iter().filter(is_known) {
        let Some(texts) = given.remove(&field.name) else { continue };
        match (&field.reads, &*texts) {
            (Reads::List(reads), texts) => {
                let values = texts.iter().map(|text| coerced(reads, text)).collect();
                input.insert(field.name.clone(), Value::Array(values));
            }
            (reads, [text]) => {
                input.insert(field.name.clone(), coerced(reads, text));
            }
            _ => problems.push(InputProblem::at(&field.name, "is given more than once")),
        }
    }
    let names: Vec<&str> = endpoint.fields.iter().filter(is_known).map(|field| field.name.as_str()).collect();
    let known = match names.as_slice() {
        [] => "is not a parameter; this path takes none".to_owned(),
        names => format!("is not a parameter; there are {}", names.join(", ")),
    };
    problems.extend(given.into_keys().take(UNKNOWN_MAX).map(|name| {
        let shown: String = name.chars().take(SHOWN_CHARS_MAX).collect();
        InputProblem::at(&shown, known.clone())
    }));
    problems
}

/// A header that stands for a field. With a body that has the field too, it must agree.
fn from_header(
    field: &Field,
    parts: &Parts,
    input: &mut Map<String, Value>,
    problems: &mut Vec<InputProblem>,
) {
    let Some(header) = field.header else { return };
    let mut values = parts.headers.get_all(header).iter();
    let Some(value) = values.next() else { return };
    if values.next().is_some() {
        problems.push(InputProblem::at(&field.name, format!("the header {header} is given more than once")));
        return;
    }
    let Ok(text) = value.to_str() else {
        problems.push(InputProblem::at(&field.name, format!("the header {header} is not ASCII")));
        return;
    };
    let present = input.get(&field.name).filter(|present| !present.is_null());
    if header == IDEMPOTENCY_KEY && present.is_some_and(|present| present.as_str() != Some(text)) {
        problems.push(InputProblem::at(&field.name, "differs from the header Idempotency-Key"));
        return;
    }
    input.insert(field.name.clone(), Value::String(text.to_owned()));
}

/// The value that a text stands for; the text itself where it stands for none.
fn coerced(reads: &Reads, text: &str) -> Value {
    let value = match reads {
        Reads::Text | Reads::List(_) => None,
        // One way to write each number: neither `+1` nor `01`.
        Reads::Integer => {
            text.parse::<i64>().ok().filter(|number| number.to_string() == text).map(Value::from)
        }
        Reads::Number => serde_json::from_str::<serde_json::Number>(text).ok().map(Value::from),
        Reads::Boolean => match text {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
    };
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_read_as_its_field_says_or_stays_a_text() {
        assert_eq!(coerced(&Reads::Integer, "-5"), json!(-5));
        for text in ["+5", "05", "5.0", "", " 5", "null", "99999999999999999999"] {
            assert_eq!(coerced(&Reads::Integer, text), json!(text));
        }
        assert_eq!(coerced(&Reads::Number, "5.5"), json!(5.5));
        assert_eq!(coerced(&Reads::Number, "NaN"), json!("NaN"));
        assert_eq!(coerced(&Reads::Boolean, "true"), json!(true));
        assert_eq!(coerced(&Reads::Boolean, "1"), json!("1"));
        assert_eq!(coerced(&Reads::Text, "5"), json!("5"));
    }
}
