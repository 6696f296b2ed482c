//! Several subscriptions over one event stream: what a request asks for, and how each is opened. The bytes are
//! written in `live_body`.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use axum::body::Body;
use bytes::BytesMut;
use http::request::Parts;
use http::{Extensions, Method, Response};
use rspc_procedure::Procedure;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::body::RequestBody;
use super::call::Prepared;
use super::codes::ErrorCode;
use super::envelope::{self, Formatting};
use super::error::{CallError, not_found_message};
use super::feed::{Feed, Opened};
use super::input::Input;
use super::live_body::{LiveBody, write_key};
use super::request::{BodyForm, body_form};
use super::router::{Entry, Kind};
use super::service::Service;
use super::sse::{self, write_event};
use super::tracked::merge_last_event_id;
use super::{Incoming, build_context};

/// How long the name is that a client gives a subscription.
const KEY_BYTES_MAX: usize = 64;

/// One subscription that is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    key: String,
    path: String,
    #[serde(default, deserialize_with = "present")]
    input: Option<Box<RawValue>>,
    #[serde(default)]
    last_event_id: Option<String>,
}

/// Absent and `null` are different inputs.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

/// Opens several subscriptions, and streams them over one response.
///
/// This is an extension of tRPC's protocol, for clients that have few connections: a browser opens six to a server,
/// for all its tabs together, and a subscription of tRPC's takes one.
///
/// The request is a POST of a JSON array of 1 to [`SseOptions::live_subscriptions_max`](super::SseOptions) objects
/// `{ "key", "path", "input"?, "lastEventId"? }`. A key is 1 to 64 of the characters `A-Z a-z 0-9 _ -`, and there once.
/// What is wrong with the request as a whole is an ordinary error envelope with its status. Otherwise the answer is an
/// event stream of status 200, with these events:
///
/// | event | data | meaning |
/// | --- | --- | --- |
/// | `connected` | client options | the stream's own, before all others |
/// | `ping` | empty | the stream's own, after silence |
/// | `key` | a key | what follows belongs to this subscription, until the next such event |
/// | `connected` | `{}` | this subscription has begun: it exists, its caller may, its input is right |
/// | none, `restore-id`, `return` | | as in a stream of tRPC's |
/// | `serialized-error` | error object | this subscription has failed, which is its last event; others go on |
///
/// An id belongs to the subscription whose event has it. The response ends once all subscriptions have, and without
/// `return` of those that have not at [`SseOptions::duration_max`](super::SseOptions) and at the end of the service.
/// Nothing is kept between requests: whoever wants other subscriptions asks for them all again, each with the id to
/// resume after, and leaves the first stream when the second has answered.
///
/// `context` is called once for all of them; if it fails, each fails with its error, as it would alone. Each takes a
/// place of [`SseOptions::streams_max`](super::SseOptions); those for which there is none are told to come back. Ready
/// ones take turns. Dropping the response ends them all.
pub async fn handle_live<TCtx, F>(
    service: &Service<TCtx>,
    request: http::Request<Body>,
    context: impl FnOnce(Incoming) -> F,
) -> Response<Body>
where
    TCtx: Clone + Send + 'static,
    F: Future<Output = Result<TCtx, CallError>>,
{
    let (parts, body) = request.into_parts();
    let mut body = RequestBody::new(&parts.headers, body, &service.shared);
    let parts = Arc::new(parts);
    let response = answer(service, Arc::clone(&parts), &mut body, context).await;
    body.finish().await.decide(parts.version, response)
}

async fn answer<TCtx, F>(
    service: &Service<TCtx>,
    parts: Arc<Parts>,
    body: &mut RequestBody,
    context: impl FnOnce(Incoming) -> F,
) -> Response<Body>
where
    TCtx: Clone + Send + 'static,
    F: Future<Output = Result<TCtx, CallError>>,
{
    let options = &service.shared.options;
    let formatting = Formatting { formatter: &options.format_error, extensions: &parts.extensions };
    if parts.method != Method::POST {
        let message = format!("Unsupported {}-request, only POST is supported", parts.method);
        let error = CallError::new(ErrorCode::MethodNotSupported, message);
        return envelope::request_error(formatting, &error, Some("POST"));
    }
    let wanted = match read(&parts, body, options.sse.live_subscriptions_max).await {
        Ok(wanted) => wanted,
        Err(error) => return envelope::request_error(formatting, &error, None),
    };
    let incoming = Incoming {
        parts: Arc::clone(&parts),
        connection_params: None,
        paths: wanted.iter().map(|wanted| wanted.path.clone()).collect(),
    };
    let context = build_context(context, incoming).await;
    let mut opening = Opening {
        service,
        formatting,
        extensions: Arc::new(parts.extensions.clone()),
        failed: BytesMut::new(),
        turned_away: false,
    };
    let opened: Vec<(Arc<str>, Feed)> =
        wanted.into_iter().filter_map(|wanted| opening.open(wanted, &context)).collect();
    let retry = if opening.turned_away { Some(sse::TURNED_AWAY_RETRY) } else { options.sse.retry };
    let live = LiveBody::new(&service.shared, retry, &opening.failed, opened);
    sse::respond(Body::new(live), None)
}

/// What the request asks for. An error is one of the request as a whole.
async fn read(
    parts: &Parts,
    body: &mut RequestBody,
    subscriptions_max: usize,
) -> Result<Vec<Wanted>, CallError> {
    let form = body_form(&parts.method, &parts.headers)?;
    if form != BodyForm::Json {
        let message = format!("Unsupported content-type \"{}\"", form.media_type());
        return Err(CallError::new(ErrorCode::UnsupportedMediaType, message));
    }
    parse(&body.read().await?, subscriptions_max)
}

fn parse(raw: &[u8], subscriptions_max: usize) -> Result<Vec<Wanted>, CallError> {
    let malformed = |error: serde_json::Error| CallError::bad_request(error.to_string());
    let members: Vec<&RawValue> = serde_json::from_slice(raw).map_err(malformed)?;
    if members.is_empty() || members.len() > subscriptions_max {
        let message =
            format!("A request must ask for 1 to {subscriptions_max} subscriptions, not {}", members.len());
        return Err(CallError::bad_request(message));
    }
    let mut keys = HashSet::with_capacity(members.len());
    let mut wanted = Vec::with_capacity(members.len());
    for member in members {
        // Serde would take an array for a structure, too.
        if !member.get().starts_with('{') {
            return Err(CallError::bad_request("A subscription is asked for by an object"));
        }
        let one: Wanted = serde_json::from_str(member.get()).map_err(malformed)?;
        if !is_key(&one.key) {
            let message = format!("A key must be 1 to {KEY_BYTES_MAX} of the characters A-Z a-z 0-9 _ -");
            return Err(CallError::bad_request(message));
        }
        if !keys.insert(one.key.clone()) {
            return Err(CallError::bad_request(format!("The key {} is there twice", one.key)));
        }
        wanted.push(one);
    }
    Ok(wanted)
}

/// A key is written into the stream as it is, so it has no character that means something there.
fn is_key(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Opens the subscriptions of one request.
struct Opening<'a, TCtx> {
    service: &'a Service<TCtx>,
    formatting: Formatting<'a>,
    extensions: Arc<Extensions>,
    /// The events of those that failed before they began.
    failed: BytesMut,
    /// Whether there was no place for one of them, which is worth another try soon.
    turned_away: bool,
}

impl<TCtx: Clone + Send + 'static> Opening<'_, TCtx> {
    /// Begins a subscription; one that cannot be begun has failed, which is told in its events.
    fn open(&mut self, wanted: Wanted, context: &Result<TCtx, CallError>) -> Option<(Arc<str>, Feed)> {
        let Wanted { key, path, input, last_event_id } = wanted;
        match self.start(&path, input, last_event_id, context) {
            Ok(feed) => Some((key.into(), feed)),
            Err(error) => {
                write_key(&mut self.failed, &key);
                let shape = self.formatting.error(&error, Some(&path));
                write_event(&mut self.failed, Some("serialized-error"), &shape, None);
                None
            }
        }
    }

    fn start(
        &mut self,
        path: &str,
        input: Option<Box<RawValue>>,
        last_event_id: Option<String>,
        context: &Result<TCtx, CallError>,
    ) -> Result<Feed, CallError> {
        let (entry, procedure) = self.admit(path)?;
        let context = context.clone()?;
        let Some(slot) = self.service.shared.open_stream() else {
            self.turned_away = true;
            return Err(sse::no_place());
        };
        let last_event_id = last_event_id.filter(|id| !id.is_empty());
        let input = match &last_event_id {
            _ if !entry.reads_input => Input::absent(),
            Some(id) => merge_last_event_id(input, id).into(),
            None => Ok(input).into(),
        };
        let stream = Prepared { path: path.to_owned(), entry, procedure, context, input }.start()?;
        Ok(Feed::announced(Opened {
            stream,
            yields: entry.yields,
            path: path.to_owned(),
            last_event_id,
            extensions: Arc::clone(&self.extensions),
            slot,
        }))
    }

    fn admit(&self, path: &str) -> Result<(Entry, Procedure<TCtx>), CallError> {
        let Some((entry, procedure)) = self.service.router.get(path) else {
            return Err(CallError::new(ErrorCode::NotFound, not_found_message(path)));
        };
        if entry.kind != Kind::Subscription {
            let message = format!("Unsupported live request to {} procedure at path \"{path}\"", entry.kind);
            return Err(CallError::new(ErrorCode::MethodNotSupported, message));
        }
        if !self.service.shared.options.sse.enabled {
            return Err(sse::disabled());
        }
        Ok((*entry, procedure.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(raw: &str) -> String {
        let Err(error) = parse(raw.as_bytes(), 2) else { panic!("{raw} is taken") };
        assert_eq!(error.code, ErrorCode::BadRequest);
        error.message
    }

    #[test]
    fn null_is_an_input_and_absence_is_not() {
        let wanted =
            parse(br#"[{"key":"a","path":"p","input":null},{"key":"b","path":"p"}]"#, 2).ok().unwrap();
        assert_eq!(wanted[0].input.as_ref().unwrap().get(), "null");
        assert!(wanted[1].input.is_none());
    }

    #[test]
    fn a_request_that_is_wrong_as_a_whole_is_refused() {
        let longest = "k".repeat(KEY_BYTES_MAX);
        assert!(parse(format!(r#"[{{"key":"{longest}","path":""}}]"#).as_bytes(), 2).is_ok());
        for key in ["", "a b", "a\\n", "ä", &format!("{longest}k")] {
            assert!(refused(&format!(r#"[{{"key":"{key}","path":"p"}}]"#)).contains("A key must"), "{key}");
        }
        assert!(refused("[]").contains("1 to 2 subscriptions"));
        let one = |key: &str| format!(r#"{{"key":"{key}","path":"p"}}"#);
        assert!(refused(&format!("[{},{},{}]", one("a"), one("b"), one("c"))).contains("not 3"));
        assert!(refused(&format!("[{},{}]", one("a"), one("a"))).contains("twice"));
        assert!(refused(r#"[["a","p",null,null]]"#).contains("by an object"));
        for text in ["", "{", "{}", r#"[{"key":"a"}]"#, r#"[{"key":"a","path":"p","lastEventId":5}]"#] {
            refused(text);
        }
    }

    #[test]
    fn deeply_nested_requests_neither_overflow_nor_panic() {
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        assert!(parse(deep.as_bytes(), 2).is_err());
        let input = format!(r#"[{{"key":"a","path":"p","input":{deep}}}]"#);
        if let Ok(wanted) = parse(input.as_bytes(), 2) {
            assert!(
                serde_json::from_str::<serde_json::Value>(wanted[0].input.as_ref().unwrap().get()).is_err()
            );
        }
    }
}
