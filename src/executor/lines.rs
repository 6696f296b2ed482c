//! Cuts a stream of bytes into blocks of whole lines.
//!
//! Pure: it knows no clock and no file. The supervisor says when a line that is not finished has waited
//! long enough.

use super::spool::Joints;

/// Some lines of one stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lines<'a> {
    /// Each line with its end; the last one without, if it is `partial`.
    pub(super) bytes: &'a [u8],
    pub(super) joints: Joints,
    pub(super) count: u32,
}

/// Collects one stream's bytes until they make lines.
#[derive(Debug)]
pub(super) struct LineCutter {
    rest: Vec<u8>,
    /// The start of the line that `rest` goes on with was given out already.
    continued: bool,
    line_bytes_max: usize,
}

impl LineCutter {
    /// `line_bytes_max`: a longer line is cut into pieces; at least 4, so that any character fits.
    pub(super) fn new(line_bytes_max: usize) -> Self {
        Self { rest: Vec::new(), continued: false, line_bytes_max: line_bytes_max.max(4) }
    }

    /// Where bytes are appended.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.rest
    }

    /// Whether a line waits for its end.
    pub(super) fn is_waiting(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Gives out all finished lines, and pieces of those that are too long.
    pub(super) fn cut(&mut self, mut give: impl FnMut(Lines<'_>)) {
        let mut block_start = 0;
        let mut at = 0;
        loop {
            let window_end = self.rest.len().min(at + self.line_bytes_max + 1);
            if let Some(newline) = memchr::memrchr(b'\n', &self.rest[at..window_end]) {
                at += newline + 1;
                continue;
            }
            if window_end - at <= self.line_bytes_max {
                break;
            }
            // A line longer than the bound: what stands before it and its first piece make a block.
            at += character_boundary(&self.rest[at..], self.line_bytes_max);
            self.give(block_start..at, true, &mut give);
            block_start = at;
        }
        if block_start < at {
            self.give(block_start..at, false, &mut give);
        }
        self.rest.drain(..at);
    }

    /// Gives out the unfinished line as it is, but for a character or a line's end that has not arrived whole.
    pub(super) fn cut_partial(&mut self, mut give: impl FnMut(Lines<'_>)) {
        // A CR may be the first half of a line's end, which readers take off whole.
        let shown = self.rest.strip_suffix(b"\r").unwrap_or(&self.rest);
        let end = character_boundary(shown, shown.len());
        if end > 0 {
            self.give(0..end, true, &mut give);
            self.rest.drain(..end);
        }
    }

    /// Gives out what remains as a line: nothing will follow.
    pub(super) fn finish(&mut self, mut give: impl FnMut(Lines<'_>)) {
        self.cut(&mut give);
        if self.is_waiting() {
            self.rest.push(b'\n');
            self.give(0..self.rest.len(), false, &mut give);
            self.rest.clear();
        }
    }

    fn give(&mut self, range: std::ops::Range<usize>, partial: bool, give: &mut impl FnMut(Lines<'_>)) {
        let bytes = &self.rest[range];
        let newlines = memchr::memchr_iter(b'\n', bytes).count();
        give(Lines {
            bytes,
            joints: Joints { continued: self.continued, partial },
            // A block is at most a few reads long, so the number fits.
            count: u32::try_from(newlines + usize::from(partial)).unwrap_or(u32::MAX),
        });
        self.continued = partial;
    }
}

/// The last place at or before `end` that does not cut a UTF-8 character; `end` itself where the bytes are
/// not UTF-8.
fn character_boundary(bytes: &[u8], end: usize) -> usize {
    for back in 1..=end.min(3) {
        let width = match bytes[end - back] {
            0b1100_0000..=0b1101_1111 => 2,
            0b1110_0000..=0b1110_1111 => 3,
            0b1111_0000..=0b1111_0111 => 4,
            0b1000_0000..=0b1011_1111 => continue,
            _ => return end,
        };
        return if width > back { end - back } else { end };
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    type Given = (String, bool, bool, u32);

    fn collect(given: &mut Vec<Given>) -> impl FnMut(Lines<'_>) {
        |lines| {
            let text = String::from_utf8_lossy(lines.bytes).into_owned();
            given.push((text, lines.joints.continued, lines.joints.partial, lines.count));
        }
    }

    #[test]
    fn whole_lines_are_given_out_and_the_rest_waits() {
        let mut cutter = LineCutter::new(100);
        let mut given = Vec::new();
        cutter.buffer().extend_from_slice(b"one\n\ntwo\nthr");
        cutter.cut(collect(&mut given));
        assert_eq!(given, [("one\n\ntwo\n".to_owned(), false, false, 3)]);
        assert!(cutter.is_waiting());
        cutter.buffer().extend_from_slice(b"ee");
        cutter.finish(collect(&mut given));
        assert_eq!(given[1..], [("three\n".to_owned(), false, false, 1)]);
        assert!(!cutter.is_waiting());
    }

    #[test]
    fn a_line_over_the_bound_is_cut_into_pieces_that_hang_together() {
        let mut cutter = LineCutter::new(4);
        let mut given = Vec::new();
        cutter.buffer().extend_from_slice(b"a\n1234567890\nb\n1234\nc");
        cutter.cut(collect(&mut given));
        assert_eq!(
            given,
            [
                ("a\n1234".to_owned(), false, true, 2),
                ("5678".to_owned(), true, true, 1),
                ("90\nb\n1234\n".to_owned(), true, false, 3),
            ]
        );
    }

    #[test]
    fn characters_are_not_cut() {
        let mut cutter = LineCutter::new(5);
        let mut given = Vec::new();
        cutter.buffer().extend_from_slice("ääää\n".as_bytes());
        cutter.cut(collect(&mut given));
        assert_eq!(given, [("ää".to_owned(), false, true, 1), ("ää\n".to_owned(), true, false, 1)]);
        given.clear();
        cutter.buffer().extend_from_slice(b"x\xc3");
        cutter.cut_partial(collect(&mut given));
        assert_eq!(given, [("x".to_owned(), false, true, 1)]);
        cutter.buffer().extend_from_slice(b"\xa4\n");
        cutter.cut(collect(&mut given));
        assert_eq!(given[1..], [("ä\n".to_owned(), true, false, 1)]);
    }

    #[test]
    fn the_two_characters_that_end_a_line_stay_together() {
        let mut cutter = LineCutter::new(100);
        let mut given = Vec::new();
        cutter.buffer().extend_from_slice(b"x\r");
        cutter.cut_partial(collect(&mut given));
        cutter.buffer().extend_from_slice(b"\n");
        cutter.cut(collect(&mut given));
        assert_eq!(given, [("x".to_owned(), false, true, 1), ("\r\n".to_owned(), true, false, 1)]);
    }

    #[test]
    fn bytes_that_are_not_text_are_cut_at_the_bound() {
        let mut cutter = LineCutter::new(4);
        let mut total = 0;
        cutter.buffer().extend_from_slice(&[0x80; 40]);
        cutter.finish(|lines| total += lines.bytes.len());
        assert_eq!(total, 41);
    }
}
