//! The command line: one file a noun, one arm a command.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::cli::client::Client;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{Format, Output, note};
use crate::config::{ClientFlags, Environment, Flags, Loaded};
use crate::domain::terminal::visible;

mod audit;
mod backup;
mod bindings;
mod client;
mod config;
mod doctor;
mod exec;
mod failure;
mod follow;
mod lines;
mod migrate;
mod output;
mod pipeline;
mod removal;
mod run;
mod secret;
mod serve;
mod sse;
mod steps;
mod subscription;
mod token;
mod user;
mod view;

const EXIT_CODES: &str = "Exit codes: 0 success (or the run succeeded), 1 failed, 2 wrong usage, 3 the run was \
                          canceled, 4 it timed out, 5 the server cannot be reached";

/// Trigger a run of a pipeline, stream its log, watch it to the end.
#[derive(Debug, Parser)]
#[command(name = "slipway", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
struct Arguments {
    #[command(flatten)]
    general: GeneralArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "General options")]
struct GeneralArguments {
    /// Read settings from this file instead of `slipway.toml` in the data directory.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything is kept that is not kept elsewhere.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Set a setting, such as `http.listen=127.0.0.1:4000`; `slipway config` lists them.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    assignments: Vec<String>,
    /// Print JSON: one document, or a line for each event.
    #[arg(long, global = true)]
    json: bool,
    /// The server to talk to [default: the one of this machine].
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// Read the access token from this file.
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server, with a worker in it.
    Serve(serve::ServeArguments),
    /// Run a worker without a server.
    Worker(serve::WorkerArguments),
    /// Show or apply the database's migrations.
    #[command(subcommand)]
    Migrate(migrate::MigrateCommand),
    /// Write a backup of this machine's installation to one file, while it works on.
    Backup(backup::BackupArguments),
    /// Make a data directory out of a backup.
    Restore(backup::RestoreArguments),
    /// Write the TypeScript bindings.
    Bindings(bindings::BindingsArguments),
    /// Show the settings in force, and where each comes from.
    Config,
    /// Check this installation, and say what to do about what is wrong.
    Doctor(doctor::DoctorArguments),
    /// Make, list, change and check pipelines.
    #[command(subcommand)]
    Pipeline(pipeline::PipelineCommand),
    /// Trigger a run of a pipeline.
    Trigger(run::TriggerArguments),
    /// Print a run's log.
    Logs(run::LogsArguments),
    /// Watch a run's steps to their end.
    Watch(run::RunArguments),
    /// Cancel a run.
    Cancel(run::RunArguments),
    /// Try a run that has ended once more.
    Retry(run::RetryArguments),
    /// Delete a run, or its log, for good.
    #[command(subcommand)]
    Run(removal::RunCommand),
    /// Run a pipeline file here and now, without a server.
    Exec(exec::ExecArguments),
    /// Make, list and revoke access tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Make accounts of people, and say what they may do.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Store, list and delete secrets that steps are given, and change their key.
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// Print who did what, newest first.
    Audit(audit::AuditArguments),
}

/// Reads the arguments, does what they say, and tells how it went.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
            // Nobody can be told if that fails.
            let _ = error.print();
            return exit.into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            note(&format!("slipway: cannot start: {error}"));
            return Exit::Failed.into();
        }
    };
    let result = runtime.block_on(Box::pin(run(arguments)));
    // Reads of files and names that nobody waits for any more must not hold the program up.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if !failure.message.is_empty() {
                // A server, or whoever answers in its name, has worded some of it.
                note(&visible(&failure.to_string()));
            }
            failure.exit.into()
        }
    }
}

async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments { general, command } = arguments;
    let environment = Environment::of_process();
    let format = if general.json { Format::Json } else { Format::People };
    let output = Output::new(format, environment.terminal());
    let loaded = Loaded::new(&flags(&general, &command), environment)?;
    let client_flags = ClientFlags { url: general.url, token_file: general.token_file };
    let client = || -> Result<Client, Failure> { Ok(Client::new(&loaded.client(&client_flags)?)?) };
    match command {
        Command::Serve(arguments) => serve::serve(loaded.config, arguments).await,
        Command::Worker(_) => serve::worker(loaded.config).await,
        Command::Migrate(command) => migrate::run(output, &loaded.config, command).await,
        Command::Backup(arguments) => Box::pin(backup::backup(output, &loaded.config, arguments)).await,
        Command::Restore(arguments) => backup::restore(output, &loaded.config, &arguments),
        Command::Bindings(arguments) => bindings::run(output, &arguments),
        Command::Config => config::run(output, &loaded),
        Command::Doctor(arguments) => Box::pin(doctor::run(output, &loaded, &client_flags, arguments)).await,
        Command::Pipeline(command) => pipeline::run(output, client, command).await,
        Command::Trigger(arguments) => run::trigger(output, &client()?, arguments).await,
        Command::Logs(arguments) => run::logs(output, &client()?, arguments).await,
        Command::Watch(arguments) => run::watch(output, &client()?, arguments).await,
        Command::Cancel(arguments) => run::cancel(output, &client()?, arguments).await,
        Command::Retry(arguments) => run::retry(output, &client()?, arguments).await,
        Command::Run(command) => removal::run(output, &client()?, command).await,
        Command::Exec(arguments) => Box::pin(exec::run(output, &loaded, arguments)).await,
        Command::Token(command) => token::run(output, &client()?, command).await,
        Command::User(command) => user::run(output, &client()?, command).await,
        Command::Secret(command) => secret::run(output, &loaded.config, client, command).await,
        Command::Audit(arguments) => audit::run(output, &client()?, arguments).await,
    }
}

fn flags(general: &GeneralArguments, command: &Command) -> Flags {
    let mut values = Vec::new();
    let mut add = |key, flag, value: Option<&String>| {
        values.extend(value.map(|value| (key, flag, value.clone())));
    };
    add("data_dir", "--data-dir", general.data_dir.as_ref());
    match command {
        Command::Serve(arguments) => {
            add("http.listen", "--listen", arguments.listen.as_ref());
            add("http.tls_cert", "--tls-cert", arguments.tls_cert.as_ref());
            add("http.tls_key", "--tls-key", arguments.tls_key.as_ref());
            add("worker.concurrency", "--concurrency", arguments.concurrency.as_ref());
        }
        Command::Worker(arguments) => {
            add("worker.concurrency", "--concurrency", arguments.concurrency.as_ref());
        }
        _ => {}
    }
    Flags { file: general.config.clone(), assignments: general.assignments.clone(), values }
}

/// `name=value`.
fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declaration_of_the_arguments_holds_together() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
