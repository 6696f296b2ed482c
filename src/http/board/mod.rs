//! Bull Board at `/admin/queues`: its pages, and its HTTP API over our queues.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::app::App;
use crate::domain::limit::Rule;
use crate::domain::token::{Actor, Role};
use crate::error::Error;
use crate::http::board::request::Call;
use crate::http::board::respond::Problem;
use crate::http::limits::Quota;
use crate::http::{Http, assets, auth, plain};
use crate::rpc::{self, Access};
use crate::services::queues::{self, Change, Changed, QueueName};

mod page;
mod request;
mod respond;
mod trigger;

/// Where it is mounted.
pub(super) const BASE: &str = "/admin/queues";

/// Everything below the base: the path is taken apart here, since names and ids in it may contain encoded slashes.
pub(super) async fn serve(State(http): State<Http>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix(BASE).unwrap_or_default().trim_matches('/').to_owned();
    let Ok(segments) = segments(&path) else {
        return Problem::text(StatusCode::BAD_REQUEST, "the path is not UTF-8").into_response();
    };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let is_api = segments.first() == Some(&"api");
    let actor = match viewer(&http.app, &parts).await {
        Ok(actor) => actor,
        Err(Error::Unauthenticated(_)) if !is_api => return Redirect::to("/").into_response(),
        Err(error) => return Problem::of(error).into_response(),
    };
    let mut quota = Quota::default();
    let mut response = match admit(&http.app, &mut quota, &actor, &parts, is_api).await {
        Ok(()) => give(&http, &actor, &parts, body, &path, &segments).await,
        Err(error) => Problem::of(error).into_response(),
    };
    quota.write(response.headers_mut());
    if is_api {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Counts calls of the API as those of procedures are counted; what only shows the pages costs nothing.
async fn admit(
    app: &App,
    quota: &mut Quota,
    actor: &Actor,
    parts: &Parts,
    is_api: bool,
) -> Result<(), Error> {
    let rule = match parts.method {
        Method::GET | Method::HEAD => Rule::Queries,
        _ => Rule::Mutations,
    };
    quota.admit(app, &[(rule, u32::from(is_api))], Some(actor), auth::ip(parts)).await
}

async fn give(
    http: &Http,
    actor: &Actor,
    parts: &Parts,
    body: Body,
    path: &str,
    segments: &[&str],
) -> Response {
    match segments {
        ["api", rest @ ..] => api(http, actor, parts, body, rest).await,
        ["static", ..] => assets::serve(&format!("board/{path}"), &parts.headers)
            .unwrap_or_else(|| plain(StatusCode::NOT_FOUND, "There is nothing here.\n")),
        [] | ["metrics-history"] | ["job-schedulers"] | ["queue", _] | ["queue", _, _] => page::render(),
        _ => plain(StatusCode::NOT_FOUND, "There is nothing here.\n"),
    }
}

async fn viewer(app: &App, parts: &Parts) -> Result<Actor, Error> {
    let actor = auth::actor(app, parts).await?;
    rpc::require(Access::Role(Role::Viewer), actor.as_ref())?;
    actor.ok_or(Error::Unauthenticated("sign in, or send an access token"))
}

/// Decoded one by one.
fn segments(path: &str) -> Result<Vec<String>, std::str::Utf8Error> {
    let encoded = path.split('/').filter(|segment| !segment.is_empty());
    encoded.map(|segment| Ok(percent_decode_str(segment).decode_utf8()?.into_owned())).collect()
}

async fn api(http: &Http, actor: &Actor, parts: &Parts, body: Body, path: &[&str]) -> Response {
    let body = match read_body(http, parts, body).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let query = parts.uri.query().unwrap_or_default();
    match request::parse(parts.method.as_str(), path, query, &body) {
        None => Problem::text(StatusCode::NOT_FOUND, "there is no such route").into_response(),
        Some(Err(wrong)) => Problem::invalid(&wrong).into_response(),
        Some(Ok(call)) => answer(http, actor, call).await,
    }
}

/// Of another type than JSON, a body counts as empty.
async fn read_body(http: &Http, parts: &Parts, body: Body) -> Result<Value, Problem> {
    let kind =
        parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return Ok(json!({}));
    }
    let config = &http.app.config.http;
    let read = tokio::time::timeout(config.body_timeout, to_bytes(body, config.body_bytes_max));
    let bytes = match read.await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(Problem::text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")),
        Err(_) => return Err(Problem::text(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    };
    if bytes.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(&bytes).map_err(|error| Problem::text(StatusCode::BAD_REQUEST, &error.to_string()))
}

async fn answer(http: &Http, actor: &Actor, call: Call) -> Response {
    let app = &http.app;
    let answered = match call {
        Call::Read(read) => respond::read(app, actor, read).await,
        Call::PauseAll => queues::pause_all(app, actor).await.map(|()| json!({})),
        Call::ResumeAll => queues::resume_all(app, actor).await.map(|()| json!({})),
        Call::Change { queue, change } => {
            let subject = respond::Subject::of(&change);
            let change = match change {
                Change::Add(job) if queue == QueueName::Pipelines.as_str() => {
                    match trigger::of(&http.job_data, job) {
                        Ok(change) => change,
                        Err(error) => return Problem::of(error).into_response(),
                    }
                }
                change => change,
            };
            match queues::change(app, actor, &queue, change).await {
                Ok(Changed::Done) if subject.is_answered_by_nothing => {
                    return StatusCode::NO_CONTENT.into_response();
                }
                Ok(changed) => Ok(respond::changed(changed, &subject)),
                Err(refusal) => return Problem::refusal(refusal, &subject).into_response(),
            }
        }
    };
    match answered {
        Ok(body) => respond::json(&body),
        Err(refusal) => Problem::refusal(refusal, &respond::Subject::default()).into_response(),
    }
}
