//! Which answers are compressed: whole texts. What is sent bit by bit is to arrive when it is sent.
//!
//! Gzip alone: every client of ours takes it, browsers offer nothing better over plain HTTP, and its fastest level
//! costs less than the JSON that it packs.

use axum::http::{Response, header};
use http_body::Body;
use tower_http::CompressionLevel;
use tower_http::compression::{CompressionLayer, Predicate};

/// What fits into one packet gains nothing.
const BYTES_MIN: u64 = 1_400;
const TEXTS: [&str; 4] = ["application/json", "text/", "image/svg+xml", "application/schema+json"];

/// By what a body is rather than by its name: a batch that is streamed line by line is `application/json` too, and
/// only what is whole has an exact size.
#[derive(Debug, Clone, Copy)]
pub(super) struct WholeTexts;

impl Predicate for WholeTexts {
    fn should_compress<B: Body>(&self, response: &Response<B>) -> bool {
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default();
        response.body().size_hint().exact().is_some_and(|bytes| BYTES_MIN <= bytes)
            && TEXTS.iter().any(|text| kind.starts_with(text))
            && !kind.starts_with("text/event-stream")
    }
}

pub(super) fn compression() -> CompressionLayer<WholeTexts> {
    CompressionLayer::new().gzip(true).quality(CompressionLevel::Fastest).compress_when(WholeTexts)
}
