//! What a step prints and sees.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use slipway::executor::{self, Ending, Output, Presence, Source, SpoolLine};

use super::{Step, next, read_to_end, whole};

#[tokio::test]
async fn a_step_prints_and_exits_with_its_code() {
    let step = Step::new("echo one; echo two; echo oops >&2; exit 7");
    assert_eq!(executor::presence(&step.spec.dir), Presence::Absent);
    let told = step.run().await;
    assert_eq!(told.texts(Source::Stdout), ["one", "two"]);
    assert_eq!(told.texts(Source::Stderr), ["oops"]);
    assert_eq!(told.ending(), Ending::Exited(7));
    assert_eq!(executor::presence(&step.spec.dir), Presence::Started);
}

#[tokio::test]
async fn a_command_that_fails_ends_the_step() {
    let told = Step::new("false\necho never").run().await;
    assert_eq!(told.texts(Source::Stdout), [""; 0]);
    assert_eq!(told.ending(), Ending::Exited(1));
}

#[tokio::test]
async fn an_unfinished_line_is_shown_and_goes_on_later() {
    // The step goes on once its prompt has been read, so nothing here depends on how long that takes.
    let step = Step::new("printf 'Go on? '; until [ -e go ]; do sleep 0.01; done; echo yes");
    step.start().await;
    let mut attachment = step.attach(0).await;
    let Output::Block(block) = next(&mut attachment).await else {
        panic!("no prompt");
    };
    assert_eq!(block.lines, [SpoolLine { text: "Go on? ".to_owned(), partial: true, continued: false }]);
    fs::write(step.spec.workspace.join("go"), "").unwrap();
    let told = read_to_end(&mut attachment).await;
    let rest = SpoolLine { text: "yes".to_owned(), partial: false, continued: true };
    assert_eq!(told.lines(Source::Stdout), [rest]);
}

#[tokio::test]
async fn the_last_line_needs_no_end() {
    assert_eq!(Step::new("printf 'a\\nb'").run().await.lines(Source::Stdout), [whole("a"), whole("b")]);
}

#[tokio::test]
async fn a_long_line_is_split_and_can_be_joined_again() {
    let mut step = Step::new("echo before; echo $(head -c 2500 /dev/zero | tr '\\0' x); echo after");
    step.spec.line_bytes_max = 1_000;
    let lines = step.run().await.lines(Source::Stdout);
    let shape: Vec<_> = lines.iter().map(|line| (line.text.len(), line.partial, line.continued)).collect();
    let pieces = [(1_000, true, false), (1_000, true, true), (500, false, true)];
    assert_eq!(shape, [&[(6, false, false)], &pieces[..], &[(5, false, false)]].concat());
}

#[tokio::test]
async fn bytes_that_are_not_text_are_replaced() {
    let told = Step::new("printf 'a\\000b\\377c\\303\\244\\n'").run().await;
    assert_eq!(told.texts(Source::Stdout), ["a\u{fffd}b\u{fffd}cä"]);
}

#[tokio::test]
async fn a_step_sees_exactly_the_environment_it_was_given() {
    let mut step = Step::new("/usr/bin/env; pwd");
    step.spec.env = vec![("ONE".to_owned(), "1".to_owned()), ("TWO".to_owned(), "a b".to_owned())];
    let texts = step.run().await.texts(Source::Stdout);
    let (pwd, variables) = texts.split_last().unwrap();
    assert_eq!(Path::new(pwd), step.spec.workspace);
    // PWD comes from the shell.
    let names: HashSet<&str> = variables.iter().filter_map(|line| line.split('=').next()).collect();
    assert_eq!(names, HashSet::from(["ONE", "TWO", "PWD", "SLIPWAY_STEP_ID"]));
    assert!(variables.contains(&"TWO=a b".to_owned()));
}

#[tokio::test]
async fn a_script_may_be_longer_than_an_argument_can_be() {
    let step = Step::new(&format!("{}\necho done", format!(": {}\n", "x".repeat(98)).repeat(3_000)));
    assert_eq!(step.run().await.texts(Source::Stdout), ["done"]);
}

#[tokio::test]
async fn a_step_reads_nothing_and_inherits_no_descriptor() {
    let told = Step::new("cat; ls /proc/self/fd | wc -w").run().await;
    // Three, and the one that `ls` reads the directory through.
    assert_eq!(told.texts(Source::Stdout), ["4"]);
}

#[tokio::test]
async fn a_step_without_a_workspace_says_why_it_did_not_start() {
    let mut step = Step::new("true");
    step.spec.workspace = PathBuf::from("/nowhere/at/all");
    let told = step.run().await;
    assert_eq!(told.ending(), Ending::NotStarted);
    let notes = told.texts(Source::Note);
    assert_eq!(notes, ["the step could not be started: there is no workspace at /nowhere/at/all"]);
}

#[tokio::test]
async fn secrets_never_reach_the_spool() {
    let step = Step::new(
        "printf hunter; sleep 0.05; echo 2-hunter2; echo $(printf %s hunter2-hunter2 | od -An -tx1 | tr -d ' \\n'); \
         echo hunter2-hunter2 >&2; echo plain",
    )
    .secret("hunter2-hunter2");
    let told = step.run().await;
    assert_eq!(told.texts(Source::Stdout), ["***", "***", "plain"]);
    assert_eq!(told.texts(Source::Stderr), ["***"]);
    for file in ["spool", "supervisor.err"] {
        let bytes = fs::read(step.spec.dir.join(file)).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("hunter2-hunter2"), "{file}");
    }
}

#[tokio::test]
async fn a_prompt_that_could_begin_a_secret_is_shown_up_to_there() {
    let step =
        Step::new("printf 'Password: hun'; until [ -e go ]; do sleep 0.01; done; echo ger").secret("hunter2");
    step.start().await;
    let mut attachment = step.attach(0).await;
    let Output::Block(block) = next(&mut attachment).await else {
        panic!("no prompt");
    };
    assert_eq!(block.lines[0].text, "Password: ");
    fs::write(step.spec.workspace.join("go"), "").unwrap();
    assert_eq!(read_to_end(&mut attachment).await.texts(Source::Stdout), ["hunger"]);
}

#[tokio::test]
async fn a_log_that_reaches_its_bound_says_so_and_the_step_goes_on() {
    let mut step = Step::new("seq 100000; echo late >&2; exit 4");
    step.spec.log_bytes_max = 1_000;
    let told = step.run().await;
    let stdout = told.texts(Source::Stdout);
    assert_eq!(stdout, (1..=stdout.len()).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(stdout.len(), 277, "as many whole lines as fit");
    assert_eq!(told.texts(Source::Note).len(), 1);
    assert!(told.texts(Source::Note)[0].contains("1000 bytes"));
    assert_eq!(told.texts(Source::Stderr), [""; 0]);
    assert_eq!(told.ending(), Ending::Exited(4));
}

#[tokio::test]
async fn a_step_may_have_a_terminal() {
    let mut step = Step::new(
        "tty; stty size; echo error >&2; exec >/dev/null 2>&1 </dev/null; sleep 0.1; echo again >/dev/tty; exit 3",
    );
    step.spec.tty = true;
    let told = step.run().await;
    let texts = told.texts(Source::Stdout);
    assert!(texts[0].starts_with("/dev/pts/"), "{texts:?}");
    assert_eq!(texts[1..], ["40 120", "error", "again"]);
    assert_eq!(told.ending(), Ending::Exited(3));
}

#[tokio::test]
async fn a_step_starts_with_no_signal_blocked() {
    let told = Step::new("grep SigBlk /proc/self/status").run().await;
    assert_eq!(told.texts(Source::Stdout), ["SigBlk:\t0000000000000000"]);
}

/// There are programs that cannot do with numbers of files above 1,023, so what the server may have is not theirs.
#[tokio::test]
async fn a_step_may_have_as_many_files_open_as_before_the_server_took_more() {
    const BEFORE: u64 = 4_000;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(BEFORE), ..limit }).unwrap();
    let raised = executor::raise_files_max();
    assert!(limit.maximum.is_none_or(|maximum| raised as u64 == maximum), "{raised}");
    let told = Step::new("ulimit -Sn; ulimit -Hn").run().await;
    let hard = limit.maximum.map_or("unlimited".to_owned(), |maximum| maximum.to_string());
    assert_eq!(told.texts(Source::Stdout), [BEFORE.to_string(), hard]);
}
