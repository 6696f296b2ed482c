//! The order of a run's lines, written down before they are published.
//!
//! A line's number must survive whatever Redis loses. So the worker first notes, in a file beside the
//! spools, which block of which spool (or which words of its own) get the next numbers, and publishes then.
//! Who takes the run over reads the journal, publishes what is missing, and goes on where it ends.
//!
//! An entry is a line: the checksum of its JSON in eight hexadecimal digits, a space, the JSON.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
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
    Spool {
        dir: String,
        step: Option<String>,
        attempt: u32,
        offset: u64,
        next: u64,
        /// The line with which the step complains first, where it is one of these.
        #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
        complaint_n: Option<u64>,
    },
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
    len: u64,
}

impl Journal {
    /// Reads the journal at `path` and puts a file of its own in its place: whoever wrote it before, and only seemed to
    /// be dead, writes into a file that nobody reads any more. To be called once nobody else can publish: then every
    /// published line is in what is read. An entry that was cut off while it was written is taken away: its lines were
    /// not published. So is one that the disk has damaged, with what follows it.
    pub fn take_over(path: &Path) -> io::Result<(Self, Vec<Entry>)> {
        let entries = match File::open(path) {
            Ok(file) => read(&file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let draft = path.with_extension("draft");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        let text = encode(&entries)?;
        file.write_all(&text)?;
        fs::rename(&draft, path)?;
        Ok((Self { file, len: text.len() as u64 }, entries))
    }

    /// Appends entries in one write: all of them, or none if it fails, and then it may be tried again. A write to the
    /// page cache survives this process, which is what it is for; a machine that crashes loses the steps themselves.
    pub fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let text = encode(entries)?;
        // The end is named, since an earlier call may have left a part of its entries behind it.
        self.file.write_all_at(&text, self.len)?;
        self.len += text.len() as u64;
        Ok(())
    }
}

/// The number of the last line in the journal at `path`; 0: none.
pub fn last_n(path: &Path) -> io::Result<u64> {
    match File::open(path) {
        Ok(file) => Ok(read(&file)?.last().map_or(0, Entry::last_n)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

fn encode(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(entries.len() * 128);
    for entry in entries {
        let json = serde_json::to_vec(entry)?;
        write!(text, "{:08x} ", crc32fast::hash(&json))?;
        text.extend_from_slice(&json);
        text.push(b'\n');
    }
    Ok(text)
}

/// The entries up to the first that is not whole, or that does not follow the one before it.
fn read(file: &File) -> io::Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        let Some(entry) = parse(&line) else { break };
        if entries.last().is_some_and(|last| entry.first_n <= last.last_n()) {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
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
            complaint_n: (first_n == 4).then_some(5),
        };
        Entry { first_n, count: 3, log_bytes: first_n * 7, origin }
    }

    fn words(first_n: u64) -> Entry {
        let words = Origin::Words { step: None, attempt: 0, at_ms: 5, text: "a\nb".to_owned() };
        Entry { first_n, count: 1, log_bytes: 52, origin: words }
    }

    /// Cuts the file at every byte: what was written whole is read, and appending goes on behind it.
    #[test]
    fn a_journal_that_was_cut_off_goes_on_behind_its_last_whole_entry() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let written = vec![entry(1), entry(4), words(7)];
        Journal::take_over(&path).unwrap().0.append(&written).unwrap();
        let bytes = fs::read(&path).unwrap();
        for length in 0..=bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            let (mut journal, entries) = Journal::take_over(&path).unwrap();
            assert_eq!(entries, written[..entries.len()]);
            let whole = bytes[..length].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(entries.len(), whole);
            journal.append(&[entry(100)]).unwrap();
            drop(journal);
            let (_, entries) = Journal::take_over(&path).unwrap();
            assert_eq!(entries.last(), Some(&entry(100)));
            assert_eq!(entries.len(), whole + 1);
        }
    }

    /// Else lines would get the numbers of others.
    #[test]
    fn an_entry_with_a_changed_byte_is_no_entry() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let written = vec![entry(1), entry(4)];
        Journal::take_over(&path).unwrap().0.append(&written).unwrap();
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x01;
            fs::write(&path, &damaged).unwrap();
            let (_, entries) = Journal::take_over(&path).unwrap();
            assert!(entries.len() < 2, "changed at {at}");
            assert_eq!(entries, written[..entries.len()], "changed at {at}");
        }
    }

    #[test]
    fn who_wrote_before_and_only_seemed_dead_writes_where_nobody_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut first, _) = Journal::take_over(&path).unwrap();
        first.append(&[entry(1)]).unwrap();
        let (mut second, entries) = Journal::take_over(&path).unwrap();
        assert_eq!(entries, [entry(1)]);
        first.append(&[entry(4)]).unwrap();
        second.append(&[words(4)]).unwrap();
        let (_, entries) = Journal::take_over(&path).unwrap();
        assert_eq!(entries, [entry(1), words(4)]);
    }
}
