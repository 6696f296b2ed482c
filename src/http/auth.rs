//! Who is asking: a bearer token, or the cookie of a browser that has signed in.

use std::net::IpAddr;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::app::App;
use crate::domain::limit::Rule;
use crate::domain::token::Actor;
use crate::error::{Error, Result};
use crate::http::forwarded::Client;
use crate::http::limits;
use crate::rpc::wire::Incoming;
use crate::services::tickets::{self, OpenTicket};
use crate::services::tokens;

/// The cookie of a signed-in browser.
pub const COOKIE: &str = "slipway_session";
/// In tRPC's `connectionParams`.
const TICKET: &str = "ticket";
const ONE_SUBSCRIPTION: Error = Error::Unauthenticated("a stream ticket opens one subscription, by GET");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who calls, and the ticket that they showed for it.
#[derive(Debug, Default)]
pub struct Caller {
    pub actor: Option<Actor>,
    /// To be kept as long as the answer is being sent.
    pub ticket: Option<OpenTicket>,
}

/// Who calls procedures: as `actor` says, or by a stream ticket where there is one and no header beside it. A cookie
/// beside it does not count, since a browser sends it with everything.
///
/// # Errors
///
/// As `actor`; `Unauthenticated` as well for a ticket that does not open this; `Unavailable` for one without Redis.
pub async fn caller(app: &App, incoming: &Incoming) -> Result<Caller> {
    let Incoming { parts, connection_params, paths } = incoming;
    let ticket = connection_params.as_ref().and_then(|sent| sent.get(TICKET));
    let Some(ticket) = ticket.filter(|_| !parts.headers.contains_key(header::AUTHORIZATION)) else {
        return Ok(Caller { actor: actor(app, parts).await?, ticket: None });
    };
    let [path] = paths.as_slice() else { return Err(ONE_SUBSCRIPTION) };
    if parts.method != Method::GET {
        return Err(ONE_SUBSCRIPTION);
    }
    let input = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .find_map(|(name, value)| (name == "input").then_some(value))
        .filter(|input| !input.is_empty());
    let (actor, ticket) = tickets::open(app, ticket, path, input.as_deref()).await?;
    Ok(Caller { actor: Some(from_here(actor, parts)), ticket: Some(ticket) })
}

/// Whom the request is from; none if it does not say. `Unauthenticated` for a token that is not known,
/// `Forbidden` for a browser that was sent here by another site's page.
pub async fn actor(app: &App, parts: &Parts) -> Result<Option<Actor>> {
    if let Some(header) = parts.headers.get(header::AUTHORIZATION) {
        let token =
            bearer(header).ok_or(Error::Unauthenticated("expected Authorization: Bearer and a token"))?;
        return match tokens::authenticate(app, token).await {
            Ok(actor) => {
                app.limits.remember(token);
                Ok(Some(from_here(actor, parts)))
            }
            Err(error) => {
                if matches!(error, Error::Unauthenticated(_)) {
                    limits::strike(app, Rule::Guesses, ip(parts)).await;
                }
                Err(error)
            }
        };
    }
    let Some(session) = cookie(&parts.headers, COOKIE) else { return Ok(None) };
    if is_from(&app.config.http.cors_origins, parts) {
        // Pages of other sites call with a token or not at all.
        return Ok(None);
    }
    check_origin(app.config.http.public_url.as_deref(), parts)?;
    match tokens::authenticate(app, session).await {
        Ok(actor) => {
            app.limits.remember(session);
            Ok(Some(from_here(actor, parts)))
        }
        // A session that is over is as none: the page asks to sign in.
        Err(Error::Unauthenticated(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Notes where the request comes from.
fn from_here(actor: Actor, parts: &Parts) -> Actor {
    Actor { ip: ip(parts), ..actor }
}

pub(super) fn ip(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<Client>().and_then(|client| client.ip)
}

/// The token or session that a request shows, whatever it is worth.
pub(super) fn credential(headers: &HeaderMap) -> Option<&str> {
    match headers.get(header::AUTHORIZATION) {
        Some(header) => bearer(header),
        None => cookie(headers, COOKIE),
    }
}

fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_from(origins: &[String], parts: &Parts) -> bool {
    parts.headers.get(header::ORIGIN).is_some_and(|origin| origins.iter().any(|one| origin == one.as_str()))
}

/// A browser sends its cookie with whatever page asks it to, so a change must come from our own pages.
pub(super) fn check_origin(public_url: Option<&str>, parts: &Parts) -> Result<()> {
    if matches!(parts.method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    const FOREIGN: &str = "this call changes something and does not come from Slipway's own pages";
    let text = |name: HeaderName| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // Browsers say it themselves, and no page can: a page of another port of this machine is `same-site`.
    if text(SEC_FETCH_SITE).is_some_and(|site| site != "same-origin") {
        return Err(Error::Forbidden(FOREIGN.to_owned()));
    }
    let Some(origin) = text(header::ORIGIN) else { return Err(Error::Forbidden(FOREIGN.to_owned())) };
    let is_own = match public_url {
        Some(url) => origin == url.trim_end_matches('/'),
        None => {
            let forwarded = parts.extensions.get::<Client>().and_then(|client| client.host.as_deref());
            let host = forwarded
                .or_else(|| text(header::HOST))
                .or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
            origin.split_once("://").is_some_and(|(_, origin)| Some(origin) == host)
        }
    };
    if is_own { Ok(()) } else { Err(Error::Forbidden(FOREIGN.to_owned())) }
}

pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).find_map(|value| {
        value.split(';').find_map(|pair| {
            let (found, value) = pair.trim().split_once('=')?;
            (found == name).then_some(value)
        })
    })
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn allowed(public_url: Option<&str>, method: &str, origin: Option<&str>) -> bool {
        let mut request = Request::builder().method(method).uri("/trpc/a").header("host", "127.0.0.1:3001");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        check_origin(public_url, &request.body(()).unwrap().into_parts().0).is_ok()
    }

    #[test]
    fn a_change_with_a_cookie_comes_from_our_own_pages() {
        assert!(allowed(None, "GET", Some("https://evil.example")));
        assert!(allowed(None, "POST", Some("http://127.0.0.1:3001")));
        for origin in [None, Some("null"), Some("https://evil.example"), Some("http://127.0.0.1:3002")] {
            assert!(!allowed(None, "POST", origin), "{origin:?}");
        }
        let public = Some("https://slipway.example");
        assert!(allowed(public, "POST", Some("https://slipway.example")));
        assert!(!allowed(public, "POST", Some("http://127.0.0.1:3001")));
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append("cookie", "a=b; slipway_session=secret; c=d".parse().unwrap());
        assert_eq!(cookie(&headers, COOKIE), Some("secret"));
        assert_eq!(cookie(&headers, "session"), None);
    }
}
