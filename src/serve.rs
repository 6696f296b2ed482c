//! Puts the parts of a server together, and takes them apart again.

use crate::config::Config;
use crate::error::Result;

/// Serves until the process is told to stop.
pub async fn serve(config: Config, worker: bool) -> Result<()> {
    let _ = (config, worker);
    unimplemented!()
}

/// Works until the process is told to stop.
pub async fn worker(config: Config) -> Result<()> {
    let _ = config;
    unimplemented!()
}
