//! What the program tells about itself while it runs: structured lines on stderr.

use tracing_subscriber::EnvFilter;

use crate::config::TraceConfig;

/// Begins to write; once in a process, at its start. What commands print for people goes to stdout and is not
/// affected.
///
/// # Errors
///
/// The filter is none, or another one is installed already.
pub fn start(config: &TraceConfig) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::try_new(&config.filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // That a line could not be written would be said on stderr too, and what cannot be printed there is a panic.
        .log_internal_errors(false);
    if config.json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(false).try_init()
    }
}
