//! Log lines as people read them: parts joined, and nothing in them that plays with the terminal.

use std::collections::BTreeMap;

use crate::domain::log::{LogLine, LogStream};

/// A line that grows beyond this is printed in parts.
const JOINED_BYTES_MAX: usize = 1 << 20;

/// A line, or part of one, as it comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) step: Option<&'a str>,
    pub(super) stream: LogStream,
    pub(super) text: &'a str,
    /// More of it follows.
    pub(super) partial: bool,
    pub(super) continued: bool,
}

impl<'a> From<&'a LogLine> for Piece<'a> {
    fn from(line: &'a LogLine) -> Self {
        Self {
            step: line.step.as_deref(),
            stream: line.stream,
            text: &line.message,
            partial: line.partial,
            continued: line.continued,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) step: Option<String>,
    pub(super) stream: LogStream,
    pub(super) text: String,
}

/// Holds the beginnings of lines until their ends have come: one for each stream of each step.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    held: BTreeMap<(Option<String>, u8), Line>,
}

impl Joiner {
    /// The lines that this piece completes: one; none, if more follows; two, if what was held stays a fragment.
    pub(super) fn push(&mut self, piece: Piece<'_>) -> Vec<Line> {
        let key = (piece.step.map(str::to_owned), piece.stream as u8);
        let mut lines = Vec::new();
        let mut line = match self.held.remove(&key) {
            Some(line) if piece.continued => line,
            fragment => {
                lines.extend(fragment);
                Line { step: key.0.clone(), stream: piece.stream, text: String::new() }
            }
        };
        line.text.push_str(piece.text);
        if piece.partial && line.text.len() < JOINED_BYTES_MAX {
            self.held.insert(key, line);
        } else {
            lines.push(line);
        }
        lines
    }

    /// What was never finished.
    pub(super) fn finish(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.held).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str, partial: bool, continued: bool) -> Piece<'_> {
        Piece { step: Some("build"), stream: LogStream::Stdout, text, partial, continued }
    }

    fn texts(lines: Vec<Line>) -> Vec<String> {
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn the_parts_of_a_line_are_joined_though_other_streams_come_between() {
        let mut joiner = Joiner::default();
        assert!(joiner.push(piece("one ", true, false)).is_empty());
        let other = Piece { stream: LogStream::Stderr, ..piece("other", false, false) };
        assert_eq!(texts(joiner.push(other)), ["other"]);
        assert!(joiner.push(piece("two ", true, true)).is_empty());
        assert_eq!(texts(joiner.push(piece("three", false, true))), ["one two three"]);
    }

    #[test]
    fn a_fragment_is_printed_when_another_line_begins_or_the_log_ends() {
        let mut joiner = Joiner::default();
        joiner.push(piece("frag", true, false));
        assert_eq!(texts(joiner.push(piece("line", false, false))), ["frag", "line"]);
        joiner.push(piece("ment", true, false));
        assert_eq!(texts(joiner.finish()), ["ment"]);
        assert!(joiner.finish().is_empty());
    }

    #[test]
    fn a_line_without_end_is_not_held_for_ever() {
        let mut joiner = Joiner::default();
        let part = "x".repeat(JOINED_BYTES_MAX / 2);
        assert!(joiner.push(piece(&part, true, false)).is_empty());
        assert_eq!(joiner.push(piece(&part, true, true)).len(), 1);
    }
}
