//! `slipway run delete`, `run purge`: what cannot be undone, and is asked for twice.

use std::io::{BufRead, IsTerminal as _, Write as _};

use clap::{Args, Subcommand};

use crate::cli::client::Client;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::run::{run_id, title};
use crate::domain::ids::RunId;
use crate::domain::terminal::visible;

/// A longer answer is none.
const ANSWER_BYTES_MAX: u64 = 100;

#[derive(Debug, Subcommand)]
pub(super) enum RunCommand {
    /// Delete a run that has ended, with its steps and its log.
    Delete(RemovalArguments),
    /// Remove the log of a run that has ended; the run stays, and is not tried again.
    Purge(RemovalArguments),
}

#[derive(Debug, Args)]
pub(super) struct RemovalArguments {
    /// The run's id.
    #[arg(value_parser = run_id)]
    run: RunId,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(output: Output, client: &Client, command: RunCommand) -> Result<Exit, Failure> {
    match command {
        RunCommand::Delete(RemovalArguments { run: id, yes }) => {
            let name = title(&client.run(&id).await?.run);
            if !yes && !is_wanted(&format!("Delete {name} with its steps and its log, for good?"))? {
                return Err(Failure::failed("nothing was deleted"));
            }
            let deleted = client.delete_run(&id).await?;
            output.either(&deleted, || format!("Deleted {}", visible(&name)))?;
        }
        RunCommand::Purge(RemovalArguments { run: id, yes }) => {
            let name = title(&client.run(&id).await?.run);
            if !yes && !is_wanted(&format!("Remove the log of {name}, for good?"))? {
                return Err(Failure::failed("nothing was removed"));
            }
            let run = client.purge_log(&id).await?;
            output.either(&run, || format!("Removed the log of {}", visible(&name)))?;
        }
    }
    Ok(Exit::Success)
}

/// Asks whoever sits at the terminal.
fn is_wanted(question: &str) -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let message = "this cannot be undone, and there is no terminal to ask at";
        return Err(Failure::usage(message).advise("Give --yes if it is what you want"));
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "{} [y/N] ", visible(question)).and_then(|()| stderr.flush())?;
    Ok(is_yes(stdin.lock())?)
}

fn is_yes(answer: impl BufRead) -> std::io::Result<bool> {
    let mut line = Vec::new();
    answer.take(ANSWER_BYTES_MAX).read_until(b'\n', &mut line)?;
    let line = line.trim_ascii();
    Ok(line.eq_ignore_ascii_case(b"y") || line.eq_ignore_ascii_case(b"yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_yes_is_a_yes() {
        for (answer, expected) in [
            ("y\n", true),
            (" YES \r\n", true),
            ("y", true),
            ("", false),
            ("\n", false),
            ("n\ny\n", false),
            ("yes please\n", false),
            ("\u{1b}[Ay\n", false),
        ] {
            assert_eq!(is_yes(answer.as_bytes()).unwrap(), expected, "{answer:?}");
        }
    }
}
