//! A whole log as it is at present, a line a line: as the JSON of its entries, or as the text that was printed.
//!
//! It is read page by page through `runs.logs` itself, while the client takes it, so it holds a page at a time.

use std::collections::HashMap;
use std::io;

use axum::body::Body;
use bytes::Bytes;
use futures::Stream;
use http::Response;
use http::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, VARY};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::domain::log::{LogLine, LogStream};
use crate::domain::run::RunStatus;
use crate::rpc::Ctx;
use crate::rpc::rest::endpoint::Form;
use crate::rpc::rest::follow::{going_away, streamed};
use crate::rpc::rest::{answer, gather};
use crate::rpc::wire::{CallError, ErrorCode, Input, Place, Service};

pub(super) const LOGS: &str = "runs.logs";
/// Lines that are read at a time, unless fewer are asked for.
const PAGE_LINES: u64 = 1_000;
/// Parts of one line are put together up to here; a line that is longer takes several lines.
const JOINED_BYTES_MAX: usize = 256 * 1024;
/// How many unfinished lines are held at a time: a step has two streams, and so many steps do not print at once.
const UNFINISHED_MAX: usize = 64;

/// A page, its lines as they are.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LinesPage {
    items: Vec<Box<RawValue>>,
    next_from: Option<u64>,
}

/// Reads pages one after the other.
struct Pages {
    service: Service<Ctx>,
    ctx: Ctx,
    input: Map<String, Value>,
    /// Lines that are still asked for; none: all that there are.
    left: Option<u64>,
    is_over: bool,
}

impl Pages {
    /// The next page, none behind the last.
    async fn next(&mut self) -> Result<Option<LinesPage>, CallError> {
        if self.is_over {
            return Ok(None);
        }
        let page: LinesPage = call(&self.service, &self.ctx, LOGS, &self.input).await?;
        let left = self.left.map(|left| left.saturating_sub(page.items.len() as u64));
        self.left = left;
        self.input.insert("limit".to_owned(), json!(left.unwrap_or(PAGE_LINES).min(PAGE_LINES)));
        match page.next_from {
            Some(from) if left != Some(0) => {
                self.input.insert("from".to_owned(), json!(from));
            }
            _ => self.is_over = true,
        }
        Ok(Some(page))
    }
}

/// `input` is what `runs.logs` takes; its `limit`, if it is there, is of the whole.
pub(super) async fn respond(
    service: &Service<Ctx>,
    ctx: Ctx,
    mut input: Map<String, Value>,
    headers: &HeaderMap,
    form: Form,
) -> Result<Response<Body>, CallError> {
    let tag = tag_of(service, &ctx, &input, form).await?;
    if let Some(tag) = tag.as_deref().filter(|tag| answer::is_known(headers, tag)) {
        return Ok(marked(answer::unchanged(), Some(tag)));
    }
    let place = service.place()?;
    // What is wrong with the limit, the first page says.
    let limit = input.entry("limit").or_insert(Value::Null);
    let left = limit.as_u64();
    if limit.is_null() {
        *limit = json!(PAGE_LINES);
    }
    let mut pages = Pages { service: service.clone(), ctx, input, left, is_over: false };
    let first = pages.next().await?;
    let body = Body::from_stream(written(first, pages, place, form));
    Ok(marked(streamed(body, form), tag.as_deref()))
}

/// The log of a run that has ended stays as it is until the run is tried again, which raises its version. Weak, since
/// the epoch in a line's id may differ when it is read again, while the lines are the same.
async fn tag_of(
    service: &Service<Ctx>,
    ctx: &Ctx,
    input: &Map<String, Value>,
    form: Form,
) -> Result<Option<String>, CallError> {
    #[derive(Deserialize)]
    struct Ended {
        status: RunStatus,
        version: u64,
        lines: u64,
    }
    let Some(run_id) = input.get("runId") else { return Ok(None) };
    let named = Map::from_iter([("runId".to_owned(), run_id.clone())]);
    let run: Ended = call(service, ctx, "runs.get", &named).await?;
    // Another part of the log, or another form of it, is something else.
    let part = json!([form.media_type(), input]).to_string();
    let part = answer::strong_tag(part.as_bytes());
    let tag = format!("W/\"{}-{}-{}\"", run.version, run.lines, part.trim_matches('"'));
    Ok(run.status.is_ended().then_some(tag))
}

pub(super) async fn call<T: serde::de::DeserializeOwned>(
    service: &Service<Ctx>,
    ctx: &Ctx,
    path: &str,
    input: &Map<String, Value>,
) -> Result<T, CallError> {
    let json = service.call(path, ctx.clone(), Input::json(gather::raw(input)?)).await?.unwrap_or_default();
    serde_json::from_slice(&json).map_err(|error| {
        tracing::error!(rpc.path = path, request.id = ctx.request_id, %error, "{path} answered something else");
        CallError::new(ErrorCode::InternalServerError, "Internal server error")
    })
}

pub(super) fn marked(mut response: Response<Body>, tag: Option<&str>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept, authorization, cookie"));
    if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(tag).ok()) {
        headers.insert(ETAG, tag);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
    response
}

fn written(
    first: Option<LinesPage>,
    mut pages: Pages,
    place: Place,
    form: Form,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    async_stream::stream! {
        let mut shutdown = Box::pin(place.shutdown());
        let mut joined = Joined::default();
        let mut page = first;
        while let Some(present) = page {
            let mut text = Vec::new();
            for line in &present.items {
                match form {
                    Form::Text => joined.push(line.get(), &mut text),
                    _ => {
                        text.extend_from_slice(line.get().as_bytes());
                        text.push(b'\n');
                    }
                }
            }
            yield Ok(Bytes::from(text));
            let next = tokio::select! {
                next = pages.next() => next,
                () = &mut shutdown => Err(going_away()),
            };
            page = match next {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(request.id = pages.ctx.request_id, %error, "A download of a log was broken off");
                    // The client must not take what it has for the whole.
                    yield Err(io::Error::from(io::ErrorKind::ConnectionAborted));
                    return;
                }
            };
        }
        let mut text = Vec::new();
        joined.finish(&mut text);
        yield Ok(Bytes::from(text));
    }
}

/// Puts the parts of lines together: those of several steps may lie between each other.
#[derive(Default)]
struct Joined {
    unfinished: HashMap<(Option<String>, bool), String>,
}

impl Joined {
    fn push(&mut self, line: &str, text: &mut Vec<u8>) {
        // What cannot be read was written by no version of ours; it is passed on rather than left out.
        let Ok(line) = serde_json::from_str::<LogLine>(line) else {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
            return;
        };
        let key = (line.step, line.stream == LogStream::Stderr);
        let mut whole = match self.unfinished.remove(&key) {
            Some(begun) if line.continued => begun + &line.message,
            Some(begun) => {
                put_line(&begun, text);
                line.message
            }
            None => line.message,
        };
        if line.partial && whole.len() <= JOINED_BYTES_MAX && self.unfinished.len() < UNFINISHED_MAX {
            whole.shrink_to_fit();
            self.unfinished.insert(key, whole);
        } else {
            put_line(&whole, text);
        }
    }

    fn finish(self, text: &mut Vec<u8>) {
        self.unfinished.into_values().for_each(|begun| put_line(&begun, text));
    }
}

fn put_line(line: &str, text: &mut Vec<u8>) {
    text.extend_from_slice(line.as_bytes());
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(lines: &[(&str, &str, bool, bool)]) -> String {
        let mut joined = Joined::default();
        let mut text = Vec::new();
        for (step, message, partial, continued) in lines {
            let line = json!({
                "id": "1-1", "n": 1, "timestamp": "2026-11-23T23:20:00.123Z", "step": step, "attempt": 1,
                "stream": "stdout", "message": message, "partial": partial, "continued": continued,
            });
            joined.push(&line.to_string(), &mut text);
        }
        joined.finish(&mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_parts_of_a_line_are_put_together_also_where_another_step_prints_between_them() {
        let text =
            joined(&[("a", "one ", true, false), ("b", "x", false, false), ("a", "line", false, true)]);
        assert_eq!(text, "x\none line\n");
        assert_eq!(joined(&[("a", "never finished", true, false)]), "never finished\n");
        let long = "x".repeat(JOINED_BYTES_MAX + 1);
        assert_eq!(joined(&[("a", &long, true, false), ("a", "y", false, true)]), format!("{long}\ny\n"));
    }
}
