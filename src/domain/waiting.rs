//! Why a run does not proceed, in words: from what its row says and what is known of the installation.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crate::domain::ids::RunId;
use crate::domain::run::{Run, RunStatus};
use crate::domain::time::Timestamp;

/// An ordinary wait needs no reason.
const WAIT_MIN: Duration = Duration::from_secs(2);
/// A run that waited longer than this says so in its log once it begins.
const WAIT_TOLD_MIN: Duration = Duration::from_secs(5);

/// What keeps Redis from serving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    Unreachable,
    /// It answers, but takes no writes.
    NoWrites(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("redis is unreachable"),
            Self::NoWrites(why) => write!(f, "redis takes no writes ({why})"),
        }
    }
}

impl Trouble {
    /// The same, once it is over.
    fn past(&self) -> String {
        match self {
            Self::Unreachable => "redis was unreachable".to_owned(),
            Self::NoWrites(why) => format!("redis took no writes ({why})"),
        }
    }
}

/// A time in which Redis did not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    pub trouble: Trouble,
    pub since: Timestamp,
    /// None: it lasts.
    pub until: Option<Timestamp>,
}

/// Whether there is anybody to take runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Workers {
    /// It is too early to tell.
    #[default]
    Unknown,
    Present {
        count: u64,
        /// How many runs they take at a time; none: one of them does not tell.
        places: Option<u64>,
    },
    Gone {
        unseen_for: Duration,
    },
}

/// What the queue holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Jobs that workers have.
    pub active: u64,
    /// Jobs that no worker has taken yet.
    pub waiting: u64,
    /// The runs whose jobs are taken next, each with the number of those before it. As many as are worth counting, and
    /// only while all places are taken.
    pub next: HashMap<RunId, u64>,
}

/// The worker of a run has given no sign of life for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    pub worker: String,
    pub lasts: Duration,
}

/// What a process knows of the installation at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installation {
    /// The present outage of Redis, or the last one.
    pub outage: Option<Outage>,
    pub workers: Workers,
    pub line: Line,
    /// The runs whose workers are silent.
    pub silent: HashMap<RunId, Silence>,
    /// After so long another worker takes over.
    pub host_silence: Duration,
}

impl Installation {
    fn present_outage(&self, now: Timestamp) -> Option<&Outage> {
        self.outage.as_ref().filter(|outage| outage.until.is_none() && WAIT_MIN <= now.since(outage.since))
    }
}

/// Why the run does not proceed; what its row gives as the reason is part of it. None: it does, or that has only begun.
pub fn reason(run: &Run, known: &Installation, now: Timestamp) -> Option<String> {
    let text = match run.status {
        RunStatus::Queued | RunStatus::Waiting => {
            if let Some(at) = run.next_attempt_at.filter(|at| now < *at) {
                return Some(between_attempts(run, at.since(now)));
            }
            let cause = queued(run, known, now).filter(|_| WAIT_MIN <= now.since(wait_began(run)))?;
            format!("waiting: {cause}")
        }
        RunStatus::Running => format!("waiting: {}", held(run, known, now, "takes over", "its steps go on")?),
        RunStatus::Canceling => {
            format!("canceling: {}", held(run, known, now, "ends it", "its processes are ended")?)
        }
        RunStatus::Succeeded | RunStatus::Failed | RunStatus::Canceled | RunStatus::TimedOut => return None,
    };
    Some(match &run.reason {
        Some(stored) => format!("{text} ({stored})"),
        None => text,
    })
}

/// What a run says in its log that begins after a long wait. `spans` is from when to when each worker was there. None:
/// the wait was short, or nobody knows when it began.
pub fn waited(
    run: &Run,
    outage: Option<&Outage>,
    spans: &[(Timestamp, Timestamp)],
    now: Timestamp,
) -> Option<String> {
    // An asked-for retry leaves no trace of when it was asked for.
    if run.next_attempt_at.is_none() && run.started_at.is_some() {
        return None;
    }
    let began = wait_began(run);
    let wait = now.since(began);
    if wait <= WAIT_TOLD_MIN {
        return None;
    }
    let seconds = wait.as_secs();
    if let Some(Outage { trouble, since, until }) = outage {
        let end = until.unwrap_or(now);
        // Most of the wait was that.
        if wait / 2 < end.since(began.max(*since)) {
            return Some(format!("waited {seconds} s: {} from {since} to {end}", trouble.past()));
        }
    }
    let was_there = spans.iter().any(|(from, to)| *from <= began && began <= *to);
    Some(match was_there {
        true => format!("waited {seconds} s for a worker that had a place free"),
        false => format!("waited {seconds} s: no worker was there"),
    })
}

fn wait_began(run: &Run) -> Timestamp {
    run.next_attempt_at.unwrap_or(run.created_at)
}

fn between_attempts(run: &Run, left: Duration) -> String {
    let next = format!("waiting for attempt {} of {}, in {}", run.attempt, run.attempts_max, rough(left));
    match &run.reason {
        Some(stored) => format!("{next}: {stored}"),
        None => next,
    }
}

fn queued(run: &Run, known: &Installation, now: Timestamp) -> Option<String> {
    if let Some(Outage { trouble, since, .. }) = known.present_outage(now) {
        return Some(format!("{trouble} since {since}"));
    }
    match known.workers {
        Workers::Unknown => None,
        Workers::Gone { unseen_for } => Some(format!("no worker has been seen for {}", rough(unseen_for))),
        Workers::Present { count, places: Some(places) } if places <= known.line.active => {
            let taken = match places {
                1 => "the only place is taken".to_owned(),
                _ => format!("all {places} places of {} are taken", counted(count, "worker")),
            };
            Some(format!("{taken}{}", ahead(run, &known.line)))
        }
        // When a retry was asked for is not known, so perhaps it was just now.
        Workers::Present { .. } if run.next_attempt_at.is_none() && run.started_at.is_some() => None,
        Workers::Present { count: 1, .. } => Some("a worker is there, and has not taken it yet".to_owned()),
        Workers::Present { count, .. } => {
            Some(format!("{count} workers are there, and none has taken it yet"))
        }
    }
}

fn ahead(run: &Run, line: &Line) -> String {
    match line.next.get(&run.id) {
        Some(0) => ", it is next".to_owned(),
        Some(1) => ", 1 run is ahead".to_owned(),
        Some(count) => format!(", {count} runs are ahead"),
        None => match line.next.len() as u64 {
            known if known < line.waiting => format!(", more than {known} runs are ahead"),
            _ => String::new(),
        },
    }
}

/// Why a run that a worker has does not proceed. `verb` is what another worker does in the end, `meanwhile` what does
/// not need Redis.
fn held(run: &Run, known: &Installation, now: Timestamp, verb: &str, meanwhile: &str) -> Option<String> {
    if let Some(Silence { worker, lasts }) = known.silent.get(&run.id) {
        let silent = format!("its worker {worker} has been silent for {}", rough(*lasts));
        return Some(match *lasts < known.host_silence {
            true => format!("{silent}, another {verb} after {}", rough(known.host_silence)),
            false => format!("{silent}, and no other has taken over yet"),
        });
    }
    let Outage { trouble, since, .. } = known.present_outage(now)?;
    Some(format!("{trouble} since {since}; {meanwhile} meanwhile"))
}

fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// For people, and the coarser the longer it lasts: a text that is sent whenever it changes need not change each second.
fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => "1 s".to_owned(),
        1..10 => format!("{seconds} s"),
        10..60 => format!("{} s", seconds / 5 * 5),
        60..3_600 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::ids::PipelineId;
    use crate::domain::run::{Percent, RunTrigger, TriggerKind};

    const CREATED: Timestamp = Timestamp::from_millis(1_795_478_400_000);

    fn after(seconds: u64) -> Timestamp {
        CREATED.plus(Duration::from_secs(seconds))
    }

    fn run(status: RunStatus) -> Run {
        Run {
            id: RunId::generate(),
            number: 1,
            pipeline_id: PipelineId::generate(),
            pipeline_name: "nightly".to_owned(),
            status,
            progress: Percent::ZERO,
            attempt: 1,
            attempts_max: 3,
            branch: None,
            commit: None,
            inputs: BTreeMap::new(),
            trigger: RunTrigger { kind: TriggerKind::Api, by: "admin".to_owned(), untrusted: false },
            reason: None,
            error: None,
            version: 1,
            lines: 0,
            last_line_at: None,
            next_attempt_at: None,
            created_at: CREATED,
            started_at: None,
            finished_at: None,
            log_purged_at: None,
            log_purged_by: None,
        }
    }

    fn present(count: u64, places: u64, active: u64) -> Installation {
        let line = Line { active, ..Line::default() };
        let workers = Workers::Present { count, places: Some(places) };
        Installation { workers, line, host_silence: Duration::from_secs(30), ..Installation::default() }
    }

    fn without_workers(seconds: u64) -> Installation {
        let workers = Workers::Gone { unseen_for: Duration::from_secs(seconds) };
        Installation { workers, ..present(0, 0, 0) }
    }

    fn with_outage(trouble: Trouble, until: Option<Timestamp>) -> Installation {
        let outage = Some(Outage { trouble, since: after(0), until });
        Installation { outage, ..present(1, 5, 0) }
    }

    #[track_caller]
    fn says(run: &Run, known: &Installation, seconds: u64, expected: &str) {
        assert_eq!(reason(run, known, after(seconds)).as_deref(), Some(expected));
    }

    #[test]
    fn a_queued_run_names_what_it_waits_for() {
        let run = run(RunStatus::Queued);
        says(&run, &without_workers(42), 42, "waiting: no worker has been seen for 40 s");
        says(&run, &without_workers(3_700), 42, "waiting: no worker has been seen for 1 h");
        let away = with_outage(Trouble::Unreachable, None);
        says(&run, &away, 9, "waiting: redis is unreachable since 2026-11-24T00:00:00.000Z");
        let full = with_outage(Trouble::NoWrites("out of memory".to_owned()), None);
        let expected = "waiting: redis takes no writes (out of memory) since 2026-11-24T00:00:00.000Z";
        says(&run, &full, 9, expected);
        says(&run, &present(1, 5, 2), 9, "waiting: a worker is there, and has not taken it yet");
    }

    #[test]
    fn a_run_without_a_place_says_how_many_are_ahead() {
        let run = run(RunStatus::Queued);
        let mut known = present(3, 15, 15);
        says(&run, &known, 9, "waiting: all 15 places of 3 workers are taken");
        for (before, expected) in [(0, "it is next"), (1, "1 run is ahead"), (12, "12 runs are ahead")] {
            known.line.next.insert(run.id.clone(), before);
            says(&run, &known, 9, &format!("waiting: all 15 places of 3 workers are taken, {expected}"));
        }
        known.line.next = (0..1_000).map(|before| (RunId::generate(), before)).collect();
        known.line.waiting = 9_000;
        says(&run, &known, 9, "waiting: all 15 places of 3 workers are taken, more than 1000 runs are ahead");
        says(&run, &present(1, 1, 1), 9, "waiting: the only place is taken");
    }

    #[test]
    fn an_ordinary_wait_needs_no_reason() {
        let mut run = run(RunStatus::Queued);
        for known in [without_workers(90), present(1, 1, 1), with_outage(Trouble::Unreachable, None)] {
            assert_eq!(reason(&run, &known, after(1)), None);
        }
        assert_eq!(reason(&run, &Installation::default(), after(90)), None, "nothing is known yet");
        // One that was tried before may have been asked for just now.
        run.started_at = Some(CREATED);
        assert_eq!(reason(&run, &present(1, 5, 0), after(90)), None);
        let over = with_outage(Trouble::Unreachable, Some(after(5)));
        assert_eq!(reason(&run, &over, after(90)), None);
        for status in RunStatus::ALL.into_iter().filter(|status| status.is_ended()) {
            run.status = status;
            assert_eq!(reason(&run, &without_workers(90), after(90)), None);
        }
    }

    #[test]
    fn what_is_stored_stays_part_of_the_reason() {
        let mut run = run(RunStatus::Queued);
        run.reason = Some("attempt 1 failed: build exited with 1".to_owned());
        run.attempt = 2;
        run.next_attempt_at = Some(after(10));
        says(
            &run,
            &without_workers(90),
            6,
            "waiting for attempt 2 of 3, in 4 s: attempt 1 failed: build exited with 1",
        );
        says(
            &run,
            &without_workers(90),
            13,
            "waiting: no worker has been seen for 1 min (attempt 1 failed: build exited with 1)",
        );
    }

    #[test]
    fn a_run_says_that_its_worker_is_silent_and_what_follows() {
        let mut run = run(RunStatus::Running);
        let mut known = present(1, 5, 1);
        assert_eq!(reason(&run, &known, after(90)), None);
        let mut silent = |seconds| {
            let silence = Silence { worker: "a:1".to_owned(), lasts: Duration::from_secs(seconds) };
            known.silent.insert(run.id.clone(), silence);
            known.clone()
        };
        let (early, late) = (silent(20), silent(40));
        says(
            &run,
            &early,
            90,
            "waiting: its worker a:1 has been silent for 20 s, another takes over after 30 s",
        );
        says(
            &run,
            &late,
            90,
            "waiting: its worker a:1 has been silent for 40 s, and no other has taken over yet",
        );
        run.status = RunStatus::Canceling;
        run.reason = Some("canceled by admin".to_owned());
        let expected = "canceling: its worker a:1 has been silent for 20 s, another ends it after 30 s \
                        (canceled by admin)";
        says(&run, &early, 90, expected);
    }

    #[test]
    fn a_running_run_says_that_redis_is_away() {
        let run = run(RunStatus::Running);
        let away = with_outage(Trouble::Unreachable, None);
        let expected =
            "waiting: redis is unreachable since 2026-11-24T00:00:00.000Z; its steps go on meanwhile";
        says(&run, &away, 9, expected);
    }

    #[test]
    fn a_long_wait_is_told_once_it_is_over() {
        let mut run = run(RunStatus::Queued);
        let told = |run: &Run, outage: Option<&Outage>, spans: &[_], seconds| {
            waited(run, outage, spans, after(seconds))
        };
        assert_eq!(told(&run, None, &[], 5), None);
        assert_eq!(told(&run, None, &[], 42).as_deref(), Some("waited 42 s: no worker was there"));
        let late = (after(40), after(42));
        assert_eq!(told(&run, None, &[late], 42).as_deref(), Some("waited 42 s: no worker was there"));
        let there = (Timestamp::from_millis(0), after(41));
        let for_a_place = "waited 42 s for a worker that had a place free";
        assert_eq!(told(&run, None, &[late, there], 42).as_deref(), Some(for_a_place));
        let mut outage = Outage { trouble: Trouble::Unreachable, since: after(1), until: Some(after(40)) };
        let away =
            "waited 42 s: redis was unreachable from 2026-11-24T00:00:01.000Z to 2026-11-24T00:00:40.000Z";
        assert_eq!(told(&run, Some(&outage), &[there], 42).as_deref(), Some(away));
        outage.until = Some(after(9));
        assert_eq!(told(&run, Some(&outage), &[there], 42).as_deref(), Some(for_a_place));
        run.started_at = Some(after(1));
        assert_eq!(told(&run, None, &[], 42), None, "an asked-for retry");
    }
}
