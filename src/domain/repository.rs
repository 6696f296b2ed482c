//! Which machines a repository may be fetched from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

/// Paths and `file://` addresses, in the list of allowed hosts.
const LOCAL: &str = "local";
/// Where clouds give a machine's credentials to whoever asks from it, by name.
const METADATA_NAMES: &[&str] = &["metadata", "metadata.google.internal", "instance-data"];

/// Checks a repository that has passed `text::repository`. `allowed`: host names, `*.example.com` for all below one,
/// `local` for paths; empty for all but the addresses that a machine has for itself alone.
///
/// # Errors
///
/// What the caller is told.
pub fn check(allowed: &[String], repository: &str) -> Result<(), String> {
    let Some(host) = host(repository) else {
        return match allowed.is_empty() || allowed.iter().any(|one| one == LOCAL) {
            true => Ok(()),
            false => Err(refusal("paths of the machine that runs the steps")),
        };
    };
    let name = match Host::parse(host) {
        Ok(Host::Domain(name)) => Host::Domain(name.trim_end_matches('.').to_ascii_lowercase()),
        Ok(address) => address,
        Err(_) => return Err("must name a host".to_owned()),
    };
    let text = match &name {
        Host::Domain(name) => name.clone(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    if allowed.is_empty() {
        return if is_of_the_machine_alone(&name) { Err(refusal(&text)) } else { Ok(()) };
    }
    let is_allowed = allowed.iter().any(|one| match one.strip_prefix('*') {
        Some(suffix) => text.strip_suffix(suffix).is_some_and(|below| !below.is_empty()),
        None => one.trim_matches(['[', ']']) == text,
    });
    if is_allowed { Ok(()) } else { Err(refusal(&text)) }
}

fn refusal(what: &str) -> String {
    format!(
        "{what}: repositories are not fetched from there. worker.repository_hosts says from where they are"
    )
}

/// None: a path.
fn host(repository: &str) -> Option<&str> {
    if repository.starts_with('/') {
        return None;
    }
    let Some((scheme, rest)) = repository.split_once("://") else {
        return repository.split_once('@').and_then(|(_, rest)| rest.split_once(':')).map(|(host, _)| host);
    };
    if scheme == "file" {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.starts_with('[') {
        return Some(host.find(']').map_or(host, |end| &host[..=end]));
    }
    Some(host.split_once(':').map_or(host, |(host, _)| host))
}

/// Link-local addresses: clouds give a machine's credentials there.
fn is_of_the_machine_alone(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => METADATA_NAMES.contains(&name.as_str()),
        Host::Ipv4(address) => is_link_local(*address),
        Host::Ipv6(address) => match address.to_canonical() {
            IpAddr::V4(address) => is_link_local(address),
            IpAddr::V6(address) => {
                address.is_unicast_link_local()
                    || address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
                    || address.is_unspecified()
            }
        },
    }
}

fn is_link_local(address: Ipv4Addr) -> bool {
    address.is_link_local() || address.is_unspecified() || address == Ipv4Addr::new(100, 100, 100, 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_that_hands_out_a_machines_credentials_is_no_repository_however_it_is_written() {
        for repository in [
            "http://169.254.169.254/latest/meta-data",
            "http://me@169.254.169.254:80/a",
            "http://2852039166/a",
            "http://0xa9fea9fe/a",
            "http://0251.0376.0251.0376/a",
            "http://[::ffff:169.254.169.254]/a",
            "http://[fe80::1]/a",
            "http://[fd00:ec2::254]/a",
            "http://metadata.google.internal./a",
            "http://METADATA.google.internal/a",
            "ssh://169.254.169.254/a",
            "me@169.254.169.254:a",
            "http://0.0.0.0/a",
        ] {
            assert!(check(&[], repository).is_err(), "{repository}");
        }
        for repository in [
            "https://example.com/a",
            "me@git.example.com:a",
            "/srv/a.git",
            "file:///srv/a",
            "http://127.0.0.1:3000/a",
        ] {
            assert_eq!(check(&[], repository), Ok(()), "{repository}");
        }
    }

    #[test]
    fn a_list_allows_what_it_names_and_nothing_else() {
        let allowed = ["git.example.com", "*.example.org", "10.0.0.7"].map(str::to_owned);
        for repository in [
            "https://git.example.com/a",
            "ssh://git@GIT.example.com:22/a",
            "me@git.example.com:a",
            "https://a.b.example.org/a",
            "git://10.0.0.7/a",
        ] {
            assert_eq!(check(&allowed, repository), Ok(()), "{repository}");
        }
        for repository in [
            "https://example.com/a",
            "https://git.example.com.evil.example/a",
            "https://example.org/a",
            "https://evilexample.org/a",
            "https://git.example.com@evil.example/a",
            "http://127.0.0.1/a",
            "http://2130706433/a",
            "http://[::1]/a",
            "http://localhost/a",
            "/etc",
            "file:///etc",
        ] {
            assert!(check(&allowed, repository).is_err(), "{repository}");
        }
        assert_eq!(check(&["local".to_owned()], "/srv/a"), Ok(()));
    }
}
