//! What every request and job is given: the configuration and the ports.

use std::sync::Arc;

use crate::config::Config;
use crate::domain::time::Timestamp;
use crate::store::Store;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
pub struct Inner {
    pub config: Config,
    pub store: Store,
    pub started_at: Timestamp,
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
