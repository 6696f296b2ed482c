//! The supervisor's hand on the spool: numbers lines, bounds the log, waits for room on the disk.

use std::fs::File;
use std::io::{self, Write};

use super::lines::Lines;
use super::spool::{self, Header, Joints, Kind};
use super::{Ending, Source};
use crate::domain::time;

/// Below this a backlog bound would be reached by what a file takes on the disk even when it is punched.
const BACKLOG_BYTES_MIN: u64 = 256 * 1024;

/// Appends records to a spool. What does not fit on the disk is kept and tried again.
#[derive(Debug)]
pub(super) struct SpoolWriter {
    file: File,
    /// Records that are not, or not wholly, in the file.
    pending: Vec<u8>,
    next_line: u64,
    log_bytes: u64,
    log_bytes_max: u64,
    /// The log's bound was reached.
    is_dropping: bool,
    /// `None` where the file system cannot punch holes: nobody could ever make room.
    backlog_bytes_max: Option<u64>,
}

impl SpoolWriter {
    pub(super) fn new(file: File, log_bytes_max: u64, backlog_bytes_max: u64) -> Self {
        // Beyond the end of the file, where there is nothing to lose.
        let can_punch = spool::punch(&file, 1024 * 1024).is_ok();
        let backlog_bytes_max = can_punch.then_some(backlog_bytes_max.max(BACKLOG_BYTES_MIN));
        Self {
            file,
            pending: Vec::new(),
            next_line: 1,
            log_bytes: 0,
            log_bytes_max,
            is_dropping: false,
            backlog_bytes_max,
        }
    }

    /// What the step prints from here on is not stored.
    pub(super) fn is_dropping(&self) -> bool {
        self.is_dropping
    }

    /// Whether the step must be held back: there is no room for more.
    pub(super) fn is_full(&mut self) -> bool {
        self.flush();
        if !self.pending.is_empty() {
            return true;
        }
        let Some(backlog_bytes_max) = self.backlog_bytes_max else {
            return false;
        };
        // What is on the disk, holes excluded.
        let blocks =
            rustix::fs::fstat(&self.file).map_or(0, |stat| u64::try_from(stat.st_blocks).unwrap_or(0));
        blocks.saturating_mul(512) > backlog_bytes_max
    }

    /// Appends lines of the command, as far as the log's bound allows.
    pub(super) fn lines(&mut self, source: Source, lines: &Lines<'_>) {
        if self.is_dropping {
            return;
        }
        let room = usize::try_from(self.log_bytes_max - self.log_bytes).unwrap_or(usize::MAX);
        if lines.bytes.len() <= room {
            self.log_bytes += lines.bytes.len() as u64;
            self.record(Kind::Lines(source), lines.joints, lines.bytes, lines.count);
            return;
        }
        let whole = memchr::memrchr(b'\n', &lines.bytes[..room]).map_or(0, |newline| newline + 1);
        if whole > 0 {
            let bytes = &lines.bytes[..whole];
            let count = u32::try_from(memchr::memchr_iter(b'\n', bytes).count()).unwrap_or(u32::MAX);
            let joints = Joints { partial: false, ..lines.joints };
            self.record(Kind::Lines(source), joints, bytes, count);
        }
        self.is_dropping = true;
        let bound = self.log_bytes_max;
        self.note(&format!(
            "the log has reached its bound of {bound} bytes: what the step prints from here on is dropped"
        ));
    }

    /// Appends a line of the supervisor's own.
    pub(super) fn note(&mut self, text: &str) {
        let payload = format!("{}\n", text.replace('\n', " "));
        self.record(Kind::Lines(Source::Note), Joints::default(), payload.as_bytes(), 1);
    }

    pub(super) fn start(&mut self, start: &spool::Start) -> io::Result<()> {
        let payload = serde_json::to_vec(start)?;
        self.record(Kind::Start, Joints::default(), &payload, 0);
        Ok(())
    }

    pub(super) fn ready(&mut self) {
        self.record(Kind::Ready, Joints::default(), &[], 0);
    }

    pub(super) fn exit(&mut self, ending: Ending) -> io::Result<()> {
        let payload = serde_json::to_vec(&spool::Exit { ending })?;
        self.record(Kind::Exit, Joints::default(), &payload, 0);
        Ok(())
    }

    /// Tries to write what is pending. `true`: it is all in the file.
    pub(super) fn flush(&mut self) -> bool {
        let mut written = 0;
        while written < self.pending.len() {
            match self.file.write(&self.pending[written..]) {
                Ok(count) if count > 0 => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A full disk, most often. Whatever it is, giving up would lose lines, and waiting holds
                // the step back until somebody can see to it.
                Ok(_) | Err(_) => break,
            }
        }
        self.pending.drain(..written);
        self.pending.is_empty()
    }

    fn record(&mut self, kind: Kind, joints: Joints, payload: &[u8], lines: u32) {
        let first_line = self.next_line;
        self.next_line += u64::from(lines);
        let header = Header { kind, joints, payload_len: payload.len(), lines, first_line, at: time::now() };
        header.append(payload, &mut self.pending);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Lines<'_> {
        let count = memchr::memchr_iter(b'\n', bytes).count() as u32;
        Lines { bytes, joints: Joints::default(), count }
    }

    #[test]
    fn a_full_disk_loses_nothing() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut writer = SpoolWriter::new(full, 1_000, 1 << 30);
        writer.lines(Source::Stdout, &lines(b"one\n"));
        assert!(writer.is_full());
        writer.lines(Source::Stdout, &lines(b"two\n"));
        assert!(writer.is_full());

        writer.file = tempfile::tempfile().unwrap();
        assert!(!writer.is_full());
        let file = writer.file.try_clone().unwrap();
        let mut offset = 0;
        for (number, text) in [(1, "one\n"), (2, "two\n")] {
            let spool::Found::Record { header, payload } = spool::read(&file, offset).unwrap() else {
                panic!("no record at {offset}");
            };
            assert_eq!((header.first_line, payload.as_slice()), (number, text.as_bytes()));
            offset += (spool::HEADER_BYTES + header.payload_len) as u64;
        }
    }

    #[test]
    fn a_log_ends_with_the_last_line_that_fits_and_a_note() {
        let mut writer = SpoolWriter::new(tempfile::tempfile().unwrap(), 9, 1 << 30);
        writer.lines(Source::Stdout, &lines(b"one\ntwo\nthree\n"));
        writer.lines(Source::Stdout, &lines(b"a\n"));
        assert!(writer.is_dropping() && !writer.is_full());
        let spool::Found::Record { header, payload } = spool::read(&writer.file, 0).unwrap() else {
            panic!("no record");
        };
        assert_eq!((header.lines, payload.as_slice()), (2, &b"one\ntwo\n"[..]));
        let offset = (spool::HEADER_BYTES + header.payload_len) as u64;
        let spool::Found::Record { header, .. } = spool::read(&writer.file, offset).unwrap() else {
            panic!("no note");
        };
        assert_eq!((header.kind, header.first_line), (Kind::Lines(Source::Note), 3));
    }
}
