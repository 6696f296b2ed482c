//! Calls to a server, in tRPC's protocol over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::ClientConfig;
use crate::domain::audit::AuditEntry;
use crate::domain::ids::RunId;
use crate::domain::person::Person;
use crate::domain::pipeline::{Pipeline, Problem};
use crate::domain::retention::Retention;
use crate::domain::run::{Run, RunDetails};
use crate::domain::secret::{Secret, SecretInfo};
use crate::domain::token::{Grant, Role, Token};
use crate::services::logs::LogPage;
use crate::services::system::Health;
use crate::store::page::Page;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// A peer that has gone without a word is noticed by TCP.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// The largest answer that is read: a page of the longest log lines fits.
const ANSWER_BYTES_MAX: usize = 128 << 20;

#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// Nobody answered, or a proxy said that nobody does.
    #[error("cannot reach the server at {url}: {reason}")]
    Unreachable { url: String, reason: String },
    /// The server said no. `code` is tRPC's, such as `NOT_FOUND`.
    #[error("{message}")]
    Refused { code: String, message: String },
    #[error("{url} does not answer as a Slipway server does: {reason}")]
    NotSlipway { url: String, reason: String },
}

/// An error as tRPC sends it.
#[derive(Debug, Deserialize)]
pub(super) struct WireError {
    pub(super) message: String,
    pub(super) code: i64,
    data: Option<WireErrorData>,
}

#[derive(Debug, Deserialize)]
struct WireErrorData {
    code: String,
}

impl From<WireError> for ClientError {
    fn from(error: WireError) -> Self {
        let code = error.data.map_or_else(|| error.code.to_string(), |data| data.code);
        Self::Refused { code, message: error.message }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Envelope<T> {
    Result(Answer<T>),
    Error(WireError),
}

#[derive(Debug, Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PipelineFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) default_branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) definition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    /// `Some(None)`: as the server's settings say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retention: Option<Option<Retention>>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct CreatedToken {
    pub(super) token: Token,
    pub(super) value: String,
}

/// A person to be given an account.
#[derive(Debug)]
pub(super) struct NewPerson<'a> {
    pub(super) login: &'a str,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) password: Option<&'a Secret<String>>,
    pub(super) subject: Option<String>,
    pub(super) role: Option<Role>,
    pub(super) grants: Vec<Grant>,
}

/// A secret to be stored.
#[derive(Debug)]
pub(super) struct NewSecret<'a> {
    pub(super) name: &'a str,
    pub(super) pipeline: Option<&'a str>,
    pub(super) value: &'a Secret<String>,
    pub(super) description: Option<String>,
    pub(super) branches: Vec<String>,
    pub(super) allow_untrusted: bool,
}

#[derive(Debug, Deserialize)]
struct Validation {
    problems: Vec<Problem>,
}

/// A server, as commands see it. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    authorization: Option<HeaderValue>,
}

impl Client {
    pub(super) fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        let not_slipway = |reason: String| ClientError::NotSlipway { url: config.url.clone(), reason };
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(KEEPALIVE)
            // A redirect would carry a mutation to where nobody meant it to go.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| not_slipway(error.to_string()))?;
        let authorization = match &config.token {
            Some(token) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
                    .map_err(|_| not_slipway("the token has characters that no token has".to_owned()))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Ok(Self { http, url: config.url.clone(), authorization })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) async fn health(&self) -> Result<Health, ClientError> {
        self.query("system.health", &json!({})).await
    }

    pub(super) async fn create_pipeline(&self, fields: &PipelineFields) -> Result<Pipeline, ClientError> {
        self.mutation("pipelines.create", &json!(fields)).await
    }

    pub(super) async fn update_pipeline(
        &self,
        pipeline: &str,
        fields: &PipelineFields,
    ) -> Result<Pipeline, ClientError> {
        let mut input = json!(fields);
        input["pipelineId"] = json!(pipeline);
        self.mutation("pipelines.update", &input).await
    }

    pub(super) async fn pipeline(&self, pipeline: &str) -> Result<Pipeline, ClientError> {
        self.query("pipelines.get", &json!({ "pipelineId": pipeline })).await
    }

    pub(super) async fn pipelines(
        &self,
        search: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Page<Pipeline>, ClientError> {
        let input = present(json!({ "search": search, "cursor": cursor, "limit": 100 }));
        self.query("pipelines.list", &input).await
    }

    pub(super) async fn delete_pipeline(&self, pipeline: &str) -> Result<Value, ClientError> {
        self.mutation("pipelines.delete", &json!({ "pipelineId": pipeline })).await
    }

    pub(super) async fn validate(&self, definition: &str) -> Result<Vec<Problem>, ClientError> {
        let input = json!({ "definition": definition });
        self.mutation::<Validation>("pipelines.validate", &input).await.map(|answer| answer.problems)
    }

    pub(super) async fn trigger(
        &self,
        pipeline: &str,
        branch: Option<&str>,
        inputs: &BTreeMap<String, String>,
        idempotency_key: Option<&str>,
    ) -> Result<Run, ClientError> {
        let inputs = Some(inputs).filter(|inputs| !inputs.is_empty());
        let input = present(json!({
            "pipelineId": pipeline,
            "branch": branch,
            "inputs": inputs,
            "idempotencyKey": idempotency_key,
        }));
        self.mutation("pipelines.trigger", &input).await
    }

    pub(super) async fn run(&self, run_id: &RunId) -> Result<RunDetails, ClientError> {
        self.query("runs.get", &json!({ "runId": run_id })).await
    }

    pub(super) async fn delete_run(&self, run_id: &RunId) -> Result<Value, ClientError> {
        self.mutation("runs.delete", &json!({ "runId": run_id })).await
    }

    pub(super) async fn purge_log(&self, run_id: &RunId) -> Result<Run, ClientError> {
        self.mutation("runs.purgeLog", &json!({ "runId": run_id })).await
    }

    pub(super) async fn cancel(&self, run_id: &RunId) -> Result<Run, ClientError> {
        self.mutation("runs.cancel", &json!({ "runId": run_id })).await
    }

    pub(super) async fn retry(&self, run_id: &RunId, from: &str) -> Result<Run, ClientError> {
        self.mutation("runs.retry", &json!({ "runId": run_id, "from": from })).await
    }

    pub(super) async fn logs(
        &self,
        run_id: &RunId,
        from: Option<i64>,
        limit: u32,
        step: Option<&str>,
    ) -> Result<LogPage, ClientError> {
        let input = present(json!({ "runId": run_id, "from": from, "limit": limit, "step": step }));
        self.query("runs.logs", &input).await
    }

    pub(super) async fn create_token(
        &self,
        name: &str,
        role: Role,
        expires_in_days: Option<u32>,
    ) -> Result<CreatedToken, ClientError> {
        let input = present(json!({ "name": name, "role": role, "expiresInDays": expires_in_days }));
        self.mutation("tokens.create", &input).await
    }

    pub(super) async fn tokens(&self, cursor: Option<&str>) -> Result<Page<Token>, ClientError> {
        self.query("tokens.list", &present(json!({ "cursor": cursor, "limit": 100 }))).await
    }

    pub(super) async fn revoke_token(&self, token: &str) -> Result<Value, ClientError> {
        self.mutation("tokens.revoke", &json!({ "token": token })).await
    }

    pub(super) async fn create_person(&self, new: &NewPerson<'_>) -> Result<Person, ClientError> {
        let password = new.password.map(Secret::reveal);
        let input = present(json!({
            "login": new.login,
            "name": new.name,
            "email": new.email,
            "password": password,
            "subject": new.subject,
            "role": new.role,
            "grants": new.grants,
        }));
        self.mutation("people.create", &input).await
    }

    pub(super) async fn person(&self, person: &str) -> Result<Person, ClientError> {
        self.query("people.get", &json!({ "person": person })).await
    }

    pub(super) async fn people(&self, cursor: Option<&str>) -> Result<Page<Person>, ClientError> {
        self.query("people.list", &present(json!({ "cursor": cursor, "limit": 100 }))).await
    }

    /// `change` as `people.update` takes it, but for the person: null says something there.
    pub(super) async fn update_person(&self, person: &str, mut change: Value) -> Result<Person, ClientError> {
        change["person"] = json!(person);
        self.mutation("people.update", &change).await
    }

    pub(super) async fn set_password(
        &self,
        person: &str,
        password: &Secret<String>,
    ) -> Result<Value, ClientError> {
        let input = json!({ "person": person, "password": password.reveal() });
        self.mutation("people.setPassword", &input).await
    }

    pub(super) async fn delete_person(&self, person: &str) -> Result<Value, ClientError> {
        self.mutation("people.delete", &json!({ "person": person })).await
    }

    pub(super) async fn set_secret(&self, new: NewSecret<'_>) -> Result<SecretInfo, ClientError> {
        let input = present(json!({
            "name": new.name,
            "pipelineId": new.pipeline,
            "value": new.value.reveal(),
            "description": new.description,
            "branches": new.branches,
            "allowUntrusted": new.allow_untrusted,
        }));
        self.mutation("secrets.set", &input).await
    }

    pub(super) async fn secrets(
        &self,
        pipeline: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Page<SecretInfo>, ClientError> {
        let input = present(json!({ "pipelineId": pipeline, "cursor": cursor, "limit": 100 }));
        self.query("secrets.list", &input).await
    }

    pub(super) async fn delete_secret(
        &self,
        pipeline: Option<&str>,
        name: &str,
    ) -> Result<Value, ClientError> {
        self.mutation("secrets.delete", &present(json!({ "pipelineId": pipeline, "name": name }))).await
    }

    /// `filter` as `audit.list` takes it.
    pub(super) async fn audit(&self, filter: Value) -> Result<Page<AuditEntry>, ClientError> {
        self.query("audit.list", &present(filter)).await
    }

    /// The response to a subscription, before its first event.
    pub(super) async fn open_stream(
        &self,
        path: &str,
        input: &Value,
        last_event_id: Option<&str>,
    ) -> Result<reqwest::Response, ClientError> {
        let request = self.http.get(self.address(path, Some(input))).header(ACCEPT, "text/event-stream");
        let request = match last_event_id {
            Some(id) => request.header("last-event-id", id),
            None => request,
        };
        let response = self.authorized(request).send().await.map_err(|error| self.unreachable(&error))?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_stream = content_type.is_some_and(|value| value.starts_with("text/event-stream"));
        if response.status() == reqwest::StatusCode::OK && is_stream {
            return Ok(response);
        }
        match self.answer::<Value>(response).await {
            Err(error) => Err(error),
            Ok(_) => Err(self.not_slipway("it answered a subscription with a value".to_owned())),
        }
    }

    async fn query<T: DeserializeOwned>(&self, path: &str, input: &Value) -> Result<T, ClientError> {
        self.call(self.http.get(self.address(path, Some(input)))).await
    }

    async fn mutation<T: DeserializeOwned>(&self, path: &str, input: &Value) -> Result<T, ClientError> {
        let request = self.http.post(self.address(path, None)).header(CONTENT_TYPE, "application/json");
        self.call(request.body(input.to_string())).await
    }

    async fn call<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, ClientError> {
        let request = self.authorized(request).timeout(CALL_TIMEOUT);
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        self.answer(response).await
    }

    async fn answer<T: DeserializeOwned>(&self, mut response: reqwest::Response) -> Result<T, ClientError> {
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if ANSWER_BYTES_MAX < body.len() + chunk.len() {
                return Err(self.not_slipway(format!("its answer is larger than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        match serde_json::from_slice(&body) {
            Ok(Envelope::Result(answer)) => Ok(answer.data),
            Ok(Envelope::Error(error)) => Err(error.into()),
            // What stands before a server says this when there is none behind it.
            Err(_) if matches!(status.as_u16(), 502..=504) => {
                Err(ClientError::Unreachable { url: self.url.clone(), reason: format!("HTTP {status}") })
            }
            Err(error) => Err(self.not_slipway(format!("HTTP {status}, {error}"))),
        }
    }

    fn authorized(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    fn address(&self, path: &str, input: Option<&Value>) -> String {
        let query: String = match input {
            Some(input) => form_urlencoded::Serializer::new(String::from("?"))
                .append_pair("input", &input.to_string())
                .finish(),
            None => String::new(),
        };
        format!("{}/trpc/{path}{query}", self.url)
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        ClientError::Unreachable { url: self.url.clone(), reason: innermost(error) }
    }

    fn not_slipway(&self, reason: String) -> ClientError {
        ClientError::NotSlipway { url: self.url.clone(), reason }
    }
}

/// The outer errors only say that a request was sent; the last cause says what happened.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Without the fields that are null: the server tells them from absent ones.
fn present(mut input: Value) -> Value {
    if let Value::Object(fields) = &mut input {
        fields.retain(|_, value| !value.is_null());
    }
    input
}
