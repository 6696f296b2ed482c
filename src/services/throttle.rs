//! How often an account may be tried, from wherever, counted in Redis for all servers. While Redis is away each server
//! counts for itself, and allows half. How often one address may try, `services/limits.rs` says.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::Script;
use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::error::Result;

const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Attempts in a window.
const ATTEMPTS_MAX: u64 = 10;
/// So many are counted by a server itself; when there are more, nobody further may try.
const LOCAL_MAX: usize = 10_000;

/// Counts an attempt, and gives how many there were and for how many milliseconds they still count.
static COUNT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local n = redis.call('INCR', KEYS[1])
        if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
        return {n, redis.call('PTTL', KEYS[1])}
        ",
    )
});

/// What this server counts for itself. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Attempts(Arc<Mutex<HashMap<String, (Instant, u64)>>>);

impl Attempts {
    fn count(&self, name: &str) -> (u64, Duration) {
        let now = Instant::now();
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if LOCAL_MAX <= counted.len() {
            counted.retain(|_, (ends_at, _)| now < *ends_at);
        }
        if LOCAL_MAX <= counted.len() && !counted.contains_key(name) {
            return (u64::MAX, WINDOW);
        }
        let entry = counted.entry(name.to_owned()).or_insert((now + WINDOW, 0));
        if entry.0 <= now {
            *entry = (now + WINDOW, 0);
        }
        entry.1 += 1;
        (entry.1, entry.0 - now)
    }

    fn forget(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// Counts an attempt; how long to wait if there were too many.
pub async fn attempt(app: &App, login: &str) -> Option<Duration> {
    let name = of_account(login);
    let (count, wait, max) = match count(app, &name).await {
        Ok((count, wait)) => (count, wait, ATTEMPTS_MAX),
        Err(_) => {
            let (count, wait) = app.sign_ins.count(&name);
            (count, wait, ATTEMPTS_MAX / 2)
        }
    };
    (max < count).then_some(wait)
}

/// Somebody has signed in to the account: what was tried before does not count against them.
pub async fn succeeded(app: &App, login: &str) {
    let name = of_account(login);
    app.sign_ins.forget(&name);
    let key = app.redis.key(&name);
    if let Err(error) = app.redis.command::<()>(redis::cmd("DEL").arg(key)).await {
        tracing::debug!(error = error.chain(), "Attempts to sign in are still counted");
    }
}

async fn count(app: &App, name: &str) -> Result<(u64, Duration)> {
    let mut invocation = COUNT.key(app.redis.key(name));
    invocation.arg(u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX));
    let (count, millis): (u64, i64) = app.redis.script(&invocation).await?;
    Ok((count, Duration::from_millis(u64::try_from(millis).unwrap_or(0))))
}

/// By a hash: a login is anything that somebody typed, and Redis need not hold it.
fn of_account(login: &str) -> String {
    let hash = Sha256::digest(login.as_bytes());
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("sign-in:account:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_by_itself_counts_each_name_and_bounds_how_many() {
        let attempts = Attempts::default();
        assert_eq!([attempts.count("a").0, attempts.count("a").0, attempts.count("b").0], [1, 2, 1]);
        attempts.forget("a");
        assert_eq!(attempts.count("a").0, 1);
        for index in 0..LOCAL_MAX {
            attempts.count(&format!("n{index}"));
        }
        assert_eq!(attempts.count("one more").0, u64::MAX);
        assert_eq!(attempts.count("b").0, 2);
    }
}
