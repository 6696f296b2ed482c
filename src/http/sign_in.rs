//! How browsers sign in: by name and password, or by the one-time link of whoever can read the server's output.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::json;

use crate::domain::audit::Deed;
use crate::domain::limit::Rule;
use crate::domain::secret::Secret;
use crate::error::Result;
use crate::http::auth::{COOKIE, check_origin, cookie};
use crate::http::forwarded::Client;
use crate::http::{Http, limits, plain, single_sign_on};
use crate::services::tokens::{self, Browser};
use crate::services::{audit, people};

/// A name and a password are shorter.
const BODY_BYTES_MAX: usize = 4 * 1024;
const DEVICE_CHARS_MAX: usize = 120;
/// Of where somebody goes after they have signed in.
const PATH_BYTES_MAX: usize = 1024;
const FORM: &str = "application/x-www-form-urlencoded";
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// Codes that wait to be used.
const CODES_MAX: usize = 100;

/// The codes that were given out and not used. They live as long as the process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SignIn {
    codes: Arc<Mutex<HashMap<String, Instant>>>,
}

impl SignIn {
    /// A new code, for one use within the hour.
    pub fn issue(&self) -> Result<String> {
        let code = tokens::random_value()?;
        let now = Instant::now();
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|_, expires_at| now < *expires_at);
        if CODES_MAX <= codes.len() {
            codes.clear();
        }
        codes.insert(code.clone(), now + LIFETIME);
        Ok(code)
    }

    /// Uses a code up. A map's look-up is not constant in time, but what it could tell, a code that is gone
    /// with its first use makes worthless.
    fn redeem(&self, code: &str) -> bool {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.remove(code).is_some_and(|expires_at| Instant::now() < expires_at)
    }
}

/// For programs that look at a link before a person opens it, as chats and mail filters do: they must not use
/// it up.
pub(super) async fn preview() -> Response {
    plain(StatusCode::OK, "")
}

pub(super) async fn enter(
    State(http): State<Http>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Path(code): Path<String>,
) -> Response {
    if !http.sign_in.redeem(&code) {
        let deed = Deed::refused("auth.signIn", "by a link that was used or has expired");
        audit::record_stranger(&http.app, None, client.ip, deed).await;
        return plain(
            StatusCode::FORBIDDEN,
            "This link was used or has expired. Start the server again, or sign in with a token: slipway token create\n",
        );
    }
    let browser = browser(&client, &headers);
    let session = match tokens::sign_in(&http.app, browser).await {
        Ok(session) => session,
        Err(error) => {
            tracing::error!(error = error.chain(), "A browser could not be signed in");
            return plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "The database is not there. Try again in a moment.",
            );
        }
    };
    let deed = Deed::done("auth.signIn").saying("by the one-time link");
    audit::record_stranger(&http.app, Some("admin"), client.ip, deed).await;
    let response = signed_in(&http, &client, &session, Redirect::to("/").into_response());
    single_sign_on::without_mark(&http, &client, response)
}

/// What a sign-in takes, as a form or as JSON.
#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
    /// Where a form leads to afterwards.
    next: Option<String>,
}

/// Signs in by name and password. Only our own pages may have it done: otherwise another site could sign a browser in
/// as somebody else.
pub(super) async fn by_password(
    State(http): State<Http>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let is_form = is_form(&parts.headers);
    // A form that a browser posts by itself is answered by where the browser goes next.
    let wants = if is_form && wants_page(&parts.headers) { Wants::Page } else { Wants::Json };
    if check_origin(http.app.config.http.public_url.as_deref(), &parts).is_err() {
        return refused(wants, Problem::Foreign);
    }
    let read = axum::body::to_bytes(body, BODY_BYTES_MAX);
    let Ok(Ok(body)) = tokio::time::timeout(http.app.config.http.body_timeout, read).await else {
        return refused(wants, Problem::Body);
    };
    let Some(Credentials { name, password, next }) = credentials(&body, is_form) else {
        return refused(wants, Problem::Fields);
    };
    let browser = browser(&client, &parts.headers);
    match people::sign_in(&http.app, &name, Secret::new(password), browser).await {
        Ok(people::SignIn::Done(session)) => {
            end_session_before(&http, &parts.headers).await;
            let next = next.filter(|next| local_path(next));
            let response = match is_form {
                true => Redirect::to(next.as_deref().unwrap_or("/")).into_response(),
                false => StatusCode::NO_CONTENT.into_response(),
            };
            single_sign_on::without_mark(&http, &client, signed_in(&http, &client, &session, response))
        }
        Ok(people::SignIn::Wrong) => {
            limits::strike(&http.app, Rule::Guesses, client.ip).await;
            refused(wants, Problem::Wrong)
        }
        Ok(people::SignIn::Throttled(wait)) => {
            let mut response = refused(wants, Problem::Throttled);
            let seconds = HeaderValue::from(wait.as_secs() + 1);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
            response
        }
        Err(error) => {
            tracing::error!(error = error.chain(), "A sign-in could not be looked at");
            refused(wants, Problem::Away)
        }
    }
}

/// A browser that signs in anew has a new session, and not two.
pub(super) async fn end_session_before(http: &Http, headers: &HeaderMap) {
    if let Some(old) = cookie(headers, COOKIE)
        && let Err(error) = tokens::end_session(&http.app, old).await
    {
        tracing::warn!(error = error.chain(), "The session before a sign-in was not ended");
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(FORM)
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// Whether a path is one of this server's, however browsers read it.
pub(super) fn local_path(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= PATH_BYTES_MAX
        && path.bytes().all(is_plain)
}

fn credentials(body: &[u8], is_form: bool) -> Option<Credentials> {
    if !is_form {
        return serde_json::from_slice(body).ok();
    }
    let field = |wanted: &str| {
        let mut fields = form_urlencoded::parse(body);
        fields.find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
    };
    Some(Credentials { name: field("name")?, password: field("password")?, next: field("next") })
}

/// Who reads why a sign-in was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wants {
    /// A script.
    Json,
    /// A person.
    Page,
}

/// Why a sign-in was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    Foreign,
    Body,
    Fields,
    Wrong,
    Throttled,
    Away,
}

impl Problem {
    /// For scripts, and for what the page says it by.
    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Foreign => {
                (StatusCode::FORBIDDEN, "foreign", "a sign-in must come from Slipway's own pages")
            }
            Self::Body => (StatusCode::BAD_REQUEST, "fields", "the body is too large or does not come"),
            Self::Fields => {
                (StatusCode::BAD_REQUEST, "fields", "expected name and password, as a form or as JSON")
            }
            Self::Wrong => (StatusCode::UNAUTHORIZED, "wrong", "wrong name or password"),
            Self::Throttled => {
                (StatusCode::TOO_MANY_REQUESTS, "throttled", "too many attempts: try again in some minutes")
            }
            Self::Away => {
                (StatusCode::SERVICE_UNAVAILABLE, "away", "sign-in is not possible at the moment: try again")
            }
        }
    }
}

fn refused(wants: Wants, problem: Problem) -> Response {
    let (status, code, message) = problem.parts();
    let no_store = (header::CACHE_CONTROL, "no-store");
    match wants {
        Wants::Page => ([no_store], Redirect::to(&format!("/sign-in?problem={code}"))).into_response(),
        Wants::Json => {
            let body = json!({ "message": message }).to_string();
            (status, [no_store, (header::CONTENT_TYPE, "application/json")], body).into_response()
        }
    }
}

/// What is kept of the browser that signs in.
pub(super) fn browser(client: &Client, headers: &HeaderMap) -> Browser {
    let device = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let device = device.map(|agent| agent.chars().take(DEVICE_CHARS_MAX).collect());
    Browser { device, ip: client.ip }
}

/// What a cookie ends with where browsers come by TLS.
pub(super) fn secure(http: &Http, client: &Client) -> &'static str {
    let public_url = http.app.config.http.public_url.as_deref();
    let is_secure = client.is_secure || public_url.is_some_and(|url| url.starts_with("https://"));
    if is_secure { "; Secure" } else { "" }
}

/// The response with the cookie of a new session.
pub(super) fn signed_in(
    http: &Http,
    client: &Client,
    session: &Secret<String>,
    mut response: Response,
) -> Response {
    let secure = secure(http, client);
    let cookie = format!(
        "{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}",
        session.reveal(),
        http.app.config.auth.session_lifetime.as_secs()
    );
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match HeaderValue::from_str(&cookie) {
        Ok(mut cookie) => {
            cookie.set_sensitive(true);
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            response
        }
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_signs_in_once() {
        let sign_in = SignIn::default();
        let code = sign_in.issue().unwrap();
        assert!(!sign_in.redeem("something else"));
        assert!(sign_in.redeem(&code));
        assert!(!sign_in.redeem(&code));
    }
    #[test]
    fn nobody_is_led_elsewhere_after_a_sign_in() {
        for path in ["/", "/runs/1?a=b", "/#/runs/1", "/%2f/evil.example"] {
            assert!(local_path(path), "{path}");
        }
        let long = format!("/{}", "a".repeat(PATH_BYTES_MAX));
        for path in [
            "",
            "runs",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "/é",
            &long,
        ] {
            assert!(!local_path(path), "{path}");
        }
    }
}
