//! `slipway user`: accounts of people. A password comes from standard input: everybody on the machine can read a process's
//! arguments.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::cli::client::{Client, NewPerson};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::secret::standard_input;
use crate::cli::token::RoleArgument;
use crate::domain::person::{PASSWORD_CHARS_MAX, Person};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::domain::token::{Grant, Role};

/// Lists are read whole, but not for ever.
const PAGES_MAX: usize = 100;

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Give somebody an account.
    Add {
        /// What they sign in with.
        login: String,
        /// As people call them [default: the login].
        #[arg(long)]
        name: Option<String>,
        /// Where they are written to.
        #[arg(long)]
        email: Option<String>,
        /// What they may do to everything.
        #[arg(long, value_enum, default_value = "none")]
        role: RoleOrNone,
        /// Read a password from standard input; without it, they cannot sign in with one.
        #[arg(long)]
        password_stdin: bool,
        /// Who they are at the provider of single sign-on: the claim `sub` of its tokens.
        #[arg(long)]
        subject: Option<String>,
    },
    /// List people.
    List,
    /// Change what somebody may do to everything.
    SetRole {
        login: String,
        #[arg(value_enum)]
        role: RoleOrNone,
    },
    /// Give somebody a role in one pipeline, in place of any that they have there.
    Grant {
        #[command(flatten)]
        place: Place,
        #[arg(value_enum)]
        role: RoleArgument,
    },
    /// Take somebody's role in one pipeline away.
    Ungrant {
        #[command(flatten)]
        place: Place,
    },
    /// Give somebody another password, read from standard input, and sign them out everywhere.
    ResetPassword { login: String },
    /// Keep somebody out: they are signed out everywhere, and their tokens open nothing.
    Disable { login: String },
    /// Let somebody in again who was disabled.
    Enable { login: String },
    /// Delete an account with its sessions and tokens.
    Delete { login: String },
}

#[derive(Debug, Args)]
pub(super) struct Place {
    login: String,
    /// By id or name.
    pipeline: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum RoleOrNone {
    /// Nothing but what is granted in single pipelines.
    None,
    /// May read everything.
    Viewer,
    /// May also trigger, cancel and retry runs.
    Operator,
    /// May also change pipelines, people and tokens.
    Admin,
}

impl From<RoleOrNone> for Option<Role> {
    fn from(role: RoleOrNone) -> Self {
        match role {
            RoleOrNone::None => None,
            RoleOrNone::Viewer => Some(Role::Viewer),
            RoleOrNone::Operator => Some(Role::Operator),
            RoleOrNone::Admin => Some(Role::Admin),
        }
    }
}

pub(super) async fn run(output: Output, client: &Client, command: UserCommand) -> Result<Exit, Failure> {
    match command {
        UserCommand::Add { login, name, email, role, password_stdin, subject } => {
            let password = if password_stdin { Some(password()?) } else { None };
            let new = NewPerson {
                login: &login,
                name,
                email,
                password: password.as_ref(),
                subject,
                role: role.into(),
                grants: Vec::new(),
            };
            let person = client.create_person(&new).await?;
            output.either(&person, || format!("Added {}", person.login))?;
        }
        UserCommand::List => list(output, client).await?,
        UserCommand::SetRole { login, role } => {
            let role: Option<Role> = role.into();
            change(output, client, &login, json!({ "role": role })).await?;
        }
        UserCommand::Grant { place, role } => grant(output, client, &place, Some(role.into())).await?,
        UserCommand::Ungrant { place } => grant(output, client, &place, None).await?,
        UserCommand::ResetPassword { login } => {
            client.set_password(&login, &password()?).await?;
            output.either(&json!({ "reset": login }), || format!("{login} has another password"))?;
        }
        UserCommand::Disable { login } => {
            change(output, client, &login, json!({ "disabled": true })).await?;
        }
        UserCommand::Enable { login } => {
            change(output, client, &login, json!({ "disabled": false })).await?;
        }
        UserCommand::Delete { login } => {
            client.delete_person(&login).await?;
            output.either(&json!({ "deleted": login }), || format!("Deleted {login}"))?;
        }
    }
    Ok(Exit::Success)
}

fn password() -> Result<Secret<String>, Failure> {
    // A character takes four bytes at the most.
    standard_input("the password", 4 * PASSWORD_CHARS_MAX)
}

async fn change(output: Output, client: &Client, login: &str, change: Value) -> Result<(), Failure> {
    let person = client.update_person(login, change).await?;
    Ok(output.either(&person, || format!("{}: {}", person.login, may(&person)))?)
}

async fn grant(output: Output, client: &Client, place: &Place, role: Option<Role>) -> Result<(), Failure> {
    let pipeline_id = client.pipeline(&place.pipeline).await?.id;
    let mut grants = client.person(&place.login).await?.grants;
    grants.retain(|grant| grant.pipeline_id != pipeline_id);
    grants.extend(role.map(|role| Grant { pipeline_id, role }));
    change(output, client, &place.login, json!({ "grants": grants })).await
}

async fn list(output: Output, client: &Client) -> Result<(), Failure> {
    let mut people: Vec<Person> = Vec::new();
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let page = client.people(cursor.as_deref()).await?;
        people.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if output.is_json() {
        return Ok(output.json(&people)?);
    }
    let time = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    let row = |person: Person| {
        let (may, signed_in) = (may(&person), time(person.signed_in_at));
        let by = match (person.has_password, person.identity.is_some()) {
            (true, true) => "password, single sign-on",
            (true, false) => "password",
            (false, true) => "single sign-on",
            (false, false) => "nothing",
        };
        [person.login, person.name, may, by.to_owned(), signed_in]
    };
    let rows: Vec<_> = people.into_iter().map(row).collect();
    Ok(output.table(["LOGIN", "NAME", "MAY", "SIGNS IN BY", "SIGNED IN"], &rows)?)
}

/// What somebody may do, for people.
fn may(person: &Person) -> String {
    if person.disabled {
        return "disabled".to_owned();
    }
    let role = person.role.map_or("no role", Role::as_str);
    match person.grants.len() {
        0 => role.to_owned(),
        1 => format!("{role}, and a role in 1 pipeline"),
        count => format!("{role}, and roles in {count} pipelines"),
    }
}
