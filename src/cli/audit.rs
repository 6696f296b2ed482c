//! `slipway audit`: who did what.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::cli::client::Client;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{BAD, FAINT, NAME, Output};
use crate::domain::audit::{AuditEntry, Outcome};
use crate::domain::duration;
use crate::domain::terminal::visible;
use crate::domain::time::{Timestamp, now};

/// Entries that are asked for at a time.
const PAGE_ENTRIES: u64 = 100;

#[derive(Debug, Args)]
pub(super) struct AuditArguments {
    /// Only what was done by somebody of this name.
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only this, such as `runs.cancel`.
    #[arg(long)]
    action: Option<String>,
    /// Only what was done to the thing with this id or name.
    #[arg(long)]
    target: Option<String>,
    /// Only what went so.
    #[arg(long, value_enum)]
    outcome: Option<OutcomeArgument>,
    /// Only from then on: a time such as 2026-11-25T12:00:00Z, or so long ago, such as 24h.
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    since: Option<Timestamp>,
    /// Only before then.
    #[arg(long, value_name = "WHEN", value_parser = instant)]
    until: Option<Timestamp>,
    /// The newest so many [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OutcomeArgument {
    /// As it was asked for.
    Done,
    /// They may not, or what they asked for breaks a rule.
    Refused,
    /// Something of the server's failed.
    Failed,
}

impl From<OutcomeArgument> for Outcome {
    fn from(outcome: OutcomeArgument) -> Self {
        match outcome {
            OutcomeArgument::Done => Self::Done,
            OutcomeArgument::Refused => Self::Refused,
            OutcomeArgument::Failed => Self::Failed,
        }
    }
}

/// Prints page by page: a trail may be long.
pub(super) async fn run(output: Output, client: &Client, arguments: AuditArguments) -> Result<Exit, Failure> {
    let AuditArguments { actor, action, target, outcome, since, until, limit } = arguments;
    let outcome = outcome.map(Outcome::from);
    let mut left = limit.unwrap_or(u64::MAX);
    let mut cursor: Option<String> = None;
    loop {
        let filter = json!({
            "actor": actor, "action": action, "target": target, "outcome": outcome, "since": since, "until": until,
            "cursor": cursor, "limit": left.min(PAGE_ENTRIES),
        });
        let page = client.audit(filter).await?;
        for entry in &page.items {
            output.either(entry, || line(output, entry))?;
        }
        left = left.saturating_sub(page.items.len() as u64);
        cursor = page.next_cursor;
        if cursor.is_none() || left == 0 {
            return Ok(Exit::Success);
        }
    }
}

/// What others have named or said stays on one line, and the terminal obeys none of it.
fn line(output: Output, entry: &AuditEntry) -> String {
    let plain = |text: &str| visible(&text.replace(['\n', '\t'], " "));
    let who = plain(entry.actor.as_deref().unwrap_or("somebody"));
    let from = entry.ip.as_deref().map(|ip| format!(" from {}", plain(ip))).unwrap_or_default();
    let target = match (&entry.target_kind, &entry.target_id) {
        (Some(kind), Some(id)) => format!(" {} {}", plain(kind), plain(id)),
        _ => String::new(),
    };
    let outcome = match entry.outcome {
        Outcome::Done => entry.outcome.as_str().to_owned(),
        Outcome::Refused | Outcome::Failed => output.paint(BAD, entry.outcome.as_str()),
    };
    let detail = entry.detail.as_deref().map(|detail| format!(": {}", plain(detail))).unwrap_or_default();
    let at = output.paint(FAINT, &entry.at.to_string());
    let action = output.paint(NAME, &plain(&entry.action));
    format!("{at}  {who}{from}  {action}{target}  {outcome}{detail}")
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let ago = |span: Duration| now().minus(span).max(Timestamp::from_millis(0));
    Timestamp::parse(text)
        .or_else(|| duration::parse(text).ok().map(ago))
        .ok_or_else(|| "expected a time such as 2026-11-25T12:00:00Z, or a span such as 24h".to_owned())
}
