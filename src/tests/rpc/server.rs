//! A server on a port of its own, with an empty SQLite database.

use std::net::SocketAddr;

use serde_json::{Value, json};
use slipway::app::App;
use slipway::config::{Environment, Flags, Loaded};
use slipway::domain::secret::Secret;
use slipway::http::Http;
use slipway::http::sign_in::SignIn;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support;

const ADMIN_TOKEN: &str = "admin-token-of-the-tests-0123456789abcdef";

pub(super) struct Server {
    address: SocketAddr,
    http: reqwest::Client,
    _shutdown: DropGuard,
    _data_dir: TempDir,
}

/// What a call answered: its `result.data`, or its `error`.
pub(super) type Answer = Result<Value, Value>;

impl Server {
    pub(super) async fn start() -> Self {
        let data_dir = TempDir::new().unwrap();
        let flags = Flags {
            values: vec![("data_dir", "--data-dir", data_dir.path().display().to_string())],
            ..Flags::default()
        };
        let config = Loaded::new(&flags, Environment::default()).unwrap().config;
        let shutdown = CancellationToken::new();
        // Port 9 is `discard`, which nobody serves.
        let redis_url = Secret::new("redis://127.0.0.1:9".to_owned());
        let admin_token = Secret::new(ADMIN_TOKEN.to_owned());
        let app = App::connect(config, &redis_url, admin_token, shutdown.clone()).await.unwrap();
        let router = Http::new(app, SignIn::default()).unwrap().router();

        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let ended = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                served = axum::serve(listener, router) => served.unwrap(),
                () = ended.cancelled() => {}
            }
        });
        let http = support::http::client().build().unwrap();
        Self { address, http, _shutdown: shutdown.drop_guard(), _data_dir: data_dir }
    }

    pub(super) async fn query(&self, path: &str, input: &Value) -> Answer {
        self.query_as(Some(ADMIN_TOKEN), path, input).await
    }

    pub(super) async fn query_as(&self, token: Option<&str>, path: &str, input: &Value) -> Answer {
        let mut url = reqwest::Url::parse(&self.url(path)).unwrap();
        url.query_pairs_mut().append_pair("input", &input.to_string());
        self.send(self.http.get(url), token).await
    }

    pub(super) async fn mutate(&self, path: &str, input: &Value) -> Answer {
        self.mutate_as(Some(ADMIN_TOKEN), path, input).await
    }

    pub(super) async fn mutate_as(&self, token: Option<&str>, path: &str, input: &Value) -> Answer {
        let request = self.http.post(self.url(path)).header("content-type", "application/json");
        self.send(request.body(input.to_string()), token).await
    }

    /// The events of a subscription until it ends, as text.
    pub(super) async fn subscribe(&self, path: &str, input: &Value) -> String {
        let mut url = reqwest::Url::parse(&self.url(path)).unwrap();
        url.query_pairs_mut().append_pair("input", &input.to_string());
        let response = self.http.get(url).bearer_auth(ADMIN_TOKEN).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    /// The events of a subscription that is opened by a ticket and no header.
    pub(super) async fn subscribe_by_ticket(&self, path: &str, ticket: &str) -> String {
        let mut url = reqwest::Url::parse(&self.url(path)).unwrap();
        url.query_pairs_mut().append_pair("connectionParams", &json!({ "ticket": ticket }).to_string());
        let response = self.http.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    /// A request to a path below `/api/v1`, by the admin.
    pub(super) fn rest(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.rest_as(Some(ADMIN_TOKEN), method, path)
    }

    pub(super) fn rest_as(
        &self,
        token: Option<&str>,
        method: reqwest::Method,
        path: &str,
    ) -> reqwest::RequestBuilder {
        self.request(token, method, &format!("/api/v1{path}"))
    }

    /// A request for any other path.
    pub(super) fn site(&self, token: Option<&str>, path: &str) -> reqwest::RequestBuilder {
        self.request(token, reqwest::Method::GET, path)
    }

    /// As browsers name it.
    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn request(
        &self,
        token: Option<&str>,
        method: reqwest::Method,
        path: &str,
    ) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("http://{}{path}", self.address));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// The value of a new token with this role.
    pub(super) async fn token(&self, role: &str) -> String {
        let created = self.mutate("tokens.create", &json!({ "name": role, "role": role })).await.unwrap();
        created["value"].as_str().unwrap().to_owned()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/trpc/{path}", self.address)
    }

    async fn send(&self, request: reqwest::RequestBuilder, token: Option<&str>) -> Answer {
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let body = request.send().await.unwrap().text().await.unwrap();
        let mut body: Value = serde_json::from_str(&body).unwrap();
        match body.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(body["result"]["data"].take()),
        }
    }
}
