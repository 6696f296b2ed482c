//! How many connections there may be, in all and from one client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use crate::config::HttpConfig;
use crate::domain::limit::client_of;

/// Descriptors that are left to everything else: the database, Redis, spools, files.
const OTHER_FILES: usize = 512;

/// The places that connections take. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    per_client_max: usize,
    /// Many clients come through each of these.
    trusted_proxies: Vec<IpNet>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of_clients: HashMap<IpAddr, usize>,
}

/// The place of a connection, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    client: Option<IpAddr>,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    All,
    OfClient,
}

impl Places {
    /// `files_max` is how many files this process may have open.
    pub(super) fn new(config: &HttpConfig, files_max: usize) -> Self {
        let room = files_max.saturating_sub(OTHER_FILES.min(files_max / 2));
        Self(Arc::new(Inner {
            max: config.connections_max.min(room),
            per_client_max: config.connections_per_client_max,
            trusted_proxies: config.trusted_proxies.clone(),
            taken: Mutex::default(),
        }))
    }

    pub(super) fn take(&self, peer: IpAddr) -> Result<Place, Full> {
        let is_proxy = self.0.trusted_proxies.iter().any(|network| network.contains(&peer));
        let client = (!is_proxy).then(|| client_of(peer));
        let mut taken = self.taken();
        if self.0.max <= taken.all {
            return Err(Full::All);
        }
        if let Some(client) = client {
            let of_client = taken.of_clients.entry(client).or_default();
            // One that is not admitted has connections already, so that no empty entry is left.
            if self.0.per_client_max <= *of_client {
                return Err(Full::OfClient);
            }
            *of_client += 1;
        }
        taken.all += 1;
        Ok(Place { places: self.clone(), client })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        let Some(client) = self.client else { return };
        if let Some(of_client) = taken.of_clients.get_mut(&client) {
            *of_client -= 1;
            if *of_client == 0 {
                taken.of_clients.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(max: usize, per_client_max: usize, trusted: &str) -> Places {
        Places(Arc::new(Inner {
            max,
            per_client_max,
            trusted_proxies: vec![trusted.parse().unwrap()],
            taken: Mutex::default(),
        }))
    }

    fn take(places: &Places, peer: &str) -> Result<Place, Full> {
        places.take(peer.parse().unwrap())
    }

    #[test]
    fn a_client_takes_its_share_and_gives_it_back() {
        let places = places(5, 2, "10.0.0.0/8");
        let first = take(&places, "192.0.2.1").unwrap();
        let _second = take(&places, "192.0.2.1").unwrap();
        assert_eq!(take(&places, "192.0.2.1").unwrap_err(), Full::OfClient);
        let _other = take(&places, "192.0.2.2").unwrap();
        drop(first);
        let _again = take(&places, "192.0.2.1").unwrap();
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_a_trusted_proxy_is_many() {
        let places = places(5, 1, "10.0.0.0/8");
        let _one = take(&places, "2001:db8:0:1::1").unwrap();
        assert_eq!(take(&places, "2001:db8:0:1:ffff::2").unwrap_err(), Full::OfClient);
        let _other = take(&places, "2001:db8:0:2::1").unwrap();
        let proxied: Vec<Place> = (0..3).map(|_| take(&places, "10.1.2.3").unwrap()).collect();
        assert_eq!(take(&places, "10.1.2.3").unwrap_err(), Full::All);
        drop(proxied);
        assert_eq!(places.taken().of_clients.len(), 2);
    }
}
