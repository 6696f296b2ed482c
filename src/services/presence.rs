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
    sighting: Sighting,
    looked_at: Instant,
}

/// What is known of a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sighting {
    /// For how long its sign has not changed; none at first sight.
    pub silence: Duration,
    /// A sign came while this process looked: before, nobody knows how old the last one is.
    pub was_seen: bool,
}

impl Presence {
    /// Takes note of a worker's row, just read, and gives for how long the worker has been silent.
    pub fn look(&self, worker: &WorkerRecord) -> Duration {
        self.sight(worker).silence
    }

    /// The same, with all that is known.
    pub fn sight(&self, worker: &WorkerRecord) -> Sighting {
        self.sight_at(worker, Instant::now())
    }

    fn sight_at(&self, worker: &WorkerRecord, now: Instant) -> Sighting {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seen) = all.get_mut(&worker.id) else {
            all.retain(|_, seen| now.duration_since(seen.looked_at) < FORGET_AFTER);
            let seen = Seen { sign: worker.seen_at, sighting: Sighting::default(), looked_at: now };
            all.insert(worker.id.clone(), seen);
            return Sighting::default();
        };
        if seen.sign == worker.seen_at {
            seen.sighting.silence += now.duration_since(seen.looked_at).min(LOOK_MAX);
        } else {
            seen.sign = worker.seen_at;
            seen.sighting = Sighting { silence: Duration::ZERO, was_seen: true };
        }
        seen.looked_at = now;
        seen.sighting
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
        let silence = |sign, seconds| presence.sight_at(&worker(sign), at(seconds)).silence.as_secs();
        assert_eq!(silence(5, 0), 0);
        assert_eq!(silence(5, 2), 2);
        assert_eq!(silence(5, 4), 4);
        // Nobody looked for a minute.
        assert_eq!(silence(5, 64), 8);
        // Its clock went back, and it is there all the same.
        assert_eq!(silence(3, 66), 0);
        assert_eq!(silence(3, 68), 2);
        assert!(presence.sight_at(&worker(3), at(68)).was_seen);
        assert!(!Presence::default().sight_at(&worker(3), at(68)).was_seen);
    }
}
