//! What a caller may not ask for so often, and who is not listened to for a while.

use std::net::IpAddr;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::domain::audit::Deed;
use crate::domain::limit::{Mode, Rule};
use crate::domain::token::Actor;
use crate::error::{Error, Result};
use crate::http::forwarded::Client;
use crate::http::{auth, plain};
use crate::services::audit;
use crate::services::limits::{Verdict, Who};
use crate::services::single_sign_on::{CALLBACK, LEAVE, START};

/// draft-ietf-httpapi-ratelimit-headers.
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What only those ask for who look for a way in: nothing of it was ever served here. Compared with the decoded path in
/// small letters, of which each is a part.
const PROBES: &[&str] = &[
    "/.aws/",
    "/.env",
    "/.git/",
    "/.ssh/",
    "/.svn/",
    "/actuator/",
    "/autodiscover/",
    "/boaform/",
    "/cgi-bin/",
    "/etc/passwd",
    "/hnap1",
    "/phpmyadmin",
    "/proc/self/",
    "/server-status",
    "/solr/admin",
    "/vendor/phpunit",
    "/win.ini",
    "/wp-",
    "/xmlrpc",
    ".asp",
    ".jsp",
    ".php",
];
/// Below these, a path holds what callers send.
const NO_PROBES_BELOW: &[&str] = &["/trpc", "/api/"];

/// What the answers to one request say of its callers' limits: of the one that is nearest.
#[derive(Debug, Default)]
pub(super) struct Quota(Option<Verdict>);

impl Quota {
    /// Counts what a request asks for.
    ///
    /// # Errors
    ///
    /// `TooMany`.
    pub(super) async fn admit(
        &mut self,
        app: &App,
        asked: &[(Rule, u32)],
        actor: Option<&Actor>,
        ip: Option<IpAddr>,
    ) -> Result<()> {
        for (rule, count) in asked.iter().filter(|(_, count)| 0 < *count) {
            let Some(who) = Who::asks(actor, ip) else { continue };
            let Some(verdict) = app.limits.admit(*rule, who, *count) else { continue };
            if verdict.is_news {
                tell(app, &verdict, actor, ip).await;
            }
            let share = |verdict: &Verdict| f64::from(verdict.left.count) / f64::from(verdict.limit.count);
            if verdict.refused.is_some() || self.0.as_ref().is_none_or(|other| share(&verdict) < share(other))
            {
                self.0 = Some(verdict);
            }
            if let Some(retry_after) = verdict.refused {
                return Err(Error::TooMany { what: rule.as_str(), retry_after });
            }
        }
        Ok(())
    }

    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let Some(Verdict { rule, limit, left, refused, .. }) = &self.0 else { return };
        if limit.mode == Mode::DryRun {
            return;
        }
        let (name, period) = (rule.as_str(), limit.period.as_secs().max(1));
        let policy = format!("\"{name}\";q={};w={period}", limit.count);
        let rest = format!("\"{name}\";r={};t={}", left.count, left.reset.as_secs_f64().ceil());
        let retry = refused.map(|wait| wait.as_secs_f64().ceil().max(1.0).to_string());
        let said =
            [(RATE_LIMIT_POLICY, Some(policy)), (RATE_LIMIT, Some(rest)), (header::RETRY_AFTER, retry)];
        for (name, value) in said {
            if let Some(Ok(value)) = value.map(|text| HeaderValue::from_str(&text)) {
                headers.insert(name, value);
            }
        }
    }
}

/// What is answered before anything else is done: to those who are shut out, and to too many attempts to sign in.
pub(super) async fn refuse(app: &App, client: &Client, parts: &Parts) -> Option<Response> {
    if let Some(wait) = app.limits.shut_out(client.ip)
        && !shows_what_is_known(app, parts)
    {
        let mut response = plain(StatusCode::FORBIDDEN, "This address is shut out for a while.\n");
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        return Some(response);
    }
    if is_probe(parts.uri.path()) {
        strike(app, Rule::Probes, client.ip).await;
    }
    let path = parts.uri.path();
    let is_sign_in = (path == "/sign-in" && parts.method == Method::POST)
        || (path.starts_with("/sign-in/") && parts.method != Method::HEAD)
        || [START, CALLBACK, LEAVE].contains(&path);
    if is_sign_in {
        let mut quota = Quota::default();
        if let Err(error) = quota.admit(app, &[(Rule::SignIn, 1)], None, client.ip).await {
            let no_store = [(header::CACHE_CONTROL, "no-store")];
            let mut response =
                (StatusCode::TOO_MANY_REQUESTS, no_store, format!("{error}\n")).into_response();
            quota.write(response.headers_mut());
            return Some(response);
        }
    }
    None
}

/// Notes what only attackers do.
pub(super) async fn strike(app: &App, rule: Rule, ip: Option<IpAddr>) {
    let Some(verdict) = app.limits.strike(rule, ip) else { return };
    if verdict.is_news {
        let seconds = app.config.limits.shut_out_for.as_secs();
        tracing::warn!(client.ip = ?ip, rule = rule.as_str(), seconds, "An address is shut out");
        let deed = Deed::refused("limits.shutOut", format!("{}, for {seconds} s", rule.as_str()));
        audit::record_stranger(app, None, ip, deed).await;
    }
}

/// Said once a burst.
async fn tell(app: &App, verdict: &Verdict, actor: Option<&Actor>, ip: Option<IpAddr>) {
    let Verdict { rule, limit, .. } = verdict;
    let rule = rule.as_str();
    let name = actor.map(|actor| actor.name.as_str());
    if limit.mode == Mode::DryRun {
        tracing::warn!(actor = name, client.ip = ?ip, rule, "A caller would be refused for a while: it is beyond a limit");
        return;
    }
    tracing::warn!(actor = name, client.ip = ?ip, rule, "A caller is refused for a while: it is beyond a limit");
    let deed = Deed::refused("limits.refuse", format!("beyond {} {rule} in {:?}", limit.count, limit.period));
    match actor {
        Some(actor) => audit::record(app, actor, deed).await,
        None => audit::record_stranger(app, None, ip, deed).await,
    }
}

/// Whether a request shows a credential that was good lately. A ticket is looked up: it is short-lived, and too long to
/// be guessed.
fn shows_what_is_known(app: &App, parts: &Parts) -> bool {
    let is_known = auth::credential(&parts.headers).is_some_and(|credential| app.limits.knows(credential));
    let has_ticket = parts.uri.path().starts_with("/trpc")
        && parts.uri.query().is_some_and(|query| query.contains("connectionParams="));
    is_known || has_ticket
}

fn is_probe(path: &str) -> bool {
    if NO_PROBES_BELOW.iter().any(|below| path.starts_with(below)) {
        return false;
    }
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy().to_ascii_lowercase();
    PROBES.iter().any(|probe| path.contains(probe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scanners_ask_for_is_known_and_nothing_of_ours_is_taken_for_it() {
        for path in [
            "/wp-login.php",
            "/.env",
            "/.git/config",
            "/%2e%67it/config",
            "/..%2f..%2fetc/passwd",
            "/cgi-bin/luci",
            "/PHPMyAdmin/",
            "/HNAP1",
        ] {
            assert!(is_probe(path), "{path}");
        }
        for path in [
            "/",
            "/docs",
            "/assets/index-1a2b.js",
            "/runs/7",
            "/api/v1/files/.env",
            "/trpc/a.php",
            "/favicon.ico",
        ] {
            assert!(!is_probe(path), "{path}");
        }
    }
}
