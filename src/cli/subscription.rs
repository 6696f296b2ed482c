//! A subscription that outlives its connections: it comes back, for ever, and takes up where it was cut off.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::cli::client::{Client, ClientError, WireError};
use crate::cli::sse::{Event, Parser};

const DELAY_MIN: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(5);
/// Events that wait for whoever prints them; then the server is held back.
const EVENTS_WAITING_MAX: usize = 1024;
/// The code by which the server says that the same subscription may work later.
const CODE_TRY_AGAIN: i64 = -32603;

#[derive(Debug)]
pub(super) enum Update {
    /// A value, as JSON.
    Item(String),
    /// The connection is gone, and another is tried. Said at each loss.
    Reconnecting { reason: String },
    /// The last thing: the server has said all.
    Complete,
    /// The last thing: it will not work.
    Failed(ClientError),
}

/// How a connection ended, where the subscription did not end with it.
struct Lost(String);

/// Begins a subscription. Dropping the receiver ends it.
pub(super) fn subscribe(client: &Client, path: &'static str, input: Value) -> mpsc::Receiver<Update> {
    let (updates, receiver) = mpsc::channel(EVENTS_WAITING_MAX);
    let subscription = Subscription { client: client.clone(), path, input, last_event_id: None, updates };
    tokio::spawn(subscription.run());
    receiver
}

struct Subscription {
    client: Client,
    path: &'static str,
    input: Value,
    last_event_id: Option<String>,
    updates: mpsc::Sender<Update>,
}

impl Subscription {
    async fn run(mut self) {
        let mut delay = DELAY_MIN;
        loop {
            let before = self.last_event_id.clone();
            let last = match self.connection().await {
                Ok(last) => last,
                Err(Lost(reason)) => {
                    if self.updates.send(Update::Reconnecting { reason }).await.is_err() {
                        return;
                    }
                    delay = if self.last_event_id == before { delay } else { DELAY_MIN };
                    tokio::select! {
                        () = tokio::time::sleep(delay) => {}
                        () = self.updates.closed() => return,
                    }
                    delay = (delay * 2).min(DELAY_MAX);
                    continue;
                }
            };
            // If the receiver has gone, nobody wants to know.
            let _ = self.updates.send(last).await;
            return;
        }
    }

    /// One connection, to its end.
    async fn connection(&mut self) -> Result<Update, Lost> {
        let opened = self.client.open_stream(self.path, &self.input, self.last_event_id.as_deref()).await;
        let mut response = match opened {
            Ok(response) => response,
            Err(ClientError::Unreachable { reason, .. }) => return Err(Lost(reason)),
            Err(ClientError::Refused { code, message }) if is_passing(&code) => return Err(Lost(message)),
            Err(error) => return Ok(Update::Failed(error)),
        };
        let mut parser = Parser::new();
        let mut silence_max = None;
        loop {
            let chunk = match within(silence_max, response.chunk()).await {
                Some(Ok(Some(chunk))) => chunk,
                Some(Ok(None)) => return Err(Lost("the server ended the connection".to_owned())),
                Some(Err(error)) => return Err(Lost(crate::cli::client::innermost(&error))),
                None => return Err(Lost("the server fell silent".to_owned())),
            };
            let events = match parser.feed(&chunk) {
                Ok(events) => events,
                Err(error) => return Ok(Update::Failed(self.broken(error.to_string()))),
            };
            for event in events {
                if event.name == "connected" {
                    silence_max = silence_told(&event.data);
                } else if let Some(last) = self.event(event).await? {
                    return Ok(last);
                }
            }
        }
    }

    async fn event(&mut self, event: Event) -> Result<Option<Update>, Lost> {
        match event.name.as_str() {
            "message" => {
                if event.id.is_some() {
                    self.last_event_id = event.id;
                }
                match self.updates.send(Update::Item(event.data)).await {
                    Ok(()) => Ok(None),
                    Err(_) => Ok(Some(Update::Complete)),
                }
            }
            "return" => Ok(Some(Update::Complete)),
            "serialized-error" => match serde_json::from_str::<WireError>(&event.data) {
                Ok(error) if error.code == CODE_TRY_AGAIN => Err(Lost(error.message)),
                Ok(error) => Ok(Some(Update::Failed(error.into()))),
                Err(error) => Ok(Some(Update::Failed(self.broken(error.to_string())))),
            },
            _ => Ok(None),
        }
    }

    fn broken(&self, reason: String) -> ClientError {
        ClientError::NotSlipway { url: self.client.url().to_owned(), reason }
    }
}

/// Codes of a server that cannot at the moment: those that tRPC sends under the number to try again with.
fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "INTERNAL_SERVER_ERROR"
            | "NOT_IMPLEMENTED"
            | "BAD_GATEWAY"
            | "SERVICE_UNAVAILABLE"
            | "GATEWAY_TIMEOUT"
            | "TOO_MANY_REQUESTS"
    )
}

/// How long the server says that it is silent at most.
fn silence_told(data: &str) -> Option<Duration> {
    let options: Value = serde_json::from_str(data).ok()?;
    options.get("reconnectAfterInactivityMs")?.as_u64().map(Duration::from_millis)
}

async fn within<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}
