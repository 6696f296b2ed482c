//! What the commands that talk to a server need: where it is, and who is asking.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use url::Url;

use crate::config::Config;
use crate::config::environment::Environment;
use crate::config::layers::{ConfigError, Origin, Problem};
use crate::config::oidc::is_loopback;
use crate::domain::secret::Secret;

/// A token file is one line; whatever is longer is something else.
const TOKEN_FILE_BYTES_MAX: u64 = 4096;

#[derive(Debug, Clone, Default)]
pub struct ClientFlags {
    pub url: Option<String>,
    pub token_file: Option<PathBuf>,
}

/// A server, and the token to show there.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// No slash at its end.
    pub url: String,
    /// None: the server will refuse what needs one.
    pub token: Option<Secret<String>>,
}

impl ClientConfig {
    pub(super) fn load(
        flags: &ClientFlags,
        environment: &Environment,
        config: &Config,
    ) -> Result<Self, ConfigError> {
        let (url, origin) = match (&flags.url, environment.get("SLIPWAY_URL")) {
            (Some(url), _) => (url.clone(), Origin::Flag("--url".to_owned())),
            (None, Some(url)) => (url.to_owned(), Origin::Variable("SLIPWAY_URL".to_owned())),
            (None, None) => (own_url(config), Origin::Default),
        };
        let is_own = origin == Origin::Default;
        let problem =
            |origin: Origin, message: String| ConfigError(vec![Problem { origin: Some(origin), message }]);
        let parsed = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(parsed) = parsed else {
            return Err(problem(origin, "expected an address such as http://127.0.0.1:3001".to_owned()));
        };
        let token = match &flags.token_file {
            Some(path) => {
                let origin = Origin::Flag("--token-file".to_owned());
                Some(read_token(path).map_err(|reason| problem(origin, reason))?)
            }
            None => own_token(environment, config, is_own || is_loopback(&parsed)),
        };
        Ok(Self { url: url.trim_end_matches('/').to_owned(), token })
    }
}

/// Of the server with these settings, as seen from its own machine.
fn own_url(config: &Config) -> String {
    let mut address = config.http.listen;
    if address.ip().is_unspecified() {
        let loopback = match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        };
        address.set_ip(loopback);
    }
    let is_tls = config.http.tls_cert.is_some();
    match &config.http.public_url {
        // A certificate is for a name, which the address that is listened on does not tell.
        Some(url) if is_tls => url.clone(),
        _ => format!("{}://{address}", if is_tls { "https" } else { "http" }),
    }
}

/// The admin token belongs to the server of this machine: it is not offered to another that somebody names.
fn own_token(environment: &Environment, config: &Config, is_own: bool) -> Option<Secret<String>> {
    if let Some(token) = environment.get("SLIPWAY_TOKEN") {
        return Some(Secret::new(token.to_owned()));
    }
    if let Some(token) = environment.get("SLIPWAY_ADMIN_TOKEN") {
        return Some(Secret::new(token.to_owned()));
    }
    if !is_own {
        return None;
    }
    if let Some(token) = &config.auth.admin_token {
        return Some(token.clone());
    }
    read_token(&config.data_dir.join("admin-token")).ok()
}

fn read_token(path: &Path) -> Result<Secret<String>, String> {
    let describe = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let bytes = std::fs::metadata(path).map_err(describe)?.len();
    if TOKEN_FILE_BYTES_MAX < bytes {
        return Err(format!("{} is too large to be a token", path.display()));
    }
    let text = std::fs::read_to_string(path).map_err(describe)?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{} does not hold a token", path.display()));
    }
    Ok(Secret::new(token.to_owned()))
}
