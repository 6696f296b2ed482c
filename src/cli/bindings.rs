//! `slipway bindings`: what is generated from the procedures: the TypeScript package's part, the OpenAPI document.

use std::path::PathBuf;

use clap::Args;

use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::rpc::{bindings, openapi};

#[derive(Debug, Args)]
pub(super) struct BindingsArguments {
    /// Write nothing; fail if what is there is not what would be written.
    #[arg(long)]
    check: bool,
    /// The file to write.
    #[arg(long, value_name = "FILE", default_value = bindings::PATH)]
    out: PathBuf,
    /// The OpenAPI document to write.
    #[arg(long, value_name = "FILE", default_value = openapi::PATH)]
    openapi: PathBuf,
}

pub(super) fn run(output: Output, arguments: &BindingsArguments) -> Result<Exit, Failure> {
    let (file, document) = (&arguments.out, &arguments.openapi);
    if arguments.check {
        bindings::check(file).and_then(|()| openapi::check(document)).map_err(|reason| {
            Failure::failed(reason.to_string()).advise("Run `make bindings`, and look at what changed")
        })?;
        output
            .either(&serde_json::json!({ "upToDate": true }), || "The bindings are up to date".to_owned())?;
    } else {
        bindings::write(file)
            .and_then(|()| openapi::write(document))
            .map_err(|error| Failure::failed(error.to_string()))?;
        output.either(&serde_json::json!({ "written": [file, document] }), || {
            format!("Wrote {} and {}", file.display(), document.display())
        })?;
    }
    Ok(Exit::Success)
}
