//! Who signs people in elsewhere.

use url::{Host, Url};

use crate::config::layers::Layers;
use crate::config::values::{self, Expected};
use crate::domain::secret::Secret;
use crate::domain::token::Role;

/// A provider of single sign-on, by OpenID Connect.
#[derive(Debug, Clone)]
pub struct OidcConfig {
    /// As the provider writes it.
    pub issuer: String,
    pub client_id: String,
    /// None: a public client, which PKCE alone protects.
    pub client_secret: Option<Secret<String>>,
    /// Beside `openid`.
    pub scopes: Vec<String>,
    /// What stands on the button.
    pub name: String,
    /// Where the provider says what somebody is; none: roles are given here.
    pub role_claim: Option<String>,
    /// Values of that claim, by the role that they stand for.
    pub viewers: Vec<String>,
    pub operators: Vec<String>,
    pub admins: Vec<String>,
    /// Of those for whom the claim says nothing.
    pub default_role: Option<Role>,
    /// Whether people who are not known here are given an account.
    pub create_people: bool,
    /// Of which their verified address must be; empty: of any.
    pub email_domains: Vec<String>,
    /// Whether who came in by the provider is signed out there too.
    pub sign_out: bool,
}

/// None where no provider is set up.
pub(super) fn read(layers: &mut Layers) -> Option<OidcConfig> {
    let issuer = layers.optional("oidc.issuer", issuer);
    let client_id = layers.optional("oidc.client_id", values::text);
    let client_secret = layers.optional("oidc.client_secret", |text| values::text(text).map(Secret::new));
    let scopes = layers.list("oidc.scopes", texts);
    let name = layers.required("oidc.name", values::text);
    let role_claim = layers.optional("oidc.role_claim", values::text);
    let viewers = layers.list("oidc.viewers", texts);
    let operators = layers.list("oidc.operators", texts);
    let admins = layers.list("oidc.admins", texts);
    let default_role = layers.required("oidc.default_role", role);
    let create_people = layers.required("oidc.create_people", values::switch);
    let email_domains = layers.list("oidc.email_domains", domains);
    let sign_out = layers.required("oidc.sign_out", values::switch);
    match (issuer, client_id) {
        (Some(issuer), Some(client_id)) => Some(OidcConfig {
            issuer,
            client_id,
            client_secret,
            scopes,
            name,
            role_claim,
            viewers,
            operators,
            admins,
            default_role,
            create_people,
            email_domains,
            sign_out,
        }),
        (None, None) => None,
        _ => {
            let reason = "oidc.issuer and oidc.client_id belong together: set both, or neither";
            layers.problem(None, reason);
            None
        }
    }
}

/// Whatever is read from there decides who somebody is, so nobody on the way may change it.
fn issuer(text: &str) -> Expected<String> {
    let url = Url::parse(text).ok().filter(|url| url.query().is_none() && url.fragment().is_none());
    let is_safe = url.is_some_and(|url| match url.scheme() {
        "https" => url.has_host() && url.username().is_empty() && url.password().is_none(),
        "http" => is_loopback(&url),
        _ => false,
    });
    let expected = "an address such as https://login.example.com, with http for this machine alone";
    if is_safe { Ok(text.to_owned()) } else { Err(expected.to_owned()) }
}

/// Whether an address is one of this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn role(text: &str) -> Expected<Option<Role>> {
    match (text, Role::parse(text)) {
        ("none", _) => Ok(None),
        (_, Some(role)) => Ok(Some(role)),
        _ => Err("viewer, operator, admin or none".to_owned()),
    }
}

fn texts(texts: &[String]) -> Expected<Vec<String>> {
    Ok(texts.to_vec())
}

fn domains(texts: &[String]) -> Expected<Vec<String>> {
    let is_domain = |text: &&String| !text.is_empty() && !text.contains(['@', '/', ' ', '*']);
    match texts.iter().all(|text| is_domain(&text)) {
        true => Ok(texts.iter().map(|text| text.to_lowercase()).collect()),
        false => Err("domains such as example.com, each by its name".to_owned()),
    }
}
