//! Whose request it is, where proxies stand between: what those say who are trusted, and nothing else.
//!
//! `X-Forwarded-*` is looked at before `Forwarded`, which counts only where none of the former came. A proxy must
//! replace or remove what its own clients send of either; `docs/proxies.md` says how.

use std::net::{IpAddr, SocketAddr};

use axum::http::{Extensions, HeaderMap, HeaderName, header};
use ipnet::IpNet;

/// How a request reached this process.
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    /// Never an IPv4 address in the form of IPv6.
    pub peer: IpAddr,
    pub is_tls: bool,
}

/// From where and how a client asked, as far as that can be believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// None: the connection is not known, as in tests that have none.
    pub ip: Option<IpAddr>,
    /// Whether it speaks TLS, to this process or to a trusted proxy.
    pub is_secure: bool,
    /// The host that it asked for, where a trusted proxy says that it was another.
    pub host: Option<String>,
    /// The request's name, where a trusted proxy gave it one.
    pub request_id: Option<String>,
}

/// More hops than that are not followed.
const HOPS_MAX: usize = 32;
const REQUEST_ID_LENGTH_MAX: usize = 128;
const HOST_LENGTH_MAX: usize = 255 + ":65535".len();

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Who asks, by the connection and what trusted proxies add.
pub(super) fn client(trusted: &[IpNet], extensions: &Extensions, headers: &HeaderMap) -> Client {
    let Some(Connection { peer, is_tls }) = extensions.get::<Connection>().copied() else {
        return Client::default();
    };
    let mut client = Client { ip: Some(peer), is_secure: is_tls, ..Client::default() };
    let is_trusted = |ip: IpAddr| trusted.iter().any(|network| network.contains(&ip));
    if !is_trusted(peer) {
        return client;
    }
    client.request_id = headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok()).and_then(request_id);
    let is_customary = [&X_FORWARDED_FOR, &X_FORWARDED_PROTO, &X_FORWARDED_HOST]
        .iter()
        .any(|name| headers.contains_key(*name));
    let hops = if is_customary { customary(headers) } else { standard(headers) };
    // Each proxy adds whom it was asked by at the end: the first from there that is no proxy of ours is the client.
    let mut said = None;
    for hop in hops.iter().rev().take(HOPS_MAX) {
        said = Some(hop);
        match hop.address {
            Some(ip) => client.ip = Some(ip),
            // What comes before somebody who hides is hearsay.
            None => break,
        }
        if !hop.address.is_some_and(is_trusted) {
            break;
        }
    }
    if let Some(hop) = said {
        client.is_secure = hop.proto.as_deref().map_or(client.is_secure, |proto| proto == "https");
        client.host = hop.host.clone().filter(|host| is_host(host));
    }
    client
}

/// One proxy's word.
#[derive(Debug, Default)]
struct Hop {
    address: Option<IpAddr>,
    proto: Option<String>,
    host: Option<String>,
}

fn customary(headers: &HeaderMap) -> Vec<Hop> {
    // The last word is that of the nearest proxy, which is trusted.
    let last = |name: HeaderName| members(headers, &name).pop().map(str::to_owned);
    let proto = last(X_FORWARDED_PROTO).map(|proto| proto.to_ascii_lowercase());
    let host = last(X_FORWARDED_HOST);
    let hop = |address| Hop { address, proto: proto.clone(), host: host.clone() };
    let addresses = members(headers, &X_FORWARDED_FOR);
    if addresses.is_empty() {
        return vec![hop(None)];
    }
    addresses.into_iter().map(|text| hop(address(text))).collect()
}

/// RFC 7239.
fn standard(headers: &HeaderMap) -> Vec<Hop> {
    let hop = |element: &str| {
        let mut hop = Hop::default();
        for pair in element.split(';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => hop.address = address(value),
                "proto" => hop.proto = Some(value.to_ascii_lowercase()),
                "host" => hop.host = Some(value.to_owned()),
                _ => {}
            }
        }
        hop
    };
    members(headers, &header::FORWARDED).into_iter().map(hop).collect()
}

/// The members of a list, over all lines of the header. None of what we look for has commas of its own.
fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|member| !member.is_empty()).collect()
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let ip =
        bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok()?;
    Some(ip.to_canonical())
}

fn is_host(text: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    (1..=HOST_LENGTH_MAX).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// A name that may stand in logs and headers as it is.
fn request_id(text: &str) -> Option<String> {
    let is_allowed = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'=')
    };
    let is_fit = (1..=REQUEST_ID_LENGTH_MAX).contains(&text.len()) && text.bytes().all(is_allowed);
    is_fit.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUSTED: [&str; 2] = ["127.0.0.1/32", "10.0.0.0/8"];

    fn seen(peer: &str, said: &[(&'static str, &str)]) -> Client {
        let trusted = TRUSTED.map(|network| network.parse().unwrap());
        let mut extensions = Extensions::new();
        extensions.insert(Connection { peer: peer.parse().unwrap(), is_tls: false });
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            headers.append(*name, value.parse().unwrap());
        }
        client(&trusted, &extensions, &headers)
    }

    fn ip(peer: &str, said: &[(&'static str, &str)]) -> String {
        seen(peer, said).ip.unwrap().to_string()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        let said = [
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "ci.example"),
            ("forwarded", "for=192.0.2.7;proto=https"),
            ("x-request-id", "mine"),
        ];
        let stranger: IpAddr = "192.0.2.99".parse().unwrap();
        assert_eq!(seen("192.0.2.99", &said), Client { ip: Some(stranger), ..Client::default() });
    }

    #[test]
    fn the_client_is_the_first_that_is_no_proxy_of_ours_seen_from_here() {
        assert_eq!(ip("127.0.0.1", &[("x-forwarded-for", "192.0.2.7")]), "192.0.2.7");
        assert_eq!(ip("127.0.0.1", &[("x-forwarded-for", "8.8.8.8, 192.0.2.7, 10.1.2.3")]), "192.0.2.7");
        let lines = [("x-forwarded-for", "8.8.8.8"), ("x-forwarded-for", "192.0.2.7")];
        assert_eq!(ip("10.0.0.1", &lines), "192.0.2.7");
        assert_eq!(ip("127.0.0.1", &[("x-forwarded-for", "8.8.8.8, unknown, 10.1.2.3")]), "10.1.2.3");
        assert_eq!(ip("127.0.0.1", &[("x-forwarded-for", "[2001:db8::1]:443")]), "2001:db8::1");
        assert_eq!(ip("127.0.0.1", &[("x-forwarded-for", "10.1.1.1")]), "10.1.1.1");
        assert_eq!(ip("127.0.0.1", &[]), "127.0.0.1");
    }

    #[test]
    fn the_standard_header_says_the_same() {
        let said =
            [("forwarded", "for=8.8.8.8;proto=http, for=\"[2001:db8::1]:4711\";proto=https;host=ci.example")];
        let client = seen("127.0.0.1", &said);
        assert_eq!(client.ip.unwrap().to_string(), "2001:db8::1");
        assert!(client.is_secure);
        assert_eq!(client.host.as_deref(), Some("ci.example"));
        // A proxy that writes the customary ones may pass this one on from whoever sent it.
        let both = [said[0], ("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "http")];
        let client = seen("127.0.0.1", &both);
        assert_eq!((client.ip.unwrap().to_string(), client.is_secure), ("192.0.2.7".to_owned(), false));
    }

    #[test]
    fn a_request_keeps_the_name_that_a_trusted_proxy_gave_it_if_it_is_a_harmless_one() {
        let kept = |id: &str| seen("127.0.0.1", &[("x-request-id", id)]).request_id;
        assert_eq!(
            kept("0af7651916cd43dd.8448eb211c80319c").as_deref(),
            Some("0af7651916cd43dd.8448eb211c80319c")
        );
        for id in ["", "a b", "a\"b", "<script>", &"x".repeat(129)] {
            assert_eq!(kept(id), None, "{id}");
        }
        assert_eq!(seen("127.0.0.1", &[("x-forwarded-host", "evil.example/\\")]).host, None);
    }
}

#[cfg(test)]
mod fuzz {
    use axum::http::HeaderValue;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::mutate::{holds, mutated_text};

    const NAMES: [&str; 5] =
        ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "x-request-id"];
    const SAMPLES: [&str; 7] = [
        "192.0.2.7, 10.1.2.3",
        "[2001:db8::1]:443, ::ffff:10.0.0.1, unknown",
        "https",
        "ci.example:8443",
        "for=8.8.8.8;proto=http, for=\"[2001:db8::1]:4711\";proto=https;host=ci.example",
        "for=\"_hidden\";by=10.0.0.1;host=\"a.example\"",
        "0af7651916cd43dd.8448eb211c80319c",
    ];

    fn headers() -> impl Strategy<Value = Vec<(&'static str, String)>> {
        vec((select(&NAMES[..]), mutated_text(&SAMPLES)), 0..6)
    }

    fn seen(peer: &str, said: &[(&'static str, String)]) -> Client {
        let mut extensions = Extensions::new();
        extensions.insert(Connection { peer: peer.parse().unwrap(), is_tls: false });
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            // What is no header's value gets no further than the connection.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.append(*name, value);
            }
        }
        client(&["10.0.0.0/8".parse().unwrap()], &extensions, &headers)
    }

    #[test]
    fn what_proxies_say_is_harmless_text_or_nothing() {
        holds(1_500, headers(), |said| {
            let Client { ip, host, request_id, .. } = seen("10.0.0.1", &said);
            prop_assert!(ip.is_some_and(|ip| ip == ip.to_canonical()));
            let is_harmless = |text: &str, length_max: usize| {
                (1..=length_max).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'<>\\,; ".contains(&byte))
            };
            prop_assert!(host.is_none_or(|host| is_harmless(&host, HOST_LENGTH_MAX)));
            prop_assert!(request_id.is_none_or(|id| is_harmless(&id, REQUEST_ID_LENGTH_MAX)));
            Ok(())
        });
    }

    #[test]
    fn nothing_that_a_stranger_sends_changes_who_it_is() {
        holds(500, headers(), |said| {
            let stranger = Client { ip: Some("192.0.2.99".parse().unwrap()), ..Client::default() };
            prop_assert_eq!(seen("192.0.2.99", &said), stranger);
            Ok(())
        });
    }

    /// Whatever a client sends through a trusted proxy that appends to the list, it stays who it is.
    #[test]
    fn a_client_cannot_hide_behind_what_it_sends_to_a_proxy() {
        holds(500, headers(), |mut said| {
            said.push(("x-forwarded-for", "192.0.2.7".to_owned()));
            prop_assert_eq!(seen("10.0.0.1", &said).ip, Some("192.0.2.7".parse().unwrap()));
            Ok(())
        });
    }
}
