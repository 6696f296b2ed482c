//! One stream of a command on its way to the spool: read, masked, cut into lines.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::Source;
use super::lines::LineCutter;
use super::writer::SpoolWriter;
use crate::domain::mask::{MaskStream, Masker};

/// How much is read at once; also what the pipe is made to hold.
pub(super) const READ_BYTES: usize = 256 * 1024;
/// How long a line may wait for its end before it is shown as it is.
const UNFINISHED_AFTER: Duration = Duration::from_secs(1);
/// What is read at most once everything that wrote is gone. A pipe holds less; somebody else who was handed
/// its end could write for ever.
const DRAINED_READS_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Stream {
    source: Source,
    /// `None` after its end.
    fd: Option<OwnedFd>,
    mask: MaskStream,
    cutter: LineCutter,
    /// Since when the line has waited for its end.
    waiting_since: Option<Instant>,
}

/// What a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Some,
    Empty,
    End,
}

impl Stream {
    /// `fd` must not block.
    pub(super) fn new(source: Source, fd: OwnedFd, masker: &Masker, line_bytes_max: usize) -> Self {
        Self {
            source,
            fd: Some(fd),
            mask: masker.stream(),
            cutter: LineCutter::new(line_bytes_max),
            waiting_since: None,
        }
    }

    /// What to poll; `None` after the stream's end.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// Takes in what one read gives.
    pub(super) fn read(&mut self, buffer: &mut [u8], writer: &mut SpoolWriter) {
        self.read_once(buffer, writer);
    }

    /// When an unfinished line will have waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting_since.map(|since| since + UNFINISHED_AFTER)
    }

    /// Shows the unfinished line if it has waited long enough.
    pub(super) fn show_unfinished(&mut self, now: Instant, writer: &mut SpoolWriter) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            let source = self.source;
            self.cutter.cut_partial(|lines| writer.lines(source, &lines));
            self.waiting_since = None;
        }
    }

    /// Takes in what is left and gives out the last line, finished or not.
    pub(super) fn finish(&mut self, buffer: &mut [u8], writer: &mut SpoolWriter) {
        for _ in 0..DRAINED_READS_MAX {
            if self.read_once(buffer, writer) != Read::Some {
                break;
            }
        }
        let source = self.source;
        self.mask.finish(self.cutter.buffer());
        self.cutter.finish(|lines| writer.lines(source, &lines));
        self.waiting_since = None;
    }

    fn read_once(&mut self, buffer: &mut [u8], writer: &mut SpoolWriter) -> Read {
        let Some(fd) = &self.fd else {
            return Read::End;
        };
        let count = match rustix::io::read(fd, &mut *buffer) {
            Ok(0) => 0,
            Ok(count) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Read::Empty,
            // A terminal's way to say that nobody has its other end.
            Err(_) => 0,
        };
        if count == 0 {
            self.fd = None;
            return Read::End;
        }
        if !writer.is_dropping() {
            self.take(&buffer[..count], writer);
        }
        Read::Some
    }

    fn take(&mut self, bytes: &[u8], writer: &mut SpoolWriter) {
        let source = self.source;
        self.mask.push(bytes, self.cutter.buffer());
        let mut is_new_line = self.waiting_since.is_none();
        self.cutter.cut(|lines| {
            is_new_line = true;
            writer.lines(source, &lines);
        });
        if !self.cutter.is_waiting() {
            self.waiting_since = None;
        } else if is_new_line {
            self.waiting_since = Some(Instant::now());
        }
    }
}
