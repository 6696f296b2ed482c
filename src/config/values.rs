//! The forms that values have: durations, sizes, addresses. Each parser says what it expects.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use crate::config::OnShutdown;
use crate::domain::limit::{Limit, Mode};
use crate::domain::secret::Secret;

/// What was expected in place of a value.
pub(super) type Expected<T> = Result<T, String>;

/// The longest duration that makes sense here. It also keeps sums of durations far from their limits.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// `500ms`, `10s`, `5m`, `1h`, `2d`.
pub(super) fn duration(text: &str) -> Expected<Duration> {
    let expected = || "a duration of up to a year, such as 500ms, 10s, 5m, 1h or 2d".to_owned();
    let (number, unit) = number_and_unit(text).ok_or_else(expected)?;
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(expected()),
    };
    let millis = number.checked_mul(millis_per_unit).ok_or_else(expected)?;
    let duration = Duration::from_millis(millis);
    if DURATION_MAX < duration { Err(expected()) } else { Ok(duration) }
}

/// A duration that is not zero.
pub(super) fn some_time(text: &str) -> Expected<Duration> {
    match duration(text)? {
        Duration::ZERO => Err("a duration above zero, such as 10s".to_owned()),
        duration => Ok(duration),
    }
}

/// How old something may grow: in days, up to ten years; shorter ones for trying it out.
pub(super) fn age(text: &str) -> Expected<Duration> {
    const DAYS_MAX: u64 = 3_660;
    let days = number_and_unit(text).filter(|(_, unit)| *unit == "d").map(|(days, _)| days);
    match days {
        Some(days @ 1..=DAYS_MAX) => Ok(Duration::from_secs(days * 86_400)),
        Some(_) => Err("1d to 3660d".to_owned()),
        None => some_time(text),
    }
}

/// As [`age`]; none: `forever`.
pub(super) fn age_or_forever(text: &str) -> Expected<Option<Duration>> {
    match text {
        "forever" => Ok(None),
        text => age(text).map(Some).map_err(|expected| format!("{expected}, or forever")),
    }
}

/// `100B`, `64KiB`, `8MiB`, `1GiB`, within bounds in bytes.
pub(super) fn size(text: &str, min: u64, max: u64) -> Expected<u64> {
    let expected = || format!("a size from {} to {}, such as 64KiB", size_text(min), size_text(max));
    let (number, unit) = number_and_unit(text).ok_or_else(expected)?;
    let bytes_per_unit = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(expected()),
    };
    match number.checked_mul(bytes_per_unit) {
        Some(bytes) if (min..=max).contains(&bytes) => Ok(bytes),
        _ => Err(expected()),
    }
}

/// As `size` reads it.
pub fn size_text(bytes: u64) -> String {
    for (unit, bytes_per_unit) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if 0 < bytes && bytes.is_multiple_of(bytes_per_unit) {
            return format!("{}{unit}", bytes / bytes_per_unit);
        }
    }
    format!("{bytes}B")
}

/// `600/1m`, `600/1m dry_run`, `off`.
pub(super) fn limit(text: &str) -> Expected<Option<Limit>> {
    if text == "off" {
        return Ok(None);
    }
    let expected =
        || "a number and a duration such as 600/1m, perhaps with dry_run after it, or off".to_owned();
    let (rate, mode) = match text.strip_suffix(" dry_run") {
        Some(rate) => (rate, Mode::DryRun),
        None => (text, Mode::Enforce),
    };
    let (count, period) = rate.split_once('/').ok_or_else(expected)?;
    let count = number(count, 1, 1_000_000_000).map_err(|_| expected())?;
    let period = some_time(period).map_err(|_| expected())?;
    Ok(Some(Limit { count, period, mode }))
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// A whole number within bounds.
pub(super) fn number<T: FromStr + PartialOrd + Display>(text: &str, min: T, max: T) -> Expected<T> {
    match text.parse() {
        Ok(number) if min <= number && number <= max => Ok(number),
        _ => Err(format!("a whole number from {min} to {max}")),
    }
}

pub(super) fn switch(text: &str) -> Expected<bool> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

pub(super) fn address(text: &str) -> Expected<SocketAddr> {
    let text = text.replacen("localhost:", "127.0.0.1:", 1);
    text.parse().map_err(|_| "an address and a port, such as 127.0.0.1:3001 or [::]:3001".to_owned())
}

/// Made absolute, since steps and supervisors have working directories of their own.
pub(super) fn path(text: &str) -> Expected<PathBuf> {
    std::path::absolute(text).map_err(|_| "a path".to_owned())
}

pub(super) fn text(text: &str) -> Expected<String> {
    Ok(text.to_owned())
}

pub(super) fn public_url(text: &str) -> Expected<String> {
    let expected = || "an address such as https://ci.example.com, without user, query or fragment".to_owned();
    let url = Url::parse(text).map_err(|_| expected())?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_plain { Ok(text.trim_end_matches('/').to_owned()) } else { Err(expected()) }
}

/// Pings may not be so rare that no proxy would wait for them, nor so frequent that idle streams cost much.
pub(super) fn stream_ping(text: &str) -> Expected<Duration> {
    let (min, max) = (Duration::from_millis(100), Duration::from_secs(5 * 60));
    duration(text)
        .ok()
        .filter(|ping| (min..=max).contains(ping))
        .ok_or_else(|| "a duration from 100ms to 5m, such as 15s".to_owned())
}

/// Addresses and networks: `10.0.0.0/8`, `::1`.
pub(super) fn networks(texts: &[String]) -> Expected<Vec<IpNet>> {
    let network = |text: &String| {
        text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
            format!("addresses or networks such as 127.0.0.1 or 10.0.0.0/8, which {text:?} is not")
        })
    };
    let networks = texts.iter().map(network).collect::<Expected<Vec<_>>>()?;
    match networks.iter().find(|network| network.prefix_len() == 0) {
        // It would let everybody claim any address.
        Some(all) => Err(format!("the addresses of proxies, not {all}, which is everybody")),
        None => Ok(networks),
    }
}

/// Origins as browsers send them. `*` is none: an exact list costs nothing, and a token that somebody pastes into a
/// stranger's page is then worth nothing there.
pub(super) fn origins(texts: &[String]) -> Expected<Vec<String>> {
    let origin = |text: &String| {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        match url.map(|url| url.origin().ascii_serialization()) {
            Some(origin) if origin == *text => Ok(origin),
            Some(origin) if format!("{origin}/") == *text => Ok(origin),
            Some(origin) => {
                Err(format!("origins without a path, as browsers send them: {origin}, not {text}"))
            }
            None => Err(format!("origins such as https://app.example.com, each by its name, not {text:?}")),
        }
    };
    texts.iter().map(origin).collect()
}

/// A short one is taken, since it is the operator's to choose; `slipway doctor` warns of it.
pub(super) fn admin_token(text: &str) -> Expected<Secret<String>> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Secret::new(text.to_owned()))
    } else {
        Err("visible ASCII characters, without blanks".to_owned())
    }
}

pub(super) fn database_url(text: &str) -> Expected<Secret<String>> {
    let expected = || "postgres://user:password@host/database or sqlite:///path/to/file".to_owned();
    // `sqlite:file.db` and `sqlite::memory:` have no host, which is why only the scheme is looked at.
    let is_sqlite = text.starts_with("sqlite:");
    let is_postgres = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "postgres" | "postgresql"));
    if is_sqlite || is_postgres { Ok(Secret::new(text.to_owned())) } else { Err(expected()) }
}

pub(super) fn redis_url(text: &str) -> Expected<Secret<String>> {
    let schemes = ["redis", "rediss", "redis+unix", "unix"];
    match Url::parse(text) {
        Ok(url) if schemes.contains(&url.scheme()) => Ok(Secret::new(text.to_owned())),
        _ => Err("redis://user:password@host:6379/0, or rediss://… for TLS".to_owned()),
    }
}

pub(super) fn redis_prefix(text: &str) -> Expected<String> {
    let inside = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match inside {
        Some(name) if (1..=64).contains(&name.len()) && name.bytes().all(is_allowed) => Ok(text.to_owned()),
        _ => Err("a name in braces, of 1 to 64 letters, digits, -, _ or ., such as {slipway}".to_owned()),
    }
}

pub(super) fn object_store(text: &str) -> Expected<String> {
    let expected = || "a directory, or file:///path".to_owned();
    if let Some(path) = text.strip_prefix("file://") {
        return if path.starts_with('/') { Ok(text.to_owned()) } else { Err(expected()) };
    }
    if text.contains("://") {
        return Err(expected());
    }
    let path = path(text)?;
    path.into_os_string().into_string().map_err(|_| expected())
}

pub(super) fn on_shutdown(text: &str) -> Expected<OnShutdown> {
    match text {
        "leave" => Ok(OnShutdown::Leave),
        "wait" => Ok(OnShutdown::Wait),
        "cancel" => Ok(OnShutdown::Cancel),
        _ => Err("leave, wait or cancel".to_owned()),
    }
}

pub(super) fn trace_filter(text: &str) -> Expected<String> {
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("a level such as info, or levels by module such as slipway=debug,warn".to_owned()),
    }
}

/// Names of environment variables that may be handed to steps.
pub(super) fn variable_names(names: &[String]) -> Expected<Vec<String>> {
    for name in names {
        let is_name = !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return Err("names of environment variables, of letters, digits and _".to_owned());
        }
        if matches!(name.as_str(), "DATABASE_URL" | "REDIS_URL") || name.starts_with("SLIPWAY_") {
            return Err(format!("no name of the server's own settings, which {name} is"));
        }
    }
    Ok(names.to_vec())
}

/// Hosts as `domain::repository` compares them.
pub(super) fn repository_hosts(names: &[String]) -> Expected<Vec<String>> {
    for name in names {
        let host = name.strip_prefix("*.").unwrap_or(name);
        if host.is_empty() || host.contains(['*', '/', '@', ' ']) || host != host.to_ascii_lowercase() {
            return Err("hosts in small letters such as git.example.com, *.example.com, or local".to_owned());
        }
    }
    Ok(names.to_vec())
}

/// An address with its password, if it has one, hidden.
pub(super) fn without_password(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return "***".to_owned() };
    let hides_in_query = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.contains("password") || name.contains("secret") || name.contains("token")
    };
    if url.query_pairs().any(|(name, _)| hides_in_query(&name)) {
        url.set_query(Some("***"));
    }
    if url.password().is_some() && url.set_password(Some("***")).is_err() {
        return "***".to_owned();
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        for (text, millis) in
            [("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("0s", 0), ("2d", 172_800_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in
            ["", "10", "s", "-1s", "1.5h", "10 parsecs", "99999999999999999999s", "999999999d", "400d"]
        {
            assert!(duration(text).unwrap_err().contains("10s"), "{text}");
        }
        assert!(some_time("0ms").is_err());
    }

    #[test]
    fn a_limit_is_a_number_in_a_time_or_off() {
        let minute = Duration::from_secs(60);
        assert_eq!(limit("6/1m"), Ok(Some(Limit { count: 6, period: minute, mode: Mode::Enforce })));
        assert_eq!(limit("6/1m dry_run"), Ok(Some(Limit { count: 6, period: minute, mode: Mode::DryRun })));
        assert_eq!(limit("off"), Ok(None));
        for text in ["", "6", "0/1m", "6/0s", "6/m", "-6/1m", "6/1m log", "6/1m dry_run dry_run", "dry_run"] {
            assert!(limit(text).unwrap_err().contains("600/1m"), "{text}");
        }
    }

    #[test]
    fn a_size_has_a_number_and_a_binary_unit_and_keeps_its_bounds() {
        assert_eq!(size("64KiB", 1, 1 << 20), Ok(65_536));
        assert_eq!(size("1GiB", 1, 1 << 40), Ok(1 << 30));
        for text in ["64", "64KB", "64kib", "2MiB", "0B", "99999999999999999GiB"] {
            assert_eq!(
                size(text, 1, 1 << 20).unwrap_err(),
                "a size from 1B to 1MiB, such as 64KiB",
                "{text}"
            );
        }
        assert_eq!(size_text(0), "0B");
        assert_eq!(size_text(3 << 20), "3MiB");
    }

    #[test]
    fn a_password_in_an_address_is_hidden_wherever_it_stands() {
        assert_eq!(without_password("postgres://me:hunter2@db/ci"), "postgres://me:***@db/ci");
        assert_eq!(without_password("redis://:hunter2@cache:6379/0"), "redis://:***@cache:6379/0");
        assert_eq!(without_password("postgres://db/ci?user=me&password=hunter2"), "postgres://db/ci?***");
        assert_eq!(without_password("hunter2"), "***");
        assert_eq!(without_password("postgres://db/ci"), "postgres://db/ci");
    }

    #[test]
    fn an_origin_is_named_exactly_and_a_star_is_none() {
        let read = |text: &str| origins(&[text.to_owned()]);
        assert_eq!(read("https://app.example.com").unwrap(), ["https://app.example.com"]);
        assert_eq!(read("http://localhost:5173/").unwrap(), ["http://localhost:5173"]);
        for text in ["*", "null", "app.example.com", "ftp://a.example", "https://*.example.com/x"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("https://app.example.com/page").unwrap_err().contains("https://app.example.com, not"));
        assert!(read("HTTPS://App.example.com:443").unwrap_err().contains("https://app.example.com, not"));
    }

    #[test]
    fn proxies_are_addresses_or_networks_and_never_everybody() {
        let read = |text: &str| networks(&[text.to_owned()]);
        assert_eq!(read("127.0.0.1").unwrap()[0].to_string(), "127.0.0.1/32");
        assert_eq!(read("fd00::/8").unwrap()[0].to_string(), "fd00::/8");
        for text in ["0.0.0.0/0", "::/0", "proxy.example", "10.0.0.0/33", ""] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn steps_are_never_handed_the_settings_of_the_server() {
        assert!(variable_names(&["HTTP_PROXY".to_owned()]).is_ok());
        for name in ["DATABASE_URL", "SLIPWAY_ADMIN_TOKEN", "", "1A", "A-B", "A=B"] {
            assert!(variable_names(&[name.to_owned()]).is_err(), "{name}");
        }
    }
}
