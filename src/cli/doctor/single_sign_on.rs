//! Whether the provider of single sign-on answers.

use crate::cli::doctor::Check;
use crate::config::Config;
use crate::oidc::Provider;

/// None where none is set up.
pub(super) async fn check(config: &Config) -> Option<Check> {
    const NAME: &str = "single sign-on";
    const ADVICE: &str = "Is oidc.issuer right, and does this machine reach it? Passwords still sign in";
    let issuer = config.oidc.as_ref().map(|oidc| oidc.issuer.clone())?;
    let answered = match Provider::of(config) {
        Ok(provider) => provider?.check().await.map_err(|failure| failure.to_string()),
        Err(error) => Err(error.chain()),
    };
    Some(match answered {
        Ok(()) => Check::ok(NAME, format!("{issuer} describes itself, and has keys")),
        Err(reason) => Check::fail(NAME, format!("{issuer}: {reason}"), ADVICE),
    })
}
