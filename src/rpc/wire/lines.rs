//! Batches that are streamed: a line of JSON for each call as soon as it is done, so that a slow call holds up no
//! other.
//!
//! Each result is sent whole. Results that are streams themselves, which the format would allow, are refused.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{FuturesUnordered, StreamExt, unfold};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Extensions, Response};

use super::call::Prepared;
use super::envelope::{self, Formatting, Outcome};
use super::error::CallError;
use super::service::Shared;

/// Answers with 200 at once; what becomes of the calls is told by their lines.
pub(super) fn respond<TCtx: Send + 'static>(
    shared: Arc<Shared>,
    extensions: Extensions,
    calls: Vec<(String, Result<Prepared<TCtx>, CallError>)>,
    allow: Option<&'static str>,
) -> Response<Body> {
    let content_type = HeaderValue::from_static(shared.options.lines.content_type);
    let ping_interval = shared.options.lines.ping_interval;
    let head = write_head(calls.len());
    let running: FuturesUnordered<_> = calls
        .into_iter()
        .enumerate()
        .map(|(index, (path, prepared))| {
            let (shared, extensions) = (Arc::clone(&shared), extensions.clone());
            async move {
                let outcome = match prepared {
                    Ok(prepared) => prepared.run(&shared).await,
                    Err(error) => Err(error),
                };
                let formatting =
                    Formatting { formatter: &shared.options.format_error, extensions: &extensions };
                write_line(formatting, index, &path, &outcome)
            }
        })
        .collect();
    let lines = unfold((Some(head), running), move |(head, mut running)| async move {
        let line = match head {
            Some(head) => head,
            None => next_or_ping(&mut running, ping_interval).await?,
        };
        Some((Ok::<_, Infallible>(line), (None, running)))
    });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    envelope::decorate(&mut response, allow);
    response
}

/// The next line; a space, which JSON allows before a value, if none comes for too long.
async fn next_or_ping<F: Future<Output = Bytes>>(
    running: &mut FuturesUnordered<F>,
    ping_interval: Option<Duration>,
) -> Option<Bytes> {
    match ping_interval {
        None => running.next().await,
        Some(interval) => {
            tokio::time::timeout(interval, running.next()).await.unwrap_or(Some(Bytes::from_static(b" ")))
        }
    }
}

/// Announces a value to come for each call.
fn write_head(calls: usize) -> Bytes {
    let promises: Vec<String> =
        (0..calls).map(|index| format!("\"{index}\":[[0],[null,0,{index}]]")).collect();
    format!("{{{}}}\n", promises.join(",")).into()
}

/// Fulfils the promise of a call. A call that failed is fulfilled as well, with an error envelope.
fn write_line(formatting: Formatting<'_>, index: usize, path: &str, outcome: &Outcome) -> Bytes {
    let mut line = BytesMut::new();
    line.put_slice(format!("[{index},0,[[").as_bytes());
    formatting.write_envelope(&mut line, path, outcome);
    line.put_slice(b"]]]");
    // Line breaks that came with a value from outside can only be white space, but here they would end the line.
    line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    // Without the last line break clients drop the line.
    line.put_u8(b'\n');
    line.freeze()
}
