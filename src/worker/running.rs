//! The runs that this process is working on.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::domain::ids::RunId;

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Running {
    runs: Arc<Mutex<HashSet<RunId>>>,
    count: Arc<watch::Sender<usize>>,
}

/// A run's place among them, given up when dropped.
#[derive(Debug)]
pub struct Held {
    running: Running,
    run: RunId,
}

impl Running {
    /// None if this process works on the run already.
    pub fn enter(&self, run: &RunId) -> Option<Held> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if !runs.insert(run.clone()) {
            return None;
        }
        self.count.send_replace(runs.len());
        Some(Held { running: self.clone(), run: run.clone() })
    }

    pub fn has(&self, run: &RunId) -> bool {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).contains(run)
    }

    /// Waits until there are none.
    pub async fn none(&self) {
        // The sender lives as long as `self`.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut runs = self.running.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.remove(&self.run);
        self.running.count.send_replace(runs.len());
    }
}
