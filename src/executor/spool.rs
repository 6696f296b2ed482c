//! The spool: one file that is a step's lock, its state, its output and its end.
//!
//! Its writer holds a lock on it for as long as it lives, so a free lock says that the supervisor is gone.
//! It is a sequence of records. A record is a header of [`HEADER_BYTES`] and a payload; the first says who the
//! supervisor is, the last how the step ended, and those between hold whole lines that were read at once,
//! each with its end. A header for each line would be many times the size of short lines.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::processes::Identity;
use super::{Ending, Source};
use crate::domain::time::Timestamp;

pub(super) const HEADER_BYTES: usize = 40;
const MAGIC: [u8; 4] = *b"SLP1";
/// A longer payload is not a record but damage. The supervisor's blocks stay far below.
pub(super) const PAYLOAD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The first two records stay whatever is punched: killing and cleaning up need it.
const KEPT_BYTES: u64 = 4096;

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("spool")
}

/// Its presence asks a supervisor that does not hear signals yet to end the step.
pub(super) fn cancel_path(dir: &Path) -> PathBuf {
    dir.join("cancel")
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Start,
    /// The supervisor hears signals from here on.
    Ready,
    Lines(Source),
    Exit,
}

impl Kind {
    const fn to_byte(self) -> u8 {
        match self {
            Self::Start => 1,
            Self::Lines(Source::Stdout) => 2,
            Self::Lines(Source::Stderr) => 3,
            Self::Lines(Source::Note) => 4,
            Self::Exit => 5,
            Self::Ready => 6,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Start,
            2 => Self::Lines(Source::Stdout),
            3 => Self::Lines(Source::Stderr),
            4 => Self::Lines(Source::Note),
            5 => Self::Exit,
            6 => Self::Ready,
            _ => return None,
        })
    }
}

/// How a block of lines hangs together with those before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Joints {
    /// The first line goes on with the last one of the same source.
    pub(super) continued: bool,
    /// The last line is not finished, and has no end.
    pub(super) partial: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) joints: Joints,
    pub(super) payload_len: usize,
    pub(super) lines: u32,
    /// The number of its first line in the spool, from 1.
    pub(super) first_line: u64,
    pub(super) at: Timestamp,
}

impl Header {
    /// Appends the header and its payload.
    ///
    /// # Panics
    ///
    /// If the payload is longer than [`PAYLOAD_BYTES_MAX`], which every caller bounds.
    pub(super) fn append(&self, payload: &[u8], to: &mut Vec<u8>) {
        assert!(payload.len() == self.payload_len && self.payload_len <= PAYLOAD_BYTES_MAX);
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&(self.payload_len as u32).to_le_bytes());
        bytes[12] = self.kind.to_byte();
        bytes[13] = u8::from(self.joints.continued) | u8::from(self.joints.partial) << 1;
        bytes[16..20].copy_from_slice(&self.lines.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_line.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.at.as_millis().to_le_bytes());
        let sum = checksum(&bytes, payload);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
        to.extend_from_slice(&bytes);
        to.extend_from_slice(payload);
    }

    /// The header without its checksum being checked: that needs the payload.
    fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let payload_len = u32_at(bytes, 4) as usize;
        if bytes[0..4] != MAGIC || payload_len > PAYLOAD_BYTES_MAX {
            return None;
        }
        Some(Self {
            kind: Kind::from_byte(bytes[12])?,
            joints: Joints { continued: bytes[13] & 1 != 0, partial: bytes[13] & 2 != 0 },
            payload_len,
            lines: u32_at(bytes, 16),
            first_line: u64_at(bytes, 24),
            at: Timestamp::from_millis(u64_at(bytes, 32) as i64),
        })
    }
}

fn u32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Over all but the place of the sum itself.
fn checksum(header: &[u8; HEADER_BYTES], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header[..8]);
    hasher.update(&header[12..]);
    hasher.update(payload);
    hasher.finalize()
}

/// What is found at an offset.
#[derive(Debug)]
pub(super) enum Found {
    Record {
        header: Header,
        payload: Vec<u8>,
    },
    /// No record yet, or one that is still being written.
    Nothing,
    /// What is there is not the start of a record, or was damaged.
    Damaged,
}

/// The length of the record at `offset` by its header, if one is there.
pub(super) fn peek(file: &File, offset: u64) -> io::Result<Option<usize>> {
    let mut bytes = [0; HEADER_BYTES];
    if read_fully(file, &mut bytes, offset)? < HEADER_BYTES {
        return Ok(None);
    }
    Ok(Header::parse(&bytes).map(|header| HEADER_BYTES + header.payload_len))
}

/// Reads the record at `offset`.
pub(super) fn read(file: &File, offset: u64) -> io::Result<Found> {
    let mut bytes = [0; HEADER_BYTES];
    if read_fully(file, &mut bytes, offset)? < HEADER_BYTES {
        return Ok(Found::Nothing);
    }
    let Some(header) = Header::parse(&bytes) else {
        return Ok(Found::Damaged);
    };
    // Before memory is taken: a length that the file does not bear out is no reason to take any.
    let payload_at = offset + HEADER_BYTES as u64;
    if file.metadata()?.len() < payload_at + header.payload_len as u64 {
        return Ok(Found::Nothing);
    }
    let mut payload = vec![0; header.payload_len];
    if read_fully(file, &mut payload, payload_at)? < payload.len() {
        return Ok(Found::Nothing);
    }
    if checksum(&bytes, &payload).to_le_bytes() != bytes[8..12] {
        return Ok(Found::Damaged);
    }
    Ok(Found::Record { header, payload })
}

fn read_fully(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The payload of the first record: how the supervisor and what it started can be found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) supervisor: Identity,
    /// Process ids mean nothing after the machine was started anew.
    pub(super) boot: String,
    /// The namespace in which the process ids are valid.
    pub(super) pid_namespace: String,
    /// The value of `SLIPWAY_STEP_ID` in the command's environment.
    pub(super) step_id: String,
    /// What `readlink` says of the command's output pipes.
    pub(super) pipes: Vec<String>,
    /// The process that started the supervisor, if the supervisor's children fall to it.
    pub(super) reaper: Option<Identity>,
    /// The step's control groups.
    #[serde(default)]
    pub(super) groups: Vec<PathBuf>,
}

/// The payload of the last record.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Exit {
    pub(super) ending: Ending,
}

/// The first record, if it is there.
pub(super) fn read_start(file: &File) -> io::Result<Option<Start>> {
    match read(file, 0)? {
        Found::Record { header: Header { kind: Kind::Start, .. }, payload } => {
            Ok(serde_json::from_slice(&payload).ok())
        }
        _ => Ok(None),
    }
}

/// The first record, once the supervisor hears signals. One that arrives before would end it instead of its
/// step.
pub(super) fn read_hearing(file: &File) -> io::Result<Option<Start>> {
    let Some(start) = read_start(file)? else {
        return Ok(None);
    };
    let Some(len) = peek(file, 0)? else {
        return Ok(None);
    };
    match read(file, len as u64)? {
        Found::Record { header: Header { kind: Kind::Ready, .. }, .. } => Ok(Some(start)),
        _ => Ok(None),
    }
}

/// Takes the lock for writing. `false`: somebody holds it.
pub(super) fn lock(file: &File) -> io::Result<bool> {
    try_lock(file, FlockOperation::NonBlockingLockExclusive)
}

/// Whether the supervisor is gone. Shared, so that those who ask do not take each other for one.
pub(super) fn is_abandoned(file: &File) -> io::Result<bool> {
    let is_free = try_lock(file, FlockOperation::NonBlockingLockShared)?;
    if is_free {
        rustix::fs::flock(file, FlockOperation::Unlock)?;
    }
    Ok(is_free)
}

fn try_lock(file: &File, operation: FlockOperation) -> io::Result<bool> {
    match rustix::fs::flock(file, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Gives back the disk before `offset`, all but the first two records. Offsets stay as they are.
pub(super) fn punch(file: &File, offset: u64) -> rustix::io::Result<()> {
    if offset <= KEPT_BYTES {
        return Ok(());
    }
    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(file, mode, KEPT_BYTES, offset - KEPT_BYTES)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn record(payload: &[u8]) -> Vec<u8> {
        let header = Header {
            kind: Kind::Lines(Source::Stderr),
            joints: Joints { continued: true, partial: false },
            payload_len: payload.len(),
            lines: 1,
            first_line: 17,
            at: Timestamp::from_millis(1_795_478_400_123),
        };
        let mut bytes = Vec::new();
        header.append(payload, &mut bytes);
        bytes
    }

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let bytes = record(b"a line\n");
        let Found::Record { header, payload } = read(&file_of(&bytes), 0).unwrap() else {
            panic!("no record");
        };
        assert_eq!((header.kind, header.lines, header.first_line), (Kind::Lines(Source::Stderr), 1, 17));
        assert_eq!(header.joints, Joints { continued: true, partial: false });
        assert_eq!(payload, b"a line\n");
    }

    #[test]
    fn a_torn_record_is_never_read() {
        let bytes = record(b"a line\n");
        for len in 0..bytes.len() {
            let found = read(&file_of(&bytes[..len]), 0).unwrap();
            assert!(matches!(found, Found::Nothing), "cut at {len}: {found:?}");
        }
    }

    #[test]
    fn a_changed_byte_is_noticed_wherever_it_is() {
        let bytes = record(b"a line\n");
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            let found = read(&file_of(&damaged), 0).unwrap();
            assert!(!matches!(found, Found::Record { .. }), "changed at {at}: {found:?}");
        }
    }
}
