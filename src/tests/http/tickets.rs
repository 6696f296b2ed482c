//! Stream tickets: what each opens, for whom and how long, and that nothing else is.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{ADMIN_TOKEN, Server, header};

impl Server {
    async fn ticket(&self, token: &str, path: &str, input: &Value) -> String {
        let made = self.mutate(token, "auth.streamTicket", json!({ "path": path, "input": input })).await;
        made["result"]["data"]["ticket"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
    }

    fn with_ticket(&self, method: Method, path: &str, ticket: &str, input: &Value) -> RequestBuilder {
        let params = json!({ "ticket": ticket }).to_string();
        let mut url = reqwest::Url::parse(&format!("{}/trpc/{path}", self.url)).unwrap();
        url.query_pairs_mut()
            .append_pair("connectionParams", &params)
            .append_pair("input", &input.to_string());
        self.client.request(method, url)
    }

    /// A run that nobody works on, so that its streams stay open.
    async fn queued_run(&self) -> String {
        let definition = "steps: [{ name: a, run: 'true' }]";
        self.mutate(ADMIN_TOKEN, "pipelines.create", json!({ "name": "p", "definition": definition })).await;
        let run = self.mutate(ADMIN_TOKEN, "pipelines.trigger", json!({ "pipelineId": "p" })).await;
        run["result"]["data"]["id"].as_str().unwrap().to_owned()
    }

    async fn redis(&self) -> redis::aio::MultiplexedConnection {
        let output = std::fs::read_dir(self.data_dir.path().join("redis")).unwrap();
        let socket = output
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|extension| extension == "sock"))
            .expect("the private server has a socket");
        let client = redis::Client::open(format!("unix://{}", socket.display())).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

/// What the stream says first: that it is open, or why not.
async fn begins(request: RequestBuilder) -> Value {
    let mut response = request.send().await.unwrap();
    assert_eq!(
        (response.status(), header(&response, "content-type").as_str()),
        (StatusCode::OK, "text/event-stream")
    );
    let mut text = String::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        if let Some((_, error)) = text.split_once("event: serialized-error\ndata: ") {
            return serde_json::from_str(error.split('\n').next().unwrap()).unwrap();
        }
        if text.contains("\nid: ") {
            return Value::Null;
        }
    }
    panic!("the stream ended: {text}");
}

fn refusal(said: &Value) -> (&str, i64) {
    (said["data"]["code"].as_str().unwrap_or_else(|| panic!("{said}")), said["code"].as_i64().unwrap())
}

const REFUSED: (&str, i64) = ("UNAUTHORIZED", -32001);

#[tokio::test]
async fn a_ticket_opens_the_subscription_that_it_was_made_for_and_nothing_else() {
    let server = Server::start_with(&["--no-worker"], &[("SLIPWAY_LOG", "debug")]);
    let run = server.queued_run().await;
    let input = json!({ "runId": run });
    let viewer = server.mutate(ADMIN_TOKEN, "tokens.create", json!({ "name": "v", "role": "viewer" })).await;
    let (viewer, id) = (&viewer["result"]["data"]["value"], &viewer["result"]["data"]["token"]["id"]);
    let ticket = server.ticket(viewer.as_str().unwrap(), "pipelines.watchRun", &input).await;
    let open = |input: &Value| server.with_ticket(Method::GET, "pipelines.watchRun", &ticket, input);

    // It is not used up by its first use, and resuming does not change what it is for.
    assert_eq!(begins(open(&input)).await, Value::Null);
    assert_eq!(begins(open(&json!({ "runId": run, "lastEventId": "0" }))).await, Value::Null);
    assert_eq!(begins(open(&input).header("last-event-id", "0")).await, Value::Null);

    for (method, path, input) in [
        (Method::GET, "pipelines.watchRun", json!({ "runId": "another" })),
        (Method::GET, "pipelines.watchRun", json!(null)),
        (Method::GET, "pipelines.streamLogs", input.clone()),
        (Method::POST, "pipelines.watchRun", input.clone()),
    ] {
        let request = server.with_ticket(method.clone(), path, &ticket, &input);
        let request = request.header("content-type", "application/json");
        assert_eq!(refusal(&begins(request).await), REFUSED, "{method} {path} {input}");
    }
    for path in ["runs.get", "pipelines.list", "runs.get,runs.get?batch=1"] {
        let answer = server.with_ticket(Method::GET, path, &ticket, &input);
        assert_eq!(answer.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    let as_bearer = server.request(Method::GET, "/trpc/pipelines.list").bearer_auth(&ticket);
    assert_eq!(as_bearer.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let guessed = server.with_ticket(Method::GET, "pipelines.watchRun", "slt_guessed", &input);
    assert_eq!(refusal(&begins(guessed).await), REFUSED);
    for path in ["runs.get", "nothing"] {
        let made = server.mutate(ADMIN_TOKEN, "auth.streamTicket", json!({ "path": path })).await;
        assert_eq!(made["error"]["data"]["code"], "BAD_REQUEST", "{made}");
    }

    // It dies with whom it was made for.
    server.mutate(ADMIN_TOKEN, "tokens.revoke", json!({ "token": id })).await;
    let said = begins(open(&input)).await;
    assert_eq!(refusal(&said), REFUSED);
    assert!(said["message"].as_str().unwrap().contains("auth.streamTicket"), "{said}");
    assert!(!server.log().contains(&ticket));
    assert!(server.log().contains("/trpc/pipelines.watchRun"), "{}", server.log());
}

/// Minutes are not waited for: what Redis would forget by itself is taken away by hand.
#[tokio::test]
async fn a_ticket_is_there_while_its_stream_is_open_and_for_a_minute_after() {
    let server = Server::start_with(&["--no-worker"], &[]);
    let neighbour = Server::start_with(
        &["--no-worker"],
        &[("SLIPWAY_DATA_DIR", server.data_dir.path().to_str().unwrap())],
    );
    let input = json!({ "runId": server.queued_run().await });
    let ticket = server.ticket(ADMIN_TOKEN, "pipelines.watchRun", &input).await;
    let mut redis = server.redis().await;
    let names: Vec<String> = redis::cmd("KEYS").arg("*:ticket:*").query_async(&mut redis).await.unwrap();
    let [name] = names.as_slice() else { panic!("{names:?}") };
    assert!(!name.contains(&ticket[4..]));
    let lifetime: i64 = redis::cmd("PTTL").arg(name).query_async(&mut redis).await.unwrap();
    assert!((1..=60_000).contains(&lifetime), "{lifetime}");

    // A process that did not make it takes it too.
    let stream =
        neighbour.with_ticket(Method::GET, "pipelines.watchRun", &ticket, &input).send().await.unwrap();
    let _: () = redis::cmd("DEL").arg(name).query_async(&mut redis).await.unwrap();
    drop(stream);
    loop {
        let lifetime: i64 = redis::cmd("PTTL").arg(name).query_async(&mut redis).await.unwrap();
        if 0 < lifetime {
            assert!(lifetime <= 60_000, "{lifetime}");
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(
        begins(server.with_ticket(Method::GET, "pipelines.watchRun", &ticket, &input)).await,
        Value::Null
    );

    // One that was not used in time is gone.
    let unused = server.ticket(ADMIN_TOKEN, "pipelines.watchRun", &input).await;
    let names: Vec<String> = redis::cmd("KEYS").arg("*:ticket:*").query_async(&mut redis).await.unwrap();
    let unused_name = names.iter().find(|other| *other != name).unwrap();
    let _: () = redis::cmd("DEL").arg(unused_name).query_async(&mut redis).await.unwrap();
    let late = server.with_ticket(Method::GET, "pipelines.watchRun", &unused, &input);
    assert_eq!(refusal(&begins(late).await), REFUSED);
}
