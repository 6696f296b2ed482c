//! Whole lists, an item a line: their pages one after the other, so that none of it is held at once.

use std::io;

use axum::body::Body;
use bytes::Bytes;
use futures::Stream;
use http::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::rpc::Ctx;
use crate::rpc::rest::download::{call, marked};
use crate::rpc::rest::endpoint::Form;
use crate::rpc::rest::follow::{going_away, streamed};
use crate::rpc::wire::{CallError, Place, Service};

/// Items that are read at a time.
const PAGE_ITEMS: u64 = 100;

/// A page, its items as they are.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// `input` is what the list takes; its `limit`, if it is there, is of the whole.
pub(super) async fn respond(
    service: &Service<Ctx>,
    path: &'static str,
    ctx: Ctx,
    mut input: Map<String, Value>,
) -> Result<Response<Body>, CallError> {
    let place = service.place()?;
    // What is wrong with the limit, the first page says.
    let limit = input.entry("limit").or_insert(Value::Null);
    let left = limit.as_u64();
    if limit.is_null() {
        *limit = json!(PAGE_ITEMS);
    }
    let first = call(service, &ctx, path, &input).await?;
    let pages = Pages { service: service.clone(), path, ctx, input, left };
    Ok(marked(streamed(Body::from_stream(written(first, pages, place)), Form::Lines), None))
}

struct Pages {
    service: Service<Ctx>,
    path: &'static str,
    ctx: Ctx,
    input: Map<String, Value>,
    /// Items that are still asked for; none: all that there are.
    left: Option<u64>,
}

impl Pages {
    async fn after(&mut self, page: &Page) -> Result<Option<Page>, CallError> {
        let Some(cursor) = &page.next_cursor else { return Ok(None) };
        self.left = self.left.map(|left| left.saturating_sub(page.items.len() as u64));
        if self.left == Some(0) {
            return Ok(None);
        }
        self.input.insert("cursor".to_owned(), json!(cursor));
        self.input.insert("limit".to_owned(), json!(self.left.unwrap_or(PAGE_ITEMS).min(PAGE_ITEMS)));
        call(&self.service, &self.ctx, self.path, &self.input).await.map(Some)
    }
}

fn written(
    first: Page,
    mut pages: Pages,
    place: Place,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    async_stream::stream! {
        let mut shutdown = Box::pin(place.shutdown());
        let mut page = Some(first);
        while let Some(present) = page {
            let mut text = Vec::new();
            for item in &present.items {
                text.extend_from_slice(item.get().as_bytes());
                text.push(b'\n');
            }
            yield Ok(Bytes::from(text));
            let next = tokio::select! {
                next = pages.after(&present) => next,
                () = &mut shutdown => Err(going_away()),
            };
            page = match next {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(request.id = pages.ctx.request_id, %error, "A list was broken off");
                    // The client must not take what it has for the whole.
                    yield Err(io::Error::from(io::ErrorKind::ConnectionAborted));
                    return;
                }
            };
        }
    }
}
