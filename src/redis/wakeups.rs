//! "Look again": notices that something has changed, over one subscription a process.
//!
//! A notice carries nothing and may be lost: whoever listens looks again by itself from time to time. What
//! it saves is the wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::redis::Redis;

const RECONNECT_DELAY: Duration = Duration::from_millis(200);

/// Changes of the set of channels that wait to be told to Redis. When it is full, listening waits.
const CHANGES_MAX: usize = 1_024;

type Channels = HashMap<String, Channel>;

#[derive(Debug)]
struct Channel {
    notices: watch::Sender<u64>,
    listeners: usize,
}

impl Channel {
    fn notify(&self) {
        self.notices.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// The channels that this process listens on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Wakeups {
    redis: Redis,
    channels: Arc<Mutex<Channels>>,
    changes: mpsc::Sender<String>,
}

/// Ends the interest in its channel when it is dropped.
#[derive(Debug)]
pub struct Listener {
    notices: watch::Receiver<u64>,
    key: String,
    wakeups: Wakeups,
}

impl Wakeups {
    /// The returned future keeps the subscription until `shutdown`; its owner runs it as a task.
    pub fn new(
        redis: Redis,
        shutdown: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (changes, changed) = mpsc::channel(CHANGES_MAX);
        let wakeups = Self { redis, channels: Arc::default(), changes };
        let subscription = wakeups.clone().run(changed, shutdown);
        (wakeups, subscription)
    }

    /// Listens on `channel`, a name without the prefix.
    pub async fn listen(&self, channel: &str) -> Listener {
        let key = self.redis.key(channel);
        let (notices, is_new) = {
            let mut channels = self.channels();
            let is_new = !channels.contains_key(&key);
            let channel = channels
                .entry(key.clone())
                .or_insert_with(|| Channel { notices: watch::Sender::new(0), listeners: 0 });
            channel.listeners += 1;
            (channel.notices.subscribe(), is_new)
        };
        // Made before anything is waited for: whoever gives up waiting takes the interest back.
        let listener = Listener { notices, key, wakeups: self.clone() };
        if is_new {
            self.tell(&listener.key).await;
        }
        listener
    }

    fn channels(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the subscription compare what Redis knows of `key` with what is wanted.
    async fn tell(&self, key: &str) {
        // A closed channel means that the process is stopping, when nobody waits for notices any more.
        let _ = self.changes.send(key.to_owned()).await;
    }

    async fn run(self, mut changed: mpsc::Receiver<String>, shutdown: CancellationToken) {
        let mut was_away = false;
        while !shutdown.is_cancelled() {
            let outcome = tokio::select! {
                () = shutdown.cancelled() => return,
                outcome = self.subscribe(&mut changed, &mut was_away) => outcome,
            };
            if let Err(error) = outcome
                && !was_away
            {
                tracing::warn!(%error, "Redis cannot be listened to: changes are noticed later until it is back");
                was_away = true;
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(RECONNECT_DELAY) => {}
            }
        }
    }

    async fn subscribe(
        &self,
        changed: &mut mpsc::Receiver<String>,
        was_away: &mut bool,
    ) -> Result<(), redis::RedisError> {
        let mut connecting = std::pin::pin!(self.redis.pubsub());
        let connection = loop {
            tokio::select! {
                connected = &mut connecting => break connected?,
                // A new connection begins with all that is wanted, so nobody has to wait until it is there.
                _ = changed.recv() => {}
            }
        };
        let (mut sink, mut messages) = connection.split();
        let wanted: Vec<String> = self.channels().keys().cloned().collect();
        for key in &wanted {
            sink.subscribe(key).await?;
        }
        // What happened while nobody listened was missed, so everybody looks again.
        self.channels().values().for_each(Channel::notify);
        if std::mem::take(was_away) {
            tracing::info!("Redis is listened to again");
        }
        loop {
            tokio::select! {
                message = messages.next() => {
                    let Some(message) = message else {
                        return Err(redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)));
                    };
                    if let Some(channel) = self.channels().get(message.get_channel_name()) {
                        channel.notify();
                    }
                }
                key = changed.recv() => {
                    let Some(key) = key else { return Ok(()) };
                    let is_wanted = self.channels().contains_key(&key);
                    if is_wanted {
                        sink.subscribe(&key).await?;
                        // What came between the caller's last look and this subscription was not noticed.
                        if let Some(channel) = self.channels().get(&key) {
                            channel.notify();
                        }
                    } else {
                        sink.unsubscribe(&key).await?;
                    }
                }
            }
        }
    }
}

impl Listener {
    /// Waits for a notice since the last call, at most for `patience`; whether there was one.
    pub async fn wait(&mut self, patience: Duration) -> bool {
        match tokio::time::timeout(patience, self.notices.changed()).await {
            Ok(Ok(())) => true,
            Err(_) => false,
            // The sender is gone, so only patience is left.
            Ok(Err(_)) => {
                tokio::time::sleep(patience).await;
                false
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut channels = self.wakeups.channels();
        let Some(channel) = channels.get_mut(&self.key) else { return };
        channel.listeners -= 1;
        if channel.listeners == 0 {
            channels.remove(&self.key);
            drop(channels);
            // When the queue is full the subscription stays until the connection is renewed: a few bytes.
            let _ = self.wakeups.changes.try_send(self.key.clone());
        }
    }
}
