//! Clients of servers.

/// As `main`, this sees to it that there is a provider of cryptography, without which no client is made. It fails only
/// if there is one already.
pub(crate) fn client() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}
