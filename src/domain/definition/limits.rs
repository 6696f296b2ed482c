//! `limits` of a step: how much of the machine it may use.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::domain::definition::problems::{Problems, join, quote};
use crate::domain::definition::tree::Node;
use crate::domain::step_limits::StepLimits;

const KEYS: [&str; 5] = ["memory", "processes", "files", "file_size", "cpu_time"];
const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
/// Less than this, and no shell starts.
const MEMORY: RangeInclusive<u64> = 16 << 20..=1 << 50;
const FILE_SIZE: RangeInclusive<u64> = 1 << 10..=1 << 50;
const PROCESSES: RangeInclusive<u32> = 1..=4_000_000;
const FILES: RangeInclusive<u32> = 16..=1_000_000;
const CPU_TIME: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);

pub(super) fn limits(problems: &mut Problems, node: &Node<'_>, path: &str) -> StepLimits {
    let fields = problems.fields(node, path, &KEYS);
    let at = |key: &str| join(path, key);
    let mut number = |key: &str, range| {
        let count = fields.get(key).and_then(|node| problems.whole_number(node, &at(key), range));
        count.map(u64::from)
    };
    let (processes, files) = (number("processes", PROCESSES), number("files", FILES));
    StepLimits {
        memory: fields.get("memory").and_then(|node| size(problems, node, &at("memory"), MEMORY)),
        processes,
        files,
        file_size: fields.get("file_size").and_then(|node| size(problems, node, &at("file_size"), FILE_SIZE)),
        cpu_time: fields.get("cpu_time").and_then(|node| problems.duration(node, &at("cpu_time"), CPU_TIME)),
        // Who shares the processors decides, not who uses them.
        cpu: None,
    }
}

fn size(problems: &mut Problems, node: &Node<'_>, path: &str, range: RangeInclusive<u64>) -> Option<u64> {
    let expected = format!("a size such as 512MiB, from {}KiB to 1048576GiB", range.start() >> 10);
    let text = problems.text(node, path, &expected)?;
    let bytes = UNITS.iter().find_map(|(unit, bytes)| {
        let number = text.strip_suffix(unit)?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| number.parse::<u64>().ok()?.checked_mul(*bytes))?
    });
    let found = bytes.filter(|bytes| range.contains(bytes));
    if found.is_none() {
        problems.add(node.place, path, format!("{} is no such size", quote(text)), &expected);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pipeline;

    fn step(limits: &str) -> Result<StepLimits, String> {
        let text = format!("steps: [{{ name: a, run: 'true', limits: {limits} }}]");
        let parsed = pipeline::parse(&text);
        parsed.map(|definition| definition.steps[0].limits).map_err(|problems| format!("{problems:?}"))
    }

    #[test]
    fn limits_are_sizes_numbers_and_durations() {
        let read = step("{ memory: 512MiB, processes: 64, files: 256, file_size: 1GiB, cpu_time: 10m }");
        let limits = StepLimits {
            memory: Some(512 << 20),
            processes: Some(64),
            files: Some(256),
            file_size: Some(1 << 30),
            cpu_time: Some(Duration::from_secs(600)),
            cpu: None,
        };
        assert_eq!(read, Ok(limits));
        for (wrong, field) in [
            ("{ memory: 512 }", "steps[0].limits.memory"),
            ("{ memory: 1KiB }", "steps[0].limits.memory"),
            ("{ memory: +32MiB }", "steps[0].limits.memory"),
            ("{ file_size: 99999999999999999999GiB }", "steps[0].limits.file_size"),
            ("{ processes: 0 }", "steps[0].limits.processes"),
            ("{ disk: 1GiB }", "steps[0].limits"),
        ] {
            let error = step(wrong).unwrap_err();
            assert!(error.contains(field), "{wrong}: {error}");
        }
    }
}
