//! How the provider is asked: by TLS, without following it elsewhere, and no more is read than an answer can be.

use std::error::Error as _;
use std::time::Duration;

use openidconnect::{DiscoveryError, HttpRequest, HttpResponse};
use url::Url;

use crate::config::is_loopback;
use crate::error::{Error, Result};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(8);
/// Of descriptions, keys and tokens.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The texts hold no address: a query may hold what nobody should read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("it names an address without TLS, at {0}")]
    Unsafe(String),
    #[error("{0}")]
    Http(String),
    #[error("its answer is larger than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
}

pub(super) fn client() -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Error::internal("setting up single sign-on", error))
}

/// Whether nobody on the way can read or change what is sent there.
pub(super) fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

pub(super) async fn fetch(client: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, FetchError> {
    let request = reqwest::Request::try_from(request).map_err(said)?;
    if !is_safe(request.url()) {
        return Err(FetchError::Unsafe(request.url().host_str().unwrap_or_default().to_owned()));
    }
    let mut response = client.execute(request).await.map_err(said)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(said)? {
        if ANSWER_BYTES_MAX < body.len() + chunk.len() {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let mut answer = HttpResponse::new(body);
    *answer.status_mut() = response.status();
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    Ok(answer)
}

/// The last cause says what happened, the outer ones that a request was sent.
fn said(error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = next.to_string();
        cause = next.source();
    }
    FetchError::Http(text)
}

pub(super) fn explain(error: &DiscoveryError<FetchError>) -> String {
    match error {
        DiscoveryError::Request(error) => error.to_string(),
        DiscoveryError::Response(status, ..) => {
            format!("it answers {status} when it is asked for its description")
        }
        DiscoveryError::Validation(reason) => format!("{reason}: oidc.issuer must be what it calls itself"),
        DiscoveryError::Parse(error) => format!("its description is none: {error}"),
        error => error.to_string(),
    }
}
