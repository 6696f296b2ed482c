//! How much one caller may ask for: rates, what is done beyond them, and the bookkeeping of one of them.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// What is counted, each for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    SignIn,
    Queries,
    Mutations,
    Streams,
    Downloads,
    Webhooks,
    /// Requests for what only attackers look for; beyond it, the address is shut out.
    Probes,
    /// Tokens that nobody gave; beyond it, the address is shut out.
    Guesses,
}

impl Rule {
    pub const ALL: [Self; 8] = [
        Self::SignIn,
        Self::Queries,
        Self::Mutations,
        Self::Streams,
        Self::Downloads,
        Self::Webhooks,
        Self::Probes,
        Self::Guesses,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Queries => "queries",
            Self::Mutations => "mutations",
            Self::Streams => "streams",
            Self::Downloads => "downloads",
            Self::Webhooks => "webhooks",
            Self::Probes => "probes",
            Self::Guesses => "guesses",
        }
    }
}

/// What happens to whoever is beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Enforce,
    /// It is counted and logged, and nothing else.
    DryRun,
}

/// So many in so long, at once or spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub count: u32,
    pub period: Duration,
    pub mode: Mode,
}

/// All that is set. A rule without a limit is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub rules: Vec<(Rule, Option<Limit>)>,
    pub shut_out_for: Duration,
}

impl Limits {
    pub fn of(&self, rule: Rule) -> Option<Limit> {
        self.rules.iter().find(|(known, _)| *known == rule).and_then(|(_, limit)| *limit)
    }
}

/// What is left to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    pub count: u32,
    /// Until all of it is there again.
    pub reset: Duration,
}

/// What one caller has used, by the generic cell rate algorithm: one instant, at which all is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Microseconds of whichever clock is asked.
    pub until: u64,
}

impl Limit {
    /// What one of them costs, in microseconds.
    pub fn cost(&self, count: u32) -> u64 {
        // More than all at once could never be had.
        self.micros() / u64::from(self.count.max(1)) * u64::from(count.min(self.count))
    }

    pub fn micros(&self) -> u64 {
        u64::try_from(self.period.as_micros()).unwrap_or(u64::MAX / 4)
    }

    /// Takes `count` at `now`, in microseconds, or says how long to wait for them.
    ///
    /// # Errors
    ///
    /// They are not there. Nothing is taken then.
    pub fn take(&self, used: &mut Used, now: u64, count: u32) -> Result<Left, Duration> {
        let until = used.until.max(now).saturating_add(self.cost(count));
        let over = until.saturating_sub(now).saturating_sub(self.micros());
        if 0 < over {
            return Err(Duration::from_micros(over));
        }
        used.until = until;
        Ok(self.left(*used, now))
    }

    pub fn left(&self, used: Used, now: u64) -> Left {
        let debt = used.until.saturating_sub(now);
        let free = self.micros().saturating_sub(debt) / self.cost(1).max(1);
        Left {
            count: u32::try_from(free).unwrap_or(u32::MAX).min(self.count),
            reset: Duration::from_micros(debt),
        }
    }
}

/// Who counts as one client: whoever has one IPv6 address has the 2^64 beside it.
pub fn client_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;
    const TEN: Limit = Limit { count: 10, period: Duration::from_secs(10), mode: Mode::Enforce };

    #[test]
    fn a_burst_takes_all_at_once_and_it_comes_back_one_by_one() {
        let mut used = Used::default();
        for left in (0..10).rev() {
            assert_eq!(TEN.take(&mut used, 5 * SECOND, 1).unwrap().count, left);
        }
        assert_eq!(TEN.take(&mut used, 5 * SECOND, 1), Err(Duration::from_secs(1)));
        assert_eq!(TEN.take(&mut used, 6 * SECOND, 1).unwrap().count, 0);
        assert!(TEN.take(&mut used, 6 * SECOND, 1).is_err());
        let Left { count, reset } = TEN.left(used, 6 * SECOND);
        assert_eq!((count, reset), (0, Duration::from_secs(10)));
        assert_eq!(TEN.take(&mut used, 60 * SECOND, 3).unwrap().count, 7);
    }

    #[test]
    fn who_is_refused_pays_nothing_for_it() {
        let mut used = Used::default();
        TEN.take(&mut used, 0, 8).unwrap();
        for _ in 0..100 {
            assert_eq!(TEN.take(&mut used, 0, 3), Err(Duration::from_secs(1)));
        }
        assert_eq!(TEN.take(&mut used, 0, 2).unwrap().count, 0);
    }

    #[test]
    fn a_batch_above_the_limit_costs_all_of_it_and_can_be_had() {
        assert_eq!(TEN.take(&mut Used::default(), 0, 1_000).unwrap().count, 0);
    }

    #[test]
    fn neighbours_in_ipv6_are_one_client() {
        let of = |text: &str| client_of(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
    }
}
