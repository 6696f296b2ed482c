//! What several servers know of each other's callers, by way of Redis.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use redis::Script;
use tokio_util::sync::CancellationToken;

use super::{Limiter, Rule, SHARE_INTERVAL, SHUT_OUT_MAX, Who, lock};
use crate::error::Result;
use crate::redis::Redis;

/// Callers that are told of in one call.
const CALLERS_AT_ONCE_MAX: usize = 500;
/// How often a server looks for what others have shut out, and forgets callers that have used nothing for long.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Adds what was used (ARGV: microseconds, and at most how many, for each key) and answers how much of each is used by
/// all. The clock is that of Redis.
static USE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local used = {}
        for i, key in ipairs(KEYS) do
            local until_ = math.max(tonumber(redis.call('GET', key) or '0'), now) + tonumber(ARGV[2 * i - 1])
            until_ = math.min(until_, now + tonumber(ARGV[2 * i]))
            redis.call('SET', key, string.format('%.0f', until_), 'PX', math.ceil((until_ - now) / 1000) + 1)
            used[i] = until_ - now
        end
        return used
        ",
    )
});

/// Adds addresses (ARGV[3…]) that are shut out for ARGV[1] milliseconds, at most ARGV[2] in all, and answers all that
/// are, each with its milliseconds.
static SHUT_OUT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
        local room = tonumber(ARGV[2]) - redis.call('ZCARD', KEYS[1])
        for i = 3, #ARGV do
            if room > 0 then
                room = room - redis.call('ZADD', KEYS[1], 'NX', now + tonumber(ARGV[1]), ARGV[i])
            end
        end
        local all = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
        for i = 2, #all, 2 do all[i] = string.format('%.0f', tonumber(all[i]) - now) end
        return all
        ",
    )
});

/// Tells and learns until `shutdown`. What cannot be told is not told later: it is given back in time anyway.
pub(super) async fn share(limiter: Limiter, redis: Redis, shutdown: CancellationToken) {
    let shuts_out = [Rule::Probes, Rule::Guesses].iter().any(|rule| limiter.0.limits.of(*rule).is_some());
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let sharing = async {
        loop {
            let is_time = tokio::select! {
                _ = look.tick() => true,
                () = limiter.0.used.notified() => {
                    tokio::time::sleep(SHARE_INTERVAL).await;
                    false
                }
            };
            if is_time {
                limiter.forget_idle();
            }
            let mut outcome = limiter.share_use(&redis).await;
            if shuts_out && (is_time || limiter.has_news_of_shut_out()) {
                outcome = outcome.and(limiter.share_shut_out(&redis).await);
            }
            if let Err(error) = outcome {
                // That Redis is away is said by those who need it.
                tracing::debug!(error = error.chain(), "Limits are those of this server alone");
            }
        }
    };
    let _ = shutdown.run_until_cancelled(sharing).await;
}

impl Limiter {
    fn forget_idle(&self) {
        let now = self.now();
        self.callers().of.retain(|_, caller| now < caller.used.until.max(caller.told_until));
        let instant = Instant::now();
        lock(&self.0.shut_out).until.retain(|_, until| instant < *until);
    }

    fn has_news_of_shut_out(&self) -> bool {
        !lock(&self.0.shut_out).unshared.is_empty()
    }

    async fn share_use(&self, redis: &Redis) -> Result<()> {
        let told = self.take_unshared();
        for some in told.chunks(CALLERS_AT_ONCE_MAX) {
            let mut call = USE.prepare_invoke();
            for ((rule, who), cost, most) in some {
                call.key(redis.key(&name(*rule, who)));
                call.arg(*cost).arg(*most);
            }
            let used: Vec<u64> = redis.script(&call).await?;
            let now = self.now();
            let mut callers = self.callers();
            for ((key, _, _), used) in some.iter().zip(used) {
                if let Some(caller) = callers.of.get_mut(key) {
                    caller.used.until = caller.used.until.max(now.saturating_add(used));
                }
            }
        }
        Ok(())
    }

    fn take_unshared(&self) -> Vec<((Rule, Who), u64, u64)> {
        let mut callers = self.callers();
        let keys = std::mem::take(&mut callers.unshared);
        let told = keys.into_iter().filter_map(|key| {
            let most = self.0.limits.of(key.0)?.micros();
            let cost = std::mem::take(&mut callers.of.get_mut(&key)?.unshared);
            Some((key, cost, most))
        });
        told.collect()
    }

    async fn share_shut_out(&self, redis: &Redis) -> Result<()> {
        let news = std::mem::take(&mut lock(&self.0.shut_out).unshared);
        let millis = u64::try_from(self.0.limits.shut_out_for.as_millis()).unwrap_or(u64::MAX);
        let mut call = SHUT_OUT.key(redis.key("shut-out"));
        call.arg(millis).arg(SHUT_OUT_MAX);
        for address in news {
            call.arg(address.to_string());
        }
        let all: Vec<(String, u64)> = redis.script(&call).await?;
        let now = Instant::now();
        let mut shut_out = lock(&self.0.shut_out);
        for (address, millis) in all {
            let Ok(address) = address.parse::<IpAddr>() else { continue };
            if shut_out.until.len() < SHUT_OUT_MAX {
                shut_out.until.entry(address).or_insert(now + Duration::from_millis(millis));
            }
        }
        Ok(())
    }
}

/// Where a caller's use is kept.
fn name(rule: Rule, who: &Who) -> String {
    let rule = rule.as_str();
    match who {
        Who::Actor(name) => format!("limit:{rule}:actor:{name}"),
        Who::Address(address) => format!("limit:{rule}:address:{address}"),
        Who::Others => format!("limit:{rule}:others"),
    }
}
