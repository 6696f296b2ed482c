//! Logs against a real Redis and a real object store: each line once, in order, under one number.

use bytes::Bytes;
use futures::StreamExt;
use slipway::app::App;
use slipway::domain::ids::RunId;
use slipway::domain::log::{LineId, LogLine, LogStream};
use slipway::domain::time::Timestamp;
use slipway::logs::lines::encode;
use slipway::logs::writer::{Entry, Published};

use crate::support::redis::Parts;

mod following;
mod wakeups;

pub(crate) fn line(epoch: u64, n: u64) -> LogLine {
    LogLine {
        id: LineId { epoch, n },
        n,
        timestamp: Timestamp::from_millis(1_700_000_000_000),
        step: Some("build".to_owned()),
        attempt: 1,
        stream: LogStream::Stdout,
        message: format!("line {n}"),
        partial: false,
        continued: false,
    }
}

/// The lines as entries of `size` lines each.
fn entries(epoch: u64, numbers: std::ops::RangeInclusive<u64>, size: usize) -> Vec<Entry> {
    let numbers: Vec<u64> = numbers.collect();
    let entry = |numbers: &[u64]| {
        let mut text = Vec::new();
        numbers.iter().for_each(|n| encode(&line(epoch, *n), &mut text));
        let at = Timestamp::from_millis(1_700_000_000_000);
        Entry { last_n: numbers[numbers.len() - 1], at, text: text.into() }
    };
    numbers.chunks(size).map(entry).collect()
}

pub(crate) async fn append(
    app: &App,
    run: &RunId,
    epoch: u64,
    numbers: std::ops::RangeInclusive<u64>,
) -> Published {
    let after_n = numbers.start() - 1;
    app.logs.append(run, epoch, after_n, &entries(epoch, numbers, 3)).await.unwrap()
}

/// The numbers of all lines above `n`, as reading gives them.
async fn read_from(app: &App, run: &RunId, mut n: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        let blocks = app.logs.read(run, n).await.unwrap();
        let Some(last) = blocks.last() else { return numbers };
        n = last.last_n;
        for block in &blocks {
            numbers.extend(block.decode().unwrap().iter().map(|line| line.n));
        }
    }
}

#[track_caller]
fn assert_whole(numbers: &[u64], after_n: u64, last_n: u64) {
    assert_eq!(numbers, (after_n + 1..=last_n).collect::<Vec<_>>(), "after {after_n}");
}

async fn assert_whole_from_everywhere(app: &App, run: &RunId, last_n: u64) {
    for n in 0..=last_n {
        assert_whole(&read_from(app, run, n).await, n, last_n);
    }
}

fn numbers_of(events: &[Bytes]) -> Vec<u64> {
    let text = String::from_utf8(events.concat()).unwrap();
    let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.map(|id| id.split_once('-').unwrap().1.parse().unwrap()).collect()
}

#[tokio::test]
async fn repeating_an_append_adds_nothing() {
    let Parts { app, .. } = &Parts::start().await;
    let run = &RunId::generate();
    assert_eq!(app.logs.open(run, 1, 0).await.unwrap(), Some(0));
    for _ in 0..2 {
        assert_eq!(append(app, run, 1, 1..=7).await, Published::Done);
    }
    assert_eq!(append(app, run, 1, 8..=9).await, Published::Done);
    assert_eq!(append(app, run, 1, 1..=7).await, Published::Done);
    assert_whole_from_everywhere(app, run, 9).await;
}

#[tokio::test]
async fn a_later_epoch_shuts_out_an_earlier_one() {
    let parts = Parts::start().await;
    let (app, run) = (&parts.app, &RunId::generate());
    app.logs.open(run, 1, 0).await.unwrap();
    append(app, run, 1, 1..=5).await;
    assert_eq!(app.logs.open(run, 2, 0).await.unwrap(), Some(5));
    assert_eq!(append(app, run, 1, 6..=7).await, Published::Fenced);
    assert_eq!(app.logs.open(run, 1, 0).await.unwrap(), None);
    assert_eq!(append(app, run, 2, 6..=8).await, Published::Done);
    assert_whole_from_everywhere(app, run, 8).await;

    parts.wipe_redis().await;
    assert_eq!(append(app, run, 1, 9..=9).await, Published::Forgotten);
    app.logs.open(run, 2, 0).await.unwrap();
    assert_eq!(append(app, run, 1, 1..=9).await, Published::Fenced);
}

/// The last second before a crash of Redis may be missing: with it the claim, so that the fence is too low.
#[tokio::test]
async fn a_redis_that_has_forgotten_a_claim_does_not_shut_out_its_worker() {
    let Parts { app, .. } = &Parts::start().await;
    let run = &RunId::generate();
    app.logs.open(run, 1, 0).await.unwrap();
    append(app, run, 1, 1..=5).await;
    assert_eq!(append(app, run, 2, 6..=7).await, Published::Forgotten);
    assert_eq!(app.logs.open(run, 2, 0).await.unwrap(), Some(5));
    assert_eq!(append(app, run, 2, 6..=7).await, Published::Done);
    assert_whole_from_everywhere(app, run, 7).await;
}

#[tokio::test]
async fn lines_that_redis_forgot_get_their_numbers_back() {
    let parts = Parts::start().await;
    let (app, run) = (&parts.app, &RunId::generate());
    app.logs.open(run, 3, 0).await.unwrap();
    append(app, run, 3, 1..=9).await;
    parts.wipe_redis().await;
    assert_eq!(append(app, run, 3, 10..=12).await, Published::Forgotten);
    assert_eq!(app.logs.open(run, 3, 0).await.unwrap(), Some(0));
    assert_eq!(append(app, run, 3, 10..=12).await, Published::Behind(0));
    assert_eq!(append(app, run, 3, 1..=12).await, Published::Done);
    assert_whole_from_everywhere(app, run, 12).await;
}

#[tokio::test]
async fn a_forgotten_log_goes_on_behind_the_archive() {
    let parts = Parts::start().await;
    let (app, run) = (&parts.app, &RunId::generate());
    app.logs.open(run, 1, 0).await.unwrap();
    append(app, run, 1, 1..=9).await;
    assert_eq!(app.logs.archive(run, 9).await.unwrap(), 9);
    parts.wipe_redis().await;
    assert_whole_from_everywhere(app, run, 9).await;
    assert_eq!(app.logs.open(run, 2, app.logs.archived_n(run).await.unwrap()).await.unwrap(), Some(9));
    append(app, run, 2, 10..=14).await;
    assert_whole_from_everywhere(app, run, 14).await;
}

#[tokio::test]
async fn archive_and_stream_are_read_as_one_log() {
    let Parts { app, .. } = &Parts::start().await;
    let run = &RunId::generate();
    let mut last_n = 0;
    for epoch in 1..=3 {
        assert_eq!(app.logs.open(run, epoch, 0).await.unwrap(), Some(last_n));
        append(app, run, epoch, last_n + 1..=last_n + 7).await;
        assert_eq!(app.logs.archive(run, last_n + 4).await.unwrap(), last_n + 7);
        append(app, run, epoch, last_n + 8..=last_n + 11).await;
        last_n += 11;
        assert_whole_from_everywhere(app, run, last_n).await;
    }
    // Between two reads of one reader.
    let first = app.logs.read(run, 29).await.unwrap()[0].clone();
    app.logs.archive(run, last_n).await.unwrap();
    assert_whole(&read_from(app, run, first.last_n).await, first.last_n, last_n);
    assert_whole_from_everywhere(app, run, last_n).await;
}

/// The process died after a segment was written and before the stream was trimmed.
#[tokio::test]
async fn segments_that_overlap_after_a_crash_give_each_line_once() {
    let Parts { app, .. } = &Parts::start().await;
    let run = &RunId::generate();
    app.logs.open(run, 1, 0).await.unwrap();
    append(app, run, 1, 1..=6).await;
    app.logs.archive(run, 6).await.unwrap();
    let head = app.redis.key(&format!("log:{run}:head"));
    let stream = app.redis.key(&format!("log:{run}:lines"));
    let mut restore = redis::pipe();
    restore.cmd("DEL").arg(&head).arg(&stream);
    app.redis.pipeline::<()>(&restore).await.unwrap();
    app.logs.open(run, 1, 0).await.unwrap();
    append(app, run, 1, 1..=11).await;
    assert_whole_from_everywhere(app, run, 11).await;
    assert_eq!(app.logs.archive(run, 11).await.unwrap(), 11);
    assert_eq!(app.logs.archived_n(run).await.unwrap(), 11);
    assert_whole_from_everywhere(app, run, 11).await;
}

/// The end of a run is settled by whoever sees it, so that two may archive its log at once: here the quicker one
/// comes in between any two steps of the slower one.
#[tokio::test]
async fn two_that_archive_a_log_at_once_lose_nothing() {
    let Parts { app, .. } = &Parts::start().await;
    for steps in 0..24 {
        let run = &RunId::generate();
        app.logs.open(run, 1, 0).await.unwrap();
        app.logs.append(run, 1, 0, &entries(1, 1..=200, 1)).await.unwrap();
        let mut slow = std::pin::pin!(app.logs.archive(run, 100));
        let mut outcome = None;
        for _ in 0..steps {
            if outcome.is_none() {
                outcome = futures::future::poll_immediate(slow.as_mut()).await;
            }
            app.redis.ping().await.unwrap();
        }
        assert_eq!(app.logs.archive(run, 200).await.unwrap(), 200);
        let archived_n = match outcome {
            Some(outcome) => outcome.unwrap(),
            None => slow.await.unwrap(),
        };
        assert!(100 <= archived_n, "after {steps} steps");
        assert_eq!(app.logs.head(run).await.unwrap().unwrap().archived_n, 200, "after {steps} steps");
        for n in (0..200).step_by(20) {
            assert_whole(&read_from(app, run, n).await, n, 200);
        }
    }
}

/// What one archiver has noted is not taken back by another that began before it and is done after it.
#[tokio::test]
async fn a_slow_archiver_does_not_take_back_what_a_quick_one_noted() {
    let Parts { app, .. } = &Parts::start().await;
    let run = &RunId::generate();
    app.logs.open(run, 1, 0).await.unwrap();
    append(app, run, 1, 1..=9).await;
    app.logs.archive(run, 9).await.unwrap();
    assert_eq!(app.logs.archive(run, 3).await.unwrap(), 9);
    assert_eq!(app.logs.head(run).await.unwrap().unwrap().archived_n, 9);
    append(app, run, 1, 10..=12).await;
    assert_whole_from_everywhere(app, run, 12).await;
}

async fn take_until(
    stream: impl futures::Stream<Item = slipway::error::Result<Bytes>>,
    last_n: u64,
) -> Vec<Bytes> {
    let mut stream = std::pin::pin!(stream);
    let mut taken = Vec::new();
    loop {
        let next = tokio::time::timeout(crate::support::redis::DEADLINE, stream.next());
        let events = next.await.expect("the next lines").expect("the stream goes on").unwrap();
        taken.push(events);
        if numbers_of(&taken[taken.len() - 1..]).last() == Some(&last_n) {
            return taken;
        }
    }
}
