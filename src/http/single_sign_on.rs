//! How browsers go to a provider of single sign-on, and come back, to sign in and to sign out. What they keep while they
//! sign in is in a cookie of a few minutes: state, nonce, PKCE's verifier, and where they wanted to go.

use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::secret::Secret;
use crate::http::Http;
use crate::http::auth::cookie;
use crate::http::forwarded::Client;
use crate::http::sign_in::{self, browser, local_path, secure, signed_in};
use crate::services::single_sign_on::{self, Answer, Begun, Kept, Problem, SIGNED_OUT, SignOn};

const COOKIE: &str = "slipway_sign_on";
/// Below which the cookie is sent.
const PATH: &str = "/auth/oidc";
/// How long somebody may take at the provider.
const LIFETIME_SECONDS: u64 = 10 * 60;
const COOKIE_BYTES_MAX: usize = 2 * 1024;
/// Says of a browser that it came in by the provider. Other sites cannot have it sent, and so sign nobody out there.
const MARK: &str = "slipway_signed_on";

pub(super) async fn start(
    State(http): State<Http>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
) -> Response {
    let next = field(query.as_deref(), "next").filter(|next| local_path(next));
    match single_sign_on::begin(&http.app).await {
        Ok(Begun { url, kept }) => {
            let next = URL_SAFE_NO_PAD.encode(next.as_deref().unwrap_or("/"));
            let Kept { state, nonce, verifier } = &kept;
            let value = format!("{}.{}.{}.{next}", state.reveal(), nonce.reveal(), verifier.reveal());
            with_cookie(&http, &client, &value, LIFETIME_SECONDS, Redirect::to(&url).into_response())
        }
        Err(problem) => page(problem),
    }
}

pub(super) async fn callback(
    State(http): State<Http>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.as_deref();
    let answer = Answer { state: field(query, "state"), code: field(query, "code") };
    let (kept, next) = match cookie(&headers, COOKIE).and_then(read) {
        Some((kept, next)) => (Some(kept), next),
        None => (None, "/".to_owned()),
    };
    let response = match single_sign_on::finish(&http.app, answer, kept, browser(&client, &headers)).await {
        Ok(SignOn::Done(session)) => {
            sign_in::end_session_before(&http, &headers).await;
            let response = signed_in(&http, &client, &session, Redirect::to(&next).into_response());
            with_mark(&http, &client, "1", http.app.config.auth.session_lifetime.as_secs(), response)
        }
        Ok(SignOn::Not(problem)) => page(problem),
        Err(error) => {
            tracing::error!(error = error.chain(), "A sign-in could not be looked at");
            page(Problem::Away)
        }
    };
    // It is good for one answer.
    with_cookie(&http, &client, "", 0, response)
}

/// Leads a browser whose session has ended to the provider, if it came in by it, and otherwise back to the sign-in.
pub(super) async fn sign_out(
    State(http): State<Http>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> Response {
    let place = match cookie(&headers, MARK) {
        Some(_) => single_sign_on::leave(&http.app).await,
        None => None,
    };
    let response = Redirect::to(place.as_deref().unwrap_or(SIGNED_OUT)).into_response();
    without_mark(&http, &client, response)
}

pub(super) async fn signed_out() -> Redirect {
    Redirect::to("/sign-in?signedOut=true")
}

/// The response to a sign-in in another way.
pub(super) fn without_mark(http: &Http, client: &Client, response: Response) -> Response {
    if http.app.oidc.is_some() { with_mark(http, client, "", 0, response) } else { response }
}

fn with_mark(http: &Http, client: &Client, value: &str, seconds: u64, response: Response) -> Response {
    with(
        format!(
            "{MARK}={value}; Path={PATH}; HttpOnly; SameSite=Strict; Max-Age={seconds}{}",
            secure(http, client)
        ),
        response,
    )
}

fn field(query: Option<&str>, wanted: &str) -> Option<String> {
    let mut fields = form_urlencoded::parse(query?.as_bytes());
    fields.find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
}

fn read(cookie: &str) -> Option<(Kept, String)> {
    if COOKIE_BYTES_MAX < cookie.len() {
        return None;
    }
    let mut parts = cookie.split('.').map(str::to_owned);
    let mut secret = || parts.next().filter(|part| !part.is_empty()).map(Secret::new);
    let kept = Kept { state: secret()?, nonce: secret()?, verifier: secret()? };
    let next = URL_SAFE_NO_PAD.decode(parts.next()?).ok().and_then(|bytes| String::from_utf8(bytes).ok())?;
    Some((kept, next)).filter(|(_, next)| local_path(next))
}

fn with_cookie(http: &Http, client: &Client, value: &str, seconds: u64, response: Response) -> Response {
    let secure = secure(http, client);
    with(
        format!("{COOKIE}={value}; Path={PATH}; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}"),
        response,
    )
}

fn with(cookie: String, mut response: Response) -> Response {
    if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What somebody reads who was not signed in, and what the sign-in page knows it by.
const fn words(problem: Problem) -> (StatusCode, &'static str, &'static str) {
    match problem {
        Problem::Off => {
            (StatusCode::NOT_FOUND, "off", "Single sign-on is not set up here. Sign in with your password.")
        }
        Problem::Stale => (
            StatusCode::BAD_REQUEST,
            "stale",
            "This sign-in was begun in another browser or tab, or too long ago. Begin again, and allow cookies.",
        ),
        Problem::Denied => {
            (StatusCode::FORBIDDEN, "denied", "The sign-in was not completed at the provider. Begin again.")
        }
        Problem::Away => (
            StatusCode::SERVICE_UNAVAILABLE,
            "away",
            "The sign-in cannot be checked at the moment. Try again in some minutes; an administrator finds the \
             reason with `slipway doctor` and in the server's log.",
        ),
        Problem::Unproved => (
            StatusCode::FORBIDDEN,
            "unproved",
            "What the provider sent does not prove who you are. Begin again; if it stays so, an administrator finds \
             the reason in the audit trail.",
        ),
        Problem::Unknown => {
            (StatusCode::FORBIDDEN, "unknown", "You have no account here. Ask an administrator for one.")
        }
        Problem::Disabled => (
            StatusCode::FORBIDDEN,
            "disabled",
            "Your account here is disabled. Ask an administrator to enable it.",
        ),
        Problem::Email => (
            StatusCode::FORBIDDEN,
            "email",
            "Only people with a verified address of certain domains may sign in. Ask an administrator which.",
        ),
    }
}

/// It works without scripts, and holds nothing of what was sent.
fn page(problem: Problem) -> Response {
    let (status, code, words) = words(problem);
    let body = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Not signed in · Slipway</title>\n</head>\n<body>\n<main>\n<h1>Not signed in</h1>\n<p>{words}</p>\n\
         <p><a href=\"/sign-in?problem={code}\">Back to the sign-in</a></p>\n</main>\n</body>\n</html>\n"
    );
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_nobody_here_wrote_is_none() {
        let next = URL_SAFE_NO_PAD.encode("/runs/1");
        assert_eq!(read(&format!("a.b.c.{next}")).unwrap().1, "/runs/1");
        let elsewhere = URL_SAFE_NO_PAD.encode("//evil.example");
        let long = format!("a.b.{}.{next}", "c".repeat(COOKIE_BYTES_MAX));
        for cookie in ["", "a", "a.b.c", "a..c.Lw", "a.b.c.!", &format!("a.b.c.{elsewhere}"), &long] {
            assert!(read(cookie).is_none(), "{cookie}");
        }
    }
}
