//! placeholder
use crate::error::{Error, Result};
pub struct PrivateServer;
impl PrivateServer {
    pub fn start(_: &std::path::Path, _: Option<&std::path::Path>, _: &str) -> Result<Self> { Err(Error::unavailable("redis", "not yet")) }
    pub async fn wait_ready(&self, _: std::time::Duration) -> Result<()> { Ok(()) }
    pub fn url(&self) -> &str { "" }
    pub async fn stop(self) {}
}
