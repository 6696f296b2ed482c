//! The one-time link: whoever can read the server's output signs a browser in with it, once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Extension, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::error::Result;
use crate::http::auth::COOKIE;
use crate::http::forwarded::Client;
use crate::http::{Http, plain};
use crate::services::tokens;

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
    Path(code): Path<String>,
) -> Response {
    if !http.sign_in.redeem(&code) {
        return plain(
            StatusCode::FORBIDDEN,
            "This link was used or has expired. Start the server again, or sign in with a token: slipway token create\n",
        );
    }
    let session = match tokens::sign_in(&http.app).await {
        Ok(session) => session,
        Err(error) => {
            tracing::error!(error = error.chain(), "A browser could not be signed in");
            return plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "The database is not there. Try again in a moment.",
            );
        }
    };
    let public_url = http.app.config.http.public_url.as_deref();
    let is_secure = client.is_secure || public_url.is_some_and(|url| url.starts_with("https://"));
    let secure = if is_secure { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}",
        session.reveal(),
        tokens::SESSION_LIFETIME.as_secs()
    );
    let mut response = Redirect::to("/").into_response();
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
}
