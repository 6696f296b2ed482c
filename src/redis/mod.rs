//! The connections to Redis that Slipway opens itself: one for commands, one for wake-ups.
//!
//! What is a queue lies in `jobs`, what is a log in `logs`; this module knows neither.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, FromRedisValue, Pipeline, RedisError, ScriptInvocation};

use crate::domain::secret::Secret;
use crate::domain::waiting::Trouble;
use crate::error::{Error, Result};
use crate::metrics::{self, Durations, Family, Kind};

pub mod wakeups;

/// Reconnecting goes on for ever; this only spaces the attempts.
const RECONNECT_DELAY_MAX: Duration = Duration::from_millis(500);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// What a probe writes is gone after this.
const PROBE_KEPT_FOR: Duration = Duration::from_secs(10);

/// Commands to Redis over one connection, which reconnects by itself. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    manager: ConnectionManager,
    client: Client,
    prefix: String,
    url: Secret<String>,
    /// The last probe found nobody there: nothing else is tried until one does.
    is_away: Arc<AtomicBool>,
    pub round_trips: Family<Kind, Durations, fn() -> Durations>,
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
        let is_away = Arc::default();
        let round_trips = metrics::round_trips();
        Ok(Self { manager, client, prefix: prefix.to_owned(), url: url.clone(), is_away, round_trips })
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
        self.must_be_there()?;
        self.timed("command", command.query_async(&mut self.manager.clone())).await
    }

    pub async fn pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T> {
        self.must_be_there()?;
        self.timed("pipeline", pipeline.query_async(&mut self.manager.clone())).await
    }

    pub async fn script<T: FromRedisValue>(&self, invocation: &ScriptInvocation<'_>) -> Result<T> {
        self.must_be_there()?;
        self.timed("script", invocation.invoke_async(&mut self.manager.clone())).await
    }

    async fn timed<T>(
        &self,
        kind: &'static str,
        round_trip: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T> {
        let begun = Instant::now();
        let outcome = round_trip.await;
        self.round_trips.get_or_create(&Kind { kind }).observe(begun.elapsed());
        outcome.map_err(unavailable)
    }

    /// Whether Redis is known to be away. Whoever asks it for anything is then refused at once, rather than after the
    /// time that a call may take.
    pub fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    pub fn must_be_there(&self) -> Result<()> {
        match self.is_away() {
            true => Err(Error::unavailable("redis", "it did not answer when it was last asked")),
            false => Ok(()),
        }
    }

    /// Writes a trifle, to learn whether Redis serves. To be asked again and again by one owner: what it finds decides
    /// whether other calls are tried at all.
    pub async fn probe(&self) -> Result<(), Trouble> {
        let millis = u64::try_from(PROBE_KEPT_FOR.as_millis()).unwrap_or(u64::MAX);
        let mut command = redis::cmd("SET");
        command.arg(self.key("probe")).arg("").arg("PX").arg(millis);
        let outcome: Result<(), RedisError> = command.query_async(&mut self.manager.clone()).await;
        let outcome = outcome.map_err(|error| trouble(&error));
        self.is_away.store(outcome == Err(Trouble::Unreachable), Ordering::Relaxed);
        outcome
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

    /// Tells those who listen on `channels` (names without the prefix) to look again.
    pub async fn wake(&self, channels: &[&str]) -> Result<()> {
        let mut pipe = redis::pipe();
        for channel in channels {
            pipe.cmd("PUBLISH").arg(self.key(channel)).arg("").ignore();
        }
        self.pipeline(&pipe).await
    }

    /// What the server does when its memory is full; none where it does not tell.
    pub async fn eviction_policy(&self) -> Result<Option<String>> {
        let answer: Vec<String> =
            self.command(redis::cmd("CONFIG").arg("GET").arg("maxmemory-policy")).await?;
        Ok(answer.into_iter().nth(1))
    }

    /// Whether the server writes down what it has; none where it does not tell.
    pub async fn is_persistent(&self) -> Result<Option<bool>> {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg("appendonly");
        let append_only: Vec<String> = self.command(&command).await?;
        Ok(append_only.get(1).map(|value| value == "yes"))
    }

    /// Names the server's present life; empty where it does not tell.
    pub async fn life(&self) -> Result<String> {
        let info: String = self.command(redis::cmd("INFO").arg("server")).await?;
        let id = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        Ok(id.unwrap_or_default().trim().to_owned())
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

/// A server that answers with an error is there; what it refuses is a write.
fn trouble(error: &RedisError) -> Trouble {
    let why = match error.code() {
        None => return Trouble::Unreachable,
        Some("OOM") => "out of memory",
        Some("READONLY") => "read-only",
        Some("MISCONF") => "it cannot save to its disk",
        Some("LOADING") => "it is loading its data",
        Some("NOREPLICAS") => "too few replicas",
        Some(code) => code,
    };
    Trouble::NoWrites(why.to_owned())
}

fn unavailable(error: RedisError) -> Error {
    Error::unavailable("redis", error)
}
