//! Who somebody is whom a provider of single sign-on has signed in: known by issuer and subject, and by nothing else.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::app::App;
use crate::domain::audit::Deed;
use crate::domain::ids::PersonId;
use crate::domain::person::Person;
use crate::domain::secret::Secret;
use crate::domain::text;
use crate::domain::time::now;
use crate::domain::token::{Actor, Role};
use crate::error::{Error, Result};
use crate::oidc::{Claims, Email, Failure};
use crate::services::people::SIGN_IN;
use crate::services::{audit, standing, tokens};
use crate::store;
use crate::store::people::PersonChange;
use crate::store::tokens::Browser;

pub use crate::oidc::{Begun, CALLBACK, Kept, SIGNED_OUT};

/// Where a sign-in begins.
pub const START: &str = "/auth/oidc/start";
/// Where a browser goes once its session has ended, to be signed out at the provider too.
pub const LEAVE: &str = "/auth/oidc/sign-out";
/// Names that others have too.
const LOGINS_TAKEN: &[&str] = &["admin", "browser"];
/// Without a name that can be used.
const LOGIN_FALLBACK: &str = "person";
const LOGIN_CHARS_MAX: usize = 80;
/// As `people.create` has it.
const EMAIL_CHARS_MAX: usize = 254;

/// Why somebody was not signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// No provider is set up.
    Off,
    /// This browser has not begun it, or too long ago.
    Stale,
    /// The provider, or the person there, said no.
    Denied,
    /// The provider is away.
    Away,
    /// What came back does not prove who they are.
    Unproved,
    /// They have no account, and are given none.
    Unknown,
    Disabled,
    /// Their address is not verified, or of another domain.
    Email,
}

/// What came of it.
#[derive(Debug)]
pub enum SignOn {
    /// The value of the new session.
    Done(Secret<String>),
    Not(Problem),
}

/// What a browser comes back with.
#[derive(Debug, Default)]
pub struct Answer {
    pub state: Option<String>,
    pub code: Option<String>,
}

pub async fn begin(app: &App) -> Result<Begun, Problem> {
    let provider = app.oidc.as_ref().ok_or(Problem::Off)?;
    provider.begin().await.map_err(|failure| {
        tracing::warn!(reason = %failure, "Single sign-on is not possible");
        Problem::Away
    })
}

/// Signs somebody in who comes back from the provider, with what their browser has kept. `Unavailable` for the database.
pub async fn finish(app: &App, answer: Answer, kept: Option<Kept>, browser: Browser) -> Result<SignOn> {
    let ip = browser.ip;
    match admit(app, answer, kept, ip).await? {
        Ok(person) => {
            let value = tokens::begin_session(app, &person, browser).await?;
            store::people::note_sign_in(&app.store, &person.id, now()).await?;
            let role = person.role.map_or("no role", Role::as_str);
            let deed = Deed::done(SIGN_IN).to("person", person.id.as_str());
            let deed = deed.saying(format!("by single sign-on, as {role}"));
            audit::record(app, &Actor { ip, ..tokens::actor_of(&person) }, deed).await;
            Ok(SignOn::Done(value))
        }
        Err((problem, why)) => {
            let deed = Deed::refused(SIGN_IN, format!("by single sign-on: {why}"));
            audit::record_stranger(app, None, ip, deed).await;
            Ok(SignOn::Not(problem))
        }
    }
}

/// Where a browser that came in by the provider goes to leave it too; none: nowhere, or not now. Its session here is over
/// in any case.
pub async fn leave(app: &App) -> Option<String> {
    app.config.oidc.as_ref().filter(|config| config.sign_out)?;
    match app.oidc.as_ref()?.end().await {
        Ok(place) => place,
        Err(failure) => {
            tracing::warn!(reason = %failure, "Somebody could not be signed out at the provider");
            None
        }
    }
}

/// The person, or why not: for them, and for the audit trail.
async fn admit(
    app: &App,
    answer: Answer,
    kept: Option<Kept>,
    ip: Option<IpAddr>,
) -> Result<Result<Person, (Problem, String)>> {
    let no = |problem, why: &str| Ok(Err((problem, why.to_owned())));
    let (Some(provider), Some(config)) = (&app.oidc, &app.config.oidc) else {
        return no(Problem::Off, "it is not set up");
    };
    let Some(kept) = kept else { return no(Problem::Stale, "the browser has not begun it, or too long ago") };
    let state = answer.state.unwrap_or_default();
    if !bool::from(state.as_bytes().ct_eq(kept.state.reveal().as_bytes())) {
        return no(Problem::Stale, "the answer is to another sign-in");
    }
    let Some(code) = answer.code else { return no(Problem::Denied, "the provider said no") };
    let claims = match provider.finish(code, &kept).await {
        Ok(claims) => claims,
        Err(failure) => {
            tracing::warn!(reason = %failure, "Somebody could not be signed in by single sign-on");
            let problem = match &failure {
                Failure::Away(_) => Problem::Away,
                Failure::Refused(_) => Problem::Unproved,
            };
            return no(problem, &failure.to_string());
        }
    };
    let domain = claims.email.as_ref().filter(|email| email.is_verified).and_then(Email::domain);
    let is_welcome = |domain| config.email_domains.contains(&domain);
    if !config.email_domains.is_empty() && !domain.is_some_and(is_welcome) {
        return no(Problem::Email, "no verified address of an allowed domain");
    }
    let found = store::people::find_by_identity(&app.store, &claims.identity).await?;
    let person = match found {
        Some(person) => person,
        None if config.create_people => make(app, &claims, ip).await?,
        None => return no(Problem::Unknown, "no such account"),
    };
    if person.disabled {
        return no(Problem::Disabled, &format!("the account {} is disabled", person.login));
    }
    Ok(Ok(follow_role(app, person, &claims).await?))
}

/// The role that the provider gives; none: it has no say in it.
fn given_role(app: &App, claims: &Claims) -> Option<Option<Role>> {
    let config = app.config.oidc.as_ref().filter(|config| config.role_claim.is_some())?;
    let has = |names: &[String]| claims.roles.iter().any(|role| names.contains(role));
    let roles =
        [(Role::Admin, &config.admins), (Role::Operator, &config.operators), (Role::Viewer, &config.viewers)];
    let found = roles.into_iter().find(|(_, names)| has(names)).map(|(role, _)| role);
    Some(found.or(config.default_role))
}

/// Takes over what the provider says that they may; what they are granted here stays.
async fn follow_role(app: &App, person: Person, claims: &Claims) -> Result<Person> {
    let Some(role) = given_role(app, claims).filter(|role| *role != person.role) else { return Ok(person) };
    let change = PersonChange { role: Some(role), ..PersonChange::default() };
    store::people::update(&app.store, &person.id, change).await?;
    standing::changed(app).await;
    Ok(Person { role, ..person })
}

async fn make(app: &App, claims: &Claims, ip: Option<IpAddr>) -> Result<Person> {
    let wanted = login_of(claims);
    let mark = Sha256::digest(format!("{}\n{}", claims.identity.issuer, claims.identity.subject).as_bytes());
    let mark: String = mark.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    // Somebody else's login is nobody's proof, so who comes second has a mark behind it.
    let logins = [wanted.clone(), format!("{wanted}-{mark}")];
    let default_role = app.config.oidc.as_ref().and_then(|config| config.default_role);
    for login in logins.into_iter().filter(|login| !LOGINS_TAKEN.contains(&login.as_str())) {
        let name = claims.name.clone().filter(|name| text::token_name(name).is_ok());
        let person = Person {
            id: PersonId::generate(),
            name: name.unwrap_or_else(|| login.clone()),
            login,
            email: claims.email.as_ref().map(|email| email.address.clone()).filter(|email| is_email(email)),
            role: given_role(app, claims).unwrap_or(default_role),
            grants: Vec::new(),
            disabled: false,
            has_password: false,
            identity: Some(claims.identity.clone()),
            created_at: now(),
            signed_in_at: None,
        };
        match store::people::insert(&app.store, &person, None).await {
            Ok(()) => {
                let deed = Deed::done("people.create").to("person", person.id.as_str());
                let actor = Actor { ip, ..tokens::actor_of(&person) };
                audit::record(app, &actor, deed.saying("by single sign-on")).await;
                return Ok(person);
            }
            // Of the same person, who signs in twice at once; or the login is somebody else's.
            Err(Error::Conflict(_)) => {
                if let Some(person) = store::people::find_by_identity(&app.store, &claims.identity).await? {
                    return Ok(person);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(Error::Conflict("there is no login left for somebody who signed in elsewhere".to_owned()))
}

fn is_email(text: &str) -> bool {
    text.chars().count() <= EMAIL_CHARS_MAX && !text.contains('\0')
}

/// What the provider calls them, as far as a login can be so.
fn login_of(claims: &Claims) -> String {
    let address = claims.email.as_ref().map(|email| email.address.as_str());
    let said = claims.login.as_deref().or(address).unwrap_or_default().to_lowercase();
    let before_at = said.split('@').next().unwrap_or_default();
    let allowed = |character: char| text::token_name(&format!("a{character}a")).is_ok();
    let login: String = before_at
        .chars()
        .map(|character| if allowed(character) && character != ' ' { character } else { '-' })
        .skip_while(|character| !character.is_alphanumeric())
        .take(LOGIN_CHARS_MAX)
        .collect();
    if text::token_name(&login).is_ok() { login } else { LOGIN_FALLBACK.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::person::Identity;

    #[test]
    fn a_login_is_made_of_whatever_the_provider_says() {
        let login = |login: Option<&str>, email: Option<&str>| {
            let identity = Identity { issuer: String::new(), subject: String::new() };
            let email = email.map(|address| Email { address: address.to_owned(), is_verified: false });
            let login = login.map(str::to_owned);
            login_of(&Claims { identity, login, name: None, email, roles: Vec::new() })
        };
        assert_eq!(login(Some("Ann"), Some("other@example.com")), "ann");
        assert_eq!(login(None, Some("ann.lee@example.com")), "ann.lee");
        assert_eq!(login(Some("..<ann>\u{1b}[2J"), None), "ann---2j");
        for nothing in [None, Some(""), Some("@example.com"), Some("<>")] {
            assert_eq!(login(nothing, None), "person", "{nothing:?}");
        }
        assert!(text::token_name(&login(Some(&"é".repeat(1_000)), None)).is_ok());
    }
}
