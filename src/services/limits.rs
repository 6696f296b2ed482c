//! How much each caller may ask for, and who is shut out for a while.
//!
//! A process decides by itself and at once, by what it knows. What was used is told to Redis every [`SHARE_INTERVAL`],
//! and what others have used learnt from it. So a request never waits for Redis, and without it each server limits
//! alone; with it, several servers together admit at most what one does, and beside it what each admits until it has
//! heard of the others.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::domain::limit::{Left, Limit, Limits, Mode, Rule, Used, client_of};
use crate::domain::token::Actor;
use crate::metrics::{Counter, Family, Refused};
use crate::redis::Redis;

mod shared;

/// Callers that are told apart, all rules together. Further ones count as one until others are forgotten.
const CALLERS_MAX: usize = 100_000;
/// Addresses that are shut out at a time; a further one is not.
const SHUT_OUT_MAX: usize = 10_000;
/// Credentials that were good, and for how long they are remembered.
const KNOWN_MAX: usize = 10_000;
const KNOWN_FOR: Duration = Duration::from_secs(60 * 60);
const SHARE_INTERVAL: Duration = Duration::from_millis(100);

/// Whose use is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    /// By the name that stands as the author of what they do.
    Actor(String),
    Address(IpAddr),
    /// Everybody for whom there is no room.
    Others,
}

impl Who {
    /// None for those who are not counted: the admin token, and whoever asks from inside.
    pub fn asks(actor: Option<&Actor>, ip: Option<IpAddr>) -> Option<Self> {
        match actor {
            Some(actor) if actor.token.is_none() => None,
            Some(actor) => Some(Self::Actor(actor.name.clone())),
            None => ip.map(client_of).map(Self::Address),
        }
    }
}

/// What became of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub rule: Rule,
    pub limit: Limit,
    pub left: Left,
    /// How long to wait; none: it is admitted.
    pub refused: Option<Duration>,
    /// Whether it is the first of its caller beyond the limit for a while.
    pub is_news: bool,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Limiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    /// Whose addresses stand for many.
    proxies: Vec<IpNet>,
    began: Instant,
    callers: Mutex<Callers>,
    shut_out: Mutex<ShutOut>,
    known: Mutex<HashMap<u64, Instant>>,
    hasher: RandomState,
    refused: Family<Refused, Counter>,
    used: Notify,
}

#[derive(Debug, Default)]
struct Callers {
    of: HashMap<(Rule, Who), Caller>,
    /// Those whose use the others do not know yet.
    unshared: Vec<(Rule, Who)>,
}

#[derive(Debug, Default)]
struct Caller {
    used: Used,
    unshared: u64,
    told_until: u64,
}

#[derive(Debug, Default)]
struct ShutOut {
    until: HashMap<IpAddr, Instant>,
    unshared: Vec<IpAddr>,
}

impl Limiter {
    /// With it what shares its knowledge, to be run until `shutdown`.
    pub fn new(
        limits: Limits,
        proxies: Vec<IpNet>,
        redis: Redis,
        refused: Family<Refused, Counter>,
        shutdown: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let limiter = Self(Arc::new(Inner {
            limits,
            proxies,
            began: Instant::now(),
            callers: Mutex::default(),
            shut_out: Mutex::default(),
            known: Mutex::default(),
            hasher: RandomState::new(),
            refused,
            used: Notify::new(),
        }));
        (limiter.clone(), shared::share(limiter, redis, shutdown))
    }

    /// Counts `count` for `who`; none where the rule is off.
    pub fn admit(&self, rule: Rule, who: Who, count: u32) -> Option<Verdict> {
        let limit = self.0.limits.of(rule)?;
        let now = self.now();
        let mut callers = self.callers();
        let mut key = (rule, who);
        if CALLERS_MAX <= callers.of.len() && !callers.of.contains_key(&key) {
            key.1 = Who::Others;
        }
        let Callers { of, unshared } = &mut *callers;
        let caller = of.entry(key.clone()).or_default();
        match limit.take(&mut caller.used, now, count) {
            Ok(left) => {
                if caller.unshared == 0 {
                    unshared.push(key);
                    self.0.used.notify_one();
                }
                caller.unshared = caller.unshared.saturating_add(limit.cost(count));
                Some(Verdict { rule, limit, left, refused: None, is_news: false })
            }
            Err(wait) => {
                let is_news = caller.told_until <= now;
                if is_news {
                    caller.told_until = now.saturating_add(limit.micros());
                }
                let left = limit.left(caller.used, now);
                drop(callers);
                let dry_run = limit.mode == Mode::DryRun;
                self.0.refused.get_or_create(&Refused { rule: rule.as_str(), dry_run }).inc();
                let refused = (limit.mode == Mode::Enforce).then_some(wait);
                Some(Verdict { rule, limit, left, refused, is_news })
            }
        }
    }

    /// Notes that an address did what only attackers do. Beyond the limit it is shut out: the verdict says so once.
    pub fn strike(&self, rule: Rule, address: Option<IpAddr>) -> Option<Verdict> {
        let address = address.filter(|address| self.may_be_shut_out(*address)).map(client_of)?;
        let verdict = self.admit(rule, Who::Address(address), 1)?;
        verdict.refused?;
        let until = Instant::now() + self.0.limits.shut_out_for;
        let mut shut_out = lock(&self.0.shut_out);
        let is_new = !shut_out.until.contains_key(&address);
        if is_new && shut_out.until.len() < SHUT_OUT_MAX {
            shut_out.until.insert(address, until);
            shut_out.unshared.push(address);
            self.0.used.notify_one();
        }
        Some(Verdict { is_news: is_new, ..verdict })
    }

    /// For how long an address is still shut out.
    pub fn shut_out(&self, address: Option<IpAddr>) -> Option<Duration> {
        let address = address?;
        let until = *lock(&self.0.shut_out).until.get(&client_of(address))?;
        until.checked_duration_since(Instant::now()).filter(|_| self.may_be_shut_out(address))
    }

    /// Remembers a credential that was good: it opens what it opened, wherever it comes from.
    pub fn remember(&self, credential: &str) {
        let mark = self.0.hasher.hash_one(credential);
        let now = Instant::now();
        let mut known = lock(&self.0.known);
        if KNOWN_MAX <= known.len() && !known.contains_key(&mark) {
            known.retain(|_, at| now.duration_since(*at) < KNOWN_FOR);
            if KNOWN_MAX <= known.len() {
                return;
            }
        }
        known.insert(mark, now);
    }

    pub fn knows(&self, credential: &str) -> bool {
        let mark = self.0.hasher.hash_one(credential);
        lock(&self.0.known).get(&mark).is_some_and(|at| at.elapsed() < KNOWN_FOR)
    }

    /// A proxy that nobody has named is most often on this machine, and stands for everybody.
    fn may_be_shut_out(&self, address: IpAddr) -> bool {
        !address.is_loopback() && !self.0.proxies.iter().any(|proxy| proxy.contains(&address))
    }

    /// Microseconds since the start.
    fn now(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn callers(&self) -> MutexGuard<'_, Callers> {
        lock(&self.0.callers)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
