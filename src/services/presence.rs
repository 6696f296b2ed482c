//! Which workers are there, as this process has seen it: by whether their signs of life change, never by what any
//! clock says of them. Only time between two looks counts as silence, and of that no more than looks are apart: a
//! database that was away, or a process that was stopped, makes nobody silent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::ids::WorkerId;
use crate::domain::time::Timestamp;
use crate::store::workers::WorkerRecord;

/// The longest time between two looks that counts: workers are looked at every two seconds.
const LOOK_MAX: Duration = Duration::from_secs(4);
/// A worker that nobody has asked about for so long is forgotten here.
const FORGET_AFTER: Duration = Duration::from_secs(60 * 60);

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Presence(Arc<Mutex<HashMap<WorkerId, Seen>>>);

#[derive(Debug)]
struct Seen {
    /// The sign of life, which only has to differ from the one before.
    sign: Timestamp,
    silence: Duration,
    looked_at: Instant,
}

impl Presence {
    /// Takes note of a worker's row, just read, and gives for how long the worker has been silent: none at first sight.
    pub fn look(&self, worker: &WorkerRecord) -> Duration {
        self.look_at(worker, Instant::now())
    }

    fn look_at(&self, worker: &WorkerRecord, now: Instant) -> Duration {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Seen { sign: worker.seen_at, silence: Duration::ZERO, looked_at: now };
        let Some(seen) = all.get_mut(&worker.id) else {
            all.retain(|_, seen| now.duration_since(seen.looked_at) < FORGET_AFTER);
            all.insert(worker.id.clone(), fresh);
            return Duration::ZERO;
        };
        if seen.sign == worker.seen_at {
            seen.silence += now.duration_since(seen.looked_at).min(LOOK_MAX);
            seen.looked_at = now;
        } else {
            *seen = fresh;
        }
        seen.silence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::HostId;

    fn worker(sign: i64) -> WorkerRecord {
        WorkerRecord {
            id: "01a20bb0-4932-75db-8296-0987e853e3b0".parse().unwrap(),
            host: HostId::generate(),
            name: "worker".to_owned(),
            started_at: Timestamp::from_millis(0),
            seen_at: Timestamp::from_millis(sign),
            fetched_at: None,
            concurrency: None,
            version: None,
        }
    }

    #[test]
    fn silence_is_time_in_which_the_sign_was_looked_at_and_did_not_change() {
        let presence = Presence::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let silence = |sign, seconds| presence.look_at(&worker(sign), at(seconds)).as_secs();
        assert_eq!(silence(5, 0), 0);
        assert_eq!(silence(5, 2), 2);
        assert_eq!(silence(5, 4), 4);
        // Nobody looked for a minute.
        assert_eq!(silence(5, 64), 8);
        // Its clock went back, and it is there all the same.
        assert_eq!(silence(3, 66), 0);
        assert_eq!(silence(3, 68), 2);
    }
}
