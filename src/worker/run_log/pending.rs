//! Lines that are numbered: their entries for the journal, and their text as it is published.

use crate::domain::log::{LineId, LogLine, LogStream};
use crate::domain::time::Timestamp;
use crate::executor::{self, SpoolLine};
use crate::logs::journal::Entry;
use crate::logs::lines::encode;
use crate::logs::writer::{self, ENTRY_BYTES_MAX};
use crate::worker::run_log::Place;

/// What is said in the place of a line that cannot be had any more.
const LOST: &str = "(this line is lost, if there was one: its machine, or its disk, is gone)";

/// What a line counts for in the log's bound: a million empty lines are not nothing.
pub(super) fn stored_bytes(text: &str) -> u64 {
    const AROUND: u64 = 96;
    text.len() as u64 + AROUND
}

#[derive(Default)]
pub(super) struct Pending {
    pub(super) journal: Vec<Entry>,
    pub(super) text: Text,
}

/// Lines as entries of the stream.
#[derive(Default)]
pub(super) struct Text {
    pub(super) entries: Vec<writer::Entry>,
    /// Of all entries.
    pub(super) bytes: usize,
    open: Vec<u8>,
    last: Option<(u64, Timestamp)>,
}

impl Text {
    pub(super) fn block(&mut self, epoch: u64, first_n: u64, place: &Place, block: &executor::Block) {
        let stream = match (block.source, &place.step) {
            (executor::Source::Note, _) | (_, None) => LogStream::System,
            (executor::Source::Stdout, _) => LogStream::Stdout,
            (executor::Source::Stderr, _) => LogStream::Stderr,
        };
        let mut line = LogLine {
            id: LineId { epoch, n: first_n },
            n: first_n,
            timestamp: block.at,
            step: place.step.clone(),
            attempt: place.attempt,
            stream,
            message: String::new(),
            partial: false,
            continued: false,
        };
        for (n, SpoolLine { text, partial, continued }) in (first_n..).zip(&block.lines) {
            line.id.n = n;
            line.n = n;
            line.message.clone_from(text);
            line.partial = *partial;
            line.continued = *continued;
            self.push(&line);
        }
        self.cut();
    }

    /// Slipway's own words.
    pub(super) fn words(
        &mut self,
        epoch: u64,
        n: u64,
        (step, attempt): (&Option<String>, u32),
        at: Timestamp,
        text: &str,
    ) {
        self.push(&LogLine {
            id: LineId { epoch, n },
            n,
            timestamp: at,
            step: step.clone(),
            attempt,
            stream: LogStream::System,
            message: text.to_owned(),
            partial: false,
            continued: false,
        });
        self.cut();
    }

    /// Lines that were there, and that nobody has any more: each keeps its place, and says so.
    pub(super) fn lost(&mut self, epoch: u64, numbers: std::ops::RangeInclusive<u64>, at: Timestamp) {
        for n in numbers {
            self.push(&LogLine {
                id: LineId { epoch, n },
                n,
                timestamp: at,
                step: None,
                attempt: 0,
                stream: LogStream::System,
                message: LOST.to_owned(),
                partial: false,
                continued: false,
            });
        }
        self.cut();
    }

    fn push(&mut self, line: &LogLine) {
        encode(line, &mut self.open);
        self.last = Some((line.n, line.timestamp));
        if ENTRY_BYTES_MAX <= self.open.len() {
            self.cut();
        }
    }

    /// Ends the entry that is being made.
    fn cut(&mut self) {
        if let Some((last_n, at)) = self.last.take() {
            self.bytes += self.open.len();
            self.entries.push(writer::Entry { last_n, at, text: std::mem::take(&mut self.open).into() });
        }
    }
}
