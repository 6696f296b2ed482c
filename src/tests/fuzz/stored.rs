//! Logs whose files the disk has damaged: absent or refused, never other lines.

use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use slipway::domain::ids::RunId;
use slipway::domain::log::LogLine;
use slipway::domain::time::Timestamp;
use slipway::logs::journal::{self, Journal, Origin};
use slipway::logs::lines::encode;
use slipway::logs::writer::Entry;
use tokio::runtime::Runtime;

use super::mutate::holds;
use crate::logs::line;
use crate::support::redis::Parts;

/// Enough for several frames of the archive.
const LINES: u64 = 600;
const LINE_BYTES: usize = 1_500;

fn long_line(n: u64) -> LogLine {
    let mut line = line(1, n);
    // Nothing that compresses away, or damage would seldom hit text.
    let noise = (0..LINE_BYTES as u64 / 16)
        .map(|at| format!("{:016x}", (n * 1_000 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    line.message = noise.collect();
    line
}

async fn archived(parts: &Parts) -> RunId {
    let run = RunId::generate();
    let numbers: Vec<u64> = (1..=LINES).collect();
    let entries: Vec<Entry> = numbers
        .chunks(20)
        .map(|numbers| {
            let mut text = Vec::new();
            numbers.iter().for_each(|n| encode(&long_line(*n), &mut text));
            let at = Timestamp::from_millis(1_700_000_000_000);
            Entry { last_n: numbers[numbers.len() - 1], at, text: text.into() }
        })
        .collect();
    parts.app.logs.open(&run, 1, 0).await.unwrap();
    parts.app.logs.append(&run, 1, 0, &entries).await.unwrap();
    assert_eq!(parts.app.logs.archive(&run, LINES).await.unwrap(), LINES);
    parts.wipe_redis().await;
    run
}

fn only_file(dir: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.pop().unwrap()
}

#[test]
fn a_damaged_archive_gives_its_own_lines_or_none() {
    let runtime = Runtime::new().unwrap();
    let parts = runtime.block_on(Parts::start());
    let run = runtime.block_on(archived(&parts));
    let file = only_file(&parts.app.config.data_dir.join(format!("objects/logs/{run}")));
    let whole = std::fs::read(&file).unwrap();
    // The index is small and at the end: most of the damage is there, and much of it makes one digit of another.
    let place = prop_oneof![1 => 0..whole.len(), 3 => whole.len() - 200..whole.len()];
    let mask = prop_oneof![1..=7_u8, 1..=255_u8];
    let damage = (vec((place, mask), 1..3), prop::option::weighted(0.2, any::<Index>()), 0..LINES);
    holds(150, damage, |(flips, cut, after_n): (Vec<(usize, u8)>, Option<Index>, u64)| {
        let mut damaged = whole.clone();
        for (at, mask) in flips {
            damaged[at] ^= mask;
        }
        if let Some(cut) = cut {
            damaged.truncate(cut.index(damaged.len()));
        }
        std::fs::write(&file, damaged).unwrap();
        let mut n = after_n;
        while let Ok(blocks) = runtime.block_on(parts.app.logs.read(&run, n)) {
            let Some(last) = blocks.last() else { break };
            for line in blocks.iter().flat_map(|block| block.decode().unwrap()) {
                n += 1;
                prop_assert_eq!(line, long_line(n));
            }
            prop_assert_eq!(n, last.last_n);
        }
        Ok(())
    });
    runtime.block_on(async move { drop(parts) });
}

fn journalled(first_n: u64) -> journal::Entry {
    let dir = format!("steps/{first_n}-1");
    let step = Some("build / größe".to_owned());
    let origin = match first_n % 3 {
        0 => Origin::Words { step, attempt: 0, at_ms: 5, text: "a\n\"b\" \u{1}".to_owned() },
        rest => Origin::Spool {
            dir,
            step,
            attempt: 1,
            offset: first_n * 10,
            next: first_n * 10 + 10,
            complaint_n: (rest == 1).then_some(first_n),
        },
    };
    journal::Entry { first_n, count: 1, log_bytes: first_n * 7, origin }
}

#[test]
fn a_damaged_journal_is_read_up_to_the_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let written: Vec<journal::Entry> = (1..=20).map(journalled).collect();
    Journal::take_over(&path).unwrap().0.append(&written).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let damage = (vec((any::<Index>(), 1..=255_u8), 0..4), any::<Index>());
    holds(500, damage, |(flips, cut)| {
        let mut damaged = whole.clone();
        for (at, mask) in &flips {
            let at = at.index(damaged.len());
            damaged[at] ^= mask;
        }
        damaged.truncate(cut.index(damaged.len() + 1));
        std::fs::write(&path, damaged).unwrap();
        let (mut journal, entries) = Journal::take_over(&path).unwrap();
        prop_assert_eq!(&entries[..], &written[..entries.len()]);
        // It goes on behind what is right.
        journal.append(&[journalled(99)]).unwrap();
        let (_, again) = Journal::take_over(&path).unwrap();
        prop_assert_eq!(again.len(), entries.len() + 1);
        Ok(())
    });
}
