//! What a request asks for, read in the order that tRPC reads it: the order decides which error wins.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use rspc_procedure::Procedure;
use serde_json::Value;
use serde_json::value::RawValue;

use super::body::RequestBody;
use super::byte_stream::{self, ByteSender};
use super::codes::ErrorCode;
use super::error::{CallError, not_found_message};
use super::form::{self, Form};
use super::input::{Input, Sent};
use super::router::{Entry, Kind, Router};
use super::service::Options;
use super::tracked::{last_event_id, merge_last_event_id};

/// What a client sends beside the input, since an event source cannot send headers.
pub type ConnectionParams = BTreeMap<String, String>;

const JSON_LINES: &str = "application/jsonl";

/// The form in which the input arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyForm {
    Json,
    Multipart,
    OctetStream,
}

impl BodyForm {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Multipart => "multipart/form-data",
            Self::OctetStream => "application/octet-stream",
        }
    }
}

/// The form in which the answer goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Single,
    Batch,
    /// A batch whose answers are streamed line by line.
    BatchLines,
}

pub(super) struct Call<TCtx> {
    pub(super) path: String,
    /// `None` if there is no such procedure.
    pub(super) kind: Option<Kind>,
    /// The procedure, or why it cannot be called so.
    pub(super) target: Result<(Entry, Procedure<TCtx>), CallError>,
}

pub(super) struct Request<TCtx> {
    pub(super) answer: Answer,
    pub(super) calls: Vec<Call<TCtx>>,
    pub(super) connection_params: Option<ConnectionParams>,
    /// The methods that would have reached a procedure which this method does not.
    pub(super) allow: Option<&'static str>,
    pub(super) last_event_id: Option<String>,
    form: BodyForm,
    source: Source,
}

/// Where the input is.
enum Source {
    Query(Option<String>),
    Body,
}

/// Steps 2 to 6 of tRPC's pipeline. An error is one for the request as a whole.
pub(super) fn read<TCtx>(
    router: &Router<TCtx>,
    options: &Options,
    parts: &Parts,
) -> Result<Request<TCtx>, CallError> {
    let mut path = decode_path(parts.uri.path(), &options.base_path)?;
    if options.path_separator != '.' {
        path = path.replace(options.path_separator, ".");
    }
    let form = body_form(&parts.method, &parts.headers)?;
    let query = Query::read(parts.uri.query().unwrap_or_default());
    let batch = form == BodyForm::Json && query.batch.as_deref() == Some("1");

    let paths: Vec<&str> = if batch { path.split(',').collect() } else { vec![&path] };
    if batch && paths.len() > options.batch_calls_max {
        return Err(CallError::bad_request("Batch call exceeds maximum size"));
    }
    let kinds = paths.iter().filter_map(|path| router.get(path)).map(|(entry, _)| entry.kind);
    refuse_mixed_kinds(kinds)?;
    let connection_params = if form == BodyForm::Json {
        parse_connection_params(query.connection_params.as_deref())?
    } else {
        None
    };
    if batch && !options.batching {
        return Err(CallError::bad_request("Batching is not enabled on the server"));
    }
    let answer = match (batch, wants_lines(&parts.headers)) {
        (false, true) => {
            return Err(CallError::bad_request(
                "Streaming requests must be batched (you can do a batch of 1)",
            ));
        }
        (false, false) => Answer::Single,
        (true, false) => Answer::Batch,
        (true, true) => Answer::BatchLines,
    };

    let mut allow = None;
    let calls = paths
        .iter()
        .map(|path| {
            let target = admit(router, options, &parts.method, path, batch, &mut allow);
            let kind = router.get(path).map(|(entry, _)| entry.kind);
            Call { path: (*path).to_owned(), kind, target }
        })
        .collect();
    let ids = [query.last_event_id.as_deref(), query.last_event_id_alternative.as_deref()];
    let last_event_id = last_event_id(&parts.headers, ids);
    let source = if parts.method == Method::GET { Source::Query(query.input) } else { Source::Body };
    Ok(Request { answer, calls, connection_params, allow, last_event_id, form, source })
}

impl<TCtx> Request<TCtx> {
    /// The inputs of all calls, if they are JSON. Queries are parsed and the body is read here, so it is called only
    /// if some procedure will look at its input.
    pub(super) async fn read_inputs(&self, body: &mut RequestBody) -> Inputs {
        let raw = match &self.source {
            // Subscriptions: their requests are answered before they read anything.
            _ if self.form != BodyForm::Json => Err(CallError::new(
                ErrorCode::UnsupportedMediaType,
                format!("A subscription does not take {} input", self.form.media_type()),
            )),
            Source::Query(input) => Ok(Bytes::from(input.clone().unwrap_or_default())),
            Source::Body => body.read().await,
        };
        match raw {
            Err(error) => Inputs::Failed(error),
            Ok(raw) if self.answer == Answer::Single => parse(&raw).map_or_else(Inputs::Failed, Inputs::One),
            Ok(raw) => parse_batch(&raw).map_or_else(Inputs::Failed, Inputs::Each),
        }
    }
}

impl<TCtx> Request<TCtx> {
    /// The input of the one call of a request whose body is not JSON, and where the body is to be passed on to.
    pub(super) fn stream_input(&self, parts: &Parts, options: &Options) -> Option<(Inputs, ByteSender)> {
        let (sender, bytes) = byte_stream::channel();
        let input = match self.form {
            BodyForm::Json => return None,
            BodyForm::OctetStream => Sent::Bytes(bytes).into(),
            BodyForm::Multipart => {
                let boundary = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
                match boundary.and_then(|value| multer::parse_boundary(value).ok()) {
                    Some(boundary) => Sent::Form(Form::new(bytes, &boundary, options.forms)).into(),
                    None => Input::failed(form::unreadable()),
                }
            }
        };
        Some((Inputs::Whole(input), sender))
    }
}

/// The inputs of a request, read once for all its calls.
pub(super) enum Inputs {
    /// Of the only call, whatever it is.
    Whole(Input),
    /// No call looks at its input.
    Unread,
    Failed(CallError),
    One(Option<Box<RawValue>>),
    Each(HashMap<String, Box<RawValue>>),
}

impl Inputs {
    /// The input of the call at an index, which is asked for once. A procedure that does not look at its input is not
    /// told that it could not be read either.
    pub(super) fn take(&mut self, entry: Entry, index: usize) -> Input {
        match self {
            _ if !entry.reads_input => Input::absent(),
            Self::Unread => Input::absent(),
            Self::Whole(input) => std::mem::replace(input, Input::absent()),
            Self::Failed(error) => Input::failed(error.clone()),
            Self::One(input) => Ok(input.take()).into(),
            Self::Each(inputs) => Ok(inputs.remove(&index.to_string())).into(),
        }
    }

    /// The input of a subscription, which also says where to resume.
    pub(super) fn take_with_last_event_id(&mut self, entry: Entry, id: Option<&str>) -> Input {
        match (self.take(entry, 0).read(), id) {
            (Ok(input), Some(id)) => merge_last_event_id(input, id).into(),
            (input, _) => input.into(),
        }
    }
}

/// Step 8, b to d: whether a procedure can be called by this request at all.
fn admit<TCtx>(
    router: &Router<TCtx>,
    options: &Options,
    method: &Method,
    path: &str,
    batch: bool,
    allow: &mut Option<&'static str>,
) -> Result<(Entry, Procedure<TCtx>), CallError> {
    let Some((entry, procedure)) = router.get(path) else {
        return Err(CallError::new(ErrorCode::NotFound, not_found_message(path)));
    };
    let kind = entry.kind;
    let (methods, reached) = match kind {
        Kind::Mutation => ("POST", method == Method::POST),
        _ if options.method_override => ("GET, POST", method == Method::GET || method == Method::POST),
        _ => ("GET", method == Method::GET),
    };
    if !reached {
        *allow = Some(methods);
        let message = format!("Unsupported {method}-request to {kind} procedure at path \"{path}\"");
        return Err(CallError::new(ErrorCode::MethodNotSupported, message));
    }
    if batch && kind == Kind::Subscription {
        return Err(CallError::bad_request("Cannot batch subscription calls"));
    }
    Ok((*entry, procedure.clone()))
}

fn decode_path(path: &str, base: &str) -> Result<String, CallError> {
    let base = base.trim_matches('/');
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = match path.strip_prefix(base) {
        Some(rest) if base.is_empty() => rest,
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.strip_prefix('/').unwrap_or(rest),
        _ => path,
    };
    let path = path.strip_suffix('/').unwrap_or(path);

    let invalid = || CallError::bad_request(format!("Invalid URL-encoding in path \"{path}\""));
    // The decoder leaves broken sequences as they are, which would make two texts of one path.
    let mut rest = path.as_bytes();
    while let Some(at) = memchr::memchr(b'%', rest) {
        let digits = rest.get(at + 1..at + 3).ok_or_else(invalid)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(invalid());
        }
        rest = &rest[at + 3..];
    }
    percent_decode_str(path).decode_utf8().map(Cow::into_owned).map_err(|_| invalid())
}

pub(super) fn body_form(method: &Method, headers: &HeaderMap) -> Result<BodyForm, CallError> {
    let header = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let media_type = header.as_deref().map(|value| {
        let end = value.find(';').unwrap_or(value.len());
        value[..end].trim().to_ascii_lowercase()
    });
    let form = match media_type.as_deref() {
        Some("application/json") => return Ok(BodyForm::Json),
        Some("multipart/form-data") => BodyForm::Multipart,
        Some("application/octet-stream") => BodyForm::OctetStream,
        _ if method == Method::GET => return Ok(BodyForm::Json),
        None => {
            return Err(CallError::new(ErrorCode::UnsupportedMediaType, "Missing content-type header"));
        }
        Some(_) => {
            // The reference leaves the quotation open, and callers may compare the text.
            let message = format!("Unsupported content-type \"{}", header.unwrap_or_default());
            return Err(CallError::new(ErrorCode::UnsupportedMediaType, message));
        }
    };
    if method == Method::POST {
        return Ok(form);
    }
    let message = format!("Only POST requests are supported for {} requests", form.media_type());
    Err(CallError::new(ErrorCode::MethodNotSupported, message))
}

fn wants_lines(headers: &HeaderMap) -> bool {
    if let Some(value) = headers.get("trpc-accept") {
        return value == JSON_LINES;
    }
    let accepted = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|member| member.trim() == JSON_LINES)
}

fn refuse_mixed_kinds(kinds: impl Iterator<Item = Kind>) -> Result<(), CallError> {
    let mut seen: Vec<Kind> = Vec::new();
    for kind in kinds {
        if !seen.contains(&kind) {
            seen.push(kind);
        }
    }
    if seen.len() < 2 {
        return Ok(());
    }
    let names: Vec<String> = seen.iter().map(Kind::to_string).collect();
    Err(CallError::bad_request(format!("Cannot mix procedure types in call: {}", names.join(", "))))
}

fn parse_connection_params(text: Option<&str>) -> Result<Option<ConnectionParams>, CallError> {
    let Some(text) = text else { return Ok(None) };
    let value: Value = serde_json::from_str(text)
        .map_err(|_| CallError::new(ErrorCode::ParseError, "Not JSON-parsable query params"))?;
    let shape = || CallError::new(ErrorCode::ParseError, "Invalid connection params shape");
    match value {
        Value::Null => Ok(None),
        Value::Object(members) => {
            let member = |(name, value)| match value {
                Value::String(text) => Ok((name, text)),
                _ => Err(shape()),
            };
            members.into_iter().map(member).collect::<Result<_, _>>().map(Some)
        }
        _ => Err(shape()),
    }
}

/// The parameters that tRPC knows. Of repeated ones the first counts, others are ignored.
#[derive(Default)]
struct Query {
    batch: Option<String>,
    input: Option<String>,
    connection_params: Option<String>,
    last_event_id: Option<String>,
    last_event_id_alternative: Option<String>,
}

impl Query {
    fn read(query: &str) -> Self {
        let mut read = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "batch" => &mut read.batch,
                "input" => &mut read.input,
                "connectionParams" => &mut read.connection_params,
                "lastEventId" => &mut read.last_event_id,
                "Last-Event-Id" => &mut read.last_event_id_alternative,
                _ => continue,
            };
            slot.get_or_insert_with(|| value.into_owned());
        }
        read
    }
}

/// Nothing is absent input; white space alone is malformed.
fn parse(raw: &[u8]) -> Result<Option<Box<RawValue>>, CallError> {
    let raw = raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw);
    if raw.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(raw).map(Some).map_err(|error| CallError::bad_request(error.to_string()))
}

fn parse_batch(raw: &[u8]) -> Result<HashMap<String, Box<RawValue>>, CallError> {
    let Some(whole) = parse(raw)? else { return Ok(HashMap::new()) };
    if !whole.get().starts_with('{') {
        return Err(CallError::bad_request("\"input\" needs to be an object when doing a batch call"));
    }
    serde_json::from_str(whole.get()).map_err(|error| CallError::bad_request(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::router::Yields;
    use super::*;

    #[test]
    fn the_base_path_is_taken_off_whole_segments_only() {
        for (path, base, expected) in [
            ("/trpc/a.b", "/trpc/", "a.b"),
            ("/trpc/a.b/", "/trpc", "a.b"),
            ("/trpc", "/trpc", ""),
            ("/trpcx/a", "/trpc", "trpcx/a"),
            ("/a%2Eb", "/", "a.b"),
            ("/a//", "/", "a/"),
        ] {
            assert_eq!(decode_path(path, base).unwrap(), expected, "{path} below {base}");
        }
        for broken in ["/%", "/%4", "/%zz", "/%ff"] {
            assert_eq!(decode_path(broken, "/").unwrap_err().code, ErrorCode::BadRequest, "{broken}");
        }
    }

    #[test]
    fn a_null_member_of_a_batch_is_not_absent() {
        let mut inputs = Inputs::Each(parse_batch(br#"{"0":null}"#).unwrap());
        let entry = Entry { kind: Kind::Query, reads_input: true, yields: Yields::Serde };
        assert_eq!(inputs.take(entry, 0).read().unwrap().unwrap().get(), "null");
        assert!(inputs.take(entry, 1).read().unwrap().is_none());
    }

    #[test]
    fn deeply_nested_input_neither_overflows_nor_panics() {
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        let input = Input::from(parse(deep.as_bytes())).read();
        if let Ok(Some(raw)) = input {
            assert!(serde_json::from_str::<Value>(raw.get()).is_err());
        }
        assert!(parse_connection_params(Some(&deep)).is_err());
    }
}
