//! The example of the transport does what it says.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::client::{self, Request};

#[path = "../../rpc/wire/example.rs"]
mod transport;

#[tokio::test]
async fn the_example_answers_queries_mutations_and_subscriptions() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let requests = async {
        let data = |response: client::Response| -> Value {
            serde_json::from_str::<Value>(&response.body).unwrap()["result"]["data"].clone()
        };
        let greeting = client::send(address, Request::get("/trpc/greet?input=%22you%22")).await;
        assert_eq!(data(greeting), "Hello, you!");
        let refused = client::send(address, Request::get("/trpc/greet?input=5")).await;
        assert_eq!(refused.status, 400);
        let sum = client::send(address, Request::post("/trpc/counter.add", "5")).await;
        assert_eq!(data(sum), 5);
        let mut alone = client::open(address, Request::get("/trpc/counter.watch")).await;
        alone.read_until("data: 5\nid: 5\n\n").await;
        let wanted = json!([{ "key": "w", "path": "counter.watch" }]).to_string();
        let mut live = client::open(address, Request::post("/trpc-live", &wanted)).await;
        live.read_until("event: key\ndata: w\n\nevent: connected\ndata: {}\n\ndata: 5\nid: 5\n\n").await;
        client::send(address, Request::post("/trpc/counter.add", "2")).await;
        for stream in [&mut alone, &mut live] {
            stream.read_until("data: 7\nid: 7\n\n").await;
        }
        stop.cancel();
        assert_eq!((alone.rest().await, live.rest().await), (String::new(), String::new()));
    };
    let (served, ()) = tokio::join!(transport::serve(listener, shutdown), requests);
    served.unwrap();
}
