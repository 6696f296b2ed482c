use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use StepStatus::{Canceled, Failed, Lost, Pending, Running, Skipped, Succeeded, TimedOut};

/// A step by its name, `:failure` or `:always` behind it, then what it needs: `notify:failure build test`.
fn step(text: &str) -> StepDefinition {
    let mut words = text.split(' ');
    let (name, when) = match words.next().unwrap().split_once(':') {
        Some((name, "failure")) => (name, When::Failure),
        Some((name, "always")) => (name, When::Always),
        Some((_, when)) => panic!("no when: {when}"),
        None => (text.split(' ').next().unwrap(), When::Success),
    };
    StepDefinition {
        name: name.to_owned(),
        run: "true".to_owned(),
        needs: words.map(str::to_owned).collect(),
        when,
        env: BTreeMap::new(),
        secrets: Vec::new(),
        timeout: None,
        retry: None,
        limits: crate::domain::step_limits::StepLimits::default(),
        tty: false,
    }
}

fn definition(steps: &[&str]) -> Definition {
    let retry = Retry { attempts: 3, delay: Duration::from_secs(1) };
    let steps = steps.iter().map(|text| step(text)).collect();
    Definition { retry, timeout: Duration::from_secs(3600), env: BTreeMap::new(), steps }
}

/// Drives an attempt and speaks of steps by name.
struct Driver {
    attempt: Attempt,
    definition: Definition,
    now: Instant,
    skipped: Vec<(String, &'static str)>,
    outcome: Option<Outcome>,
}

impl Driver {
    fn new(steps: &[&str], chance: Chance) -> Self {
        Self::of(definition(steps), chance, 4)
    }

    fn of(definition: Definition, chance: Chance, parallel_max: usize) -> Self {
        let steps = vec![StepSoFar::NEW; definition.steps.len()];
        Self::resumed(definition, chance, parallel_max, &steps)
    }

    fn resumed(definition: Definition, chance: Chance, parallel_max: usize, steps: &[StepSoFar]) -> Self {
        let attempt = Attempt::new(&definition, chance, parallel_max, steps);
        Self { attempt, definition, now: Instant::now(), skipped: Vec::new(), outcome: None }
    }

    fn index(&self, name: &str) -> usize {
        self.definition.steps.iter().position(|step| step.name == name).unwrap()
    }

    /// The names of the steps that start at this time.
    fn starts(&mut self) -> Vec<String> {
        let mut started = Vec::new();
        for action in self.attempt.next(self.now) {
            let name = |index: usize| self.definition.steps[index].name.clone();
            match action {
                Action::Start { index, .. } => started.push(name(index)),
                Action::Skip { index, reason } => self.skipped.push((name(index), reason)),
                Action::RetryAt { .. } => {}
                Action::Done(outcome) => self.outcome = Some(outcome),
            }
        }
        started
    }

    /// Ends a step; the names of those that start thereupon.
    fn ends(&mut self, name: &str, status: StepStatus) -> Vec<String> {
        self.attempt.ended(self.index(name), status, self.now);
        self.starts()
    }

    fn stop(&mut self, reason: StopReason) -> Vec<String> {
        let ended = self.attempt.stop(reason);
        ended.into_iter().map(|index| self.definition.steps[index].name.clone()).collect()
    }

    fn status(&self, name: &str) -> StepStatus {
        self.attempt.status(self.index(name))
    }

    fn skipped(&self) -> Vec<&str> {
        self.skipped.iter().map(|(name, _)| name.as_str()).collect()
    }
}

const NONE: [&str; 0] = [];

#[test]
fn steps_start_as_soon_as_all_that_they_need_has_succeeded() {
    let mut run = Driver::new(&["build", "lint", "test build", "ship test lint"], Chance::Last);
    assert_eq!(run.starts(), ["build", "lint"]);
    assert_eq!(run.starts(), NONE, "a step starts once");
    assert_eq!(run.ends("build", Succeeded), ["test"]);
    assert_eq!(run.ends("test", Succeeded), NONE);
    assert_eq!(run.attempt.progress().get(), 50);
    assert_eq!(run.ends("lint", Succeeded), ["ship"]);
    assert_eq!(run.outcome, None);
    assert_eq!(run.ends("ship", Succeeded), NONE);
    assert_eq!(run.outcome, Some(Outcome::Succeeded));
}

#[test]
fn no_more_steps_run_side_by_side_than_allowed() {
    let mut run = Driver::of(definition(&["a", "b", "c"]), Chance::Last, 2);
    assert_eq!(run.starts(), ["a", "b"]);
    assert_eq!(run.ends("b", Succeeded), ["c"]);
    assert_eq!(run.attempt.running(), 2);
}

#[test]
fn a_failure_in_the_last_attempt_lets_running_steps_end_and_starts_no_other_success_step() {
    let mut run = Driver::of(definition(&["a", "b", "c", "after b"]), Chance::Last, 2);
    run.starts();
    assert_eq!(run.ends("a", Failed), NONE);
    assert_eq!(run.skipped(), ["c", "after"]);
    assert_eq!(run.outcome, None, "b still runs");
    assert_eq!(run.ends("b", Succeeded), NONE);
    assert_eq!(run.status("b"), Succeeded);
    assert_eq!(run.outcome, Some(Outcome::Failed));
}

#[test]
fn a_failure_with_another_attempt_to_follow_starts_nothing_and_skips_nothing() {
    let mut run = Driver::new(&["a", "b", "c a", "tell:failure", "clear:always c"], Chance::Another);
    run.starts();
    assert_eq!(run.ends("a", Failed), NONE);
    assert_eq!(run.outcome, None, "b still runs");
    assert_eq!(run.ends("b", Succeeded), NONE);
    assert_eq!(run.skipped(), NONE);
    assert_eq!(run.status("c"), Pending);
    assert_eq!(run.outcome, Some(Outcome::RetryLater));
}

#[test]
fn failure_steps_run_when_something_above_them_failed_and_are_skipped_otherwise() {
    let steps = ["build", "docs", "test build", "tell:failure test", "mourn:failure docs"];
    let mut run = Driver::new(&steps, Chance::Last);
    run.starts();
    run.ends("docs", Succeeded);
    assert_eq!(run.ends("build", Failed), ["tell"], "the failure is two steps above");
    assert_eq!(run.skipped(), ["mourn", "test"]);
    run.ends("tell", Succeeded);
    assert_eq!(run.outcome, Some(Outcome::Failed));

    let mut run = Driver::new(&steps, Chance::Last);
    run.starts();
    run.ends("docs", Succeeded);
    run.ends("build", Succeeded);
    run.ends("test", Succeeded);
    assert_eq!(run.skipped(), ["mourn", "tell"]);
    assert_eq!(run.outcome, Some(Outcome::Succeeded));
}

#[test]
fn failure_and_always_steps_that_need_nothing_wait_for_the_rest_in_this_order() {
    let mut run = Driver::new(&["clear:always", "tell:failure", "a", "b"], Chance::Last);
    assert_eq!(run.starts(), ["a", "b"]);
    assert_eq!(run.ends("a", Failed), NONE);
    assert_eq!(run.ends("b", Succeeded), ["tell"]);
    assert_eq!(run.ends("tell", Succeeded), ["clear"]);
    run.ends("clear", Succeeded);
    assert_eq!(run.outcome, Some(Outcome::Failed));

    let mut run = Driver::new(&["clear:always", "tell:failure", "a"], Chance::Last);
    run.starts();
    assert_eq!(run.ends("a", Succeeded), ["clear"]);
    assert_eq!(run.skipped, [("tell".to_owned(), "nothing failed")]);
    run.ends("clear", Succeeded);
    assert_eq!(run.outcome, Some(Outcome::Succeeded));
}

#[test]
fn an_always_step_on_the_way_to_another_starts_with_the_rest() {
    let mut run = Driver::new(&["up:always", "test up", "down:always"], Chance::Last);
    assert_eq!(run.starts(), ["up"]);
    assert_eq!(run.ends("up", Succeeded), ["test"]);
    assert_eq!(run.ends("test", Succeeded), ["down"]);
}

#[test]
fn a_step_that_needs_a_skipped_one_is_skipped() {
    let mut run = Driver::new(&["a", "mend:failure a", "after mend", "clear:always after"], Chance::Last);
    run.starts();
    assert_eq!(run.ends("a", Succeeded), ["clear"]);
    assert_eq!(run.skipped(), ["mend", "after"]);
    run.ends("clear", Succeeded);
    assert_eq!(run.outcome, Some(Outcome::Succeeded));
}

#[test]
fn an_always_step_that_fails_fails_the_run() {
    let mut run = Driver::new(&["a", "clear:always"], Chance::Last);
    run.starts();
    run.ends("a", Succeeded);
    run.ends("clear", Failed);
    assert_eq!(run.outcome, Some(Outcome::Failed));
}

#[test]
fn a_canceled_run_ends_what_runs_skips_what_waits_and_still_clears_up() {
    let mut run = Driver::new(&["a", "b a", "tell:failure a", "clear:always a"], Chance::Another);
    run.starts();
    assert_eq!(run.stop(StopReason::Canceled), ["a"]);
    assert_eq!(run.starts(), NONE, "a is being ended");
    assert_eq!(run.skipped(), ["b", "tell"]);
    assert_eq!(run.outcome, None);
    assert_eq!(run.ends("a", Canceled), ["clear"]);
    assert_eq!(run.stop(StopReason::Canceled), NONE, "an always step is left to finish");
    run.ends("clear", Failed);
    assert_eq!(run.outcome, Some(Outcome::Canceled));
}

#[test]
fn a_success_that_comes_after_the_cancel_changes_nothing() {
    let mut run = Driver::new(&["a", "b a"], Chance::Last);
    run.starts();
    run.stop(StopReason::Canceled);
    assert_eq!(run.ends("a", Succeeded), NONE);
    assert_eq!((run.status("a"), run.status("b")), (Succeeded, Skipped));
    assert_eq!(run.outcome, Some(Outcome::Canceled));
}

#[test]
fn a_cancel_outweighs_a_timeout_in_either_order() {
    for order in [[StopReason::Canceled, StopReason::TimedOut], [StopReason::TimedOut, StopReason::Canceled]]
    {
        let mut run = Driver::new(&["a"], Chance::Last);
        run.starts();
        for reason in order {
            run.stop(reason);
        }
        run.ends("a", Canceled);
        assert_eq!(run.outcome, Some(Outcome::Canceled), "{order:?}");
    }
}

#[test]
fn a_run_that_timed_out_has_no_further_attempt() {
    let mut run = Driver::new(&["a", "tell:failure", "clear:always"], Chance::Another);
    run.starts();
    assert_eq!(run.stop(StopReason::TimedOut), ["a"]);
    assert_eq!(run.ends("a", TimedOut), ["clear"]);
    run.ends("clear", Succeeded);
    assert_eq!(run.skipped(), ["tell"]);
    assert_eq!(run.outcome, Some(Outcome::TimedOut));
}

#[test]
fn a_step_that_times_out_for_good_ends_the_run_even_if_another_attempt_could_follow() {
    let mut run = Driver::new(&["a", "b", "c a", "clear:always"], Chance::Another);
    run.starts();
    run.ends("b", Failed);
    assert_eq!(run.ends("a", TimedOut), ["clear"]);
    run.ends("clear", Succeeded);
    assert_eq!(run.outcome, Some(Outcome::TimedOut));
}

fn with_retry(steps: &[&str], retry: Retry) -> Definition {
    let mut definition = definition(steps);
    definition.steps[0].retry = Some(retry);
    definition
}

#[test]
fn a_step_is_tried_again_after_a_delay_that_doubles() {
    let retry = Retry { attempts: 3, delay: Duration::from_secs(2) };
    let mut run = Driver::of(with_retry(&["a"], retry), Chance::Last, 4);
    assert_eq!(run.attempt.next(run.now), [Action::Start { index: 0, attempt: 1 }]);

    for (failure, attempt, delay) in [(Failed, 2, 2), (TimedOut, 3, 4)] {
        run.attempt.ended(0, failure, run.now);
        let at = run.now + Duration::from_secs(delay);
        assert_eq!(run.attempt.next(run.now), [Action::RetryAt { index: 0, at }]);
        assert_eq!(run.attempt.wake_at(), Some(at));
        assert_eq!(run.attempt.next(at - Duration::from_millis(1)), [], "said once, and not yet due");
        assert_eq!(run.attempt.progress().get(), 0);
        run.now = at;
        assert_eq!(run.attempt.next(at), [Action::Start { index: 0, attempt }]);
    }
    run.attempt.ended(0, Failed, run.now);
    assert_eq!(run.attempt.next(run.now), [Action::Done(Outcome::Failed)]);
    assert_eq!(run.attempt.next(run.now), [Action::Done(Outcome::Failed)]);
}

#[test]
fn a_due_retry_waits_for_a_free_place_without_asking_to_be_woken() {
    let retry = Retry { attempts: 2, delay: Duration::from_secs(1) };
    let mut run = Driver::of(with_retry(&["a", "b"], retry), Chance::Last, 1);
    assert_eq!(run.starts(), ["a"]);
    assert_eq!(run.ends("a", Failed), ["b"]);
    run.now += Duration::from_secs(5);
    assert_eq!(run.starts(), NONE);
    assert_eq!(run.attempt.wake_at(), None);
    assert_eq!(run.ends("b", Succeeded), ["a"]);
}

#[test]
fn a_step_that_waits_for_its_next_try_has_failed_once_the_run_does_not_go_on() {
    let retry = Retry { attempts: 2, delay: Duration::from_secs(60) };
    for chance in [Chance::Another, Chance::Last] {
        let mut run = Driver::of(with_retry(&["a", "b"], retry), chance, 4);
        run.starts();
        run.ends("a", Failed);
        run.ends("b", Failed);
        assert_eq!(run.attempt.wake_at(), None);
        assert_eq!(run.status("a"), Failed);
        assert!(run.outcome.is_some());
    }
    let mut run = Driver::of(with_retry(&["a"], retry), Chance::Another, 4);
    run.starts();
    run.ends("a", Failed);
    assert_eq!(run.stop(StopReason::Canceled), NONE);
    run.starts();
    assert_eq!(run.outcome, Some(Outcome::Canceled));
}

#[test]
fn a_new_attempt_keeps_what_succeeded_and_counts_tries_on() {
    let retry = Retry { attempts: 2, delay: Duration::ZERO };
    let before = [
        StepSoFar { status: Succeeded, attempt: 1, tries: 1 },
        StepSoFar { status: Failed, attempt: 2, tries: 2 },
        StepSoFar::NEW,
    ]
    .map(StepSoFar::again);
    let mut definition = definition(&["a", "b a", "c b"]);
    definition.steps[1].retry = Some(retry);
    let mut attempt = Attempt::new(&definition, Chance::Last, 4, &before);
    let now = Instant::now();
    assert_eq!(attempt.next(now), [Action::Start { index: 1, attempt: 3 }]);
    attempt.ended(1, Failed, now);
    assert_eq!(attempt.next(now), [Action::Start { index: 1, attempt: 4 }], "its tries begin anew");
}

#[test]
fn an_attempt_that_is_taken_up_goes_on_where_it_stood() {
    let so_far = |status| StepSoFar { status, attempt: 1, tries: 1 };
    let steps = ["a", "b", "c b", "clear:always"];

    let record = [so_far(Succeeded), so_far(Running), StepSoFar::NEW, StepSoFar::NEW];
    let mut run = Driver::resumed(definition(&steps), Chance::Last, 4, &record);
    assert_eq!(run.starts(), NONE, "b is taken to run");
    assert_eq!(run.ends("b", Succeeded), ["c"]);

    let record = [so_far(Failed), so_far(Running), StepSoFar::NEW, StepSoFar::NEW];
    let mut run = Driver::resumed(definition(&steps), Chance::Last, 4, &record);
    run.starts();
    assert_eq!(run.skipped(), ["c"]);
    assert_eq!(run.ends("b", Succeeded), ["clear"]);

    let retry = Retry { attempts: 2, delay: Duration::from_secs(60) };
    let record = [so_far(Failed), so_far(Lost), StepSoFar::NEW, StepSoFar::NEW];
    let mut run = Driver::resumed(with_retry(&steps, retry), Chance::Last, 4, &record);
    assert_eq!(run.starts(), ["a", "b"], "one has a try left, the other was lost");
}

#[test]
fn a_lost_step_starts_again_a_bounded_number_of_times() {
    let mut run = Driver::new(&["a", "b a"], Chance::Last);
    assert_eq!(run.starts(), ["a"]);
    for _ in 0..LOSSES_MAX {
        assert_eq!(run.ends("a", Lost), ["a"]);
    }
    assert_eq!(run.ends("a", Lost), NONE);
    assert_eq!(run.outcome, Some(Outcome::Failed));

    let mut run = Driver::new(&["a"], Chance::Last);
    run.starts();
    run.stop(StopReason::Canceled);
    assert_eq!(run.ends("a", Lost), NONE, "a canceled step is not started again");
    assert_eq!(run.outcome, Some(Outcome::Canceled));
}

#[test]
fn a_definition_without_steps_has_succeeded() {
    let mut run = Driver::new(&[], Chance::Last);
    run.starts();
    assert_eq!(run.outcome, Some(Outcome::Succeeded));
}

#[test]
fn steps_that_wait_for_one_another_are_skipped_instead_of_waited_for() {
    let mut run = Driver::new(&["a b", "b a"], Chance::Last);
    assert_eq!(run.starts(), NONE);
    assert_eq!(run.skipped(), ["a", "b"]);
    assert!(run.outcome.is_some());
}

#[test]
fn the_wait_between_tries_is_bounded() {
    let retry = Retry { attempts: 100, delay: Duration::from_secs(1) };
    assert_eq!(delay_after(retry, 1), Duration::from_secs(1));
    assert_eq!(delay_after(retry, 5), Duration::from_secs(16));
    assert_eq!(delay_after(retry, 99), DELAY_MAX);
}

#[derive(Debug, Clone)]
struct Plan {
    definition: Definition,
    chance: Chance,
    parallel_max: usize,
    /// How each started step ends, in turn.
    endings: Vec<StepStatus>,
    /// After how many endings the run is stopped.
    stop_after: Option<(usize, StopReason)>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let when = prop_oneof![3 => Just(When::Success), 1 => Just(When::Failure), 1 => Just(When::Always)];
    let node = (when, any::<[bool; 8]>(), 1..3_u32);
    let ending = prop_oneof![6 => Just(Succeeded), 2 => Just(Failed), 1 => Just(TimedOut), 1 => Just(Lost)];
    let stop =
        prop::option::of((0..6_usize, prop_oneof![Just(StopReason::Canceled), Just(StopReason::TimedOut)]));
    (
        prop::collection::vec(node, 0..8),
        prop_oneof![Just(Chance::Last), Just(Chance::Another)],
        1..4_usize,
        prop::collection::vec(ending, 64),
        stop,
    )
        .prop_map(|(nodes, chance, parallel_max, endings, stop_after)| {
            let names: Vec<String> = (0..nodes.len()).map(|index| format!("s{index}")).collect();
            let mut definition = definition(&names.iter().map(String::as_str).collect::<Vec<_>>());
            for (index, (when, needs, attempts)) in nodes.into_iter().enumerate() {
                let step = &mut definition.steps[index];
                step.when = when;
                step.needs = (0..index).filter(|&need| needs[need]).map(|need| names[need].clone()).collect();
                step.retry = Some(Retry { attempts, delay: Duration::from_secs(1) });
            }
            Plan { definition, chance, parallel_max, endings, stop_after }
        })
}

proptest! {
    /// Whatever the steps need and however they end: the attempt comes to an end, keeps its bound, starts no
    /// step before its turn, and its outcome agrees with what happened.
    #[test]
    fn every_attempt_ends_and_keeps_its_rules(plan in plans()) {
        let mut run = Driver::of(plan.definition.clone(), plan.chance, plan.parallel_max);
        let mut endings = plan.endings.iter();
        let mut open: Vec<String> = Vec::new();
        for ended in 0..200 {
            if let Some((_, reason)) = plan.stop_after.filter(|&(after, _)| after == ended) {
                run.stop(reason);
            }
            let started = run.starts();
            for name in &started {
                let step = &plan.definition.steps[run.index(name)];
                for need in &step.needs {
                    let status = run.status(need);
                    prop_assert!(status.is_ended());
                    prop_assert!(step.when != When::Success || status == Succeeded);
                }
            }
            open.extend(started);
            prop_assert!(open.len() <= plan.parallel_max);
            if run.outcome.is_some() {
                break;
            }
            if open.is_empty() {
                run.now = run.attempt.wake_at().expect("something runs or is about to");
                continue;
            }
            let name = open.remove(ended % open.len());
            let status = endings.next().copied().unwrap_or(Succeeded);
            run.attempt.ended(run.index(&name), status, run.now);
        }
        prop_assert!(open.is_empty());
        let statuses: Vec<_> = plan.definition.steps.iter().map(|step| run.status(&step.name)).collect();
        let has = |status| statuses.contains(&status);
        match run.outcome.expect("it ended") {
            Outcome::Succeeded => prop_assert!(!has(Failed) && !has(TimedOut) && !has(Pending)),
            Outcome::Failed => prop_assert!(has(Failed) && plan.chance == Chance::Last && !has(Pending)),
            Outcome::RetryLater => prop_assert!(has(Failed) && plan.chance == Chance::Another),
            Outcome::TimedOut => prop_assert!(!has(Pending)),
            Outcome::Canceled => prop_assert!(plan.stop_after.is_some() && !has(Pending)),
        }
    }
}

#[test]
fn a_refused_step_is_not_tried_again_and_neither_is_its_run() {
    let mut definition = definition(&["a", "b < a"]);
    definition.steps[0].retry = Some(Retry { attempts: 3, delay: Duration::from_secs(1) });
    let mut driver = Driver::of(definition, Chance::Another, 4);
    assert_eq!(driver.starts(), ["a"]);
    driver.attempt.refused(0);
    assert_eq!(driver.starts(), [""; 0]);
    assert_eq!(driver.attempt.wake_at(), None);
    assert_eq!(driver.outcome, Some(Outcome::Failed));
    assert_eq!(driver.skipped.len(), 1);
}
