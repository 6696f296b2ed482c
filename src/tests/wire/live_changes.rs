//! A client that changes what it watches, again and again, and misses nothing.

use std::collections::BTreeMap;

use futures::stream;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use slipway::rpc::wire::{EventId, Options, Output, Tracked};

use super::client::{self, OpenResponse, Request};
use super::live::{PATH, owned};
use super::server::{Declared, Server};

const LOGS: usize = 5;
const ITEMS: u64 = 400;
const CHANGES: usize = 20;

/// What the client does between two requests.
#[derive(Clone, Debug)]
struct Change {
    /// A bit for each log that is watched from then on.
    watched: u8,
    /// How many chunks it has read before.
    chunks_before: usize,
    /// How many chunks of the old stream it still reads once the new one has answered.
    chunks_after: usize,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = (any::<u8>(), 0..4_usize, 0..3_usize)
        .prop_map(|(watched, chunks_before, chunks_after)| Change { watched, chunks_before, chunks_after });
    vec(change, CHANGES)
}

/// Numbered items, which pause now and then, after the id that the caller has.
fn logs() -> Declared {
    Declared::default().subscription("log", true, |_, input| {
        let input: Value = serde_json::from_str(input.read().unwrap().unwrap().get()).unwrap();
        let after = input["lastEventId"].as_str().map_or(0, |id| id.parse().unwrap());
        let pause = input["log"].as_u64().unwrap() + 2;
        stream::unfold(after + 1, move |n: u64| async move {
            if n > ITEMS {
                return None;
            }
            if n.is_multiple_of(pause) {
                tokio::task::yield_now().await;
            }
            let item = Tracked { id: EventId::new(&n.to_string()).unwrap(), value: n };
            Some((Output::tracked(&item), n + 1))
        })
    })
}

/// One stream, and what of it has been read but not yet understood.
struct Reader {
    open: OpenResponse,
    text: String,
    /// How many owned events have been taken in.
    taken: usize,
}

#[derive(Default)]
struct Client {
    last: BTreeMap<String, u64>,
    ended: Vec<String>,
}

impl Client {
    async fn ask(&self, server: &Server, watched: u8) -> Option<Reader> {
        let wanted: Vec<Value> = (0..LOGS)
            .filter(|log| watched & (1 << log) != 0)
            .map(|log| (log, format!("log-{log}")))
            .filter(|(_, key)| !self.ended.contains(key))
            .map(|(log, key)| {
                let last = self.last.get(&key).map(u64::to_string);
                json!({ "key": key, "path": "log", "input": { "log": log }, "lastEventId": last })
            })
            .collect();
        if wanted.is_empty() {
            return None;
        }
        let body = Value::from(wanted).to_string();
        let mut open = client::open(server.address, Request::post(PATH, &body)).await;
        let text = open.read_until("event: connected").await;
        Some(Reader { open, text, taken: 0 })
    }

    /// Takes in what a stream holds by then. An item that is not above the last one is known.
    fn take_in(&mut self, reader: &mut Reader) {
        let whole = reader.text.rfind("\n\n").map_or(0, |at| at + 2);
        let events = owned(&reader.text[..whole]);
        let known = std::mem::replace(&mut reader.taken, events.len());
        for (key, event) in events.into_iter().skip(known) {
            match event.kind.as_str() {
                "message" => {
                    let id = event.id.unwrap().parse().unwrap();
                    assert_eq!(event.data, id);
                    let last = self.last.entry(key.clone()).or_default();
                    if id > *last {
                        assert_eq!(id, *last + 1, "an item of {key} is missing");
                        *last = id;
                    }
                }
                "return" if !self.ended.contains(&key) => self.ended.push(key),
                _ => {}
            }
        }
    }

    async fn read(&mut self, reader: &mut Reader, chunks: usize) {
        for _ in 0..chunks {
            let Some(chunk) = reader.open.chunk().await else { break };
            reader.text.push_str(&chunk);
        }
        self.take_in(reader);
    }
}

async fn change_and_change(changes: &[Change]) {
    let server = Server::start(logs(), Options::default()).await;
    let mut client = Client::default();
    let mut current: Option<Reader> = None;
    for Change { watched, chunks_before, chunks_after } in changes {
        if let Some(reader) = &mut current {
            client.read(reader, *chunks_before).await;
        }
        let next = client.ask(&server, *watched).await;
        if let Some(mut old) = std::mem::replace(&mut current, next) {
            client.read(&mut old, *chunks_after).await;
        }
    }
    drop(current);
    if let Some(mut reader) = client.ask(&server, u8::MAX).await {
        reader.text.push_str(&reader.open.rest().await);
        client.take_in(&mut reader);
    }
    for log in 0..LOGS {
        assert_eq!(client.last[&format!("log-{log}")], ITEMS);
    }
}

#[test]
fn each_item_is_seen_once_however_often_the_client_changes_what_it_watches() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&changes(), |changes| {
            runtime.block_on(change_and_change(&changes));
            Ok(())
        })
        .unwrap();
}
