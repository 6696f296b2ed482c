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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::get;
    use bytes::Bytes;
    use futures::StreamExt;
    use http_body_util::BodyExt;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;
    use tower::ServiceExt;

    use super::*;

    /// tRPC streams batches as `application/json`, and its client waits for each line.
    #[tokio::test]
    async fn a_line_of_a_stream_arrives_while_the_next_is_not_there() {
        for kind in ["application/json", "text/event-stream", "application/x-ndjson"] {
            let (lines, streamed) = mpsc::channel::<Bytes>(1);
            let streamed = Arc::new(Mutex::new(Some(streamed)));
            let stream = move || {
                let lines = ReceiverStream::new(streamed.lock().unwrap().take().unwrap());
                let body = Body::from_stream(lines.map(Ok::<_, Infallible>));
                std::future::ready(([(header::CONTENT_TYPE, kind)], body))
            };
            let router = Router::new().route("/", get(stream)).layer(compression());
            let request = Request::get("/").header("accept-encoding", "gzip").body(Body::empty()).unwrap();
            let mut body = router.oneshot(request).await.unwrap().into_body();
            for line in [&b"{\"0\":[[0],[null,0,0]]}\n"[..], &[b' '; 4_000], b"[0,0,[[1]]]\n"] {
                lines.send(Bytes::copy_from_slice(line)).await.unwrap();
                assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), line, "{kind}");
            }
        }
    }
}
