//! The connections to Redis that Slipway opens itself: one for commands, one for wake-ups.
//!
//! What is a queue lies in `jobs`, what is a log in `logs`; this module knows neither.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, FromRedisValue, Pipeline, RedisError, ScriptInvocation};

use crate::domain::secret::Secret;
use crate::error::{Error, Result};

pub mod wakeups;

/// Reconnecting goes on for ever; this only spaces the attempts.
const RECONNECT_DELAY_MAX: Duration = Duration::from_millis(500);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Commands to Redis over one connection, which reconnects by itself. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    manager: ConnectionManager,
    client: Client,
    prefix: String,
    url: Secret<String>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Redis {
    /// Opens the connection lazily: a Redis that is away makes the first command fail, not the start.
    pub fn open(url: &Secret<String>, prefix: &str, call_timeout: Duration) -> Result<Self> {
        let client = Client::open(url.reveal().as_str())
            .map_err(|_| Error::invalid("redis.url", "expected redis://, rediss:// or unix://"))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(call_timeout))
            .set_max_delay(RECONNECT_DELAY_MAX)
            .set_number_of_retries(1);
        let manager =
            client.get_connection_manager_lazy(config).map_err(|error| Error::unavailable("redis", error))?;
        Ok(Self { manager, client, prefix: prefix.to_owned(), url: url.clone() })
    }

    /// `<prefix>:<name>`: everything of ours lies under the prefix.
    pub fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The address, for the queue's library, which opens connections of its own.
    pub fn url(&self) -> &Secret<String> {
        &self.url
    }

    pub async fn command<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T> {
        command.query_async(&mut self.manager.clone()).await.map_err(unavailable)
    }

    pub async fn pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T> {
        pipeline.query_async(&mut self.manager.clone()).await.map_err(unavailable)
    }

    pub async fn script<T: FromRedisValue>(&self, invocation: &ScriptInvocation<'_>) -> Result<T> {
        invocation.invoke_async(&mut self.manager.clone()).await.map_err(unavailable)
    }

    /// What lies under a name without the prefix.
    pub async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.command(redis::cmd("GET").arg(self.key(name))).await
    }

    /// Puts something under a name without the prefix, for so long.
    pub async fn set_for(&self, name: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        let millis = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        self.command(redis::cmd("SET").arg(self.key(name)).arg(value).arg("PX").arg(millis)).await
    }

    /// Tells those who listen on `channel` (a name without the prefix) to look again.
    pub async fn wake(&self, channel: &str) -> Result<()> {
        self.command(redis::cmd("PUBLISH").arg(self.key(channel)).arg("")).await
    }

    /// What the server does when its memory is full; none where it does not tell.
    pub async fn eviction_policy(&self) -> Result<Option<String>> {
        let answer: Vec<String> =
            self.command(redis::cmd("CONFIG").arg("GET").arg("maxmemory-policy")).await?;
        Ok(answer.into_iter().nth(1))
    }

    pub async fn ping(&self) -> Result<()> {
        self.command(&redis::cmd("PING")).await
    }

    /// Connects for a subscription.
    pub async fn pubsub(&self) -> Result<redis::aio::PubSub, RedisError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.client.get_async_pubsub()).await {
            Ok(connected) => connected,
            Err(_) => Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut))),
        }
    }
}

fn unavailable(error: RedisError) -> Error {
    Error::unavailable("redis", error)
}
