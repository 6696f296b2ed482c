//! The process executor, from outside: real supervisors, real processes.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway::domain::secret::Secret;
use slipway::executor::{
    self, Attachment, Block, Ending, ExecutorError, Output, Presence, Source, SpoolLine, StepSpec,
};
use tempfile::TempDir;

/// No test waits longer for what must come.
const DEADLINE: Duration = Duration::from_secs(60);

/// A step in a directory of its own. What it may leave behind is looked for by the directory's name.
struct Step {
    root: TempDir,
    spec: StepSpec,
}

impl Step {
    fn new(script: &str) -> Self {
        executor::set_program(env!("CARGO_BIN_EXE_slipway"));
        let root = tempfile::Builder::new().prefix("slipway-step-").tempdir().unwrap();
        let workspace = root.path().join("workspace");
        fs::create_dir(&workspace).unwrap();
        let spec = StepSpec {
            dir: root.path().join("step"),
            workspace,
            script: script.to_owned(),
            env: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())],
            secrets: Vec::new(),
            timeout: None,
            grace: Duration::from_secs(5),
            log_bytes_max: 1 << 30,
            line_bytes_max: 64 * 1024,
            backlog_bytes_max: 1 << 30,
            tty: false,
        };
        Self { root, spec }
    }

    fn secret(mut self, value: &str) -> Self {
        self.spec.secrets.push(Secret::new(value.to_owned()));
        self
    }

    async fn start(&self) {
        executor::start(&self.spec).await.unwrap();
    }

    async fn attach(&self, offset: u64) -> Attachment {
        Attachment::open(&self.spec.dir, &self.spec.workspace, offset).await.unwrap()
    }

    /// Starts the step and reads it to its end.
    async fn run(&self) -> Told {
        self.start().await;
        read_to_end(&mut self.attach(0).await).await
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    /// The processes that stand in this step's directory or were given its name.
    fn processes(&self) -> Vec<String> {
        let name = self.path().file_name().unwrap().to_str().unwrap();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            if entry.file_name().to_str().is_none_or(|name| name.parse::<u32>().is_err()) {
                continue;
            }
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let is_zombie = stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z"));
            let cwd = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            if !is_zombie && (cwd.starts_with(self.path()) || command.contains(name)) {
                found.push(format!("{} {command}", entry.file_name().display()));
            }
        }
        found
    }
}

/// What a step said.
#[derive(Debug)]
struct Told {
    blocks: Vec<Block>,
    last: Output,
}

impl Told {
    fn ending(&self) -> Ending {
        match self.last {
            Output::Ended { ending, .. } => ending,
            ref other => panic!("the step did not end: {other:?}"),
        }
    }

    fn lines(&self, source: Source) -> Vec<SpoolLine> {
        let blocks = self.blocks.iter().filter(|block| block.source == source);
        blocks.flat_map(|block| block.lines.clone()).collect()
    }

    fn texts(&self, source: Source) -> Vec<String> {
        self.lines(source).into_iter().map(|line| line.text).collect()
    }
}

async fn next(attachment: &mut Attachment) -> Output {
    tokio::time::timeout(DEADLINE, attachment.next()).await.expect("something comes next").unwrap()
}

async fn read_to_end(attachment: &mut Attachment) -> Told {
    let mut blocks = Vec::new();
    loop {
        match next(attachment).await {
            Output::Block(block) => blocks.push(block),
            last => return Told { blocks, last },
        }
    }
}

/// Reads until a line is there that says `text`.
async fn wait_for(attachment: &mut Attachment, text: &str) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        match next(attachment).await {
            Output::Block(block) => {
                texts.extend(block.lines.into_iter().map(|line| line.text));
                if texts.iter().any(|line| line == text) {
                    return texts;
                }
            }
            last => panic!("the step ended with {last:?} after {texts:?}"),
        }
    }
}

fn whole(text: &str) -> SpoolLine {
    SpoolLine { text: text.to_owned(), partial: false, continued: false }
}

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
async fn a_signal_of_its_own_is_told_apart_from_a_kill() {
    assert_eq!(Step::new("kill -9 $$").run().await.ending(), Ending::Signaled(9));
}

#[tokio::test]
async fn the_end_is_given_again() {
    let step = Step::new("true");
    step.start().await;
    let mut attachment = step.attach(0).await;
    for _ in 0..3 {
        assert_eq!(read_to_end(&mut attachment).await.ending(), Ending::Exited(0));
    }
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
    let step = Step::new("trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    step.start().await;
    let mut attachment = step.attach(0).await;
    wait_for(&mut attachment, "ready").await;
    executor::kill(&step.spec.dir).unwrap();
    let told = read_to_end(&mut attachment).await;
    assert_eq!(told.texts(Source::Stdout), ["cleaned"]);
    assert_eq!(told.ending(), Ending::Killed, "a success that comes too late changes nothing");
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
async fn a_step_without_a_workspace_says_why_it_did_not_start() {
    let mut step = Step::new("true");
    step.spec.workspace = PathBuf::from("/nowhere/at/all");
    let told = step.run().await;
    assert_eq!(told.ending(), Ending::NotStarted);
    let notes = told.texts(Source::Note);
    assert_eq!(notes, ["the step could not be started: there is no workspace at /nowhere/at/all"]);
}

#[tokio::test]
async fn a_directory_is_started_once() {
    let step = Step::new("echo ready; sleep 1000");
    step.start().await;
    let again = executor::start(&step.spec).await;
    assert!(matches!(again, Err(ExecutorError::AlreadyRunning)), "{again:?}");
    executor::kill(&step.spec.dir).unwrap();
    read_to_end(&mut step.attach(0).await).await;
    let afterwards = executor::start(&step.spec).await;
    assert!(matches!(afterwards, Err(ExecutorError::AlreadyRunning)), "{afterwards:?}");
}

#[tokio::test]
async fn attaching_from_an_offset_gives_exactly_the_rest() {
    let step = Step::new("for i in 1 2 3 4 5; do echo $i; sleep 0.02; echo e$i >&2; sleep 0.02; done");
    let told = step.run().await;
    let all: Vec<_> = told.blocks.iter().flat_map(|block| block.lines.clone()).collect();
    assert_eq!(all.len(), 10);
    let mut before = 0;
    for block in &told.blocks {
        let rest = read_to_end(&mut step.attach(block.offset).await).await;
        let lines: Vec<_> = rest.blocks.iter().flat_map(|block| block.lines.clone()).collect();
        assert_eq!(lines, all[before..]);
        before += block.lines.len();
        let after = read_to_end(&mut step.attach(block.next_offset).await).await;
        assert_eq!(after.blocks.iter().map(|block| block.lines.len()).sum::<usize>(), all.len() - before);
    }
}

#[tokio::test]
async fn readers_that_come_and_go_lose_and_repeat_nothing() {
    let step = Step::new("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; done");
    step.start().await;
    let (mut numbers, mut offset) = (Vec::new(), 0);
    'reading: loop {
        let mut attachment = step.attach(offset).await;
        for _ in 0..3 {
            match next(&mut attachment).await {
                Output::Block(block) => {
                    offset = block.next_offset;
                    numbers.extend(block.lines.into_iter().map(|line| line.text.parse::<u32>().unwrap()));
                }
                Output::Ended { .. } => break 'reading,
                Output::Lost => panic!("lost"),
            }
        }
    }
    assert_eq!(numbers, (1..=3_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_wait_that_is_cancelled_loses_nothing() {
    let step = Step::new("i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i; sleep 0.001; done");
    step.start().await;
    let mut attachment = step.attach(0).await;
    let mut numbers = Vec::new();
    loop {
        let waited = tokio::select! {
            biased;
            output = attachment.next() => Some(output.unwrap()),
            () = tokio::task::yield_now() => None,
        };
        match waited {
            Some(Output::Block(block)) => {
                numbers.extend(block.lines.into_iter().map(|line| line.text.parse::<u32>().unwrap()));
            }
            Some(_) => break,
            None => {}
        }
    }
    assert_eq!(numbers, (1..=300).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_million_lines_arrive_once_and_in_order() {
    let step = Step::new("seq 1000000");
    step.start().await;
    let mut attachment = step.attach(0).await;
    let mut count = 0;
    loop {
        match next(&mut attachment).await {
            Output::Block(block) => {
                for line in block.lines {
                    count += 1;
                    assert_eq!(line, whole(&count.to_string()));
                }
                attachment.punch(block.next_offset);
            }
            last => {
                assert!(matches!(last, Output::Ended { ending: Ending::Exited(0), .. }), "{last:?}");
                break;
            }
        }
    }
    assert_eq!(count, 1_000_000);
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
async fn a_step_is_held_back_until_its_output_is_taken_away() {
    const PRINTED: u64 = 16 << 20;
    const BACKLOG: u64 = 1 << 20;
    let mut step = Step::new("yes 0123456789abcdef | head -c 16777216; touch done");
    step.spec.backlog_bytes_max = BACKLOG;
    step.start().await;
    let mut attachment = step.attach(0).await;
    let (mut bytes, mut on_disk_max) = (0, 0);
    let last = loop {
        match next(&mut attachment).await {
            Output::Block(block) => {
                bytes += block.lines.iter().map(|line| line.text.len() as u64 + 1).sum::<u64>();
                on_disk_max =
                    on_disk_max.max(fs::metadata(step.spec.dir.join("spool")).unwrap().blocks() * 512);
                // A pipe and a backlog, a read more each, are all that can be on the way.
                if bytes < PRINTED / 2 {
                    assert!(!step.spec.workspace.join("done").exists());
                }
                attachment.punch(block.next_offset);
            }
            last => break last,
        }
    };
    assert!(matches!(last, Output::Ended { ending: Ending::Exited(0), .. }), "{last:?}");
    // `head` may cut the last line short, which is shown as one.
    assert!((PRINTED..=PRINTED + 1).contains(&bytes), "{bytes}");
    assert!(on_disk_max <= 2 * BACKLOG, "{on_disk_max} bytes on the disk");
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

#[test]
fn a_step_outlives_the_runtime_that_started_it() {
    let step = Step::new("echo one; until [ -e go ]; do sleep 0.01; done; echo two");
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let offset = runtime().block_on(async {
        step.start().await;
        match next(&mut step.attach(0).await).await {
            Output::Block(block) => block.next_offset,
            other => panic!("no line: {other:?}"),
        }
    });
    fs::write(step.spec.workspace.join("go"), "").unwrap();
    let told = runtime().block_on(async { read_to_end(&mut step.attach(offset).await).await });
    assert_eq!(told.texts(Source::Stdout), ["two"]);
    assert_eq!(told.ending(), Ending::Exited(0));
}

#[tokio::test]
async fn a_step_starts_with_no_signal_blocked() {
    let told = Step::new("grep SigBlk /proc/self/status").run().await;
    assert_eq!(told.texts(Source::Stdout), ["SigBlk:\t0000000000000000"]);
}

#[tokio::test]
async fn a_spool_that_ends_in_a_torn_record_is_read_up_to_there() {
    let step = Step::new("echo one; sleep 0.01; echo two");
    let whole = step.run().await;
    let path = step.spec.dir.join("spool");
    let len = fs::metadata(&path).unwrap().len();
    fs::File::options().write(true).open(&path).unwrap().set_len(len - 5).unwrap();
    let told = read_to_end(&mut step.attach(0).await).await;
    assert!(matches!(told.last, Output::Lost), "{:?}", told.last);
    assert_eq!(told.texts(Source::Stdout), whole.texts(Source::Stdout));
}

#[tokio::test]
async fn a_server_that_died_before_it_started_its_step_leaves_a_step_that_can_be_started() {
    let step = Step::new("echo one");
    fs::create_dir(&step.spec.dir).unwrap();
    fs::write(step.spec.dir.join("spool"), "").unwrap();
    fs::write(step.spec.dir.join("cancel"), "").unwrap();
    assert_eq!(executor::presence(&step.spec.dir), Presence::Absent);
    assert_eq!(step.run().await.ending(), Ending::Exited(0));
}
