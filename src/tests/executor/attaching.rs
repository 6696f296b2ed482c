//! Reading a step: early, late, again, and after its supervisor or server is gone.

use std::fs;
use std::os::unix::fs::MetadataExt;

use slipway::executor::{self, Ending, ExecutorError, Output, Presence, Source};

use super::{Step, next, read_to_end, whole};

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
                executor::punch(&step.spec.dir, block.next_offset);
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
                executor::punch(&step.spec.dir, block.next_offset);
            }
            last => break last,
        }
    };
    assert!(matches!(last, Output::Ended { ending: Ending::Exited(0), .. }), "{last:?}");
    // `head` may cut the last line short, which is shown as one.
    assert!((PRINTED..=PRINTED + 1).contains(&bytes), "{bytes}");
    assert!(on_disk_max <= 2 * BACKLOG, "{on_disk_max} bytes on the disk");
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
