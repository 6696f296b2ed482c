//! `slipway serve` and `slipway worker`.

use clap::Args;

use crate::cli::failure::{Exit, Failure};
use crate::config::Config;
use crate::serve::{Incumbent, WithWorker};
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// Address and port to listen on [default: 127.0.0.1:3001].
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<String>,
    /// Certificate chain as a PEM file: with it and its key the server speaks TLS.
    #[arg(long, value_name = "FILE")]
    pub(super) tls_cert: Option<String>,
    /// The certificate's key as a PEM file.
    #[arg(long, value_name = "FILE")]
    pub(super) tls_key: Option<String>,
    /// How many runs the worker has at a time [default: 5].
    #[arg(long, value_name = "NUMBER")]
    pub(super) concurrency: Option<String>,
    /// Leave the runs to workers elsewhere.
    #[arg(long)]
    no_worker: bool,
    /// Take the place of the server that listens there, if there is one: it drains and ends, and no connection is refused.
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Args)]
pub(super) struct WorkerArguments {
    /// How many runs it has at a time [default: 5].
    #[arg(long, value_name = "NUMBER")]
    pub(super) concurrency: Option<String>,
}

pub(super) async fn serve(config: Config, arguments: ServeArguments) -> Result<Exit, Failure> {
    start_telemetry(&config)?;
    let with_worker = if arguments.no_worker { WithWorker::No } else { WithWorker::Yes };
    let incumbent = if arguments.replace { Incumbent::IsReplaced } else { Incumbent::Stays };
    Box::pin(crate::serve::serve(config, with_worker, incumbent)).await?;
    Ok(Exit::Success)
}

pub(super) async fn worker(config: Config) -> Result<Exit, Failure> {
    start_telemetry(&config)?;
    Box::pin(crate::serve::worker(config)).await?;
    Ok(Exit::Success)
}

fn start_telemetry(config: &Config) -> Result<(), Failure> {
    telemetry::start(&config.trace).map_err(|error| Failure::failed(format!("cannot start to log: {error}")))
}
