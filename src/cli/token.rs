//! `slipway token`: access tokens.

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use crate::cli::client::Client;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{Output, note};
use crate::domain::time::Timestamp;
use crate::domain::token::{Role, Token};

/// Lists are read whole, but not for ever.
const PAGES_MAX: usize = 100;

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token, and print its value: this once, it is not kept.
    Create {
        name: String,
        #[arg(long, value_enum, default_value = "viewer")]
        role: RoleArgument,
        /// For how many days it is valid [default: for ever].
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
        expires_in_days: Option<u32>,
    },
    /// List tokens, without their values.
    List,
    /// End a token at once.
    Revoke {
        /// Its id or name.
        token: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum RoleArgument {
    /// May read everything.
    Viewer,
    /// May also trigger, cancel and retry runs.
    Operator,
    /// May also change pipelines and tokens.
    Admin,
}

impl From<RoleArgument> for Role {
    fn from(role: RoleArgument) -> Self {
        match role {
            RoleArgument::Viewer => Self::Viewer,
            RoleArgument::Operator => Self::Operator,
            RoleArgument::Admin => Self::Admin,
        }
    }
}

pub(super) async fn run(output: Output, client: &Client, command: TokenCommand) -> Result<Exit, Failure> {
    match command {
        TokenCommand::Create { name, role, expires_in_days } => {
            let created = client.create_token(&name, role.into(), expires_in_days).await?;
            if output.is_json() {
                output.json(&created)?;
            } else {
                output.line(&created.value)?;
                note("This is the only time that the token is shown; send it as `Authorization: Bearer …`");
            }
        }
        TokenCommand::List => list(output, client).await?,
        TokenCommand::Revoke { token } => {
            client.revoke_token(&token).await?;
            output.either(&json!({ "revoked": token }), || format!("Revoked {token}"))?;
        }
    }
    Ok(Exit::Success)
}

async fn list(output: Output, client: &Client) -> Result<(), Failure> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let page = client.tokens(cursor.as_deref()).await?;
        tokens.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if output.is_json() {
        return Ok(output.json(&tokens)?);
    }
    let time = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    let row = |token: Token| {
        let (expires, used) = (time(token.expires_at), time(token.last_used_at));
        [
            token.name,
            token.role.map_or("grants only", Role::as_str).to_owned(),
            token.created_at.to_string(),
            expires,
            used,
        ]
    };
    let rows: Vec<_> = tokens.into_iter().map(row).collect();
    Ok(output.table(["NAME", "ROLE", "CREATED", "EXPIRES", "LAST USED"], &rows)?)
}
