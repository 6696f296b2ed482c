//! The order of a run's lines, written down before they are published.
//!
//! A line's number must survive whatever Redis loses. So the worker first notes, in a file beside the
//! spools, which block of which spool (or which words of its own) get the next numbers, and publishes then.
//! Who takes the run over reads the journal, publishes what is missing, and goes on where it ends.
//!
//! An entry is a line: the checksum of its JSON in eight hexadecimal digits, a space, the JSON.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One entry: consecutive lines that come from one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The number of its first line.
    #[serde(rename = "n")]
    pub first_n: u64,
    #[serde(rename = "c")]
    pub count: u64,
    /// Text in the log up to its last line.
    #[serde(rename = "b")]
    pub log_bytes: u64,
    #[serde(flatten)]
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "k")]
pub enum Origin {
    /// A record of the spool in the directory `dir`, below the run's own.
    #[serde(rename = "s")]
    Spool { dir: String, step: Option<String>, attempt: u32, offset: u64, next: u64 },
    /// Slipway's own words.
    #[serde(rename = "w")]
    Words { step: Option<String>, attempt: u32, at_ms: i64, text: String },
}

impl Entry {
    pub fn last_n(&self) -> u64 {
        self.first_n + self.count - 1
    }
}

/// The journal of a run, open for appending.
#[derive(Debug)]
pub struct Journal {
    file: File,
}

impl Journal {
    /// Opens the journal at `path` and reads what it has. An entry that was cut off while it was written is
    /// taken away: its lines were not published. So is one that the disk has damaged, with what follows it.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<Entry>)> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut whole_bytes = 0;
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)?;
            if length == 0 || line.last() != Some(&b'\n') {
                break;
            }
            let Some(entry) = parse(&line) else { break };
            whole_bytes += length as u64;
            entries.push(entry);
        }
        // Only what was cut off: whoever appends at this moment must not lose an entry.
        if !line.is_empty() {
            file.set_len(whole_bytes)?;
        }
        file.seek(io::SeekFrom::End(0))?;
        Ok((Self { file }, entries))
    }

    /// Appends entries in one write. A write to the page cache survives this process, which is what it is
    /// for; a machine that crashes loses the steps themselves.
    pub fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut text = Vec::with_capacity(entries.len() * 128);
        for entry in entries {
            let json = serde_json::to_vec(entry)?;
            write!(text, "{:08x} ", crc32fast::hash(&json))?;
            text.extend_from_slice(&json);
            text.push(b'\n');
        }
        self.file.write_all(&text)
    }
}

/// None if it is not as it was written.
fn parse(line: &[u8]) -> Option<Entry> {
    let (digits, json) = line.strip_suffix(b"\n")?.split_at_checked(8)?;
    let json = json.strip_prefix(b" ")?;
    let sum = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    if sum == crc32fast::hash(json) { serde_json::from_slice(json).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(first_n: u64) -> Entry {
        let origin = Origin::Spool {
            dir: "steps/0-1".to_owned(),
            step: Some("build".to_owned()),
            attempt: 1,
            offset: first_n * 10,
            next: first_n * 10 + 10,
        };
        Entry { first_n, count: 3, log_bytes: first_n * 7, origin }
    }

    /// Else lines would get the numbers of others.
    #[test]
    fn an_entry_with_a_changed_byte_is_no_entry() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let written = vec![entry(1), entry(4)];
        Journal::open(&path).unwrap().0.append(&written).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x01;
            std::fs::write(&path, &damaged).unwrap();
            let (_, entries) = Journal::open(&path).unwrap();
            assert!(entries.len() < 2, "changed at {at}");
            assert_eq!(entries, written[..entries.len()], "changed at {at}");
        }
    }

    /// Cuts the file at every byte: what was written whole is read, and appending goes on behind it.
    #[test]
    fn a_journal_that_was_cut_off_goes_on_behind_its_last_whole_entry() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let words = Origin::Words { step: None, attempt: 0, at_ms: 5, text: "a\nb".to_owned() };
        let written = vec![entry(1), entry(4), Entry { first_n: 7, count: 1, log_bytes: 52, origin: words }];
        Journal::open(&path).unwrap().0.append(&written).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for length in 0..=bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let (mut journal, entries) = Journal::open(&path).unwrap();
            assert_eq!(entries, written[..entries.len()]);
            let whole = bytes[..length].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(entries.len(), whole);
            journal.append(&[entry(100)]).unwrap();
            drop(journal);
            let (_, entries) = Journal::open(&path).unwrap();
            assert_eq!(entries.last(), Some(&entry(100)));
            assert_eq!(entries.len(), whole + 1);
        }
    }
}
