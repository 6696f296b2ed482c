//! The answer to a query or mutation: its status, where the made or the following is found, and its validator.

use axum::body::Body;
use form_urlencoded::Serializer;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LINK, LOCATION,
    VARY,
};
use http::{Response, StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::rpc::rest::BASE;
use crate::rpc::rest::endpoint::{Endpoint, Form};
use crate::rpc::wire::Kind;

/// What stands in a segment of a path as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Which parameter leads to what follows, and which member of an answer has its value.
const FOLLOWING: [(&str, &str); 2] = [("cursor", "nextCursor"), ("from", "nextFrom")];

/// A success with its JSON.
///
/// Whatever is read by GET has an `ETag`. It is strong, since it is made of the very bytes: equal tags, equal
/// answers. So whoever polls a run or a list is sent it only when it has changed.
pub(super) fn respond(endpoint: &Endpoint, uri: &Uri, headers: &HeaderMap, json: Vec<u8>) -> Response<Body> {
    let is_read = endpoint.declared.kind == Kind::Query && endpoint.method == http::Method::GET;
    let tag = is_read.then(|| strong_tag(&json));
    let mut response = match &tag {
        Some(tag) if is_known(headers, tag) => unchanged(),
        _ => whole(endpoint, uri, json),
    };
    let headers = response.headers_mut();
    // Bound to who asks, and to be asked for anew each time; with a tag that costs little.
    let caching = if tag.is_some() { "private, no-cache" } else { "no-store" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(VARY, HeaderValue::from_static("accept, authorization, cookie"));
    if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(&tag).ok()) {
        headers.insert(ETAG, tag);
    }
    response
}

fn whole(endpoint: &Endpoint, uri: &Uri, json: Vec<u8>) -> Response<Body> {
    let rest = endpoint.declared.spec.rest;
    // Looked into only where something is to be found.
    let value: Value = match (endpoint.declared.kind, rest.location) {
        (Kind::Mutation, None) => Value::Null,
        _ => serde_json::from_slice(&json).unwrap_or_default(),
    };
    let length = json.len();
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = StatusCode::from_u16(rest.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(Form::Json.media_type()));
    // Also for HEAD, whose body is left out.
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    let location = rest.location.and_then(|template| place(template, &value));
    for (name, text) in [(LOCATION, location), (LINK, next(endpoint, uri, &value))] {
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(name, value);
        }
    }
    response
}

pub(super) fn unchanged() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

pub fn strong_tag(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

/// Whether the caller has what the tag stands for. Compared weakly, as RFC 9110 has it for this header.
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known.flat_map(|value| value.split(',')).any(|known| known.trim() == "*" || opaque(known) == opaque(tag))
}

/// The template with members of the output in the place of their names.
fn place(template: &str, output: &Value) -> Option<String> {
    let mut path = BASE.to_owned();
    for segment in template.split('/').skip(1) {
        path.push('/');
        match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            None => path.push_str(segment),
            Some(name) => {
                let member = name.split('.').try_fold(output, |value, name| value.get(name))?;
                path.extend(utf8_percent_encode(member.as_str()?, SEGMENT));
            }
        }
    }
    Some(path)
}

/// Where what follows a page is found.
fn next(endpoint: &Endpoint, uri: &Uri, output: &Value) -> Option<String> {
    let (parameter, value) = FOLLOWING.iter().find_map(|(parameter, member)| {
        let is_taken = endpoint.fields.iter().any(|field| field.name == *parameter);
        let value = match output.get(member)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        is_taken.then_some((*parameter, value))
    })?;
    let mut query = Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        // `after` is another way to say where a page of lines begins.
        if name != parameter && !(parameter == "from" && name == "after") {
            query.append_pair(&name, &value);
        }
    }
    query.append_pair(parameter, &value);
    Some(format!("<{}?{}>; rel=\"next\"", uri.path(), query.finish()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_made_of_the_output() {
        assert_eq!(place("/runs/{id}", &json!({ "id": "a b" })).as_deref(), Some("/api/v1/runs/a%20b"));
        let token = json!({ "token": { "id": "7" } });
        assert_eq!(place("/tokens/{token.id}", &token).as_deref(), Some("/api/v1/tokens/7"));
        assert_eq!(place("/runs/{id}", &json!({})), None);
    }

    #[test]
    fn a_tag_is_known_among_others_and_whether_weak_or_strong() {
        let known = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, value.parse().unwrap());
            is_known(&headers, "\"a\"")
        };
        assert!(known("\"a\"") && known("W/\"a\"") && known("\"b\", \"a\"") && known("*"));
        assert!(!known("\"b\"") && !known("a\"b"));
    }
}
