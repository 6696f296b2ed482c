//! `slipway secret`: stored secrets. A value comes from standard input: everybody on the machine can read a process's
//! arguments.

use std::io::{self, Read as _};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::client::{Client, NewSecret};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::domain::secret::{Secret, SecretInfo, VALUE_BYTES_MAX};

/// Lists are read whole, but not for ever.
const PAGES_MAX: usize = 100;

#[derive(Debug, Subcommand)]
pub(super) enum SecretCommand {
    /// Store a secret, whose value is read from standard input to its end, in place of any of its name.
    Set {
        name: String,
        #[command(flatten)]
        scope: Scope,
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Only runs of these branches are given it, such as `main` and `release/*`.
        #[arg(long = "branch", value_name = "PATTERN")]
        branches: Vec<String>,
        /// Runs of code that nobody here has vouched for are given it too.
        #[arg(long)]
        allow_untrusted: bool,
    },
    /// List secrets, without their values.
    List {
        #[command(flatten)]
        scope: Scope,
    },
    /// Delete a secret. Steps that name it fail from then on.
    Delete {
        name: String,
        #[command(flatten)]
        scope: Scope,
    },
}

#[derive(Debug, Args)]
pub(super) struct Scope {
    /// Whose secret it is, by id or name [default: every pipeline's].
    #[arg(long, value_name = "PIPELINE")]
    pipeline: Option<String>,
}

pub(super) async fn run(output: Output, client: &Client, command: SecretCommand) -> Result<Exit, Failure> {
    match command {
        SecretCommand::Set { name, scope, description, branches, allow_untrusted } => {
            let value = standard_input("the value", VALUE_BYTES_MAX)?;
            let pipeline = scope.pipeline.as_deref();
            let new =
                NewSecret { name: &name, pipeline, value: &value, description, branches, allow_untrusted };
            let info = client.set_secret(new).await?;
            output.either(&info, || format!("Stored {} (version {})", info.name, info.version))?;
        }
        SecretCommand::List { scope } => list(output, client, scope.pipeline.as_deref()).await?,
        SecretCommand::Delete { name, scope } => {
            client.delete_secret(scope.pipeline.as_deref(), &name).await?;
            output.either(&json!({ "deleted": name }), || format!("Deleted {name}"))?;
        }
    }
    Ok(Exit::Success)
}

/// All of it, without the line end that `echo` and editors put there.
pub(super) fn standard_input(what: &str, bytes_max: usize) -> Result<Secret<String>, Failure> {
    let max = bytes_max + 2;
    let mut value = Secret::new(String::with_capacity(max + 1));
    let read = io::stdin().lock().take(max as u64 + 1).read_to_string(value.reveal_mut());
    read.map_err(|error| Failure::failed(format!("{what} cannot be read from standard input: {error}")))?;
    let text = value.reveal();
    let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Secret::new(text.to_owned()))
}

async fn list(output: Output, client: &Client, pipeline: Option<&str>) -> Result<(), Failure> {
    let mut secrets: Vec<SecretInfo> = Vec::new();
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let page = client.secrets(pipeline, cursor.as_deref()).await?;
        secrets.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if output.is_json() {
        return Ok(output.json(&secrets)?);
    }
    let row = |secret: SecretInfo| {
        let branches = match secret.branches.is_empty() {
            true => "all".to_owned(),
            false => secret.branches.join(", "),
        };
        let used = secret.last_used_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        [secret.name, branches, secret.updated_at.to_string(), secret.updated_by, used]
    };
    let rows: Vec<_> = secrets.into_iter().map(row).collect();
    Ok(output.table(["NAME", "BRANCHES", "UPDATED", "BY", "LAST USED"], &rows)?)
}
