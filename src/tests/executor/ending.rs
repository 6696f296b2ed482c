//! How a step ends, and that nothing of it stays.

use std::fs;
use std::time::Duration;

use slipway::executor::{self, Ending, Output, Source};

use super::{Step, next, read_to_end, wait_for};

#[tokio::test]
async fn a_signal_of_its_own_is_told_apart_from_a_kill() {
    assert_eq!(Step::new("kill -9 $$").run().await.ending(), Ending::Signaled(9));
}

#[tokio::test]
async fn a_step_that_closes_its_output_lives_on() {
    let step = Step::new("echo one; exec >&- 2>&-; until [ -e go ]; do sleep 0.01; done; exit 3");
    step.start().await;
    let mut attachment = step.attach(0).await;
    wait_for(&mut attachment, "one").await;
    fs::write(step.spec.workspace.join("go"), "").unwrap();
    assert_eq!(read_to_end(&mut attachment).await.ending(), Ending::Exited(3));
}

#[tokio::test]
async fn what_a_step_leaves_behind_ends_with_it() {
    let step = Step::new(
        "sleep 1000 & setsid sleep 1000 & (setsid sh -c 'trap \"\" TERM; sleep 1000' &) ; echo out",
    );
    let told = step.run().await;
    assert_eq!(told.texts(Source::Stdout), ["out"]);
    assert_eq!(told.ending(), Ending::Exited(0));
    assert_eq!(step.processes(), [""; 0]);
}

/// Kills a step once it has said that it is ready, and proves that nothing is left.
async fn assert_killed(script: &str, grace: Duration) {
    let mut step = Step::new(script);
    step.spec.grace = grace;
    step.start().await;
    let mut attachment = step.attach(0).await;
    wait_for(&mut attachment, "ready").await;
    assert_ne!(step.processes(), [""; 0], "{script}");
    executor::kill(&step.spec.dir).unwrap();
    assert_eq!(read_to_end(&mut attachment).await.ending(), Ending::Killed, "{script}");
    assert_eq!(step.processes(), [""; 0], "{script}");
}

#[tokio::test]
async fn a_killed_step_leaves_nothing_behind() {
    let patient = Duration::from_secs(600);
    for script in [
        "echo ready; sleep 1000",
        "sleep 1000 & echo ready; sleep 1000",
        "setsid sleep 1000 & echo ready; wait",
        "(sleep 1000 &) & echo ready; sleep 1000",
        "env -i setsid sleep 1000 & echo ready; wait",
        "cd /; env -i setsid sleep 1000 >/dev/null 2>&1 & echo ready; wait",
        "setsid sh -c 'setsid sleep 1000 & sleep 1000' & echo ready; sleep 1000",
        "sleep 1000 & kill -STOP $!; echo ready; sleep 1000",
    ] {
        assert_killed(script, patient).await;
    }
}

#[tokio::test]
async fn a_step_that_ignores_term_is_killed_after_the_grace_period() {
    let short = Duration::from_millis(100);
    for script in [
        "trap '' TERM; echo ready; while :; do sleep 1000; done",
        "for i in 1 2 3 4 5 6 7 8 9 10; do setsid sh -c 'trap \"\" TERM; (setsid sleep 1000 &); sleep 1000' & done; \
         trap '' TERM; echo ready; wait",
    ] {
        assert_killed(script, short).await;
    }
}

#[tokio::test]
async fn a_step_that_obeys_term_may_finish_what_it_does() {
    let step = Step::new("trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 1000 || :; done");
    step.start().await;
    let mut attachment = step.attach(0).await;
    wait_for(&mut attachment, "ready").await;
    executor::kill(&step.spec.dir).unwrap();
    let told = read_to_end(&mut attachment).await;
    assert_eq!(told.texts(Source::Stdout), ["cleaned"]);
    assert_eq!(told.ending(), Ending::Killed, "a success that comes too late changes nothing");
}

#[tokio::test]
async fn a_program_that_took_the_place_of_one_that_was_told_is_told_as_well() {
    let script = "trap told=1 TERM; echo ready; while [ -z \"$told\" ]; do :; done; exec sleep 1000";
    assert_killed(script, Duration::from_secs(600)).await;
}

#[tokio::test]
async fn a_kill_right_after_the_start_is_not_lost() {
    for _ in 0..20 {
        let step = Step::new("sleep 1000");
        step.start().await;
        executor::kill(&step.spec.dir).unwrap();
        assert_eq!(read_to_end(&mut step.attach(0).await).await.ending(), Ending::Killed);
    }
}

#[tokio::test]
async fn killing_what_does_not_run_does_nothing() {
    let step = Step::new("true");
    executor::kill(&step.spec.dir).unwrap();
    step.run().await;
    executor::kill(&step.spec.dir).unwrap();
    assert_eq!(read_to_end(&mut step.attach(0).await).await.ending(), Ending::Exited(0));
}

#[tokio::test]
async fn a_kill_without_grace_ends_what_ignores_term() {
    let mut step = Step::new("trap '' TERM; echo ready; while :; do sleep 1000; done");
    step.spec.grace = Duration::from_secs(600);
    step.start().await;
    let mut attachment = step.attach(0).await;
    wait_for(&mut attachment, "ready").await;
    executor::kill(&step.spec.dir).unwrap();
    executor::kill_now(&step.spec.dir).unwrap();
    assert_eq!(read_to_end(&mut attachment).await.ending(), Ending::Killed);
    assert_eq!(step.processes(), [""; 0]);
}

#[tokio::test]
async fn a_step_that_takes_too_long_is_ended() {
    for script in ["sleep 1000", "trap '' TERM; while :; do setsid sleep 1000; done"] {
        let mut step = Step::new(script);
        step.spec.timeout = Some(Duration::from_millis(200));
        step.spec.grace = Duration::from_millis(50);
        assert_eq!(step.run().await.ending(), Ending::TimedOut);
        assert_eq!(step.processes(), [""; 0]);
    }
}

#[tokio::test]
async fn a_step_whose_supervisor_is_killed_is_lost_and_nothing_of_it_stays() {
    let step = Step::new(
        "sleep 1000 & setsid sleep 1000 & env -i setsid sleep 1000 & \
         (cd /; exec setsid sleep 1000 >/dev/null 2>&1) & \
         setsid sh -c 'trap \"\" TERM; (setsid sleep 1000 &); while :; do sleep 1000; done' & \
         (env -i setsid sleep 1000 >/dev/null 2>&1 &) ; \
         echo $PPID; echo ready; sleep 1000",
    );
    step.start().await;
    let mut attachment = step.attach(0).await;
    let texts = wait_for(&mut attachment, "ready").await;
    let supervisor = rustix::process::Pid::from_raw(texts[0].parse().unwrap()).unwrap();
    rustix::process::kill_process(supervisor, rustix::process::Signal::KILL).unwrap();
    let told = read_to_end(&mut attachment).await;
    assert!(matches!(told.last, Output::Lost), "{:?}", told.last);
    assert_eq!(step.processes(), [""; 0]);
    let later = read_to_end(&mut step.attach(0).await).await;
    assert!(matches!(later.last, Output::Lost), "{:?}", later.last);
    assert_eq!(later.texts(Source::Stdout)[1], "ready");
}

#[tokio::test]
async fn cleaning_up_after_one_step_leaves_another_alone() {
    let (lost, kept) = (Step::new("echo $PPID; sleep 1000"), Step::new("echo ready; sleep 1000"));
    lost.start().await;
    kept.start().await;
    let mut kept_attachment = kept.attach(0).await;
    wait_for(&mut kept_attachment, "ready").await;
    let mut attachment = lost.attach(0).await;
    let Output::Block(block) = next(&mut attachment).await else {
        panic!("no line");
    };
    let supervisor = rustix::process::Pid::from_raw(block.lines[0].text.parse().unwrap()).unwrap();
    rustix::process::kill_process(supervisor, rustix::process::Signal::KILL).unwrap();
    assert!(matches!(read_to_end(&mut attachment).await.last, Output::Lost));
    assert_ne!(kept.processes(), [""; 0]);
    executor::kill(&kept.spec.dir).unwrap();
    assert_eq!(read_to_end(&mut kept_attachment).await.ending(), Ending::Killed);
}

#[tokio::test]
async fn a_step_that_is_held_back_can_be_killed() {
    let mut step = Step::new("echo ready; yes");
    step.spec.backlog_bytes_max = 1 << 20;
    step.start().await;
    let mut attachment = step.attach(0).await;
    let mut bytes = 0;
    while bytes < 1 << 20 {
        let Output::Block(block) = next(&mut attachment).await else {
            panic!("ended by itself");
        };
        bytes = block.next_offset;
    }
    executor::kill(&step.spec.dir).unwrap();
    assert_eq!(read_to_end(&mut attachment).await.ending(), Ending::Killed);
    assert_eq!(step.processes(), [""; 0]);
}

#[tokio::test]
async fn a_step_with_a_terminal_can_be_killed() {
    let mut step = Step::new("trap '' TERM HUP; echo ready; while :; do setsid sleep 1000; done");
    step.spec.tty = true;
    step.spec.grace = Duration::from_millis(50);
    step.start().await;
    let mut attachment = step.attach(0).await;
    wait_for(&mut attachment, "ready").await;
    executor::kill(&step.spec.dir).unwrap();
    assert_eq!(read_to_end(&mut attachment).await.ending(), Ending::Killed);
    assert_eq!(step.processes(), [""; 0]);
}
