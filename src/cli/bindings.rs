//! `slipway bindings`: the TypeScript package's generated part.

use std::path::PathBuf;

use clap::Args;

use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::rpc::bindings;

#[derive(Debug, Args)]
pub(super) struct BindingsArguments {
    /// Write nothing; fail if what is there is not what would be written.
    #[arg(long)]
    check: bool,
    /// The package's directory of sources.
    #[arg(long, value_name = "DIR", default_value = "bindings/src")]
    out: PathBuf,
}

pub(super) fn run(output: Output, arguments: &BindingsArguments) -> Result<Exit, Failure> {
    let dir = &arguments.out;
    if arguments.check {
        bindings::check(dir).map_err(|reason| {
            Failure::failed(reason).advise("Run `make bindings`, and look at what changed")
        })?;
        output
            .either(&serde_json::json!({ "upToDate": true }), || "The bindings are up to date".to_owned())?;
    } else {
        bindings::write(dir).map_err(|error| Failure::failed(format!("cannot write {}: {error}", dir.display())))?;
        output.either(&serde_json::json!({ "written": dir }), || format!("Wrote {}", dir.display()))?;
    }
    Ok(Exit::Success)
}
