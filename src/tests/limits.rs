//! Limits: shared by servers, kept by each alone, and what the answers say of them.

use std::net::IpAddr;
use std::time::Duration;

use slipway::domain::limit::{Limit, Limits, Mode, Rule};
use slipway::domain::secret::Secret;
use slipway::metrics::{Counter, Family, Refused};
use slipway::redis::Redis;
use slipway::services::limits::{Limiter, Who};
use slipway::services::throttle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::redis::{Parts, until};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn limits(count: u32, mode: Mode) -> Limits {
    let limit = Limit { count, period: HOUR, mode };
    Limits { rules: Rule::ALL.map(|rule| (rule, Some(limit))).into(), shut_out_for: HOUR }
}

/// One of several servers.
fn server(redis: &Redis, count: u32, mode: Mode) -> (Limiter, DropGuard) {
    counting_server(redis, count, mode, Family::default())
}

fn counting_server(
    redis: &Redis,
    count: u32,
    mode: Mode,
    refused: Family<Refused, Counter>,
) -> (Limiter, DropGuard) {
    let shutdown = CancellationToken::new();
    let proxies = vec!["198.51.100.0/24".parse().unwrap()];
    let (limiter, sharing) =
        Limiter::new(limits(count, mode), proxies, redis.clone(), refused, shutdown.clone());
    tokio::spawn(sharing);
    (limiter, shutdown.drop_guard())
}

fn away() -> Redis {
    // Port 9 is `discard`, which nobody serves.
    let url = Secret::new("redis://127.0.0.1:9".to_owned());
    Redis::open(&url, "{limits}", Duration::from_secs(1)).unwrap()
}

fn ci() -> Who {
    Who::Actor("ci".to_owned())
}

fn is_admitted(limiter: &Limiter, who: Who) -> bool {
    limiter.admit(Rule::Queries, who, 1).is_none_or(|verdict| verdict.refused.is_none())
}

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// What one server admitted counts at the other, which alone would admit a thousand.
#[tokio::test]
async fn servers_share_a_limit_by_way_of_redis() {
    let parts = Parts::start().await;
    let (first, _first) = server(&parts.app.redis, 1_000, Mode::Enforce);
    let (second, _second) = server(&parts.app.redis, 1_000, Mode::Enforce);
    for _ in 0..1_000 {
        assert!(is_admitted(&first, ci()));
    }
    assert!(!is_admitted(&first, ci()));
    let mut admitted = 0;
    until("the second server knows", async || {
        let is_admitted = is_admitted(&second, ci());
        admitted += u32::from(is_admitted);
        !is_admitted
    })
    .await;
    assert!(admitted < 1_000, "{admitted}");
    assert!(is_admitted(&second, Who::Actor("other".to_owned())));
}

#[tokio::test]
async fn without_redis_each_server_limits_alone() {
    let (first, _first) = server(&away(), 3, Mode::Enforce);
    let (second, _second) = server(&away(), 3, Mode::Enforce);
    for limiter in [first, second] {
        let admitted: Vec<bool> = (0..4).map(|_| is_admitted(&limiter, ci())).collect();
        assert_eq!(admitted, [true, true, true, false]);
    }
}

#[tokio::test]
async fn a_dry_run_counts_whom_it_would_refuse_and_refuses_nobody() {
    let refused = Family::<Refused, Counter>::default();
    let (limiter, _guard) = counting_server(&away(), 2, Mode::DryRun, refused.clone());
    for _ in 0..5 {
        assert!(is_admitted(&limiter, ci()));
        assert!(limiter.strike(Rule::Probes, address("192.0.2.1")).is_none());
    }
    assert_eq!(limiter.shut_out(address("192.0.2.1")), None);
    for rule in ["queries", "probes"] {
        assert_eq!(refused.get_or_create(&Refused { rule, dry_run: true }).get(), 3, "{rule}");
        assert_eq!(refused.get_or_create(&Refused { rule, dry_run: false }).get(), 0, "{rule}");
    }
}

#[tokio::test]
async fn who_is_shut_out_by_one_server_is_by_all_and_proxies_and_this_machine_never_are() {
    let parts = Parts::start().await;
    let (first, _first) = server(&parts.app.redis, 2, Mode::Enforce);
    let (second, _second) = server(&parts.app.redis, 2, Mode::Enforce);
    for other in ["198.51.100.7", "127.0.0.1", "::1"] {
        for _ in 0..5 {
            assert!(first.strike(Rule::Probes, address(other)).is_none());
        }
        assert_eq!(first.shut_out(address(other)), None);
    }
    let struck =
        (0..4).map(|_| first.strike(Rule::Probes, address("2001:db8::1")).map(|verdict| verdict.is_news));
    assert_eq!(struck.collect::<Vec<_>>(), [None, None, Some(true), Some(false)]);
    assert!(first.shut_out(address("2001:db8::ffff")).is_some());
    until("the second server knows", async || second.shut_out(address("2001:db8::1")).is_some()).await;
    assert_eq!(second.shut_out(address("2001:db8:0:1::1")), None);
}

/// Ten attempts in all, whichever server is asked; a sign-in forgives them, at both.
#[tokio::test]
async fn attempts_on_an_account_count_for_all_servers() {
    let parts = Parts::start().await;
    let servers = [parts.app.clone(), parts.beside().await];
    for attempt in 0..10 {
        assert_eq!(throttle::attempt(&servers[attempt % 2], "ann").await, None, "{attempt}");
    }
    for server in &servers {
        assert!(throttle::attempt(server, "ann").await.is_some());
        assert_eq!(throttle::attempt(server, "bob").await, None);
    }
    throttle::succeeded(&servers[0], "ann").await;
    assert_eq!(throttle::attempt(&servers[1], "ann").await, None);
}

#[tokio::test]
async fn a_credential_that_was_good_is_known_and_no_other() {
    let (limiter, _guard) = server(&away(), 2, Mode::Enforce);
    limiter.remember("good");
    assert!(limiter.knows("good"));
    assert!(!limiter.knows("bad"));
}
